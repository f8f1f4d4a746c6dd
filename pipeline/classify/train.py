"""Stage `train`: one network on the frames of one variant, alone or taught by another (Sec. 5.2)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.classify.clips import TrainingClips, Videos, check_splits, find_classes
from pipeline.config import StrategySettings, TrainStage, canonical
from pipeline.errors import ActaError
from pipeline.files import write_json
from pipeline.models.architecture import Architecture, frames_needed
from pipeline.models.backbones import build, pathways
from pipeline.models.saved import (
    Description,
    classifier_names,
    load_model,
    load_state,
    read_description,
    read_weights,
    save_model,
)
from pipeline.stages import code_digest
from pipeline.store import FrameShard, Provenance
from pipeline.training.distributed import process_group
from pipeline.training.loop import DTYPES, figures_of, fit
from pipeline.training.losses import cross_entropy, distillation, relational
from pipeline.wheels import file_sha256


def train_network(
    shards: Sequence[Path],
    output: Path,
    settings: TrainStage,
    *,
    teacher: Path | None = None,
    teacher_shards: Sequence[Path] = (),
    workers: int = 0,
    save_every: float = 300.0,
) -> None:
    """Train a network and write ``output`` (.safetensors, with a .json beside it) and ``metrics.json``.

    A training that was stopped goes on from ``last.ckpt`` in the output's folder, to the same bytes.

    Args:
        shards: Frame shards that the network sees.
        output: The model file.
        settings: Recipe, strategy, classes.
        teacher: The teacher's model file, where the strategy has one.
        teacher_shards: Frame shards that the teacher sees; those of the network itself for self-distillation.
        workers: Processes that load data; the result does not depend on it.
        save_every: Seconds between checkpoints.

    Raises:
        ActaError: bad classes, splits, teacher or initial weights (before the first step), or a loss not finite.
    """
    recipe, training = settings.recipe, settings.training
    if (settings.strategy.teacher is None) != (teacher is None):
        raise ActaError(f"the strategy's teacher is {settings.strategy.teacher!r}, but the model given is {teacher}")
    if training.precision == "bfloat16" and training.device == "cpu":
        raise ActaError("precision 'bfloat16' needs device 'cuda'")
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ActaError("device 'cuda' was asked for, but torch sees no GPU")
    with process_group(training.device) as group:
        check_splits(shards, settings.split.train, settings.split.test)
        classes = find_classes(shards, settings.split.train, settings.classes)
        architecture = Architecture(
            recipe.backbone.name,
            len(classes),
            recipe.backbone.width,
            recipe.backbone.blocks,
            recipe.clip.frames,
        )
        dtype = DTYPES[training.precision]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            model = build(architecture, recipe.backbone.dropout)
        if recipe.initial is not None:
            _start_from(model, Path(recipe.initial), architecture)
        model = model.to(group.device, dtype)
        taught = _load_teacher(teacher, classes, recipe.clip.frames) if teacher else None
        networks = [architecture, *([taught[1]] if taught else [])]
        positions = frames_needed(networks)
        seen = Videos(shards, settings.split.train, classes)
        shown = None
        if taught:
            same = list(teacher_shards) == list(shards)
            shown = seen if same else Videos(teacher_shards, settings.split.train, classes)
        clips = TrainingClips(seen, shown, recipe.clip, positions, training.seed)
        losses = _losses(
            settings.strategy, architecture, positions, dtype, taught and _as_teacher(*taught, group.device, dtype)
        )
        provenance = _provenance(settings, shards, teacher_shards, teacher)
        checkpoint = output.parent / "last.ckpt"
        done = fit(
            model,
            clips,
            losses,
            recipe,
            training,
            group,
            checkpoint=checkpoint,
            identity=provenance.digest,
            workers=workers,
            save_every=save_every,
        )
        if group.is_first:
            description = Description(
                architecture,
                classes,
                settings.variant,
                settings.sampling.rate,
                recipe.clip.view,
                json.loads(provenance.to_json()),
            )
            metrics = {
                **figures_of(done.history),
                "device": _device_name(group.device),
                "processes": group.world,
                "videos": len(clips.entries),
                "short_videos": sum(e.frames < recipe.clip.frames for e in seen.entries),
                "history": done.history,
            }
            write_json(output.with_name("metrics.json"), metrics)
            save_model(output, model, description)
            checkpoint.unlink(missing_ok=True)
        group.wait()


Teacher = tuple[nn.Module, Architecture]


def _losses(
    strategy: StrategySettings,
    architecture: Architecture,
    positions: Sequence[int],
    dtype: torch.dtype,
    teacher: Teacher | None,
) -> Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]:
    """Eq. 5.11 for the loop: ℓ + λ ℓ_d + β ℓ_r; the last two only where there is a teacher."""

    def losses(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        logits = model(pathways(batch["student"], positions, architecture, dtype)).to(dtype)
        entropy = cross_entropy(logits, batch["label"])
        total, figures = entropy, {"cross_entropy": entropy}
        if teacher is not None:
            network, shape = teacher
            with torch.no_grad():
                soft = network(pathways(batch["teacher"], positions, shape, dtype)).to(dtype)
            if strategy.kd:
                figures["kd"] = distillation(logits, soft, strategy.temperature)
                total = total + strategy.kd * figures["kd"]
            if strategy.rkd:
                figures["rkd"] = relational(logits, soft)
                total = total + strategy.rkd * figures["rkd"]
        figures["top1"] = (logits.argmax(1) == batch["label"]).to(dtype).mean()
        return total, figures

    return losses


def _load_teacher(path: Path, classes: Sequence[str], frames: int) -> Teacher:
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


def _as_teacher(model: nn.Module, architecture: Architecture, device: torch.device, dtype: torch.dtype) -> Teacher:
    """Batch norm in training mode as in the student (Table 6.8), its running statistics untouched; no dropout."""
    model = model.to(device, dtype).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 0.0
        elif isinstance(module, nn.Dropout):
            module.eval()
    return model.requires_grad_(False), architecture


def _start_from(model: nn.Module, path: Path, architecture: Architecture) -> None:
    """Fine-tuning: the weights of a model file, and a new classifier where its shape differs."""
    found = read_description(path).architecture
    if found.backbone != architecture.backbone:
        raise ActaError(f"`initial` {path} is a {found.backbone}, the recipe a {architecture.backbone}")
    load_state(model, read_weights(path), str(path), replace=classifier_names(model))


def _provenance(
    settings: TrainStage, shards: Sequence[Path], teacher_shards: Sequence[Path], teacher: Path | None
) -> Provenance:
    inputs = {f"frames/{position}": FrameShard(path).digest for position, path in enumerate(shards)}
    inputs |= {f"teacher_frames/{position}": FrameShard(path).digest for position, path in enumerate(teacher_shards)}
    weights = {}
    if teacher is not None:
        weights["teacher"] = file_sha256(teacher)
    if settings.recipe.initial is not None:
        weights["initial"] = file_sha256(Path(settings.recipe.initial))
    return Provenance(
        stage="train",
        settings=canonical(settings),
        code=code_digest("train"),
        inputs={"frames": _digest_of(inputs)},
        weights=weights,
        packages=("torch", "simplejpeg"),
    )


def _digest_of(inputs: dict[str, str]) -> str:
    from pipeline.stages import sha256_text

    return sha256_text(json.dumps(inputs, sort_keys=True))


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
