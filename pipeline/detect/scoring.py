"""Scores of the actors of feature shards by STAGE, or by the backbone alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.detect.annotation.ava import Rows, read_label_map
from pipeline.detect.blocks import Chosen, Run, cut_blocks, make_graph, pad
from pipeline.detect.features.entities import FeatureShard, Keyframes
from pipeline.models.stage import Stage
from pipeline.runtime.errors import ActaError

# (a, c) scores in [0, 1] of the chosen actors of some keyframes.
Scorer = Callable[[Keyframes, Chosen], np.ndarray]


@dataclass(frozen=True)
class Scored:
    """Actors of one block: ``time`` (a,) in seconds, ``box`` (a, 4), ``scores`` (a, c)."""

    video: str
    time: np.ndarray
    box: np.ndarray
    scores: np.ndarray


def network_scorer(model: Stage, loss: Literal["sigmoid", "softmax"], device: str, step: float) -> Scorer:
    """Scores by a network, which must be in evaluation mode and on the device."""

    def score(keyframes: Keyframes, chosen: Chosen) -> np.ndarray:
        graph = make_graph(keyframes, chosen, with_objects=model.architecture.objects is not None, step=step)
        with torch.inference_mode():
            logits: Tensor = model(pad([graph])[0].to(device, next(model.parameters()).dtype))[0].float()
            return (logits.sigmoid() if loss == "sigmoid" else logits.softmax(1)).cpu().numpy()

    return score


def backbone_scorer(keyframes: Keyframes, chosen: Chosen) -> np.ndarray:
    """Scores by the backbone's own classifier; an `ActaError` if the shard holds none."""
    actors = keyframes.actors
    if actors.baseline.shape[1] == 0:
        raise ActaError("these features came without the scores of their backbone: there is no baseline of its own")
    kept: np.ndarray = actors.baseline[chosen.of(keyframes)]
    return kept


def score_runs(
    shards: Sequence[FeatureShard], runs: Sequence[Run], clips: int, chosen: Chosen, scorer: Scorer
) -> Iterator[Scored]:
    """Every chosen actor of the runs with its scores, in blocks of this many clips."""
    for block in cut_blocks(runs, clips):
        keyframes = shards[block.shard].keyframes(block.video, block.start, block.stop)
        kept = chosen.of(keyframes)
        if kept.any():
            time = keyframes.times[keyframes.actor_keyframe[kept]]
            yield Scored(block.video, time, keyframes.actors.box[kept], scorer(keyframes, chosen))


def columns_of(actions: Sequence[str], label_map: Path, evaluated: Path | None) -> tuple[list[int], list[int]]:
    """Indices in ``actions``, and numbers in the label map, of the actions in ``evaluated`` (pbtxt; None: all).

    Raises:
        ActaError: the label map lacks an action, or ``evaluated`` has an unknown action or another number for one.
    """
    numbers = {name: number for number, name in read_label_map(label_map).names.items()}
    missing = [name for name in actions if name not in numbers]
    if missing:
        raise ActaError(f"{label_map} does not have the action {missing[0]!r} of the features")
    counted = read_label_map(evaluated).names if evaluated else {numbers[name]: name for name in actions}
    wanted = set(counted.values())
    unknown = sorted(wanted - set(actions))
    if unknown:
        raise ActaError(f"{evaluated} has the action {unknown[0]!r}, which the features do not know")
    other = [name for number, name in counted.items() if numbers[name] != number]
    if other:
        raise ActaError(f"{evaluated} gives {other[0]!r} another number than {label_map} does")
    places = [place for place, name in enumerate(actions) if name in wanted]
    return places, [numbers[actions[place]] for place in places]


def detections_of(scored: Iterable[Scored], places: Sequence[int], numbers: Sequence[int]) -> Rows:
    """Scored actors as the rows of a file of detections, one for each action of `columns_of`."""
    frames: dict[tuple[str, int], int] = {}
    parts = []
    for block in scored:
        keys = [(block.video, round(time * 1e6)) for time in block.time.tolist()]
        frame = np.array([frames.setdefault(key, len(frames)) for key in keys], np.int64)
        parts.append((frame, block.box.astype(np.float64), block.scores[:, places].astype(np.float64)))
    empty = (np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros((0, len(places))))
    frame, box, scores = (np.concatenate(column) for column in zip(empty, *parts, strict=True))
    return Rows(
        frames=list(frames),
        frame=np.repeat(frame, len(places)),
        box=np.repeat(box, len(places), axis=0),
        action=np.tile(np.asarray(numbers, np.int64), len(frame)),
        eighth=scores.ravel(),
        line=np.arange(1, scores.size + 1),
    )
