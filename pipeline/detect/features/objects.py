"""The object shard: all people and objects that a detector found on each keyframe, with features of its box head.

Layout, in addition to what all shards have (`pipeline.runtime.store`; the frames of /frames are the keyframes)::

    /objects/first      uint64 (n + 1,)   keyframe i has objects first[i]:first[i + 1]
    /objects/feature    float16 or float32 (o, d)
    /objects/box        float32 (o, 4)    x1, y1, x2, y2 in [0, 1] of the picture
    /objects/score      float32 (o,)
    /objects/kind       int32 (o,)        index among the classes
    attribute classes: names (JSON)
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.detect.features.columns import Columns
from pipeline.detect.features.entities import Objects
from pipeline.runtime.files import spool
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import IndexedVideo, Shard, create_shard, index_size, write_index

OBJECTS_FORMAT = "acta-objects-2"
_COLUMNS = ("feature", "box", "score", "kind")


@dataclass(frozen=True)
class Detected(Objects):
    """What is on one keyframe, with its ``kind`` (o,)."""

    kind: np.ndarray

    def where(self, kept: np.ndarray) -> "Detected":
        """The detections of a mask."""
        return Detected(*(getattr(self, name)[kept] for name in _COLUMNS))


@dataclass(frozen=True)
class SearchedVideo(IndexedVideo):
    """One video's keyframes, to be written; ``found`` has one entry per keyframe."""

    found: Sequence[Detected]


def write_objects(
    path: Path,
    videos: Iterable[SearchedVideo],
    classes: Sequence[str],
    quarantine: Sequence[Quarantined],
    provenance: Provenance,
) -> None:
    """Write an object shard from whole videos, in the order given; only one of them is in memory at a time.

    ``videos`` may be made while they are written; ``quarantine`` is read after the last.
    """
    with spool(path) as folder, ExitStack() as stack:
        columns = Columns(folder / "objects", dict.fromkeys(_COLUMNS), stack)
        index = []
        for video in videos:
            for keyframe in video.found:
                columns.add(keyframe)
            index.append(IndexedVideo(video.id, video.label, video.split, video.times))
        with create_shard(path, OBJECTS_FORMAT, provenance, quarantine, columns.size + index_size(index)) as file:
            file.attrs["classes"] = json.dumps(list(classes))
            write_index(file, index)
            columns.write(file.create_group("objects"))


class ObjectShard(Shard):
    """Reader of an object shard."""

    format = OBJECTS_FORMAT

    @cached_property
    def classes(self) -> list[str]:
        return list(json.loads(self.attribute("classes")))

    def at(self, video: str, place: int) -> Detected:
        """What was found on a video's keyframe, counted from 0."""
        first, last = self.span(video)
        if not 0 <= place < last - first:
            raise IndexError(f"keyframe {place} of {video!r}, which has {last - first}")
        start, stop = self.array("objects/first")[first + place : first + place + 2].astype(int)
        return Detected(*(self.array(f"objects/{name}")[start:stop] for name in _COLUMNS))
