"""What STAGE is shown: runs of consecutive clips of one video, each a graph (Sec. 3.2.2, batch size 6).

"Consecutive" means keyframes one second apart: a gap ends a run, a video does too. Runs are cut into blocks of six
clips; in training the first cut moves from epoch to epoch, so that every pair of neighbours is linked in most of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pipeline.features.entities import FeatureShard, Keyframes
from pipeline.models.stage import Graphs

CLIPS = 6
_SECOND = 1.0
_JITTER = 0.5  # a keyframe's own time stamp may be half a frame beside its second


@dataclass(frozen=True)
class Run:
    """Keyframes ``start:stop`` of a video, each a second after the one before; a block is a short one."""

    shard: int
    video: str
    start: int
    stop: int


def find_runs(shards: Sequence[FeatureShard], split: str) -> list[Run]:
    """The runs of all videos of a split, in the order of the shards."""
    runs = []
    for number, shard in enumerate(shards):
        for video, parts in zip(shard.ids, shard.splits, strict=True):
            if split not in parts.split():
                continue
            times = shard.times(video)
            cuts = np.flatnonzero(np.abs(np.diff(times) - _SECOND) > _JITTER) + 1
            bounds = [0, *cuts.tolist(), len(times)]
            runs += [Run(number, video, a, b) for a, b in pairwise(bounds) if b > a]
    return runs


def cut_blocks(runs: Sequence[Run], clips: int = CLIPS, draw: np.random.Generator | None = None) -> list[Run]:
    """Cut runs into blocks of so many clips.

    Args:
        runs: What to cut.
        clips: Of a block, at most.
        draw: Moves the first cut of each run by up to a block, and shuffles the blocks; None: neither.
    """
    blocks = []
    for run in runs:
        first = 0 if draw is None else int(draw.integers(clips))
        bounds = sorted({run.start, *range(run.start + first, run.stop, clips), run.stop})
        blocks += [Run(run.shard, run.video, a, b) for a, b in pairwise(bounds)]
    if draw is not None:
        blocks = [blocks[place] for place in draw.permutation(len(blocks))]
    return blocks


@dataclass(frozen=True)
class Chosen:
    """Which actors are nodes: ``annotated`` boxes, and detected ones with at least ``score`` (None: none of them)."""

    annotated: bool
    score: float | None

    def of(self, keyframes: Keyframes) -> np.ndarray:
        """(a,) mask of the keyframes' actors."""
        actors = keyframes.actors
        detected = np.zeros(len(actors.score), bool) if self.score is None else actors.score >= self.score
        return np.where(actors.annotated, self.annotated, detected)


@dataclass(frozen=True)
class Graph:
    """One block as tensors, without padding.

    Args:
        actors: (a, d) features.
        objects: (o, d') features; None: a graph of actors only.
        boxes: (a + o, 4) height, width, x and y of the centre; actors first.
        times: (a + o,) seconds from the block's first keyframe.
        actions: (a, c) 0 or 1.
        places: (a, 2) of each actor its keyframe in the block and its row among that keyframe's actors.
    """

    actors: Tensor
    objects: Tensor | None
    boxes: Tensor
    times: Tensor
    actions: Tensor
    places: Tensor


def make_graph(keyframes: Keyframes, chosen: Chosen, *, with_objects: bool = True) -> Graph:
    """The graph of a block; it may have no actor, if none was chosen."""
    kept = chosen.of(keyframes)
    since = keyframes.times - keyframes.times[:1]
    boxes, times = [keyframes.actors.box[kept]], [since[keyframes.actor_keyframe[kept]]]
    if with_objects:
        boxes.append(keyframes.objects.box)
        times.append(since[keyframes.object_keyframe])
    counts = np.bincount(keyframes.actor_keyframe, minlength=len(keyframes.times))
    rows = np.arange(len(kept)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Graph(
        actors=torch.from_numpy(keyframes.actors.feature[kept]).float(),
        objects=torch.from_numpy(keyframes.objects.feature).float() if with_objects else None,
        boxes=torch.from_numpy(_sizes_and_centres(np.concatenate(boxes))),
        times=torch.from_numpy(np.concatenate(times)).float(),
        actions=torch.from_numpy(keyframes.actors.actions[kept]).float(),
        places=torch.from_numpy(np.stack([keyframes.actor_keyframe[kept], rows[kept]], 1)),
    )


def _sizes_and_centres(boxes: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = boxes.astype(np.float32).T
    return np.stack([y2 - y1, x2 - x1, (x1 + x2) / 2, (y1 + y2) / 2], 1)


def pad(graphs: Sequence[Graph]) -> tuple[Graphs, Tensor, Tensor]:
    """Several graphs as one batch.

    Returns:
        The batch; actions (b, a, c); which of its actors are there (b, a).
    """
    most_actors = max(len(graph.actors) for graph in graphs)
    most_objects = max(0 if graph.objects is None else len(graph.objects) for graph in graphs)
    first = graphs[0]
    shape = (len(graphs), most_actors + most_objects)
    actors = torch.zeros(len(graphs), most_actors, first.actors.shape[1])
    objects = None if first.objects is None else torch.zeros(len(graphs), most_objects, first.objects.shape[1])
    boxes, times, present = torch.zeros(*shape, 4), torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
    actions = torch.zeros(len(graphs), most_actors, first.actions.shape[1])
    for row, graph in enumerate(graphs):
        count = len(graph.actors)
        actors[row, :count], actions[row, :count] = graph.actors, graph.actions
        places = torch.arange(len(graph.boxes))
        places[count:] += most_actors - count
        boxes[row, places], times[row, places], present[row, places] = graph.boxes, graph.times, True
        if objects is not None and graph.objects is not None:
            objects[row, : len(graph.objects)] = graph.objects
    return Graphs(actors, objects, boxes, times, present), actions, present[:, :most_actors]
