"""Training a video network on frame shards, alone or taught: `train_classifier` and `try_hypothesis` share it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.classify.teaching import StoredLogits, Teacher, as_teacher
from pipeline.classify.video_clips import TrainingClips, Videos
from pipeline.config.classify import RecipeSettings, StrategySettings, TrainingSettings
from pipeline.config.distillation import weight_for
from pipeline.models.architecture import Architecture, frames_needed
from pipeline.models.backbones import build, pathways
from pipeline.models.checkpoints import read_state
from pipeline.models.classifier_file import Description, classifier_names, model_weights, read_description
from pipeline.models.opened import Opened
from pipeline.models.precision import DTYPES
from pipeline.models.state import load_state
from pipeline.models.weights import WEIGHTS, open_weights
from pipeline.runtime.errors import ActaError
from pipeline.training.checkpoint import Progress
from pipeline.training.features import FeatureLoss
from pipeline.training.job import Job, seeded
from pipeline.training.loop import Losses, fit
from pipeline.training.losses import cross_entropy, distillation, relational
from pipeline.training.steering import SgdSchedule


@dataclass(frozen=True)
class Lesson:
    """What a network learns from.

    Args:
        split: Name of the training split.
        shards: Frame shards that the network sees.
        strategy: The losses and their weights.
        teacher: The teacher, if the strategy has one.
        teacher_shards: Frame shards that the teacher sees; the same ones for self-distillation.
        teacher_mode: Whether its batch norm uses the statistics of the micro-batch (train) or the learnt ones (eval).
        stored: The teacher's logits of every clip (`pipeline.shrink.store_teacher_logits`), instead of the teacher.
        stored_key: What they must have been made for (`replay_key`).
        features: mse or margin_relu on the activations of each residual stage (Table 6.7).
        feature_weight: Weight of that loss.
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


def train_model(
    job: Job,
    model: nn.Module,
    description: Description,
    lesson: Lesson,
    recipe: RecipeSettings,
    training: TrainingSettings,
    identity: str,
    until: int | None = None,
    started: Path | None = None,
) -> tuple[Progress, dict[str, object]]:
    """Train ``model`` to the end, or to the end of epoch ``until``, or on from ``started``; also return its figures.

    Clips have the network's own span of frames without a teacher, and the teacher's with one.

    Raises:
        ActaError: bad data, a teacher that does not fit, or a loss that is not finite.
    """
    architecture, classes, dtype = description.architecture, description.classes, DTYPES[training.precision]
    live = lesson.teacher if lesson.stored is None else None
    positions = frames_needed([architecture, *([live[1]] if live else [])])
    seen = Videos(lesson.shards, lesson.split, classes, copied=True)
    shown = None
    if live:
        same = list(lesson.teacher_shards) == list(lesson.shards)
        shown = seen if same else Videos(lesson.teacher_shards, lesson.split, classes, copied=True)
    span = architecture.span if lesson.strategy.teacher is None else recipe.clip.frames
    clip = recipe.clip.model_copy(update={"frames": span})
    clips = TrainingClips(seen, shown, clip, positions, training.seed)
    if lesson.stored is not None:
        clips.logits = StoredLogits(lesson.stored, lesson.stored_key, training.epochs, len(clips))
    teacher = as_teacher(live, lesson.teacher_mode, job.group.device, dtype) if live else None
    features = None
    if lesson.features and teacher:
        features = FeatureLoss(lesson.features, model, teacher[0], lesson.feature_weight)
    losses = _losses(lesson.strategy, architecture, positions, dtype, teacher, features)
    steering = SgdSchedule(recipe, training)
    done = fit(job, model, clips, losses, recipe, training.seed, steering, identity, until=until, started=started)
    return done, {
        **job.machines,
        "videos": len(clips.entries),
        "short_videos": sum(entry.frames < span for entry in seen.entries),
    }


def _losses(
    strategy: StrategySettings,
    architecture: Architecture,
    positions: Sequence[int],
    dtype: torch.dtype,
    teacher: Teacher | None,
    features: FeatureLoss | None,
) -> Losses:
    """Eq. 5.11 for the loop, ℓ + λ ℓ_d + β ℓ_r; Eq. 6.7 is the case λ = α t², β = 0."""
    kd = weight_for(strategy.kd, architecture.classes)

    def losses(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        logits = model(pathways(batch["student"], positions, architecture, dtype)).to(dtype)
        entropy = cross_entropy(logits, batch["label"])
        total, figures = entropy, {"cross_entropy": entropy}
        if strategy.teacher is not None:
            soft = soften(batch).to(dtype)
            if kd:
                figures["kd"] = distillation(logits, soft, strategy.temperature)
                total = total + kd * figures["kd"]
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
    """A network with random weights, drawn from the seed."""
    with seeded(training.seed):
        return build(architecture, recipe.backbone.dropout)


def open_initial(initial: str) -> Opened:
    """A recipe's `initial`: a model file, or registered weights by their name.

    Raises:
        ActaError: it is not there, or is not what was fetched.
    """
    return open_weights(initial) if initial in WEIGHTS else Opened(Path(initial), "the model file")


def start_from(model: nn.Module, file: Opened, architecture: Architecture) -> None:
    """Fine-tuning: the weights of a model file or a checkpoint, and a new classifier where its shape differs.

    Raises:
        ActaError: the file is of another backbone, or its weights have other shapes.
    """
    if file.path.suffix == ".safetensors":
        backbone = read_description(file.path).architecture.backbone
        if backbone != architecture.backbone:
            raise ActaError(f"`initial` {file.path} is a {backbone}, the recipe a {architecture.backbone}")
        state = model_weights(file)
    else:
        state = read_state(file)
    load_state(model, state, str(file.path), replace=classifier_names(model))
