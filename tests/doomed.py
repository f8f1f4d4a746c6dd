"""Runs that cannot end well, for the tests of all commands that say so before anything runs."""

import copy
import json
from pathlib import Path
from typing import Any, NamedTuple

IMPORTED: dict[str, Any] = {
    "layout": "i3d",
    "actors": {"train": "actors", "val": "actors"},
    "objects": {},
    "frame_lists": {},
    "half_precision": True,
}
FOLDER = {"data": {"adapter": "folder", "root": "videos", "shards": 1}}
DETECT: dict[str, Any] = {
    "data": {
        "adapter": "ava",
        "root": None,
        "label_map": "labels.pbtxt",
        "boxes": {"train": "train.csv", "val": "val.csv", "test": None},
    },
    "splits": {"test": "val"},
    "objects": None,
    "features": {"i3d": {"backbone": None, "imported": IMPORTED}},
    "tables": ["table_3_2"],
}
SPOT: dict[str, Any] = {
    "data": {
        "adapter": "soccernet",
        "root": "games",
        "splits": {split: f"{split}.json" for split in ("train", "valid", "test")},
        "videos": None,
        "use_video_ini": False,
    },
    "features": {"resnet": {"imported": "F.npy", "backbone": None, "crop": None, "pca": None}},
    "tables": ["table_4_2"],
}


class Doomed(NamedTuple):
    """A configuration but for its dataset, what is asked for, and what the commands say of it."""

    settings: dict[str, Any]
    target: str
    said: str


def _with(base: dict[str, Any], chapter: str, **changes: Any) -> dict[str, Any]:
    """A chapter's settings that differ by path, as ``data__root="videos"``."""
    settings = copy.deepcopy(base)
    for name, value in changes.items():
        *parents, key = name.split("__")
        place = settings
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = value
    return {chapter: settings}


DOOMED = {
    "demo_videos": Doomed({}, "classify", "data still names the demo's videos: name your own (docs/own-videos.md"),
    "demo_boxes": Doomed({}, "table_3_2", "detect.data still names the demo's videos: name your own, with their boxes"),
    "demo_games": Doomed({}, "table_4_2", "spot.data still names the demo's games: name your own"),
    "no_train": Doomed(
        {"data": FOLDER["data"] | {"root": "tested"}},
        "classify",
        "classify.splits.split1.train is 'train', but the dataset 'mine' has no labelled video of that split "
        "(data.root 'tested'); splits that have some: test (1); name one of them in classify.splits, or put videos "
        "into train/<class>/ there",
    ),
    "no_labels": Doomed(
        {"data": FOLDER["data"] | {"root": "recordings"}}, "classify", "splits that have some: none; name one of them"
    ),
    "small_epoch": Doomed(
        FOLDER, "table_5_1", "an epoch of 2 videos has 6 clips (clip.train_clips 3 each), fewer than"
    ),
    "nothing_compared": Doomed(
        FOLDER | {"classify": {"compare": []}}, "table_5_3", "compares the recipes of classify.compare, which is empty"
    ),
    "no_transfer": Doomed(FOLDER, "table_6_6", "shrink.transfer is null: it says where the networks to fine-tune are"),
    "transfer_elsewhere": Doomed(
        FOLDER | {"shrink": {"transfer": {"base": "k/{recipe}.safetensors", "reduced": "k/{iteration}.safetensors"}}},
        "table_6_6",
        "shrink.transfer.base names k/r2plus1d.safetensors, which is not there: run that dataset's `shrink` first",
    ),
    "nothing_shrunk": Doomed(
        FOLDER | {"shrink": {"recipes": []}}, "table_6_1", "table_6_1 is about the networks of shrink.recipes, which is"
    ),
    "only_slowfast": Doomed(
        FOLDER | {"shrink": {"recipes": ["slowfast"]}}, "table_6_7", "shrink.recipes has SlowFast networks only"
    ),
    "no_objects": Doomed(
        {"detect": DETECT},
        "table_3_2",
        "detect.networks.stage has `objects: true`, but detect.features.i3d have no objects: name their source in "
        "detect.features.i3d.imported.objects, or leave the tables and figures with this network out of detect.tables",
    ),
    "no_people": Doomed(
        _with(DETECT, "detect", data__root="videos", features={}, tables=["table_3_5"]),
        "table_3_5",
        "nothing finds people for detect.features.i3d in the split 'train': name detected people in",
    ),
    "no_features_of_a_split": Doomed(
        _with(DETECT, "detect", features__i3d__imported__actors={"train": "actors"}),
        "table_3_5",
        "detect.features.i3d.imported.actors has no file for the split 'val'; it has train: add it",
    ),
    "no_videos_of_a_split": Doomed(
        _with(DETECT, "detect", data__boxes__val="empty.csv"),
        "table_3_5",
        "detect.splits.validation has 'val', but detect.data.boxes.val (empty.csv) names no video",
    ),
    "no_boxes_of_a_split": Doomed(
        _with(DETECT, "detect", splits__validation="nope"),
        "table_3_5",
        "split 'nope' has no `data.boxes`; known: train",
    ),
    "no_such_features": Doomed(
        _with(DETECT, "detect", features__i3d={"backbone": None, "average_of": ["a", "b"]}),
        "table_3_5",
        "features 'i3d' average 'a'",
    ),
    "no_classifier": Doomed(
        _with(DETECT, "detect", features__i3d__imported__objects={"train": "o.h5", "val": "o.h5"}),
        "figure_3_4",
        "figure_3_4 shows gains over the backbone's own classifier, which no imported features have",
    ),
    "no_pictures": Doomed(
        _with(DETECT, "detect", features__i3d__imported__objects={"train": "o.h5", "val": "o.h5"}),
        "figure_3_5",
        "figure_3_5 shows frames of the videos, but detect.data.root is null: name their folder",
    ),
    "secret": Doomed(
        _with(
            DETECT,
            "detect",
            splits__test="test",
            data__proposals={"test": "people.csv"},
            features__i3d__imported__actors={"train": "actors", "val": "actors", "test": "actors"},
        ),
        "table_3_5",
        "table_3_5 needs the split 'test' annotated, but detect.data.boxes has no file for it",
    ),
    "no_games": Doomed(
        _with(SPOT, "spot", data__splits__valid="none.json"),
        "table_4_2",
        "spot.splits.validation is 'valid', but spot.data.splits.valid (none.json) lists no game: name another split",
    ),
    "nothing_submitted": Doomed(
        _with(SPOT, "spot", data__splits__late="none.json", splits={"submitted": "late"}),
        "spot",
        "spot.splits.submitted is 'late', but spot.data.splits.late (none.json) lists no game",
    ),
    "few_clips": Doomed(
        _with(SPOT, "spot", network__sampling={"foreground": 20, "background": 10}),
        "table_4_2",
        "an epoch of spot.networks.clip_11 has 30 clips (sampling: foreground 20, background 10), fewer than one batch",
    ),
    "no_network": Doomed(
        _with(SPOT, "spot", networks={"rms_net": None}, main_network="clip_11", tables=["figure_4_4"]),
        "figure_4_4",
        "figure_4_4 needs rms_net in spot.networks; take them from config/full.yaml, or leave it out of spot.tables",
    ),
    "nothing_reported": Doomed(
        _with(SPOT, "spot", splits={"train": ["train", "valid", "test"]}, tables=["figure_4_4"]),
        "figure_4_4",
        "figure_4_4 is of the split 'test', which spot.splits.train has too, so that nothing is left to report",
    ),
}


def write_doomed(name: str, folder: Path) -> Path:
    """Write a configuration, ``mine.yaml``; its files are those of `write_data`."""
    path = folder / "mine.yaml"
    path.write_text(json.dumps({"dataset": "mine"} | DOOMED[name].settings))
    return path


def write_data(folder: Path) -> None:
    """What the configurations name: videos by their names alone, boxes, lists of games."""
    videos = (
        "videos/train/run/a",
        "videos/train/walk/b",
        "videos/test/run/c",
        "tested/test/run/e",
        "recordings/monday",
    )
    for video in videos:
        path = folder / f"{video}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("train", "val", "people"):
        (folder / f"{name}.csv").write_text(f"{name},0902,0.0,0.0,0.5,1.0,1,0\n")
    (folder / "empty.csv").touch()
    (folder / "o.h5").touch()
    (folder / "actors").mkdir()
    (folder / "labels.pbtxt").write_text('item {\n  name: "stand"\n  id: 1\n}\n')
    for split in ("train", "valid", "test"):
        (folder / f"{split}.json").write_text(json.dumps({"league": {"season": [split]}}))
        (folder / "games/league/season" / split).mkdir(parents=True)
    (folder / "none.json").write_text("{}")
