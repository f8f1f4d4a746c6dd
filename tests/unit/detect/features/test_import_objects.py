"""Another detector's features of objects, by the form in which the authors published theirs."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.config.detect_features import KeyframeSettings
from pipeline.config.tasks.detect import ImportObjects
from pipeline.detect.annotation.ava import write_label_map
from pipeline.detect.features.import_objects import import_objects
from pipeline.detect.features.objects import ObjectShard
from pipeline.runtime.errors import ActaError
from tests.shards import numbered, stored, write_shard

SETTINGS = ImportObjects(keyframes=KeyframeSettings(step=1.0, start=0.0, first=None, last=None), score=0.5)


def publish(path: Path, keyframes: dict[str, int], size: int = 8) -> Path:
    """On keyframe ``<video>_<second>`` this many objects, whose scores are 0.9, 0.8, …; column 0 is background."""
    with h5py.File(path, "w") as file:
        for key, count in keyframes.items():
            file[f"{key}_features"] = np.arange(count * size, dtype=np.float32).reshape(count, size)
            file[f"{key}_boxes"] = np.tile(np.float32([0.1, 0.2, 0.3, 0.4]), (count, 1))
            scores = 0.9 - 0.1 * np.arange(count)
            file[f"{key}_cls_prob"] = np.stack([np.ones(count), scores, scores / 2], 1)
    return path


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    videos = [
        stored(tmp_path / "jpegs", name, numbered(31), split=split) for name, split in (("a", "train"), ("b", "val"))
    ]
    write_label_map(tmp_path / "labels.pbtxt", ["run"])
    rows = [f"{name},{second:04d},0.1,0.1,0.5,0.5,1" for name in "ab" for second in (1, 2)]
    (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
    return write_shard(tmp_path / "frames.h5", videos)


def run(folder: Path, frames: Path, published: dict[str, Path], allowed: float = 1.0) -> ObjectShard:
    boxes = dict.fromkeys(("train", "val"), folder / "boxes.csv")
    labels, output = folder / "labels.pbtxt", folder / "objects.h5"
    import_objects(frames, output, SETTINGS, published, labels, boxes, {}, max_bad_fraction=allowed)
    return ObjectShard(output)


def test_objects_of_each_keyframe_with_their_scores(tmp_path: Path, frames: Path) -> None:
    """Time stamps have no leading zeros; what is below the lowest score, or background, is left out."""
    published = {
        "train": publish(tmp_path / "train.h5", {"a_1": 2, "a_2": 6}),
        "val": publish(tmp_path / "val.h5", {"b_2": 1}),
    }
    shard = run(tmp_path, frames, published)
    assert (shard.ids, shard.classes, shard.array("objects/feature").shape[1]) == (["a", "b"], ["object"], 8)
    counts = {video: [len(shard.at(video, place).box) for place in range(2)] for video in "ab"}
    assert counts == {"a": [2, 5], "b": [0, 1]}
    found = shard.at("a", 1)
    assert found.score.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    assert found.feature[1].tolist() == list(range(8, 16))
    assert found.box[0].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_video_without_objects_or_with_bad_ones_costs_itself(tmp_path: Path, frames: Path) -> None:
    with h5py.File(publish(tmp_path / "train.h5", {"a_1": 2}), "a") as file:
        file["a_1_boxes"][...] = 300.0
    publish(tmp_path / "val.h5", {"c_1": 2})
    shard = run(tmp_path, frames, {"train": tmp_path / "train.h5", "val": tmp_path / "val.h5"})
    assert shard.ids == []
    reasons = {entry.id: entry.reason for entry in shard.quarantine}
    assert "a at 1 s: a box has the coordinate 300; boxes must be in [0, 1]" in reasons["a"]
    assert reasons["b"] == "nothing of it is in the published files of objects"


def test_a_name_may_have_lost_its_first_hyphen_unless_another_video_has_it(tmp_path: Path) -> None:
    named = [stored(tmp_path / "jpegs", name, numbered(31), split="train") for name in ("-a", "-b")]
    frames = write_shard(tmp_path / "frames.h5", named)
    write_label_map(tmp_path / "labels.pbtxt", ["run"])
    (tmp_path / "boxes.csv").write_text("".join(f"{v},0001,0.1,0.1,0.5,0.5,1\n" for v in ("-a", "-b", "b")))
    shard = run(tmp_path, frames, {"train": publish(tmp_path / "train.h5", {"a_1": 2, "b_1": 2})})
    assert (shard.ids, len(shard.at("-a", 0).box)) == (["-a"], 2)
    assert [entry.id for entry in shard.quarantine] == ["-b"], "b_1 is another video's"


def test_files_of_different_sizes_are_refused(tmp_path: Path, frames: Path) -> None:
    published = {"train": publish(tmp_path / "a.h5", {"a_1": 1}), "val": publish(tmp_path / "b.h5", {"b_1": 1}, size=4)}
    with pytest.raises(ActaError, match=r"different sizes: {'train': 8, 'val': 4}"):
        run(tmp_path, frames, published)


def test_what_is_no_file(tmp_path: Path, frames: Path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"not HDF5")
    with pytest.raises(ActaError, match=r"cannot read .*bad.h5"):
        run(tmp_path, frames, {"train": tmp_path / "bad.h5"})
