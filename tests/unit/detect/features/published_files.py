"""Small files of published features in both layouts, and their import."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.config.tasks.detect import ImportActorFeatures
from pipeline.detect.features.entities import FeatureShard
from pipeline.detect.features.import_actor_features import Published, import_actor_features

I3D, SLOWFAST = (ImportActorFeatures(layout=layout, half_precision=False) for layout in ("i3d", "slowfast"))
LABELS = 'item { name: "stand" id: 1 }\nitem { name: "sit" id: 3 }\nitem { name: "talk" id: 80 }\n'
BOXES = [[0.0, 0.0, 0.5, 1.0], [0.5, 0.25, 1.0, 0.75]]
# Background is never an action, stand (1), sit (3), talk (80); the first box sits and talks, the second stands.
WITH_BACKGROUND = np.zeros((2, 81), np.float32)
WITH_BACKGROUND[0, [3, 80]] = WITH_BACKGROUND[1, [0, 1, 2]] = 1

Content = dict[str, np.ndarray]


def one_keyframe(offset: float = 0.0) -> Content:
    """Two people with three numbers each, whose means over 2 x 2 x 2 places are 0, 1, 2 and 10, 11, 12."""
    means = np.array([[0, 1, 2], [10, 11, 12]], np.float32) + offset
    around = np.array([-3, -1, -1, 0, 0, 1, 1, 3], np.float32).reshape(2, 2, 2)
    return {
        "features": means[:, :, None, None, None] + around,
        "boxes": np.array(BOXES, np.float32),
        "labels": WITH_BACKGROUND,
    }


def objects_of(key: str, count: int = 2, size: int = 4) -> Content:
    """Sure of class 1 by 0.6 and of class 2 by 0.3, of the background by 0.9."""
    return {
        f"{key}_features": np.arange(count * size, dtype=np.float32).reshape(count, size),
        f"{key}_boxes": np.tile(np.array([0.1, 0.2, 0.3, 0.4], np.float32), (count, 1)),
        f"{key}_cls_prob": np.array([[0.9, 0.6, 0.3], [0.1, 0.2, 0.7]][:count], np.float32),
    }


class Made:
    """Files of one split in a folder, and their import."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "labels.pbtxt").write_text(LABELS)

    def i3d(self, keyframes: Mapping[str, Content]) -> Path:
        """``keyframes``: by ``<clip>/<timestamp>``."""
        for name, content in keyframes.items():
            path = self.folder / "actors" / f"{name}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(path, content)
        return self.folder / "actors"

    def slowfast(self, keyframes: Mapping[str, Content]) -> Path:
        """``keyframes``: by ``<clip>_<timestamp>``."""
        contents = {f"{key}/{name}": value for key, content in keyframes.items() for name, value in content.items()}
        return self._write(self.folder / "actors.h5", contents)

    def objects(self, *contents: Content) -> Path:
        return self._write(self.folder / "objects.h5", {name: value for c in contents for name, value in c.items()})

    def text(self, name: str, content: str) -> Path:
        (self.folder / name).write_text(content)
        return self.folder / name

    @staticmethod
    def _write(path: Path, contents: Content) -> Path:
        with h5py.File(path, "w") as file:
            for name, value in contents.items():
                file[name] = value
        return path

    def read(
        self,
        published: Published | dict[str, Published],
        settings: ImportActorFeatures = I3D,
        videos: Mapping[str, str] = {"v": "train"},
        **options: Any,
    ) -> FeatureShard:
        """Import the videos (split by id)."""
        rows = [[video, video, "", split, 0, 0] for video, split in videos.items()]
        names, output = self.text("list.json", json.dumps(rows)), self.folder / "out.h5"
        splits = published if isinstance(published, dict) else {"train": published}

        def by_split(name: str) -> dict[str, Path]:
            given = {split: getattr(files, name) for split, files in splits.items()}
            return {split: path for split, path in given.items() if path is not None}

        import_actor_features(
            names,
            output,
            settings,
            self.folder / "labels.pbtxt",
            by_split("actors"),
            objects=by_split("objects"),
            boxes=by_split("annotation"),
            proposals=by_split("proposals"),
            frame_lists=by_split("frame_list"),
            **options,
        )
        return FeatureShard(output)


def reasons(shard: FeatureShard) -> dict[str, str]:
    assert {entry.task for entry in shard.quarantine} <= {"import_actor_features"}
    return {entry.id: entry.reason for entry in shard.quarantine}
