"""The part of the configuration that each stage reads: what decides whether it reruns."""

from typing import Any, Literal

from pydantic import model_validator

from pipeline.config.base import Settings, Variant, What
from pipeline.config.classify import RecipeSettings, SplitSettings, StrategySettings, TrainingSettings
from pipeline.config.data import FrameSettings, SamplingSettings
from pipeline.config.privacy import (
    Auditor,
    ContactSheetSettings,
    DetectSettings,
    ObfuscateSettings,
    Score,
    check_detector,
)
from pipeline.config.shrink import Operator, PlanSettings
from pipeline.config.whole import Config


class NoSettings(Settings):
    """For stages that read no settings."""


class FramesStage(Settings):
    """What the frames stage reads."""

    sampling: SamplingSettings
    frames: FrameSettings


class DetectStage(Settings):
    """What the detect stage reads."""

    what: What
    sampling: SamplingSettings
    detect: DetectSettings

    @model_validator(mode="after")
    def _detector_finds_what_is_wanted(self) -> "DetectStage":
        check_detector(self.what, self.detect.detector)
        return self


class ObfuscateStage(Settings):
    """What the obfuscate stage reads."""

    obfuscate: ObfuscateSettings


class AuditStage(Settings):
    """What the audit stage reads: auditors and their thresholds."""

    auditors: dict[Auditor, Score]


class ContactSheetStage(Settings):
    """What the contact sheet reads."""

    contact_sheet: ContactSheetSettings


class TrainStage(Settings):
    """What one training reads. ``variant``: the frames that the network sees."""

    variant: Variant
    split: SplitSettings
    classes: str | None
    sampling: SamplingSettings
    recipe: RecipeSettings
    training: TrainingSettings
    strategy: StrategySettings


class EvaluateStage(Settings):
    """What an evaluation reads; the rest is in the model's own file."""

    split: SplitSettings
    short_videos: Literal["repeat", "drop"]
    test_clips: int
    micro_batch: int
    device: Literal["cpu", "cuda"]
    threads: int


class HypothesisStage(Settings):
    """What one hypothesis of an iteration reads: of the operators' factors only its own."""

    split: SplitSettings
    recipe: RecipeSettings
    training: TrainingSettings
    reductions: tuple[tuple[Operator, float], ...]
    start: Literal["previous", "part", "random"]
    strategy: StrategySettings
    teacher_mode: Literal["train", "eval"]
    features: Literal["mse", "margin_relu"] | None
    feature_weight: float


class TeacherLogitsStage(Settings):
    """What storing a teacher's logits reads."""

    split: SplitSettings
    recipe: RecipeSettings
    training: TrainingSettings
    mode: Literal["train", "eval"]


class SelectStage(Settings):
    """What the selection reads: the hypotheses in the order that breaks ties."""

    operators: tuple[str, ...]


class ExportStage(Settings):
    """Where an exported network's latency is measured, batch 1."""

    device: Literal["cpu", "cuda"]
    threads: int


class ReportShrinkingStage(Settings):
    """What the tables and figures of Ch. 6 read."""

    dataset: str
    splits: tuple[str, ...]
    recipes: tuple[str, ...]
    iterations: int
    operators: dict[str, tuple[str, ...]]


class HalveStage(Settings):
    """What halving reads."""

    operators: tuple[str, ...]
    keep: int


def stage_settings(
    config: Config,
    stage: str,
    what: What | None = None,
    *,
    split: str = "",
    recipe: str = "",
    strategy: str = "",
    variant: Variant = "none",
    plan: str = "",
    operators: str = "",
) -> Settings:
    """The part of the configuration that one stage reads, and nothing else (what decides whether it reruns)."""
    privacy, classify = config.privacy, config.classify
    match stage:
        case "frames":
            return FramesStage(sampling=config.sampling, frames=config.frames)
        case "train":
            return TrainStage(
                variant=variant,
                split=classify.splits[split],
                classes=classify.classes,
                sampling=config.sampling,
                recipe=classify.recipes[recipe],
                training=classify.training,
                strategy=classify.strategies[strategy],
            )
        case "evaluate":
            chosen = classify.recipes[recipe]
            return EvaluateStage(
                split=classify.splits[split],
                short_videos=chosen.clip.short_videos,
                test_clips=classify.test_clips,
                micro_batch=chosen.micro_batch,
                device=classify.training.device,
                threads=classify.training.threads,
            )
        case "hypothesis":
            return _hypothesis(config, recipe, config.shrink.plans[plan], operators)
        case "train-alone" | "train-transferred":
            plain = stage_settings(config, "train", split=split, recipe=recipe, strategy="cross_entropy")
            assert isinstance(plain, TrainStage)
            changes: dict[str, Any] = {"recipe": plain.recipe.model_copy(update={"initial": None})}
            if stage == "train-alone":
                changes["training"] = _shorter(config)
            return plain.model_copy(update=changes)
        case "teacher-logits":
            return TeacherLogitsStage(
                split=classify.splits[config.shrink.split],
                recipe=classify.recipes[recipe].model_copy(update={"initial": None}),
                training=_shorter(config),
                mode=config.shrink.plans[plan].teacher or "train",
            )
        case "select":
            return SelectStage(operators=config.shrink.plans[plan].operators)
        case "export":
            return ExportStage(device=classify.training.device, threads=1)
        case "report-shrinking":
            return ReportShrinkingStage(
                dataset=config.dataset,
                splits=tuple(classify.splits),
                recipes=config.shrink.recipes,
                iterations=config.shrink.iterations,
                operators={name: chosen.operators for name, chosen in config.shrink.plans.items()},
            )
        case "halve":
            halving = config.shrink.plans[plan].halving
            return HalveStage(operators=config.shrink.plans[plan].operators, keep=halving.keep if halving else 1)
        case "contact-sheet":
            return ContactSheetStage(contact_sheet=config.contact_sheet)
        case "detect" if what:
            return DetectStage(what=what, sampling=config.sampling, detect=getattr(privacy.detect, what))
        case "obfuscate" if what:
            return ObfuscateStage(obfuscate=getattr(privacy.obfuscate, what))
        case "audit" if what:
            return AuditStage(auditors=getattr(privacy.audit, what))
        case _:
            return NoSettings()


def _hypothesis(config: Config, recipe: str, plan: PlanSettings, operators: str) -> HypothesisStage:
    shrink = config.shrink
    chosen = config.classify.recipes[recipe].model_copy(update={"initial": None})
    keeps_weights = set(operators) <= set("stf")
    start: Literal["previous", "part", "random"] = "random"
    if keeps_weights and plan.fine_tuning:
        start = "previous"
        chosen = chosen.model_copy(update={"learning_rate": chosen.learning_rate * shrink.fine_tuning_rate})
    elif not keeps_weights and plan.inherit:
        start = "part"
    taught = plan.teacher is not None and shrink.alpha > 0
    return HypothesisStage(
        split=config.classify.splits[shrink.split],
        recipe=chosen,
        training=_shorter(config),
        reductions=tuple((name, float(getattr(shrink.factors, name))) for name in operators),  # type: ignore[misc]
        start=start,
        strategy=StrategySettings(
            teacher="none" if taught else None,
            kd=shrink.alpha * shrink.temperature**2 if taught else 0.0,
            rkd=0.0,
            temperature=shrink.temperature,
        ),
        teacher_mode=plan.teacher or "train",
        features=plan.features,
        feature_weight=shrink.feature_weight if plan.features else 0.0,
    )


def _shorter(config: Config) -> TrainingSettings:
    return config.classify.training.model_copy(update={"epochs": config.shrink.epochs})
