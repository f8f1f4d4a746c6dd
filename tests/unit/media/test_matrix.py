"""Every container with every sound, subtitle, orientation and range: a copy is right, or refused with its reason.

The product of all takes a quarter of an hour and runs where ``ACTA_WHOLE_MATRIX`` is set; otherwise each container
meets each value once.
"""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.runtime.errors import ActaError
from tests.clips import ffmpeg, write_clip
from tests.unit.media.recordings import ONSET, copy, onset, packets, pictures

CONTAINERS = ["mp4", "m4v", "mov", "mkv", "webm", "ts"]

_PCM = {"pcm_s16le", "pcm_s24le", "pcm_f32le"}
# The sound that each container takes as it is; the others get AAC, WebM Opus.
COPIED = {
    "mp4": {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "flac", "opus"} | _PCM,
    "mov": {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "pcm_u8", "pcm_alaw", "pcm_mulaw"} | _PCM,
    "mkv": {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "flac", "opus", "vorbis", "dts", "truehd", "pcm_u8"} | _PCM,
    "webm": {"opus", "vorbis"},
    "ts": {"aac", "mp3", "mp2", "ac3", "eac3", "dts", "opus"},
}
COPIED["m4v"] = COPIED["mp4"]
# What ffmpeg encodes each sound with, and the container in which it comes here.
SOUNDS = {
    "none": ("", "mkv"),
    "aac": ("aac", "mp4"),
    "mp3": ("libmp3lame", "mkv"),
    "mp2": ("mp2", "mkv"),
    "ac3": ("ac3", "mkv"),
    "eac3": ("eac3", "mkv"),
    "alac": ("alac", "mkv"),
    "flac": ("flac", "mkv"),
    "opus": ("libopus", "mkv"),
    "vorbis": ("libvorbis", "mkv"),
    "dts": ("dca", "mkv"),
    "truehd": ("truehd", "mkv"),
    "pcm_s16le": ("pcm_s16le", "mov"),
    "pcm_s24le": ("pcm_s24le", "mov"),
    "pcm_f32le": ("pcm_f32le", "mov"),
    "pcm_u8": ("pcm_u8", "mov"),
    "pcm_alaw": ("pcm_alaw", "mov"),
    "pcm_mulaw": ("pcm_mulaw", "mov"),
    "amr_nb": ("libopencore_amrnb", "mov"),
    "wmav2": ("wmav2", "mkv"),
    "adpcm_ms": ("adpcm_ms", "mkv"),
    "adpcm_ima_qt": ("adpcm_ima_qt", "mov"),
}
HELD = {
    "mp4": {"mov_text"},
    "m4v": {"mov_text"},
    "mov": {"mov_text"},
    "mkv": {"subrip", "ass", "webvtt"},
    "webm": {"webvtt"},
    "ts": set(),
}
CHOOSE = {"mov_text": ".mp4 or .mov", "subrip": ".mkv", "ass": ".mkv", "webvtt": ".mkv or .webm"}
SUBTITLES = ["none", *CHOOSE]
ORIENTATIONS = list(itertools.product(range(4), (False, True)))
RANGES = ["tv", "pc"]


def source(folder: Path, sound: str, subtitle: str, orientation: tuple[int, bool], colour: str) -> Path | None:
    """A clip with these properties, made once; None where no container here holds them together."""
    encoder, suffix = SOUNDS[sound]
    if subtitle == "mov_text":
        if suffix == "mkv" and sound not in ("none", "mp3", "ac3", "alac"):
            return None
        suffix = "mov"
    elif subtitle != "none":
        if suffix == "mov" and not sound.startswith("pcm_s"):
            return None
        suffix = "mkv"
    quarters, mirrored = orientation
    path = folder / f"{sound}_{subtitle}_{quarters}{mirrored}_{colour}.{suffix}"
    if path.exists():
        return path
    base = folder / f"base_{colour}.mkv"
    if not base.exists():
        write_clip(base, frames=10, size=(96, 160), pixel_format="yuvj420p" if colour == "pc" else "yuv420p")
    flags = ["-display_rotation", 90 * quarters] if quarters else []
    flags += ["-display_hflip"] if mirrored else []
    inputs, codecs, maps = [*flags, "-i", base], ["-c:v", "copy"], ["-map", "0:v"]
    if sound != "none":
        tone = f"sine=440:d=1,volume=enable='lt(t,{ONSET})':volume=0"
        inputs += ["-f", "lavfi", "-i", tone]
        maps += ["-map", "1:a"]
        codecs += ["-c:a", encoder, "-strict", "-2"]
        codecs += ["-ar", "8000", "-ac", "1"] if sound == "amr_nb" else ["-ar", "44100" if sound != "opus" else "48000"]
    if subtitle != "none":
        words = folder / "words.srt"
        words.write_text("1\n00:00:00,100 --> 00:00:00,600\nhello\n")
        inputs += ["-i", words]
        maps += ["-map", f"{1 if sound == 'none' else 2}:s"]
        codecs += ["-c:s", subtitle]
    ffmpeg(*inputs, *maps, *codecs, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


PLAIN = ("aac", "none", (0, False), "tv")


def cells() -> list[tuple[str, str, str, tuple[int, bool], str]]:
    """All of them, or each container with each value of each property while the others are plain."""
    axes = (list(SOUNDS), SUBTITLES, ORIENTATIONS, RANGES)
    if os.environ.get("ACTA_WHOLE_MATRIX"):
        return list(itertools.product(CONTAINERS, *axes))  # type: ignore[arg-type]
    rows = [PLAIN[:i] + (value,) + PLAIN[i + 1 :] for i, values in enumerate(axes) for value in values]
    return [(container, *row) for container in CONTAINERS for row in dict.fromkeys(rows)]  # type: ignore[misc]


@pytest.mark.parametrize(("container", "sound", "subtitle", "orientation", "colour"), cells())
def test_copy_is_right_or_refused(folder, tmp_path, container, sound, subtitle, orientation, colour):
    made = source(folder, sound, subtitle, orientation, colour)
    if made is None and subtitle != "none":
        made = source(folder, "none", subtitle, orientation, colour)
        sound = "none"
    assert made is not None
    output = tmp_path / f"out.{container}"
    if subtitle != "none" and subtitle not in HELD[container]:
        name = {"m4v": "mp4"}.get(container, container)
        with pytest.raises(ActaError) as error:
            copy(made, output, keep={"subtitles"})
        assert str(error.value) == f".{name} cannot hold {subtitle} subtitles: choose {CHOOSE[subtitle]}"
        assert not list(tmp_path.iterdir())
        return
    notes = copy(made, output, keep={"subtitles"})
    before, after = pictures(made), pictures(output)
    check_picture(before, after, container, orientation, notes)
    check_sound(made, output, container, sound, notes)
    if subtitle != "none":
        texts = [text for text in packets(output, "subtitles") if text != b"\0\0"]  # what mov_text says of a pause
        assert texts in ([b"hello"], [b"\x00\x05hello"], [b"0,0,Default,,0,0,0,,hello"])
    assert notes == []  # whatever was lost is asserted, and taken out, above


def check_picture(before, after, container, orientation, notes) -> None:
    assert before.rotation[1] == orientation[1]
    assert before.rotation[0] % 2 == orientation[0] % 2
    assert after.numbers == before.numbers
    assert np.array(after.times) - after.times[0] == pytest.approx(np.arange(10) / 10, abs=1e-3)
    assert all(np.abs(a.astype(int) - b).mean() < 6 for a, b in zip(before.images, after.images, strict=True))
    assert (before.frames[0].color_range == 2) == (after.frames[0].color_range == 2)
    if container == "ts" and orientation != (0, False):
        notes.remove("the picture itself is turned upright: .ts keeps no rotation")
        assert after.rotation == (0, False)
        assert after.stored == before.images[0].shape[:2]
    else:
        assert after.rotation == before.rotation
        assert after.stored == before.stored


def check_sound(made, output, container, sound, notes) -> None:
    if sound == "none":
        return
    if sound in COPIED[container]:
        theirs, ours = packets(made, "audio"), packets(output, "audio")
        if (container, sound) in (("ts", "aac"), ("ts", "mp3")):
            theirs = theirs[1:]  # the encoder's priming
        if container == "mkv" and made.suffix == ".mp4" and len(ours) < len(theirs):
            theirs = theirs[1:]  # where FFmpeg does not tell how long the priming of MP4 is
        if container == "ts" and sound == "aac":
            ours = [packet[7:] for packet in ours]  # the header of ADTS
        assert b"".join(ours) == b"".join(theirs)
    else:
        encoder = "Opus" if container == "webm" else "AAC"
        name = {"m4v": "mp4"}.get(container, container)
        notes.remove(f"sound converted from {sound} to {encoder}: .{name} cannot hold it as it is")
    assert onset(output) == pytest.approx(onset(made), abs=0.012)
