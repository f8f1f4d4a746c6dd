"""Teachers: trained networks that others learn from, live or through logits that were stored once."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.config.classify import RecipeSettings, TrainingSettings
from pipeline.models.architecture import Architecture
from pipeline.models.classifier_file import load_model
from pipeline.models.opened import Opened, opened
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import sha256_text
from pipeline.runtime.sealed import Sealed
from pipeline.runtime.store import FrameShard

Teacher = tuple[nn.Module, Architecture]


def load_teacher(source: Path | Opened, classes: Sequence[str], frames: int) -> Teacher:
    """A trained network that is to teach.

    Raises:
        ActaError: its classes or the length of its clips differ from the student's.
    """
    path = source.path if isinstance(source, Opened) else source
    model, description = load_model(source)
    if description.classes != list(classes):
        ours, theirs = set(classes), set(description.classes)
        odd = sorted(ours ^ theirs)
        what = f"such as {odd[0]!r}" if odd else "in another order"
        raise ActaError(f"the teacher {path} has {len(theirs)} classes, the student {len(ours)}; they differ, {what}")
    if (seen := description.architecture.raw_frames) != frames:
        raise ActaError(f"the teacher {path} sees clips of {seen} frames, the student of {frames}")
    return model, description.architecture


def as_teacher(teacher: Teacher, mode: str, device: torch.device, dtype: torch.dtype) -> Teacher:
    """A frozen teacher whose batch norm is in this mode (Table 6.8), its running statistics untouched; no dropout."""
    model, architecture = teacher
    model = model.to(device, dtype).train(mode == "train")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 0.0
        elif isinstance(module, nn.Dropout):
            module.eval()
    return model.requires_grad_(False), architecture


def replay_key(
    teacher: Path | Opened,
    shards: Sequence[Path],
    split: str,
    recipe: RecipeSettings,
    training: TrainingSettings,
    mode: str,
) -> str:
    """Digest of all that decides a teacher's logits: with equal keys, clips are cut, ordered and batched the same."""
    content = {
        "teacher": opened(teacher).sha256,
        "frames": [FrameShard(path).digest for path in shards],
        "split": split,
        "clip": recipe.clip.model_dump(mode="json"),
        "batches": [recipe.batch, recipe.micro_batch],
        "training": [training.seed, training.precision, training.deterministic, training.device, training.threads],
        "mode": mode,
    }
    return sha256_text(json.dumps(content, sort_keys=True))


class StoredLogits:
    """A file of stored logits, read clip by clip; each process of a loader opens it for itself.

    Args:
        path: HDF5 with ``logits`` (epochs, clips, classes).
        key: What they must have been made for (`replay_key`).
        epochs: How many are needed.
        clips: Number in an epoch.

    Raises:
        ActaError: the file is damaged (reading says so too), was made for other cuts or another teacher, or for fewer
            epochs.
    """

    def __init__(self, path: Path, key: str, epochs: int, clips: int):
        self._path = path
        self._file: Sealed | None = Sealed(path)
        if self._file.attribute("key") != key:
            raise ActaError(f"{path} holds the logits of another teacher, other clips or other batches")
        shape = self._file.array("logits").shape
        if shape[0] < epochs or shape[1] != clips:
            raise ActaError(f"{path} holds {shape[0]} epochs of {shape[1]} clips; wanted: {epochs} of {clips}")

    def __getitem__(self, key: tuple[int, int]) -> np.ndarray:
        """Logits (classes,) of the clip (epoch, number)."""
        if self._file is None:
            self._file = Sealed(self._path)
        logits = self._file.array("logits")
        epochs, clips, classes = logits.shape
        row = key[0] * clips + key[1]
        return replace(logits, shape=(epochs * clips, classes))[row : row + 1][0]

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_file": None}
