"""Task `evaluate_classifier`: the accuracy of one network on the test videos of one variant (Sec. 5.3.1).

The softmax scores of a video's clips are averaged. Every figure comes with its coverage: how many of the videos in the
lists were evaluated, and how many were shorter than a clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.classify.video_clips import Entry, Videos, uniform_cuts
from pipeline.config.classify import ViewSettings
from pipeline.config.tasks.classify import EvaluateClassifier
from pipeline.media.lists import read_list
from pipeline.metrics.accuracy import accuracy
from pipeline.models.architecture import Architecture, frames_needed
from pipeline.models.backbones import pathways
from pipeline.models.classifier_file import absent_reason, load_model
from pipeline.models.opened import Opened
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.digest import code_digest
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.shown import write_table


def evaluate_classifier(
    model: Path,
    shards: Sequence[Path],
    listed: Sequence[Path],
    output: Output,
    predictions: Output,
    settings: EvaluateClassifier,
    *,
    workers: int = 0,
) -> None:
    """Evaluate a model file on the test split.

    Args:
        model: The model file.
        shards: Frame shards of the variant to test on.
        listed: The dataset's list files, which say what to expect.
        output: JSON: top-1, top-5, per class, confusion matrix, confidence interval, coverage.
        predictions: TSV: for each video its label and the five best classes with their scores.
        settings: Split and number of clips.
        workers: Processes that load data.

    Raises:
        ActaError: nothing to evaluate, or a label that the network does not know.
    """
    if reason := absent_reason(model):  # the shrinkage goes on without it
        write_json(output, {"absent": reason})
        _write_predictions(predictions, [], np.empty((0, 0)), [])
        return
    file = Opened(model, "the model file")
    network, description = load_model(file)
    check_device(settings.device)
    network = network.to(settings.device).eval()
    architecture = description.architecture
    videos = Videos(shards, settings.split.test, description.classes)
    length = architecture.span
    entries = [e for e in videos.entries if settings.short_videos == "repeat" or e.frames >= length]
    expected = [row for path in listed for row in read_list(path) if settings.split.test in row.split.split()]
    if not entries:
        raise ActaError(f"split {settings.split.test!r} has no video to evaluate ({len(expected)} are listed)")
    positions = frames_needed([architecture])
    clips = EvaluationClips(videos, entries, positions, length, settings.test_clips, description.view.test)
    context = "forkserver" if workers else None
    loader = DataLoader(clips, batch_size=None, num_workers=workers, multiprocessing_context=context)
    with pinned_threads(settings.threads):
        shown = progress(loader, total=len(entries), unit="videos", desc="evaluate")
        scores = np.stack([_scores(network, clip, positions, architecture, settings) for clip in shown])
    labels = np.array([entry.label for entry in entries])
    content = {
        **accuracy(scores, labels, description.classes),
        "coverage": {
            "expected": len(expected),
            "evaluated": len(entries),
            "not_in_frame_store": len(expected) - len(videos.entries),
            "shorter_than_a_clip": sum(entry.frames < length for entry in videos.entries),
            "short_videos": settings.short_videos,
        },
        "settings": settings.model_dump(mode="json"),
        "model": {"sha256": file.sha256, "variant": description.variant},
        "code": code_digest(__name__),
    }
    _write_predictions(predictions, entries, scores, description.classes)
    write_json(output, content)


def _scores(
    network: torch.nn.Module,
    clips: Tensor,
    positions: Sequence[int],
    architecture: Architecture,
    settings: EvaluateClassifier,
) -> np.ndarray:
    """Mean softmax scores (c,) of a video's clips, uint8 (k, t, 3, side, side)."""
    parts = []
    with torch.inference_mode():
        for part in clips.split(settings.micro_batch):
            logits = network(pathways(part.to(settings.device), positions, architecture))
            parts.append(logits.float().softmax(1).cpu())
    return torch.cat(parts).mean(0).numpy()


@dataclass(frozen=True)
class EvaluationClips(Dataset):
    """The clips of each video of a test, uint8 (``count``, t, 3, side, side), evenly spread over its time."""

    videos: Videos
    entries: Sequence[Entry]
    positions: Sequence[int]
    length: int
    count: int
    view: ViewSettings

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Tensor:
        entry = self.entries[index]
        size = self.videos.shards[entry.shard].size(entry.id)
        cuts = uniform_cuts(entry.frames, size, self.length, self.count, self.view)
        return torch.stack([self.videos.clip(entry, cut, self.positions) for cut in cuts])


def _write_predictions(path: Path, entries: Sequence[Entry], scores: np.ndarray, classes: Sequence[str]) -> None:
    best = min(5, len(classes))
    header = ["video", "label", *(f"{what}{k + 1}" for k in range(best) for what in ("class", "score"))]
    rows = []
    for entry, row in zip(entries, scores, strict=True):
        cells: list[Any] = [entry.id, classes[entry.label]]
        for number in np.argsort(-row, kind="stable")[:best]:
            cells += [classes[number], round(float(row[number]), 6)]
        rows.append(cells)
    write_table(path, header, rows, delimiter="\t")
