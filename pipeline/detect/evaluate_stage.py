"""Task `evaluate_stage`: frame-mAP of STAGE, or of the backbone alone, on a split's own annotation files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config.tasks.detect import EvaluateStage
from pipeline.detect.blocks import Chosen, find_runs
from pipeline.detect.evaluate_files import evaluate_files
from pipeline.detect.features.entities import FeatureShard, check_alike
from pipeline.detect.scoring import Scored, Scorer, backbone_scorer, columns_of, network_scorer, score_runs
from pipeline.detect.stage_file import load_stage
from pipeline.models.opened import Opened
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.digest import code_digest
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, atomic, write_json
from pipeline.runtime.progress import progress


def evaluate_stage(
    model: Path | None,
    shards: Sequence[Path],
    output: Output,
    detections: Output,
    settings: EvaluateStage,
    *,
    label_map: Path,
    evaluated: Path | None = None,
    truth: Path | None = None,
    excluded: Path | None = None,
) -> None:
    """Write a split's detections in the format of AVA's files, and evaluate them.

    Args:
        model: STAGE's model file; None: the backbone's own classifier.
        shards: Feature shards, all of a dataset.
        output: JSON: as `pipeline.detect.evaluate_files.evaluate_files`, and coverage; without ``truth`` only that.
        detections: CSV ``video,timestamp,x1,y1,x2,y2,action,score``, which AVA's test server takes.
        settings: Split, which boxes, protocol.
        label_map: Every action with its number (pbtxt).
        evaluated: The actions that count; None: all. Only these are written.
        truth: Annotated boxes (CSV); None: unknown, as for AVA's test split.
        excluded: Frames that do not count (CSV).

    Raises:
        ActaError: there is nothing to evaluate, or the features' actions are not the network's or the label map's.
    """
    check_device(settings.device)
    read = [FeatureShard(path) for path in shards]
    first = check_alike(read)
    runs = find_runs(read, [settings.test], settings.step)
    if not runs:
        raise ActaError(f"no video of the features is in the split {settings.test!r}")
    network = Opened(model, "the model file") if model else None
    scorer, score, clips = _scorer(network, first, settings)
    places, numbers = columns_of(first.actions, label_map, evaluated)
    annotated = settings.boxes == "annotated"
    chosen = Chosen(annotated=annotated, score=None if annotated else score)
    actors = 0
    with (
        pinned_threads(settings.threads),
        atomic(detections) as temporary,
        temporary.open("w", newline="", errors="surrogateescape") as file,
    ):
        scored = score_runs(read, runs, clips, chosen, scorer)
        for block in progress(scored, unit="blocks", desc="evaluate_stage"):
            actors += len(block.time)
            _rows(block, places, numbers).to_csv(file, header=False, index=False, float_format="%.6g")
    content: dict[str, Any] = {}
    if truth:
        content = evaluate_files(
            evaluated or label_map, truth, detections, excluded, iou=settings.iou, capacity=settings.capacity
        )
    content["coverage"] = {
        "videos": len({run.video for run in runs}),
        "keyframes": sum(run.stop - run.start for run in runs),
        "actors": actors,
        "quarantined_videos": sum(len(shard.quarantine) for shard in read),
    }
    content["settings"] = settings.model_dump(mode="json")
    content["model"] = network.sha256 if network else None
    content["code"] = code_digest(__name__)
    write_json(output, content)


def _scorer(model: Opened | None, shard: FeatureShard, settings: EvaluateStage) -> tuple[Scorer, float, int]:
    if model is None:
        return backbone_scorer, settings.score, settings.clips
    network, about = load_stage(model)
    if about.actions != shard.actions:
        raise ActaError(f"{model.path} was trained for other actions than those of {shard.path}")
    sizes = (about.architecture.actors, about.architecture.objects or shard.object_size)
    if sizes != (shard.actor_size, shard.object_size):
        raise ActaError(
            f"{model.path} takes features of {sizes[0]} and {sizes[1]} numbers (actors, objects), but {shard.path} has "
            f"{shard.actor_size} and {shard.object_size}"
        )
    network = network.to(settings.device).eval()
    return network_scorer(network, about.loss, settings.device, about.step), about.score, about.clips


def _rows(scored: Scored, places: Sequence[int], numbers: Sequence[int]) -> pd.DataFrame:
    actors, count = len(scored.time), len(places)
    times = [f"{t:04.0f}" if t == round(t) else f"{t:.6f}" for t in scored.time.tolist()]
    columns = {"video": scored.video, "time": np.repeat(times, count)}
    columns |= {name: np.repeat(scored.box[:, k], count) for k, name in enumerate(("x1", "y1", "x2", "y2"))}
    return pd.DataFrame(columns | {"action": np.tile(numbers, actors), "score": scored.scores[:, places].ravel()})
