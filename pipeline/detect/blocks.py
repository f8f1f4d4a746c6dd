"""STAGE's input: blocks of consecutive clips, each block a graph (Sec. 3.2.2, batch size 6).

Consecutive clips of a video, whose keyframes are one second apart, form a run; runs are cut into blocks of six clips.
In training all runs lie end to end on a ring, which is cut at other places in every epoch, so that any two neighbours
are linked in most epochs; a block may then hold the end of one run and the start of another, which are not linked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pipeline.detect.features.entities import FeatureShard, Keyframes
from pipeline.metrics.runs import places_in
from pipeline.models.stage import Graphs

CLIPS = 6
_JITTER = 0.5  # of a step: a keyframe's own time stamp may be half a frame away from its second
_FAR = 1000.0  # steps between clips of different runs in one graph


@dataclass(frozen=True)
class Run:
    """Keyframes ``start:stop`` of a video, each one step after the previous; a block is a short run."""

    shard: int
    video: str
    start: int
    stop: int


def find_runs(shards: Sequence[FeatureShard], splits: Sequence[str], step: float = 1.0) -> list[Run]:
    """The runs of all videos of these splits, in the order of the shards; ``step``: seconds between two clips."""
    runs = []
    for number, shard in enumerate(shards):
        for video, parts in zip(shard.ids, shard.splits, strict=True):
            if not set(splits) & set(parts.split()):
                continue
            times = shard.times(video)
            cuts = np.flatnonzero(np.abs(np.diff(times) - step) > _JITTER * step) + 1
            bounds = [0, *cuts.tolist(), len(times)]
            runs += [Run(number, video, a, b) for a, b in pairwise(bounds) if b > a]
    return runs


def cut_blocks(runs: Sequence[Run], clips: int = CLIPS) -> list[Run]:
    """Cut runs into blocks of this many clips for a test; the last block of a run may be shorter."""
    blocks = []
    for run in runs:
        bounds = [*range(run.start, run.stop, clips), run.stop]
        blocks += [Run(run.shard, run.video, a, b) for a, b in pairwise(bounds)]
    return blocks


class Ring:
    """Blocks for training: an epoch has every clip once, in the same number of blocks, but cut at other places.

    Args:
        runs: All runs of the training split.
        clips: Clips of a block; the last block of an epoch has the rest.
        seed: With the epoch it decides where the ring is cut.
    """

    def __init__(self, runs: Sequence[Run], clips: int, seed: int):
        self._runs, self._clips, self._seed = runs, clips, seed
        self._ends = np.cumsum([run.stop - run.start for run in runs])
        self.total = int(self._ends[-1]) if len(runs) else 0

    def __len__(self) -> int:
        return -(-self.total // self._clips)

    def block(self, epoch: int, number: int) -> list[Run]:
        """The parts of runs, usually of one, that block ``number`` holds."""
        first = int(np.random.default_rng([self._seed, epoch, self.total]).integers(self.total)) + number * self._clips
        left = min(self._clips, self.total - number * self._clips)
        parts = []
        while left:
            place = first % self.total
            row = int(np.searchsorted(self._ends, place, "right"))
            run = self._runs[row]
            start = run.stop - (int(self._ends[row]) - place)
            stop = min(run.stop, start + left)
            parts.append(Run(run.shard, run.video, start, stop))
            first, left = first + stop - start, left - (stop - start)
        return parts


@dataclass(frozen=True)
class Chosen:
    """Which actors are nodes: ``annotated`` boxes or not, and detected ones with at least ``score`` (None: none)."""

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
        actors: (a, d) features, in the shard's precision.
        objects: (o, d') features; None: a graph of actors only.
        boxes: (a + o, 4) height, width, x and y of the centre; actors first.
        times: (a + o,) steps from the block's first keyframe; neighbours are one apart.
        actions: (a, c) 0 or 1.
        places: (a, 2) each actor's keyframe in the block and its row among that keyframe's actors.
    """

    actors: Tensor
    objects: Tensor | None
    boxes: Tensor
    times: Tensor
    actions: Tensor
    places: Tensor


def make_graph(keyframes: Keyframes, chosen: Chosen, *, with_objects: bool = True, step: float = 1.0) -> Graph:
    """The graph of a block with ``step`` seconds between clips; it may have no actors."""
    kept = chosen.of(keyframes)
    since = (keyframes.times - keyframes.times[:1]) / step
    boxes, times = [keyframes.actors.box[kept]], [since[keyframes.actor_keyframe[kept]]]
    if with_objects:
        boxes.append(keyframes.objects.box)
        times.append(since[keyframes.object_keyframe])
    counts = np.bincount(keyframes.actor_keyframe, minlength=len(keyframes.times))
    rows = places_in(counts)
    return Graph(
        actors=torch.from_numpy(keyframes.actors.feature[kept]),
        objects=torch.from_numpy(keyframes.objects.feature) if with_objects else None,
        boxes=torch.from_numpy(_sizes_and_centres(np.concatenate(boxes))),
        times=torch.from_numpy(np.concatenate(times)).float(),
        actions=torch.from_numpy(keyframes.actors.actions[kept]).float(),
        places=torch.from_numpy(np.stack([keyframes.actor_keyframe[kept], rows[kept]], 1)),
    )


def join(graphs: Sequence[Graph]) -> Graph:
    """Several graphs as one, without links between them."""
    if len(graphs) == 1:
        return graphs[0]
    actors = [len(graph.actors) for graph in graphs]
    graphs = [replace(graph, times=graph.times + number * _FAR) for number, graph in enumerate(graphs)]

    def both(name: str) -> Tensor:
        """The values of all actors, then of all objects."""
        values = [getattr(graph, name).tensor_split([count]) for graph, count in zip(graphs, actors, strict=True)]
        return torch.cat([part for kind in zip(*values, strict=True) for part in kind])

    return Graph(
        actors=torch.cat([graph.actors for graph in graphs]),
        objects=None if graphs[0].objects is None else torch.cat([g.objects for g in graphs if g.objects is not None]),
        boxes=both("boxes"),
        times=both("times"),
        actions=torch.cat([graph.actions for graph in graphs]),
        places=torch.cat([graph.places for graph in graphs]),
    )


def _sizes_and_centres(boxes: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = boxes.astype(np.float32).T
    return np.stack([y2 - y1, x2 - x1, (x1 + x2) / 2, (y1 + y2) / 2], 1)


def pad(graphs: Sequence[Graph]) -> tuple[Graphs, Tensor, Tensor]:
    """Several graphs as one batch.

    Returns:
        The batch; actions (b, a, c); which actors are not padding (b, a).
    """
    most_actors = max(len(graph.actors) for graph in graphs)
    most_objects = max(0 if graph.objects is None else len(graph.objects) for graph in graphs)
    first = graphs[0]
    shape = (len(graphs), most_actors + most_objects)
    actors = first.actors.new_zeros(len(graphs), most_actors, first.actors.shape[1])
    objects = first.objects
    if objects is not None:
        objects = objects.new_zeros(len(graphs), most_objects, objects.shape[1])
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
