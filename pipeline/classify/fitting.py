"""Training a video network on frame shards, alone or taught: what both of its trainings have in common."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.classify.teaching import StoredLogits, Teacher, as_teacher
from pipeline.classify.video_clips import TrainingClips, Videos
from pipeline.config.classify import RecipeSettings, StrategySettings, TrainingSettings
from pipeline.models.architecture import Architecture, frames_needed
from pipeline.models.backbones import build, pathways
from pipeline.models.classifier_file import Description, classifier_names, model_weights, read_description, save_model
from pipeline.models.opened import Opened
from pipeline.models.state import load_state
from pipeline.runtime.device import check_device
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import write_json
from pipeline.runtime.provenance import sha256_text
from pipeline.runtime.scratch import scratch
from pipeline.training.checkpoint import Progress
from pipeline.training.distributed import Group, process_group
from pipeline.training.features import FeatureLoss
from pipeline.training.loop import DTYPES, Losses, figures_of, fit
from pipeline.training.losses import cross_entropy, distillation, relational
from pipeline.training.steering import SgdSchedule
from pipeline.training.stopping import listening


@dataclass(frozen=True)
class Lesson:
    """What a network learns from.

    Args:
        split: Name of the training split.
        shards: Frame shards that the network sees.
        strategy: Which losses count how much.
        teacher: The teacher, where the strategy has one.
        teacher_shards: Frame shards that the teacher sees; the same ones for self-distillation.
        teacher_mode: Of its batch norm: its own statistics of the micro-batch (train), or the learnt ones (eval).
        stored: The teacher's logits of every clip (`pipeline.shrink.store_teacher_logits`), in place of the teacher.
        stored_key: What they must have been made for (`replay_key`).
        features: mse or margin_relu on the activations of each residual stage (Table 6.7).
        feature_weight: Of that loss.
    """

    split: str
    shards: Sequence[Path]
    strategy: StrategySettings
    teacher: Teacher | None = None
    teacher_shards: Sequence[Path] = ()
    teacher_mode: str = "train"
    stored: Path | None = None
    stored_key: str = ""
    features: str | None = None
    feature_weight: float = 0.0


@dataclass
class Trained:
    """A trained network with all that is written about it; only the first process writes."""

    model: nn.Module
    description: Description
    metrics: dict[str, Any]
    group: Group

    def save(self, output: Path) -> None:
        """Write the model file, its description and ``metrics.json`` beside it."""
        if self.group.is_first:
            write_json(output.with_name("metrics.json"), self.metrics)
            save_model(output, self.model, self.description)


@contextmanager
def start_training(training: TrainingSettings) -> Iterator[Group]:
    """Check that this machine can do it (`check_device`), join the processes, and hold the node's copies of shards.

    A signal that asks to stop is kept until a step has ended (`pipeline.training.stopping`).
    """
    check_device(training.device, training.precision, alone=True)
    with listening(), scratch(), process_group(training.device) as group:
        yield group


def train_model(
    model: nn.Module,
    description: Description,
    lesson: Lesson,
    recipe: RecipeSettings,
    training: TrainingSettings,
    group: Group,
    checkpoint: Path,
    workers: int = 0,
    save_every: float = 300.0,
    until: int | None = None,
    started: Path | None = None,
) -> Trained:
    """Train ``model`` to the end, or to the end of epoch ``until``, or on from ``started``.

    The checkpoint is left for the caller to remove.

    Without a teacher the network's own span of frames is cut out of a video, with one the teacher's.

    Raises:
        ActaError: bad data, a teacher that does not fit, or a loss that is not finite.
    """
    architecture = description.architecture
    dtype = DTYPES[training.precision]
    model = model.to(group.device, dtype)
    live = lesson.teacher if lesson.stored is None else None
    positions = frames_needed([architecture, *([live[1]] if live else [])])
    seen = Videos(lesson.shards, lesson.split, description.classes, copied=True)
    shown = None
    if live:
        same = list(lesson.teacher_shards) == list(lesson.shards)
        shown = seen if same else Videos(lesson.teacher_shards, lesson.split, description.classes, copied=True)
    span = architecture.span if lesson.strategy.teacher is None else recipe.clip.frames
    clip = recipe.clip.model_copy(update={"frames": span})
    clips = TrainingClips(seen, shown, clip, positions, training.seed)
    if lesson.stored is not None:
        clips.logits = StoredLogits(lesson.stored, lesson.stored_key, training.epochs, len(clips))
    teacher = as_teacher(live, lesson.teacher_mode, group.device, dtype) if live else None
    features = None
    if lesson.features and teacher:
        features = FeatureLoss(lesson.features, model, teacher[0], lesson.feature_weight)
    done: Progress = fit(
        model,
        clips,
        _losses(lesson.strategy, architecture, positions, dtype, teacher, features),
        recipe,
        training,
        group,
        SgdSchedule(recipe, training),
        checkpoint=checkpoint,
        identity=_identity(description),
        workers=workers,
        save_every=save_every,
        until=until,
        started=started,
    )
    metrics = {
        **figures_of(done.history),
        "device": torch.cuda.get_device_name(group.device) if group.device.type == "cuda" else "cpu",
        "processes": group.world,
        "videos": len(clips.entries),
        "short_videos": sum(entry.frames < span for entry in seen.entries),
        "history": done.history,
    }
    return Trained(model, description, metrics, group)


def _identity(description: Description) -> str:
    provenance = {key: value for key, value in description.provenance.items() if key != "packages"}
    return sha256_text(json.dumps(provenance, sort_keys=True))


def _losses(
    strategy: StrategySettings,
    architecture: Architecture,
    positions: Sequence[int],
    dtype: torch.dtype,
    teacher: Teacher | None,
    features: FeatureLoss | None,
) -> Losses:
    """Eq. 5.11 for the loop, ℓ + λ ℓ_d + β ℓ_r, of which Eq. 6.7 is the case λ = α t², β = 0."""

    def losses(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        logits = model(pathways(batch["student"], positions, architecture, dtype)).to(dtype)
        entropy = cross_entropy(logits, batch["label"])
        total, figures = entropy, {"cross_entropy": entropy}
        if strategy.teacher is not None:
            soft = soften(batch).to(dtype)
            if strategy.kd:
                figures["kd"] = distillation(logits, soft, strategy.temperature)
                total = total + strategy.kd * figures["kd"]
            if strategy.rkd:
                figures["rkd"] = relational(logits, soft)
                total = total + strategy.rkd * figures["rkd"]
            if features is not None:
                figures["features"] = features()
                total = total + features.weight * figures["features"]
        figures["top1"] = (logits.argmax(1) == batch["label"]).to(dtype).mean()
        return total, figures

    def soften(batch: dict[str, Tensor]) -> Tensor:
        if teacher is None:
            return batch["logits"]
        with torch.no_grad():
            return teacher[0](pathways(batch["teacher"], positions, teacher[1], dtype))

    return losses


def random_network(architecture: Architecture, recipe: RecipeSettings, training: TrainingSettings) -> nn.Module:
    """A network with random weights, which the seed decides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        return build(architecture, recipe.backbone.dropout)


def start_from(model: nn.Module, file: Opened, architecture: Architecture) -> None:
    """Fine-tuning: the weights of a model file, and a new classifier where its shape differs.

    Raises:
        ActaError: the file is of another backbone, or its weights have other shapes.
    """
    path = file.path
    found = read_description(path).architecture
    if found.backbone != architecture.backbone:
        raise ActaError(f"`initial` {path} is a {found.backbone}, the recipe a {architecture.backbone}")
    load_state(model, model_weights(file), str(path), replace=classifier_names(model))
