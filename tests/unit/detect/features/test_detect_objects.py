"""People and objects on keyframes, each with its own threshold; what names keyframes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.detect_features import KeyframeSettings, ObjectSettings
from pipeline.config.tasks.detect import DetectObjects
from pipeline.detect.features.detect_objects import detect_objects
from pipeline.detect.features.objects import ObjectShard
from pipeline.models.object_detector import find, load_detector
from pipeline.runtime.store import FrameShard
from tests.detectors import CLASSES, write_detector


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector") / "model.safetensors")


def search(tmp_path: Path, shard: Path, detector: Path, rows: str, **changes: Any) -> ObjectShard:
    (tmp_path / "labels.pbtxt").write_text('item { name: "stand" id: 1 }')
    (tmp_path / "boxes.csv").write_text(rows)
    values: dict[str, Any] = {"imported": {}, "weights": None, "score": 0, "person_score": 0, "max_detections": 99}
    values |= {"device": "cpu", "threads": 1}
    settings = DetectObjects(
        keyframes=KeyframeSettings(step=1.0, start=0.0, first=None, last=None),
        objects=ObjectSettings(**values | changes),
    )
    files = {"train": tmp_path / "boxes.csv"}
    labels = tmp_path / "labels.pbtxt"
    detect_objects(shard, tmp_path / "objects.h5", settings, labels, files, {}, detector=detector)
    return ObjectShard(tmp_path / "objects.h5")


def test_people_and_objects_on_keyframes_each_with_its_own_threshold(tmp_path, shards, saved):
    rows = "v,0.2,0,0,1,1,1\nv,0.0,0,0,1,1,1\nv,0.1\nu,90,0,0,1,1,1\n"
    model, _ = load_detector(saved)
    frames = FrameShard(shards[0])
    every = [find(model, [frames.clip_at("v", [time])[0]], 0.0, 99)[0] for time in (0.0, 0.1, 0.2)]
    shard = search(tmp_path, shards[0], saved, rows)
    assert shard.times("v").tolist() == [0.0, 0.1, 0.2]
    assert shard.classes == list(CLASSES)
    for place, expected in enumerate(every):
        found = shard.at("v", place)
        assert found.kind.tolist() == expected.kind.tolist()
        assert found.box == pytest.approx(expected.box.numpy(), abs=1e-4)
        assert found.score == pytest.approx(expected.score.numpy(), abs=1e-4)
        assert found.feature.astype(float) == pytest.approx(expected.feature.numpy(), rel=1e-2, abs=1e-2)
        assert found.feature.dtype == np.float16
    (bad,) = shard.quarantine
    assert (bad.id, bad.task) == ("u", "detect_objects")
    assert "boxes.csv:4 annotates it at 90 s" in bad.reason
    digest = shard.digest
    shard.close()

    person = float(np.median([score for each in every for score in each.score[each.kind == 1].tolist()]))
    other = search(tmp_path, shards[0], saved, rows, person_score=person)
    assert other.digest != digest
    for place, expected in enumerate(every):
        kept = (expected.kind == 0) | (expected.score >= person)
        assert other.at("v", place).kind.tolist() == expected.kind[kept].tolist()
        assert 0 < (~kept).sum() < len(kept)
    other.close()

    assert len(search(tmp_path, shards[0], saved, rows, score=1.0, person_score=1.0).at("v", 0).box) == 0


def test_a_video_without_keyframes(tmp_path, shards, saved):
    shard = search(tmp_path, shards[0], saved, "v,0.1,0,0,1,1,1\n", max_detections=2)
    assert shard.times("u").tolist() == []
    assert len(shard.at("v", 0).box) == 2


def test_proposals_name_keyframes_and_are_an_input(tmp_path, shards, saved):
    shard = search(tmp_path, shards[0], saved, "v,0.1,0,0,1,1,1\n", max_detections=2)
    digest = shard.digest
    shard.close()
    people = tmp_path / "people.csv"
    people.write_text("v,0.3,0,0,1,1,,0.5\n")
    settings = DetectObjects(
        keyframes=KeyframeSettings(step=1.0, start=0.0, first=None, last=None),
        objects=ObjectSettings(
            imported={}, weights=None, score=0, person_score=0, max_detections=2, device="cpu", threads=1
        ),
    )
    labels, boxes = tmp_path / "labels.pbtxt", {"train": tmp_path / "boxes.csv"}
    detect_objects(shards[0], tmp_path / "p.h5", settings, labels, boxes, {"train": people}, detector=saved)
    found = ObjectShard(tmp_path / "p.h5")
    assert found.times("v").tolist() == [0.1, 0.3]
    assert found.digest != digest
