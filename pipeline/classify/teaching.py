"""Teachers: trained networks that others learn from, live or by logits that were stored once."""

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

from pipeline.config import RecipeSettings, TrainingSettings
from pipeline.errors import ActaError
from pipeline.models.architecture import Architecture
from pipeline.models.saved import load_model
from pipeline.stages import sha256_text
from pipeline.store import FrameShard
from pipeline.wheels import file_sha256

Teacher = tuple[nn.Module, Architecture]


def load_teacher(path: Path, classes: Sequence[str], frames: int) -> Teacher:
    """A trained network that is to teach.

    Raises:
        ActaError: its classes or the length of its clip are not the student's.
    """
    model, description = load_model(path)
    if description.classes != list(classes):
        ours, theirs = set(classes), set(description.classes)
        odd = sorted(ours ^ theirs)
        what = f"such as {odd[0]!r}" if odd else "in another order"
        raise ActaError(f"the teacher {path} has {len(theirs)} classes, the student {len(ours)}; they differ, {what}")
    if description.architecture.raw_frames != frames:
        raise ActaError(
            f"the teacher {path} sees clips of {description.architecture.raw_frames} frames, the student of {frames}"
        )
    return model, description.architecture


def as_teacher(teacher: Teacher, mode: str, device: torch.device, dtype: torch.dtype) -> Teacher:
    """Batch norm as in the student, in training mode (Table 6.8), its running statistics untouched; no dropout."""
    model, architecture = teacher
    model = model.to(device, dtype).train(mode == "train")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 0.0
        elif isinstance(module, nn.Dropout):
            module.eval()
    return model.requires_grad_(False), architecture


def replay_key(
    teacher: Path, shards: Sequence[Path], split: str, recipe: RecipeSettings, training: TrainingSettings, mode: str
) -> str:
    """Digest of all that decides a teacher's logits: with equal keys its clips are cut, ordered and batched alike."""
    content = {
        "teacher": file_sha256(teacher),
        "frames": [FrameShard(path).digest for path in shards],
        "split": split,
        "clip": recipe.clip.model_dump(mode="json"),
        "batches": [recipe.batch, recipe.micro_batch],
        "training": [training.seed, training.precision, training.device, training.threads],
        "mode": mode,
    }
    return sha256_text(json.dumps(content, sort_keys=True))


def read_logits(path: Path, key: str, epochs: int, clips: int) -> np.ndarray:
    """Stored logits, (epochs, clips, classes).

    Raises:
        ActaError: the file is damaged, was made for other cuts or another teacher, or for fewer epochs.
    """
    try:
        with h5py.File(path) as file:
            if file.attrs["key"] != key:
                raise ActaError(f"{path} holds the logits of another teacher, other clips or other batches")
            logits: np.ndarray = file["logits"][:epochs]
    except (OSError, KeyError) as error:
        raise ActaError(f"{path} holds no teacher's logits: {error}") from None
    if logits.shape[:2] != (epochs, clips):
        raise ActaError(
            f"{path} holds {logits.shape[0]} epochs of {logits.shape[1]} clips; wanted: {epochs} of {clips}"
        )
    return logits
