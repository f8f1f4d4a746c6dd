"""Task `average_actor_features`: the mean of two backbones' features of the same actors (Table 3.3)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.detect.features.entities import Actors, FeaturedVideo, FeatureShard, Keyframes, Objects, write_features
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.progress import progress
from pipeline.runtime.provenance import provenance_of

_ALIKE = ("box", "score", "annotated", "actions")


def average_actor_features(one: Path, other: Path, output: Output) -> None:
    """Write a feature shard whose actors have the mean of both shards' features, with the objects of the first.

    Args:
        one: Feature shard.
        other: Feature shard of the same actors.
        output: The feature shard to write.

    Raises:
        ActaError: the shards differ in their videos, keyframes, boxes, actions or sizes; the message says where.
    """
    shards = FeatureShard(one), FeatureShard(other)
    first, second = shards
    for what in ("ids", "splits", "actions", "actor_size"):
        if getattr(first, what) != getattr(second, what):
            raise ActaError(
                f"{one} and {other} have different {what}; only features of the same actors can be averaged"
            )
    provenance = provenance_of(__name__, inputs={"one": first.digest, "other": second.digest})
    quarantine = sorted({*first.quarantine, *second.quarantine}, key=lambda entry: (entry.id, entry.task))
    write_features(output, _averaged(first, second), first.actions, quarantine, provenance)


def _averaged(first: FeatureShard, second: FeatureShard) -> Iterator[FeaturedVideo]:
    columns = zip(first.ids, first.labels, first.splits, strict=True)
    for video, label, split in progress(columns, total=len(first.ids), unit="videos", desc="average_actor_features"):
        ours, theirs = first.keyframes(video), second.keyframes(video)
        alike = all(np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in ("times", "actor_keyframe"))
        alike &= all(np.array_equal(getattr(ours.actors, name), getattr(theirs.actors, name)) for name in _ALIKE)
        if not alike:
            raise ActaError(
                f"{first.path} and {second.path} have different actors in {video}; make both with the same boxes"
            )
        kind = ours.actors.feature.dtype
        mean = (ours.actors.feature.astype(np.float32) + theirs.actors.feature.astype(np.float32)) / 2
        known = min(ours.actors.baseline.shape[1], theirs.actors.baseline.shape[1])
        baseline = (ours.actors.baseline[:, :known] + theirs.actors.baseline[:, :known]) / 2
        averaged = replace(ours, actors=replace(ours.actors, feature=mean.astype(kind), baseline=baseline))
        yield FeaturedVideo(video, label, split, ours.times, *_by_keyframe(averaged))


def _by_keyframe(keyframes: Keyframes) -> tuple[list[Actors], list[Objects]]:
    count = len(keyframes.times)
    actors = [keyframes.actor_keyframe == n for n in range(count)]
    objects = [keyframes.object_keyframe == n for n in range(count)]
    return (
        [Actors(*(column[rows] for column in vars(keyframes.actors).values())) for rows in actors],
        [Objects(*(column[rows] for column in vars(keyframes.objects).values())) for rows in objects],
    )
