"""From the whole configuration to the part that one stage reads."""

from pathlib import Path
from typing import Any, Literal

from pipeline.config.base import Settings, Variant, What
from pipeline.config.classify import STRATEGIES, RecipeSettings, StrategySettings, TrainingSettings
from pipeline.config.detect import (
    DetectionSettings,
    FeatureSettings,
    KeyframeSettings,
)
from pipeline.config.page import OverviewStage
from pipeline.config.report import (
    ReportArchitectureStage,
    ReportClassificationStage,
    ReportDetectionStage,
    ReportShrinkingStage,
)
from pipeline.config.shrink import PlanSettings
from pipeline.config.spot_stages import spot_stage
from pipeline.config.stages import (
    ActorFeaturesStage,
    AuditStage,
    ContactSheetStage,
    DetectObjectsStage,
    DetectStage,
    EvaluateDetectionStage,
    EvaluateStage,
    ExportStage,
    FramesStage,
    HalveStage,
    HypothesisStage,
    ImportFeaturesStage,
    ImportObjectsStage,
    NoSettings,
    ObfuscateStage,
    SelectStage,
    TeacherLogitsStage,
    TrainBackboneStage,
    TrainDetectionStage,
    TrainDetectorStage,
    TrainStage,
)
from pipeline.config.whole import Config


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
    features: str = "",
    network: str = "",
    seed: str = "",
    boxes: Literal["detected", "annotated"] = "detected",
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
                bases={name: _named(classify.recipes[name]) for name in config.shrink.recipes},
                base_epochs=classify.training.epochs,
                test_clips=classify.test_clips,
                iterations=config.shrink.iterations,
                operators={name: chosen.operators for name, chosen in config.shrink.plans.items()},
                factors=config.shrink.factors,
                alpha=config.shrink.alpha,
                temperature=config.shrink.temperature,
                epochs=config.shrink.epochs,
            )
        case "report-architecture":
            return ReportArchitectureStage(recipes=config.shrink.recipes, iterations=config.shrink.iterations)
        case "report-classification":
            return ReportClassificationStage(
                dataset=config.dataset,
                splits=tuple(classify.splits),
                variants=privacy.what,
                recipe=classify.recipe,
                compare=classify.compare,
                recipes={name: _named(classify.recipes[name]) for name in (classify.recipe, *classify.compare)},
                strategies={name: classify.strategies[name] for name in STRATEGIES},
                epochs=classify.training.epochs,
                test_clips=classify.test_clips,
            )
        case "halve":
            halving = config.shrink.plans[plan].halving
            return HalveStage(operators=config.shrink.plans[plan].operators, keep=halving.keep if halving else 1)
        case "report-overview":
            content = _without_places(config.model_dump(mode="json"))
            return OverviewStage(dataset=config.dataset, demo=config.data.adapter == "demo", configuration=content)
        case "contact-sheet" | "sample-faces":
            return ContactSheetStage(contact_sheet=config.contact_sheet)
        case "detect-people" if what:
            return DetectStage(what=what, sampling=config.sampling, detect=privacy.detect.search(what))
        case "obfuscate" if what:
            return ObfuscateStage(obfuscate=getattr(privacy.obfuscate, what))
        case "audit" if what:
            return AuditStage(auditors=getattr(privacy.audit, what))
        case "detection-frames":
            return FramesStage(sampling=config.detect.sampling, frames=config.detect.frames)
        case "train-detector" if config.detect.detector:
            return TrainDetectorStage(detector=config.detect.detector, start=config.detect.keyframes.start)
        case "detect-objects" if config.detect.objects:
            return DetectObjectsStage(keyframes=config.detect.keyframes, objects=config.detect.objects)
        case "import-objects" if config.detect.objects:
            return ImportObjectsStage(keyframes=config.detect.keyframes, score=config.detect.objects.score)
        case "train-backbone" | "actor-features" | "import-features" | "train-detection" | "evaluate-detection":
            return _detection(config.detect, stage, features, network, seed, boxes)
        case "report-detection":
            likes = {name: chosen.like for name, chosen in config.detect.features.items()}
            mute = tuple(name for name, chosen in config.detect.features.items() if not chosen.has_baseline)
            return ReportDetectionStage(
                dataset=config.dataset,
                features=likes,
                heads={name: chosen.heads for name, chosen in config.detect.features.items()},
                seeds=config.detect.seeds,
                without_backbone=mute,
                start=config.detect.keyframes.start,
            )
        case _:
            found = spot_stage(config.spot, config.dataset, stage, features, network, seed, split)
            return found or NoSettings()


def actor_features_stage(features: FeatureSettings, keyframes: KeyframeSettings) -> ActorFeaturesStage:
    """What the extraction of actors' features reads, on these keyframes."""
    source = features.backbone
    assert source is not None
    lowest = min(source.boxes.score, features.test_score)
    return ActorFeaturesStage(
        network=source.network,
        keyframes=keyframes,
        boxes=source.boxes.model_copy(update={"score": lowest}),
        rate=source.rate,
        half=source.half,
        batch=source.batch,
        precision=source.precision,
        device=source.device,
        threads=source.threads,
    )


def _detection(
    detect: DetectionSettings, stage: str, name: str, network: str, seed: str, boxes: Literal["detected", "annotated"]
) -> Settings:
    features = detect.features[name]
    source = features.backbone
    if stage == "train-backbone" and source and source.training:
        return TrainBackboneStage(
            backbone=source.network, rate=source.rate, start=detect.keyframes.start, training=source.training
        )
    if stage == "actor-features" and source:
        return actor_features_stage(features, detect.keyframes)
    if stage == "import-features" and features.imported:
        return ImportFeaturesStage(layout=features.imported.layout, half=features.imported.half)
    if stage == "train-detection":
        return TrainDetectionStage(
            train=detect.splits.train,
            validation=detect.splits.validation,
            step=detect.keyframes.step,
            train_score=source.boxes.score if source else 0.0,
            test_score=features.test_score,
            heads=features.heads,
            learning_rate=features.learning_rate,
            network=detect.networks[network],
            training=detect.training,
            capacity=detect.capacity,
            seed=int(seed),
        )
    if stage == "evaluate-detection":
        return EvaluateDetectionStage(
            test=detect.splits.test,
            boxes=boxes,
            step=detect.keyframes.step,
            clips=detect.training.clips,
            score=features.test_score,
            iou=0.5,
            capacity=detect.capacity,
            device=detect.training.device,
            threads=detect.training.threads,
        )
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


def _named(recipe: RecipeSettings) -> RecipeSettings:
    """A recipe for a table, which tells of its weights no more than their name."""
    return recipe if recipe.initial is None else recipe.model_copy(update={"initial": Path(recipe.initial).name})


def _without_places(content: Any) -> Any:
    """The configuration with the last part of each path: moving data reruns nothing, and a page tells no one's disk."""
    if isinstance(content, dict):
        return {key: _without_places(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_places(value) for value in content]
    return content.rsplit("/", 1)[-1] if isinstance(content, str) else content


def _shorter(config: Config) -> TrainingSettings:
    return config.classify.training.model_copy(update={"epochs": config.shrink.epochs})
