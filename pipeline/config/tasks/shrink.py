"""What the tasks of progressive architecture shrinkage read (Ch. 6)."""

from typing import TYPE_CHECKING, Literal, Self

from pipeline.config.base import Settings, Variant
from pipeline.config.classify import RecipeSettings, SplitSettings, StrategySettings, TrainingSettings
from pipeline.config.data import SamplingSettings
from pipeline.config.distillation import times, weight_for
from pipeline.config.shrink import Operator
from pipeline.config.tasks.classify import shorter, without_initial
from pipeline.config.training import TrainingTask

if TYPE_CHECKING:
    from pipeline.config.whole import Config


class TryHypothesis(TrainingTask):
    """What one hypothesis of an iteration reads: of the operators' factors only its own.

    ``variant``: the frames that it and its base network see.
    """

    variant: Variant
    sampling: SamplingSettings
    split: SplitSettings
    recipe: RecipeSettings
    training: TrainingSettings
    reductions: tuple[tuple[Operator, float], ...]
    start: Literal["previous", "part", "random"]
    strategy: StrategySettings
    teacher_mode: Literal["train", "eval"]
    features: Literal["mse", "margin_relu"] | None
    feature_weight: float

    @classmethod
    def from_config(cls, config: "Config", recipe: str, plan: str, operators: str) -> Self:
        shrink, plan_settings = config.shrink, config.shrink.plans[plan]
        trained = without_initial(config.classify.recipes[recipe])
        keeps_weights = set(operators) <= set("stf")
        start: Literal["previous", "part", "random"] = "random"
        if keeps_weights and plan_settings.fine_tuning:
            start = "previous"
            trained = trained.model_copy(update={"learning_rate": trained.learning_rate * shrink.fine_tuning_rate})
        elif not keeps_weights and plan_settings.inherit_weights:
            start = "part"
        taught = plan_settings.teacher is not None and weight_for(shrink.alpha, 1) > 0
        return cls(
            variant=shrink.base.variant,
            sampling=config.sampling,
            split=config.classify.splits[shrink.split],
            recipe=trained,
            training=shorter(config),
            reductions=tuple((name, float(getattr(shrink.factors, name))) for name in operators),  # type: ignore[misc]
            start=start,
            strategy=StrategySettings(
                teacher="none" if taught else None,
                kd=times(shrink.alpha, shrink.temperature**2) if taught else 0.0,
                rkd=0.0,
                temperature=shrink.temperature,
            ),
            teacher_mode=plan_settings.teacher or "train",
            features=plan_settings.features,
            feature_weight=shrink.feature_weight if plan_settings.features else 0.0,
        )


class StoreTeacherLogits(TrainingTask):
    """What storing a teacher's logits reads."""

    variant: Variant
    sampling: SamplingSettings
    split: SplitSettings
    recipe: RecipeSettings
    training: TrainingSettings
    mode: Literal["train", "eval"]

    @classmethod
    def from_config(cls, config: "Config", recipe: str, plan: str) -> Self:
        return cls(
            variant=config.shrink.base.variant,
            sampling=config.sampling,
            split=config.classify.splits[config.shrink.split],
            recipe=without_initial(config.classify.recipes[recipe]),
            training=shorter(config),
            mode=config.shrink.plans[plan].teacher or "train",
        )


class SelectHypothesis(Settings):
    """What the selection reads: the hypotheses in the order that breaks ties, and γ of the temporal operators."""

    operators: tuple[str, ...]
    t: float
    f: int

    @classmethod
    def from_config(cls, config: "Config", plan: str) -> Self:
        return cls.taken(config.shrink.plans[plan], config.shrink.factors)


class ExportNetwork(Settings):
    """Where an exported network's latency is measured, batch 1."""

    device: Literal["cpu", "cuda"]
    threads: int

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        return cls(device=config.classify.training.device, threads=1)


class MeasureResources(Settings):
    """What the measurement of a device's utilisation and memory reads."""

    split: SplitSettings
    short_videos: Literal["repeat", "drop"]
    device: Literal["cpu", "cuda"]
    threads: int

    @classmethod
    def from_config(cls, config: "Config", recipe: str) -> Self:
        classify = config.classify
        return cls.taken(classify.training, classify.recipes[recipe].clip, split=classify.splits[config.shrink.split])


class HalveHypotheses(Settings):
    """What halving reads."""

    operators: tuple[str, ...]
    keep: int

    @classmethod
    def from_config(cls, config: "Config", plan: str) -> Self:
        halving = config.shrink.plans[plan].halving
        return cls.taken(config.shrink.plans[plan], keep=halving.keep if halving else 1)
