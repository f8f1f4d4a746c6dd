"""Highlights against halves in which every picture has its number, and every second begins with a flash and a beep."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.media.decode import to_rgb
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.spot.cut import Part, Written, cut_video, part_of
from pipeline.spot.events import Spot
from pipeline.spot.highlights import Clip
from tests import PROJECT
from tests.clips import read_number
from tests.unit.spot.beeps import write_half


@dataclass
class Result:
    """What is in a video: times, numbers and flashes of the pictures, the sound, the time stamps of keyframes."""

    times: list[float]
    numbers: list[int]
    flashes: np.ndarray
    images: list[np.ndarray]
    sound: np.ndarray
    keyframes: list[float]
    duration: float

    def onsets(self) -> tuple[list[float], list[float]]:
        """When flashes and when beeps begin, in seconds."""
        first = np.diff(self.flashes, prepend=False) & self.flashes
        loud = np.flatnonzero(np.abs(self.sound) > 0.2) / 48_000
        return np.array(self.times)[first].tolist(), loud[np.diff(loud, prepend=-1) > 0.02].tolist()

    def numbers_between(self, start: float, end: float) -> list[int]:
        return [n for time, n in zip(self.times, self.numbers, strict=True) if start - 1e-6 <= time < end - 1e-6]


def read(path: Path) -> Result:
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
        images = [to_rgb(picture, picture.height, picture.width) for picture in pictures]
    blocks = []
    with av.open(str(path)) as container:
        if container.streams.audio:
            assert container.streams.audio[0].rate == 48_000
            for frame in container.decode(audio=0):
                assert frame.pts == sum(map(len, blocks))  # from 0 on without a gap
                blocks.append(frame.to_ndarray()[0])
    with av.open(str(path)) as container:
        keyframes = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.is_keyframe]
        duration = container.duration / 1e6
    return Result(
        [float(picture.time) for picture in pictures],
        [read_number(image) for image in images],
        np.array([image[len(image) * 3 // 5 : len(image) * 3 // 4].mean() > 130 for image in images]),
        images,
        np.concatenate(blocks) if blocks else np.zeros(0, np.float32),
        keyframes,
        duration,
    )


def clip(start: float, end: float, half: int = 1, label: str = "Goal", confidence: float = 0.934) -> Clip:
    return Clip(half, start, end, (Spot(half, (start + end) / 2, label, confidence),))


def check(result: Result, written: Sequence[Written], source: Path, start: float = 0.0, *, beeps: bool = True) -> None:
    """Every clip has exactly its pictures, at their distances from its beginning; flashes and beeps are in step.

    Args:
        source: The half.
        start: Where it begins in its file.
    """
    with av.open(str(source)) as container:
        zero = (container.start_time or 0) / 1e6 + start
        times = [round(float(frame.pts * frame.time_base) - zero, 6) for frame in container.decode(video=0)]
    end = 0.0
    for place in written:
        assert place.start == pytest.approx(end, abs=1e-5)
        end = place.end
        assert end - place.start == pytest.approx(place.clip.end - place.clip.start, abs=1e-5)
        wanted = [k for k, t in enumerate(times) if place.clip.start <= t < place.clip.end]
        assert result.numbers_between(place.start, place.end) == [k % 256 for k in wanted]
        at = [t for t in result.times if place.start - 1e-6 <= t < place.end - 1e-6]
        expected = [place.start, *(place.start + times[k] - place.clip.start for k in wanted[1:])]
        assert at == pytest.approx(expected, abs=1e-4)
        assert min(abs(key - place.start) for key in result.keyframes) < 1e-4
    assert result.duration == pytest.approx(end, abs=0.001)
    if beeps:
        assert abs(len(result.sound) / 48_000 - end) <= 1024 / 48_000
        seen, heard = result.onsets()
        assert len(seen) == len(heard) > 0
        assert heard == pytest.approx(seen, abs=0.04)


CLIPS = [clip(0.52, 1.9), clip(2.44, 3.48), clip(4.2, 5.8)]


def cut(path: Path, output: Path, clips: Sequence[Clip] = CLIPS, **options: Any) -> tuple[Result, list[Written]]:
    written = cut_video({1: part_of(path)}, clips, output, caption=False, **options)
    return read(output), written


@pytest.mark.parametrize(("suffix", "rate"), [(".mp4", Fraction(30000, 1001)), (".mkv", 50), (".ts", 25)])
def test_every_clip_has_its_pictures_and_its_sound(tmp_path, suffix, rate):
    """MPEG-TS begins at 1.4 s, and its time 0 is there."""
    source = write_half(tmp_path / f"half{suffix}", rate=rate, sound=44_100, layout="mono")
    result, written = cut(source, tmp_path / "out.mp4")
    check(result, written, source)


def test_bounds_between_two_pictures_take_the_pictures_inside(tmp_path):
    source = write_half(tmp_path / "half.mkv")
    clips = [clip(0.513, 1.777), clip(2.9401, 3.0399), clip(3.0799, 4.2001)]
    result, written = cut(source, tmp_path / "out.mp4", clips)
    check(result, written, source)
    assert result.numbers[0] == 13  # at 0.52 s
    assert result.duration == pytest.approx(1.264 + 0.0998 + 1.1202, abs=1e-4)


def test_sound_keeps_in_step_over_many_clips(tmp_path):
    """Clips whose lengths are no whole number of pictures or of AAC frames."""
    source = write_half(tmp_path / "half.mkv", 10, sound=44_100)
    clips = [clip(k * 0.4917 + 0.003, k * 0.4917 + 0.31) for k in range(20)]
    result, written = cut(source, tmp_path / "out.mp4", clips)
    check(result, written, source, beeps=False)
    assert len(result.sound) / 48_000 == pytest.approx(20 * 0.307, abs=1024 / 48_000)
    seen, heard = (np.array(onsets) for onsets in result.onsets())
    compared = 0
    for place in written:
        for second in range(10):
            if place.clip.start + 0.04 < second < place.clip.end - 0.04:
                at = place.start + second - place.clip.start
                assert np.abs(seen - at).min() < 0.001
                assert np.abs(heard - at).min() < 0.005
                compared += 1
    assert compared >= 4


def test_result_is_what_players_take(tmp_path):
    source = write_half(tmp_path / "half.mp4", size=(97, 129), pixel_format="yuv444p")
    cut(source, tmp_path / "out.mp4")
    content = (tmp_path / "out.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "out.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height) == (128, 96)
        assert (audio.codec_context.name, audio.rate, audio.layout.name) == ("aac", 48_000, "stereo")
        assert container.start_time == 0
        chapters = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]
    assert chapters == [
        (0, 1.38, "1 - 00:01 Goal 93 %"),
        (1.38, 2.42, "1 - 00:02 Goal 93 %"),
        (2.42, 4.02, "1 - 00:05 Goal 93 %"),
    ]


def test_halves_may_differ_in_size_and_rate_and_one_may_be_silent(tmp_path):
    """The second half is narrower: it gets black bars at its sides."""
    parts = {
        1: part_of(write_half(tmp_path / "1.mp4", size=(96, 160))),
        2: part_of(write_half(tmp_path / "2.mkv", rate=10, size=(144, 144), sound=None)),
    }
    written = cut_video(parts, [clip(0.5, 2.5), clip(1.5, 3.5, half=2)], tmp_path / "out.mp4", caption=False)
    result = read(tmp_path / "out.mp4")
    assert {image.shape for image in result.images} == {(96, 160, 3)}
    assert result.numbers_between(0, 2) == list(range(13, 63))
    second = [image for time, image in zip(result.times, result.images, strict=True) if time >= 2 - 1e-6]
    assert [read_number(image[:, 32:128]) for image in second] == list(range(15, 35))
    assert max(image[:, :28].max() for image in second) < 12
    assert max(image[:, -28:].max() for image in second) < 12
    assert len(result.sound) == pytest.approx(4 * 48_000, abs=1024)
    assert np.abs(result.sound[: 2 * 48_000]).max() > 0.5
    assert np.abs(result.sound[2 * 48_000 + 1024 :]).max() < 0.01
    assert [place.start for place in written] == [0, 2]


def test_without_any_sound_there_is_no_sound_stream(tmp_path):
    source = write_half(tmp_path / "half.mp4", sound=None)
    result, written = cut(source, tmp_path / "out.mp4")
    check(result, written, source, beeps=False)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.audio) == 0


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_sound_that_begins_late_is_silence_before(tmp_path, suffix):
    source = write_half(tmp_path / f"half{suffix}", sound_from=2.5)
    result, written = cut(source, tmp_path / "out.mp4", [clip(0.5, 1.5), clip(1.6, 4.5)])
    check(result, written, source, beeps=False)
    assert result.onsets()[1] == pytest.approx([1 + 3 - 1.6, 1 + 4 - 1.6], abs=0.005)
    assert len(result.sound) == pytest.approx(3.9 * 48_000, abs=1024)


def test_pictures_that_begin_late_show_at_their_own_times(tmp_path):
    """The player's 0:00 is where the sound begins."""
    source = write_half(tmp_path / "half.mkv", times=[1 + k / 25 for k in range(100)])
    result, written = cut(source, tmp_path / "out.mp4", [clip(0.5, 2.5), clip(2.9, 3.9)])
    check(result, written, source, beeps=False)
    assert result.onsets()[1] == pytest.approx([0.5, 1.5, 2.1], abs=0.005)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_time_0_is_the_beginning_of_the_container(tmp_path, suffix):
    source = write_half(tmp_path / f"half{suffix}", begin=7.0)
    assert part_of(source).duration == pytest.approx(6, abs=0.05)
    result, written = cut(source, tmp_path / "out.mp4")
    check(result, written, source)


def test_half_in_the_middle_of_a_video(tmp_path):
    """As video.ini says of SoccerNet's HQ videos."""
    source = write_half(tmp_path / "1_HQ.mkv")
    part = part_of(source, 1.52, 3.0)
    assert part == Part(source, 1.52, 3.0)
    clips = [clip(0.0, 0.8), clip(2.2, 3.0)]
    written = cut_video({1: part}, clips, tmp_path / "out.mp4", caption=False)
    result = read(tmp_path / "out.mp4")
    check(result, written, source, 1.52)
    assert result.numbers[0] == 38
    assert part_of(source, 1.52, 100.0).duration == pytest.approx(4.48, abs=0.001)
    with pytest.raises(VideoError, match=r"1_HQ.mkv ends after 6\.0 s, before the half begins at 6\.5 s"):
        part_of(source, 6.5)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_pictures_are_turned_upright(tmp_path, rotation):
    source = write_half(tmp_path / "half.mp4", 3, rotation=rotation)
    result, written = cut(source, tmp_path / "out.mp4", [clip(0.5, 1.5)])
    assert result.images[0].shape == ((128, 96, 3) if rotation % 180 else (96, 128, 3))
    check(result, written, source)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_pixels_become_square(tmp_path):
    source = write_half(tmp_path / "half.mkv", 3, aspect=Fraction(3, 2))
    result, written = cut(source, tmp_path / "out.mp4", [clip(0.5, 1.5)])
    assert result.images[0].shape == (96, 192, 3)
    check(result, written, source)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert (container.streams.video[0].sample_aspect_ratio or 1) == 1


def test_variable_rate_is_kept(tmp_path):
    steps = [0.02, 0.04, 0.05, 0.2, 0.01]
    times = [round(sum(steps) * (k // 5) + sum(steps[: k % 5]), 3) for k in range(90)]
    source = write_half(tmp_path / "half.mkv", times=times)
    result, written = cut(source, tmp_path / "out.mp4", [clip(0.6, 2.1), clip(3.33, 4.4)])
    check(result, written, source, beeps=False)
    assert len({round(b - a, 3) for a, b in pairwise(result.times)}) >= 5


@pytest.mark.parametrize("options", [{"bf": "3", "g": "250"}, {"x264-params": "open-gop=1:keyint=20:bframes=3"}])
@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_cuts_are_exact_whatever_lies_between_keyframes(tmp_path, suffix, options):
    source = write_half(tmp_path / f"half{suffix}", 12, options={"preset": "veryfast", **options}, sound=None)
    clips = [clip(start, start + 0.2) for start in (0.84, 2.4, 5.56, 8.8, 11.72)]
    result, written = cut(source, tmp_path / "out.mp4", clips)
    check(result, written, source, beeps=False)


def test_clips_may_touch_the_ends_of_the_half(tmp_path):
    source = write_half(tmp_path / "half.mp4", 3)
    part = part_of(source)
    result, written = cut(source, tmp_path / "out.mp4", [clip(0.0, 1.0), clip(2.5, part.duration)])
    check(result, written, source)
    assert result.numbers[-1] == 74


def test_captions_say_what_happens_and_how_sure_it_is(tmp_path):
    """Two events 4 seconds apart: each has its caption while it is near."""
    source = write_half(tmp_path / "half.mp4", 8, 5, (240, 320))
    events = (Spot(1, 2.0, "Goal", 0.93), Spot(1, 6.0, "Yellow->red card", 0.5))
    clips = [Clip(1, 0.0, 8.0, events)]
    plain = cut(source, tmp_path / "plain.mp4", clips)[0].images
    cut_video({1: part_of(source)}, clips, tmp_path / "out.mp4", caption=True)
    result = read(tmp_path / "out.mp4")
    changed = [np.abs(a.astype(int) - b).max(axis=2) > 60 for a, b in zip(result.images, plain, strict=True)]
    assert all(not image[:160].any() for image in changed)  # the lower third only
    widths = [int(np.flatnonzero(image.any(axis=0)).max()) for image in changed]
    assert all(image.any() for image in changed)
    assert max(widths[:20]) < 160 < min(widths[21:])  # the longer text from 4 s on
    assert result.numbers == list(range(40))


def test_progress_ends_at_the_whole_length(tmp_path):
    done: list[float] = []
    cut(write_half(tmp_path / "half.mp4"), tmp_path / "out.mp4", progress=done.append)
    assert done == sorted(done)
    assert done[-1] == pytest.approx(4.02)


def test_an_output_that_is_an_input_or_no_mp4_is_refused(tmp_path):
    source = write_half(tmp_path / "half.mp4", 2)
    before = source.read_bytes()
    with pytest.raises(ActaError, match=r"the output .*half\.mp4 is an input; choose another output"):
        cut(source, source, [clip(0, 1)])
    with pytest.raises(ActaError, match=r"cannot write out\.avi: only \.mp4"):
        cut(source, tmp_path / "out.avi", [clip(0, 1)])
    assert source.read_bytes() == before
    assert list(tmp_path.iterdir()) == [source]


def test_a_clip_without_pictures_is_an_error_and_leaves_nothing(tmp_path):
    source = write_half(tmp_path / "half.mp4", 3)
    with pytest.raises(VideoError, match=r"half\.mp4: no picture between 5\.00 and 6\.00 s of half 1"):
        cut(source, tmp_path / "out.mp4", [clip(0, 1), clip(5, 6)])
    assert list(tmp_path.iterdir()) == [source]


def test_a_damaged_half_is_an_error_that_names_it_and_leaves_nothing(tmp_path):
    source = write_half(tmp_path / "half.mp4", options={"g": "500"}, sound=None)
    content = bytearray(source.read_bytes())
    start = content.index(b"mdat") + 4
    middle = start + (len(content) - start) // 3
    content[middle : middle + 900] = bytes(i * 37 % 256 for i in range(900))
    source.write_bytes(content)
    with pytest.raises(VideoError, match=r"half\.mp4: "):
        cut(source, tmp_path / "out.mp4", [clip(0, 5.9)])
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"text\.mp4: cannot be opened"):
        part_of(tmp_path / "text.mp4")
    with pytest.raises(VideoError, match=r"none\.mp4: missing"):
        part_of(tmp_path / "none.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"half.mp4", "text.mp4"}


SCRIPT = """
import json, os, resource, signal, sys
from pathlib import Path
from pipeline.runtime.errors import ActaError
from pipeline.spot.cut import cut_video, part_of
from pipeline.spot.events import Spot
from pipeline.spot.highlights import Clip
source, output, how = sys.argv[1:]
def progress(done):
    if how == "kill" and done > 2:
        os.kill(os.getpid(), signal.SIGKILL)
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    clips = [Clip(1, 0.0, 6.0, (Spot(1, 1.0, "Goal", 1.0),))]
    cut_video({1: part_of(Path(source))}, clips, Path(output), caption=False, progress=progress)
except ActaError as error:
    sys.exit(str(error))
"""


def test_killed_or_out_of_room_there_is_no_output(tmp_path):
    source = write_half(tmp_path / "half.mp4")
    output = tmp_path / "out.mp4"

    def run(how: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", SCRIPT, str(source), str(output), how]
        return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)

    assert run("kill").returncode == -signal.SIGKILL
    assert not output.exists()
    full = run("full")
    assert full.returncode == 1
    assert "out.mp4 could not be written: File too large" in full.stderr
    assert list(tmp_path.iterdir()) == [source]  # what the killed run had begun is gone too
