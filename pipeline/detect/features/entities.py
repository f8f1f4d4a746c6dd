"""The feature shard of Chapter 3: the actors and objects of every keyframe, each with a feature, a box and a score.

Layout, in addition to what all shards have (`pipeline.runtime.store`; the frames of /frames are the keyframes)::

    /actors/first       uint64 (n + 1,)   keyframe i has actors first[i]:first[i + 1]
    /actors/feature     float32 or float16 (a, d)
    /actors/box         float32 (a, 4)    x1, y1, x2, y2 in [0, 1] of the picture
    /actors/score       float32 (a,)      of the person detector; 1 for an annotated box
    /actors/annotated   uint8 (a,)        1: an annotated box, 0: a detected one
    /actors/actions     uint8 (a, c)      1 where the actor does action c
    /actors/baseline    float32 (a, c)    scores of the backbone's own classifier in [0, 1]; (a, 0) if unknown
    /objects/first|feature|box|score      as for actors
    attribute actions: names of the c actions (JSON)

Six consecutive keyframes are one read of each dataset.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.detect.features.columns import Columns
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import spool
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import IndexedVideo, Shard, create_shard, index_size, write_index

FEATURES_FORMAT = "acta-features-2"
_BOTH: dict[str, type | None] = {"feature": None, "box": np.float32, "score": np.float32}
_COLUMNS = {"actors": _BOTH | {"annotated": np.uint8, "actions": np.uint8, "baseline": np.float32}, "objects": _BOTH}


@dataclass(frozen=True)
class Actors:
    """Actors of one or several keyframes.

    Args:
        feature: (a, d).
        box: (a, 4) x1, y1, x2, y2 in [0, 1].
        score: (a,) of the person detector.
        annotated: (a,) whether the box is annotated, not detected.
        actions: (a, c) whether the actor does action c.
        baseline: (a, c) scores of the backbone's own classifier in [0, 1], or (a, 0).
    """

    feature: np.ndarray
    box: np.ndarray
    score: np.ndarray
    annotated: np.ndarray
    actions: np.ndarray
    baseline: np.ndarray


@dataclass(frozen=True)
class Objects:
    """Objects of one or several keyframes: ``feature`` (o, d), ``box`` (o, 4), ``score`` (o,); as for actors."""

    feature: np.ndarray
    box: np.ndarray
    score: np.ndarray


def no_objects(size: int, kind: type) -> Objects:
    """A keyframe without objects, whose features would have ``size`` numbers."""
    return Objects(np.zeros((0, size), kind), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Keyframes:
    """n consecutive keyframes of one video at ``times`` (n,) in seconds, with their actors and objects.

    ``actor_keyframe`` (a,) and ``object_keyframe`` (o,) say on which keyframe each is, 0 to n − 1; they ascend.
    """

    times: np.ndarray
    actors: Actors
    actor_keyframe: np.ndarray
    objects: Objects
    object_keyframe: np.ndarray


@dataclass(frozen=True)
class FeaturedVideo(IndexedVideo):
    """One video's keyframes, to be written; ``actors`` and ``objects`` have one entry per keyframe."""

    actors: Sequence[Actors]
    objects: Sequence[Objects]


def write_features(
    path: Path,
    videos: Iterable[FeaturedVideo],
    actions: Sequence[str],
    quarantine: Sequence[Quarantined],
    provenance: Provenance,
) -> None:
    """Write a feature shard from whole videos, in the order given; only one of them is in memory at a time.

    Args:
        path: The shard.
        videos: May be made while they are written; ``quarantine`` is read after the last.
        actions: Names of the actions.
        quarantine: Videos that are left out.
        provenance: What the shard is made of.

    Raises:
        ActaError: a box is not in [0, 1], a value is not finite, or numbers of rows or columns differ; the message
            names the video and the keyframe's time.
    """
    with spool(path) as folder, ExitStack() as stack:
        columns = {name: Columns(folder / name, kinds, stack) for name, kinds in _COLUMNS.items()}
        index = []
        for video in videos:
            _check(video, len(actions))
            for name, each in columns.items():
                for keyframe in getattr(video, name):
                    each.add(keyframe)
            index.append(IndexedVideo(video.id, video.label, video.split, video.times))
        room = sum(each.size for each in columns.values()) + index_size(index) + 4 * sum(map(len, actions))
        with create_shard(path, FEATURES_FORMAT, provenance, quarantine, room) as file:
            file.attrs["actions"] = json.dumps(list(actions))
            write_index(file, index)
            for name, each in columns.items():
                each.write(file.create_group(name))


def _check(video: FeaturedVideo, actions: int) -> None:
    lengths = len(video.times), len(video.actors), len(video.objects)
    if len(set(lengths)) > 1:
        raise ActaError(f"{video.id}: {lengths[0]} keyframes, but actors of {lengths[1]} and objects of {lengths[2]}")
    if (np.diff(video.times) <= 0).any():
        raise ActaError(f"{video.id}: its keyframes are not in the order of time")
    for time, actors, objects in zip(video.times, video.actors, video.objects, strict=True):
        place = f"{video.id} at {time:g} s"
        if actors.actions.shape[1:] != (actions,):
            raise ActaError(f"{place}: actions of {actors.actions.shape[1:]}, but there are {actions}")
        if actors.baseline.shape[1:] not in ((actions,), (0,)):
            raise ActaError(f"{place}: baseline of {actors.baseline.shape[1:]}, but there are {actions} actions")
        for kind, entities in (("actor", actors), ("object", objects)):
            columns = [column for column in vars(entities).values() if isinstance(column, np.ndarray)]
            if len({len(column) for column in columns}) != 1:
                raise ActaError(f"{place}: {kind}s have {', '.join(str(len(c)) for c in columns)} rows")
            if not all(np.isfinite(column).all() for column in columns):
                raise ActaError(f"{place}: an {kind} has a value that is not finite")
            outside = (entities.box < 0) | (entities.box > 1)
            if outside.any():
                row = int(np.flatnonzero(outside.any(1))[0])
                raise ActaError(f"{place}: the box {entities.box[row].tolist()} of an {kind} is not in [0, 1]")


class FeatureShard(Shard):
    """Reader of a feature shard."""

    format = FEATURES_FORMAT

    @cached_property
    def actions(self) -> list[str]:
        return list(json.loads(self.attribute("actions")))

    @property
    def actor_size(self) -> int:
        """Length of an actor's feature."""
        return int(self.array("actors/feature").shape[1])

    @property
    def object_size(self) -> int:
        """Length of an object's feature; 0 if there are no objects."""
        return int(self.array("objects/feature").shape[1])

    def keyframes(self, video: str, start: int = 0, stop: int | None = None) -> Keyframes:
        """Keyframes ``start:stop`` of a video, with one read of each dataset."""
        first, last = self.span(video)
        stop = last - first if stop is None else stop
        if not 0 <= start <= stop <= last - first:
            raise IndexError(f"keyframes {start}:{stop} of {video!r}, which has {last - first}")
        rows = slice(first + start, first + stop)
        entities, owners = {}, {}
        for name, columns in _COLUMNS.items():
            bounds = self._firsts[name][rows.start : rows.stop + 1].astype(np.int64)
            entities[name] = {c: self.array(f"{name}/{c}")[bounds[0] : bounds[-1]] for c in columns}
            owners[name] = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        entities["actors"]["annotated"] = entities["actors"]["annotated"].astype(bool)
        entities["actors"]["actions"] = entities["actors"]["actions"].astype(bool)
        return Keyframes(
            times=self.array("frames/time")[rows],
            actors=Actors(**entities["actors"]),
            actor_keyframe=owners["actors"],
            objects=Objects(**entities["objects"]),
            object_keyframe=owners["objects"],
        )

    @cached_property
    def _firsts(self) -> dict[str, np.ndarray]:
        return {name: self.array(f"{name}/first")[:] for name in _COLUMNS}


def check_alike(shards: Iterable[FeatureShard]) -> FeatureShard:
    """Check that the shards of a dataset have the same actions and sizes of features; return one of them.

    Shards without keyframes, whose videos were all left out, have no sizes and are ignored.

    Raises:
        ActaError: shards differ, or none has a keyframe; the message names the shard and what differs.
    """
    first: FeatureShard | None = None
    paths = []
    for shard in shards:
        paths.append(shard.path)
        if not len(shard.array("frames/time")):
            continue
        first = first or shard
        for what in ("actions", "actor_size", "object_size"):
            ours, theirs = getattr(first, what), getattr(shard, what)
            if ours != theirs:
                raise ActaError(f"{shard.path} has other {what} than {first.path}: {theirs} and {ours}")
    if first is None:
        raise ActaError(f"no feature shard holds a keyframe: {', '.join(map(str, paths))}")
    return first
