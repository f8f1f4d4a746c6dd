"""Hiding what was detected in stored frames: it fails closed, and knows of which files its shards are."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from pipeline.config.tasks.privacy import Obfuscate
from pipeline.privacy.instances import DetectedVideo, Instances, write_detections
from pipeline.privacy.obfuscate import obfuscate
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.store import FrameShard
from pipeline.tasks import task_settings
from tests.shards import numbered, stored, write_shard
from tests.unit.privacy.chain import detected


@pytest.fixture
def hide(config, tmp_path):
    """Hide what was detected in three frames of the videos a and b; returns the anonymised shard."""
    settings = task_settings(config, "obfuscate", what="faces")
    assert isinstance(settings, Obfuscate)
    frames = write_shard(tmp_path / "frames.h5", [stored(tmp_path / "spooled", v, numbered(3)) for v in "ab"])

    def run(detected: list[DetectedVideo], attack: Callable[[Path], None] | None = None) -> FrameShard:
        provenance = Provenance(task="detect_people", settings="{}", code="test")
        write_detections(tmp_path / "detections.h5", detected, [], provenance)
        if attack:
            attack(tmp_path / "detections.h5")
        obfuscate(frames, tmp_path / "detections.h5", tmp_path / "hidden.h5", settings)
        return FrameShard(tmp_path / "hidden.h5")

    return run


def test_a_video_without_detections_is_not_passed_on(hide):
    hidden = hide([detected("a", [Instances()] * 3)])
    assert hidden.ids == ["a"]
    assert [(entry.id, entry.reason.split(":")[0]) for entry in hidden.quarantine] == [("b", "no detections")]


@pytest.mark.parametrize("wrong", [detected("b", [Instances()] * 3, shift=0.05), detected("b", [Instances()] * 2)])
def test_detections_of_other_frames_are_not_used(hide, wrong):
    hidden = hide([detected("a", [Instances()] * 3), wrong])
    assert hidden.ids == ["a"]
    assert "its 3 frames and its detections are at different time stamps" in hidden.quarantine[0].reason


def test_a_frame_on_which_the_detector_failed_is_hidden_whole(hide):
    hidden = hide([detected(video, [Instances(), Instances(failed=True), Instances()]) for video in "ab"])
    images = [cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in hidden.jpegs("a")]
    spreads = [int(image.max()) - int(image.min()) for image in images]
    assert spreads[0] > 200
    assert spreads[2] > 200
    assert spreads[1] < 100, "one blur over the whole picture"


# ---- the chain from the video to the certificate


def set_to(name: str, value: Any, sealed: bool) -> Callable[[Path], None]:
    """Change an array in a shard, as a program does that knows nothing of the seal, or in place below it."""

    def attack(path: Path) -> None:
        content = path.read_bytes()
        size = struct.unpack("<32sQ8s", content[-48:])[1]
        with h5py.File(path, "r+") as file:
            file[name][...] = value
        assert path.read_bytes() != content[:size]
        if sealed:
            path.write_bytes(path.read_bytes()[:size] + content[size:])

    return attack


@pytest.mark.parametrize(
    ("sealed", "message"),
    [
        (True, r"its bytes \d+ to \d+ are not those written"),
        (False, "its end has no seal, so it was cut short, changed"),
    ],
    ids=["in place", "by HDF5"],
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames/first", 0),
        ("frames/failed", False),
        ("frames/time", 7.0),
        ("videos/first", 0),
        ("instances/box", [0.9, 0.9, 1, 1]),
        ("instances/box", 0),
        ("instances/box", np.nan),
        ("instances/grid", 0),
        ("instances/offsets", 0),
        ("instances/mask", 0),
    ],
)
def test_detections_that_were_changed_hide_nothing_quietly(hide, tmp_path, name, value, sealed, message):
    mask = np.ones((4, 4), bool)
    found = Instances.of(np.array([[0.1, 0.1, 0.6, 0.6]]), np.array([0.9]), [mask])
    videos = [detected(video, [found, Instances(failed=True), found]) for video in "ab"]
    with pytest.raises(ActaError, match=rf"detections\.h5 is damaged: {message}.*; make it again"):
        hide(videos, set_to(name, value, sealed))
    assert not (tmp_path / "hidden.h5").exists()


@pytest.mark.parametrize(("a", "b", "said"), [("1", "2", ""), ("2", "1", ""), ("", "", " (2 were)")])
def test_a_video_that_was_replaced_between_frames_and_detections_is_named(config, tmp_path, a, b, said):
    """Of the same times, so that nothing else tells; its raw frames must not pass with another video's boxes."""
    frames = [replace(stored(tmp_path / "spooled", v, numbered(3)), source="2") for v in "ab"]
    write_shard(tmp_path / "frames.h5", frames)
    videos = [replace(detected(v, [Instances()] * 3), source=s) for v, s in (("a", a), ("b", b))]
    write_detections(tmp_path / "detections.h5", videos, [], Provenance("detect_people", "{}", "test"))
    paths = f"{tmp_path}/frames.h5", f"{tmp_path}/detections.h5"
    which = "b" if a == "2" else "a"
    message = (
        f"{which} was replaced between the tasks{said}: it is another file in {paths[0]} than in {paths[1]}; "
        f"make both again (in a workflow: snakemake --force {paths[0]} {paths[1]})"
    )
    settings = task_settings(config, "obfuscate", what="faces")
    with pytest.raises(ActaError) as error:
        obfuscate(*map(Path, paths), tmp_path / "hidden.h5", settings)
    assert str(error.value) == message
    assert not (tmp_path / "hidden.h5").exists()
