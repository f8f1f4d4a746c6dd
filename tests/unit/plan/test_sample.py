"""What a few pictures of a few videos tell of them all."""

import os
import shutil
from pathlib import Path

import cv2  # noqa: F401  # changes the environment when it is imported
import pytest

from pipeline.config.whole import Config
from pipeline.media.lists import Listed
from pipeline.plan import sample
from pipeline.plan.sample import DEMO, Sample, Wanted, _choose, _quick, sample_videos
from pipeline.runtime.errors import ActaError
from tests.clips import write_clip

COUNTS = {"a": 12, "b": 30, "c": 90}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in COUNTS.items():
        write_clip(folder / f"{name}.mp4", frames=frames)
    return folder


def listed(folder: Path, *names: str) -> list[Listed]:
    paths = [folder / f"{name}.mp4" for name in names or COUNTS]
    return [Listed(path.stem, path.name, "", "", path.stat().st_size, int(path.stat().st_mtime)) for path in paths]


@pytest.fixture
def wanted(config: Config) -> Wanted:
    return Wanted(None, config.frames.model_copy(update={"size": 48}), {})


def hiding(config: Config, wanted: Wanted, **changes: object) -> Wanted:
    filters = config.privacy.obfuscate.faces.model_copy(update=changes)
    return Wanted(wanted.rate, wanted.frames, {"faces": (config.privacy.detect.search("faces"), filters)})


def test_frames_are_counted_and_pictures_are_stored(videos, wanted, tmp_path):
    found = sample_videos(listed(videos), videos, wanted, tmp_path / "kept.json", "x")
    assert found is not None
    assert (found.videos, found.opened, found.pictures) == (3, 3, 48)
    assert found.decoded == found.frames == sum(COUNTS.values())
    assert (found.video_pixels, found.pixels) == (96 * 128, 48 * 64)
    assert 300 < found.jpeg_bytes < 3000
    assert found.describe() == "48 pictures of 3 of 3 videos"


def test_a_rate_and_a_size_thin_out(videos, wanted, config, tmp_path):
    frames = config.frames.model_copy(update={"size": (24, 40)})
    found = sample_videos(listed(videos), videos, Wanted(5.0, frames, {}), tmp_path / "kept.json", "x")
    assert found is not None
    assert (found.decoded, found.frames, found.pixels) == (132, 66, 24 * 40)


def test_files_of_which_the_list_says_nothing_are_looked_up(videos, wanted, tmp_path):
    rows = [row._replace(size=0) for row in listed(videos)] + [Listed("x", "x.mp4", "", "", 0, 0)]
    found = sample_videos(rows, videos, wanted, tmp_path / "kept.json", "x")
    assert found is not None
    assert (found.videos, found.frames) == (3, 132)


def test_without_videos_nothing_is_known_or_kept(wanted, tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"no video")
    rows = [Listed("a", "a.mp4", "", "", -1, 0), Listed("b", "b.mp4", "", "", 1000, 0)]
    rows.append(Listed("empty", "empty.mp4", "", "", 8, 0))
    assert sample_videos([], tmp_path, wanted, tmp_path / "kept.json", "x") is None
    assert sample_videos(rows, tmp_path, wanted, tmp_path / "kept.json", "x") is None
    assert not (tmp_path / "kept.json").exists()


def test_a_damaged_video_is_left_out(videos, wanted, tmp_path):
    for name in COUNTS:
        shutil.copy(videos / f"{name}.mp4", tmp_path)
    (tmp_path / "b.mp4").write_bytes((videos / "b.mp4").read_bytes()[:200])
    found = sample_videos(listed(tmp_path), tmp_path, wanted, tmp_path / "kept.json", "x")
    assert found is not None
    assert (found.videos, found.opened, found.frames) == (3, 2, 102)


def test_a_video_without_a_length_in_its_header_is_counted(wanted, tmp_path):
    write_clip(tmp_path / "raw.h264", frames=20)
    rows = [Listed("raw", "raw.h264", "", "", 1000, 0)]
    found = sample_videos(rows, tmp_path, wanted, tmp_path / "kept.json", "x")
    assert found is not None
    assert found.frames == 20


@pytest.mark.parametrize("count", [5, 50])
def test_the_chosen_stand_for_all(count):
    """A long video among many short ones is always chosen, and bytes add up."""
    rows = [Listed(f"{k}", "", "", "", 1000 + k, 0) for k in range(200)] + [Listed("long", "", "", "", 10**6, 0)]
    chosen = _choose(rows, count)
    assert len(chosen) <= count
    assert chosen == _choose(rows, count)
    assert chosen[-1][0].id == "long"
    assert chosen[-1][1] == pytest.approx(1, abs=0.02)
    assert sum(row.size * weight for row, weight in chosen) == pytest.approx(sum(row.size for row in rows))
    assert _choose(rows[:3], 3) == [(row, 1.0) for row in rows[:3]]


def test_what_was_measured_is_not_measured_again(videos, wanted, tmp_path, monkeypatch):
    kept = tmp_path / "kept.json"
    first = sample_videos(listed(videos), videos, wanted, kept, "x")
    measured: list[int] = []

    def measure(chosen: list[object], *others: object) -> Sample | None:
        measured.append(len(chosen))
        return first

    monkeypatch.setattr(sample, "_measure", measure)
    assert sample_videos(listed(videos), videos, wanted, kept, "x") == first
    assert measured == []
    sample_videos(listed(videos, "a"), videos, wanted, kept, "y")
    assert measured == [1], "another name"
    assert sample_videos(listed(videos), videos, wanted, kept, "x") == first
    other = Wanted(wanted.rate, wanted.frames.model_copy(update={"jpeg_quality": 50}), {})
    sample_videos(listed(videos), videos, other, kept, "x")
    assert measured == [1, 3], "another setting"
    sample_videos([row._replace(modified=1) for row in listed(videos)], videos, other, kept, "x")
    assert measured == [1, 3, 3], "another file"


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 3}', '{"x": ["key", {}]}'])
def test_a_damaged_file_of_measurements_is_made_again(videos, wanted, tmp_path, text):
    kept = tmp_path / "kept.json"
    kept.write_text(text)
    found = sample_videos(listed(videos), videos, wanted, kept, "x")
    assert found is not None
    assert sample._read(kept)["x"][1] == found


def test_faces_are_found_and_hidden(footage, config, wanted, tmp_path):
    found = sample_videos(
        listed(footage / "talking_in_car", "carphone_pristine"),
        footage / "talking_in_car",
        hiding(config, wanted),
        tmp_path / "kept.json",
        "x",
    )
    assert found is not None
    faces = found.hidden["faces"]
    assert faces.searched
    assert faces.instances == pytest.approx(1, abs=0.2)
    assert 0.4 < faces.share < 0.98
    assert found.describe() == "48 pictures of 1 of 1 videos"


def test_without_weights_it_is_as_in_the_demo(videos, config, wanted, tmp_path, monkeypatch):
    """Which is said, and not kept, as weights may come."""

    def make(*arguments: object) -> None:
        raise ActaError("no weights")

    monkeypatch.setattr("pipeline.privacy.detectors.make_detector", make)
    found = sample_videos(listed(videos), videos, hiding(config, wanted), tmp_path / "kept.json", "x")
    assert found is not None
    assert found.hidden == {"faces": DEMO["faces"]}
    assert found.describe().endswith("; what hiding faces changes is assumed to be as in the demo")
    assert not os.listdir(tmp_path)
    whole = sample_videos(listed(videos), videos, hiding(config, wanted, filter="frame"), tmp_path / "kept.json", "x")
    assert whole is not None
    assert whole.hidden["faces"].share < DEMO["faces"].share, "whole frames are hidden without a search"


def test_a_plan_searches_on_a_processor_in_pictures_of_limited_size(config):
    slow = {"detector": "maskrcnn", "device": "cuda", "long_side": None, "search_rotated": True, "threshold": 0.7}
    bodies = config.privacy.detect.search("bodies").model_copy(update=slow)
    quick = _quick(bodies)
    assert (quick.detector, quick.threshold, quick.long_side) == ("ssdlite", None, 1280)
    assert (quick.uses_gpu, quick.search_rotated) == (False, False)
    faces = _quick(config.privacy.detect.search("faces"))
    assert (faces.detector, faces.faces) == (config.privacy.detect.faces.detector, None)
