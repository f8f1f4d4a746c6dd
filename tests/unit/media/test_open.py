"""Each container that the documentation names is read, and text that is not UTF-8 stops no version of PyAV."""

from pathlib import Path

import av
import numpy as np
import pytest

import pipeline.privacy.anonymize  # noqa: F401  # cv2 changes the environment when it is imported
from pipeline.cli import main
from pipeline.media.decode import decode, open_video
from pipeline.media.suffixes import SUFFIXES
from tests import PROJECT
from tests.clips import numbered_image, read_number, write_clip

CODECS = {
    **dict.fromkeys([".asf", ".wmv"], "wmv2"),
    **dict.fromkeys([".mpeg", ".mpg", ".mxf"], "mpeg2video"),
    **{".avi": "mpeg4", ".flv": "flv", ".gif": "gif", ".ogv": "libvpx", ".webm": "libvpx-vp9"},
}
LATIN = "José in Köln".encode("latin-1")


def write_titled(path: Path, frames: int = 5) -> Path:
    """A clip whose titles, of the file and of its streams, are not UTF-8 but Latin-1, as old cameras and editors write.

    PyAV writes UTF-8 alone, so a title of as many bytes is replaced.
    """
    with av.open(str(path), "w") as out:
        video, sound = out.add_stream("libx264", rate=10), out.add_stream("aac", rate=44100, layout="mono")
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        out.metadata["title"] = "#" * len(LATIN)
        for stream in (video, sound):
            stream.metadata["title" if path.suffix == ".mkv" else "handler_name"] = "#" * len(LATIN)
        for number in range(frames):
            out.mux(video.encode(av.VideoFrame.from_ndarray(numbered_image(number), "rgb24")))
        out.mux(video.encode(None))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 22050), np.float32), "fltp", "mono")
        tone.sample_rate = 44100
        out.mux(sound.encode(tone))
        out.mux(sound.encode(None))
    content = path.read_bytes()
    assert content.count(b"#" * len(LATIN)) >= (1 if path.suffix in (".avi", ".flv") else 3)
    path.write_bytes(content.replace(b"#" * len(LATIN), LATIN))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "flv"])
def test_titles_that_are_not_utf8_cost_no_frame(suffix, tmp_path):
    path = write_titled(tmp_path / f"clip.{suffix}")
    with open_video(path) as (container, stream):
        assert container.metadata["title"] in {LATIN.decode(errors=way) for way in ("replace", "surrogateescape")}
        numbers = [read_number(frame.to_ndarray(format="rgb24")) for _, frame in decode(container, stream)]
    assert numbers == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_recording_with_such_titles_is_anonymised_with_its_sound(suffix, tmp_path):
    source, output = write_titled(tmp_path / f"clip.{suffix}"), tmp_path / f"hidden.{suffix}"
    assert main(["anonymize", str(source), str(output)]) == 0
    with open_video(output) as (container, stream):
        assert sum(1 for _ in decode(container, stream)) == 5
        assert len(container.streams.audio) == 1


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_each_container_of_the_documentation_is_read(suffix, tmp_path):
    pixels = "rgb8" if suffix == ".gif" else "yuv420p"
    path = write_clip(
        tmp_path / f"a{suffix}", rate=25, codec=CODECS.get(suffix, "libx264"), pixel_format=pixels, frames=6
    )
    with open_video(path) as (container, stream):
        numbers = [read_number(frame.to_ndarray(format="rgb24")) for _, frame in decode(container, stream)]
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_the_documentation_names_each_container():
    text = " ".join((PROJECT / "docs/own-videos.md").read_text().split())
    *first, last = sorted(SUFFIXES)
    assert f"These containers are read: {', '.join(first)} and {last}." in text
