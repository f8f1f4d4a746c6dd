"""Frames of halves come from the right moments of their videos, however the videos are stored."""

import json
import re
import stat
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import simplejpeg

from pipeline.config.tasks.spot import ExtractGameFrames
from pipeline.media.decode import scaled_size, to_rgb
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.store import FrameShard
from pipeline.spot import extract_game_frames as module
from pipeline.spot.extract_game_frames import extract_game_frames, frames_at, jpegs_at
from tests.clips import read_number, write_clip

SIZE = (32, 64)
NAME = "league/2014-2015/A 1 - 1 B"


def numbers(path: Path, **changes: Any) -> list[int]:
    options = {"start": 0.0, "count": 10, "rate": 2.0, "convert": None, "threads": 1} | changes
    return [read_number(to_rgb(frame, *scaled_size(frame, None))) for frame in frames_at(path, **options)]


def nearest(times: Sequence[float], moment: float) -> int:
    """The frame nearest to a moment; of two the later."""
    return min(range(len(times)), key=lambda k: (round(abs(times[k] - moment), 6), -k))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Clips of five seconds by their frames per second."""
    folder = tmp_path_factory.mktemp("clips")
    return {rate: write_clip(folder / f"{rate}.mkv", 5 * rate, rate, SIZE) for rate in (25, 30, 50)}


@pytest.mark.parametrize("fps", [25, 30, 50])
@pytest.mark.parametrize("start", [0.0, 0.49])
def test_frames_are_the_nearest(clips, fps, start):
    found = numbers(clips[fps], start=start, count=9)
    assert len(found) == 9
    for k, number in enumerate(found):
        assert abs(number / fps - (start + k / 2)) <= 0.5 / fps + 1e-3  # Matroska counts in milliseconds


@pytest.fixture(scope="module")
def exact(clips: dict[int, Path]) -> Path:
    """A clip of 30 frames per second in a container that does not round its time stamps."""
    return write_clip(clips[30].with_suffix(".mp4"), 150, 30, SIZE)


@pytest.mark.parametrize("rate", [0.7, 2.0, 25.0, 60.0])
@pytest.mark.parametrize("convert", [None, 25.0, 12.5, 60.0])
def test_conversion_is_two_samplings(exact, rate, convert):
    times = [k / 30 for k in range(150)]
    count = int(4.5 * rate)
    if convert is None:
        expected = [nearest(times, k / rate) for k in range(count)]
    else:
        between = [j / convert for j in range(int(5 * convert))]
        source = [nearest(times, moment) for moment in between]
        expected = [source[nearest(between, k / rate)] for k in range(count)]
    assert numbers(exact, count=count, rate=rate, convert=convert) == expected


def test_conversion_drops_frames(clips):
    assert numbers(clips[50], count=4, convert=1.0) == [0, 50, 50, 100]


def test_frame_rate_that_is_no_whole_number(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", 150, Fraction(30000, 1001), SIZE)
    assert numbers(path, count=9) == [nearest([1.001 * k / 30 for k in range(150)], k / 2) for k in range(9)]


def test_variable_frame_rate_with_a_gap(tmp_path):
    times = [0, 40, 80, 700, 740, 1240, 1250, 1260, 4000]
    path = write_clip(tmp_path / "clip.mkv", len(times), 25, SIZE, times=times)
    expected = [nearest([t / 1000 for t in times], k / 4) for k in range(17)]
    assert numbers(path, count=17, rate=4.0) == expected
    assert expected.count(7) > 3


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_container_that_does_not_start_at_zero(tmp_path, suffix):
    times = [700 + 40 * k for k in range(100)]
    path = write_clip(tmp_path / f"clip.{suffix}", 100, 25, SIZE, times=times)
    assert numbers(path, count=8) == [nearest([k / 25 for k in range(100)], k / 2) for k in range(8)]


def test_first_frame_stands_in_for_what_is_before_it(tmp_path):
    times = [1000 + 40 * k for k in range(75)]
    path = write_clip(tmp_path / "clip.mkv", 75, 25, SIZE, times=times, audio=True)
    found = numbers(path, count=8)
    assert found[:3] == [0, 0, 0]
    for k, number in enumerate(found[3:], 3):
        assert abs(1 + number / 25 - k / 2) <= 0.5 / 25 + 0.03  # the sound begins with up to 23 ms of padding


SEEKING = {
    "closed.mkv": {"g": "25"},
    "closed.mp4": {"g": "25"},
    "closed.ts": {"g": "25"},
    "long.ts": {"g": "100"},
    "one_keyframe.mkv": {"g": "1000"},
    "open.mkv": {"x264-params": "keyint=24:min-keyint=24:open-gop=1:bframes=3:scenecut=0"},
    "open.ts": {"x264-params": "keyint=24:min-keyint=24:open-gop=1:bframes=3:scenecut=0"},
    "refresh.mkv": {"x264-params": "keyint=24:intra-refresh=1"},
    "mpeg2.mpg": {"g": "12", "bf": "2"},
    "mpeg4.avi": {"g": "25"},
}


@pytest.fixture
def decoded(monkeypatch):
    """The times of all frames that were decoded."""
    seen: list[float] = []
    decode = module.decode

    def counting(*arguments: Any, **options: Any) -> Iterator[Any]:
        for time, frame in decode(*arguments, **options):
            seen.append(time)
            yield time, frame

    monkeypatch.setattr(module, "decode", counting)
    return seen


@pytest.mark.parametrize("name", SEEKING)
def test_seeking_gives_the_same_frames(tmp_path, monkeypatch, decoded, name):
    codec = {"mpg": "mpeg2video", "avi": "mpeg4"}.get(name.split(".")[1], "libx264")
    path = write_clip(tmp_path / name, 250, 25, SIZE, codec=codec, options=SEEKING[name])
    starts = (7.0, 8.31)

    def pictures() -> list[np.ndarray]:
        asked = [frames_at(path, start=s, count=4, rate=2.0, convert=None, threads=1) for s in starts]
        return [frame.to_ndarray() for frames in asked for frame in frames]

    sought = pictures()
    effort = len(decoded)
    assert [numbers(path, start=s, count=4) for s in starts] == [
        [nearest([k / 25 for k in range(250)], s + k / 2) for k in range(4)] for s in starts
    ]
    decoded.clear()
    monkeypatch.setattr(module, "_MARGIN", 1e9)
    assert np.array_equal(sought, pictures())
    if name in ("closed.mkv", "closed.mp4", "open.mkv"):
        assert effort < 0.6 * len(decoded)


def test_small_start_is_read_from_the_beginning(tmp_path, decoded):
    path = write_clip(tmp_path / "clip.mkv", 100, 25, SIZE, options={"g": "5"})
    assert numbers(path, start=1.0, count=2) == [25, 38]
    assert decoded[0] == 0


def test_decoding_ends_with_the_last_tick(clips, decoded):
    assert len(numbers(clips[25], count=3)) == 3
    assert len(decoded) == 27  # the tick at 1 s is the 26th frame's until the next one is known


def test_last_frame_stands_in_for_a_second(clips):
    assert numbers(clips[25], start=4.5, count=4) == [113, 124, 124, 124]
    with pytest.raises(VideoError, match=r"truncated: it ends at 5\.00 s, but its last frame is due at 6\.50 s"):
        numbers(clips[25], start=4.5, count=5)


def test_one_frame_is_shown_again(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", 1, 25, SIZE)
    assert numbers(path, count=3) == [0, 0, 0]
    with pytest.raises(VideoError, match="truncated"):
        numbers(path, count=4)


def test_what_is_no_video_is_an_error(tmp_path):
    (tmp_path / "text.mkv").write_text("text")
    with pytest.raises(VideoError, match="cannot be opened"):
        numbers(tmp_path / "text.mkv")
    with pytest.raises(VideoError, match="missing"):
        numbers(tmp_path / "none.mkv", start=60.0)


def settings(rate: float = 2.0, size: Any = 32) -> ExtractGameFrames:
    frames = {"convert": 25.0, "rate": rate, "stored": {"size": size, "jpeg_quality": 95}}
    return ExtractGameFrames.model_validate({"frames": frames})


def write_game(path: Path, halves: Sequence[tuple[str | None, float, int]], reason: str = "") -> Path:
    """A manifest by hand: each half's video, start and number of frames."""
    rows = [
        {"number": n, "video": video, "start": start, "duration": frames / 2, "frames": frames, "features": {}}
        for n, (video, start, frames) in enumerate(halves, 1)
    ]
    entries = [{"id": NAME, "task": "build_game", "reason": reason}] if reason else []
    content = {"name": NAME, "splits": ["train"], "halves": rows, "events": [], "annotated": True, "unknown": {}}
    path.write_text(json.dumps(content | {"beyond": 0, "quarantine": entries}))
    return path


def stored(shard: FrameShard, video: str) -> list[int]:
    return [read_number(simplejpeg.decode_jpeg(image, "RGB")) for image in shard.jpegs(video)]


@pytest.fixture
def root(clips):
    return clips[25].parent


def test_both_halves_are_stored(root, tmp_path):
    output = tmp_path / "frames" / "game.h5"
    game = write_game(tmp_path / "game.json", [("25.mkv", 1.2, 8), ("50.mkv", 3.0, 4)])
    extract_game_frames(game, root, output, settings())
    shard = FrameShard(output)
    assert (shard.ids, shard.splits, shard.quarantine) == ([f"{NAME}/1", f"{NAME}/2"], ["train", "train"], [])
    assert stored(shard, f"{NAME}/1") == [30, 43, 55, 68, 80, 93, 105, 118]
    assert stored(shard, f"{NAME}/2") == [nearest([k / 50 for k in range(250)], (75 + d) / 25) for d in (0, 13, 25, 38)]
    assert np.array_equal(shard.times(f"{NAME}/1"), np.arange(8) / 2)
    assert shard.size(f"{NAME}/1") == (32, 64)
    assert stat.S_IMODE(output.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in output.parent.iterdir()) == ["game.h5"]
    other = tmp_path / "other" / "game.h5"
    extract_game_frames(game, root, other, settings(), workers=2)
    assert other.read_bytes() == output.read_bytes()


def test_stored_frames_are_upright_and_scaled(root, tmp_path):
    write_clip(root / "turned.mp4", 50, 25, SIZE, rotation=90)
    game = write_game(tmp_path / "game.json", [("turned.mp4", 0.0, 4), ("25.mkv", 0.0, 4)])
    extract_game_frames(game, root, tmp_path / "frames" / "game.h5", settings(size=64))
    shard = FrameShard(tmp_path / "frames" / "game.h5")
    assert [shard.size(f"{NAME}/{half}") for half in (1, 2)] == [(128, 64), (64, 128)]
    assert stored(shard, f"{NAME}/1") == [0, 13, 25, 38]


def test_frames_are_repeated_in_gaps(root, tmp_path):
    write_clip(root / "gap.mkv", 3, 25, SIZE, times=[0, 40, 3200])
    game = write_game(tmp_path / "game.json", [("gap.mkv", 0.0, 7), ("25.mkv", 0.0, 1)])
    extract_game_frames(game, root, tmp_path / "frames" / "game.h5", settings())
    assert stored(FrameShard(tmp_path / "frames" / "game.h5"), f"{NAME}/1") == [0, 1, 1, 1, 2, 2, 2]


def test_frames_that_change_their_size_are_an_error(clips, monkeypatch):
    first, last = (av.VideoFrame(64, height, "rgb24") for height in (32, 48))
    monkeypatch.setattr(module, "frames_at", lambda *args, **options: iter([first, first, last]))
    found = jpegs_at(clips[25], start=0.0, count=3, settings=settings(size=None).frames, threads=1)
    one, again = next(found), next(found)
    assert one[1] == again[1] == (32, 64)
    assert one[0] is again[0], "it is compressed once"
    with pytest.raises(VideoError, match=r"changes its size from \(64, 32\) to \(64, 48\) at frame 2"):
        next(found)


def test_bad_game_has_no_frames(root, tmp_path):
    game = write_game(tmp_path / "game.json", [], "1_HQ.mkv: missing")
    extract_game_frames(game, root, tmp_path / "frames" / "game.h5", settings())
    shard = FrameShard(tmp_path / "frames" / "game.h5")
    assert shard.ids == []
    assert [(entry.id, entry.task, entry.reason) for entry in shard.quarantine] == [
        (NAME, "build_game", "1_HQ.mkv: missing")
    ]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(i * 37 % 256 for i in range(400))
    path.write_bytes(content)


def test_game_that_cannot_be_decoded_has_no_frames(root, tmp_path):
    damage(write_clip(root / "damaged.mkv", 125, 25, (64, 128), options={"g": "300"}))
    game = write_game(tmp_path / "game.json", [("25.mkv", 0.0, 8), ("damaged.mkv", 0.0, 10)])
    extract_game_frames(game, root, tmp_path / "frames" / "game.h5", settings())
    shard = FrameShard(tmp_path / "frames" / "game.h5")
    assert shard.ids == []
    (entry,) = shard.quarantine
    assert (entry.id, entry.task) == (NAME, "extract_game_frames")
    assert re.match(r"damaged\.mkv: (decoding failed after|.*incomplete|truncated: it ends at)", entry.reason)


def test_features_alone_have_no_frames(root, tmp_path):
    game = write_game(tmp_path / "game.json", [(None, 0.0, 4), (None, 0.0, 4)])
    with pytest.raises(ActaError, match=r"game\.json: half 1 has features only"):
        extract_game_frames(game, root, tmp_path / "frames" / "game.h5", settings())
