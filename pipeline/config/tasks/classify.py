"""What the tasks of action recognition read (Ch. 5)."""

from typing import TYPE_CHECKING, Literal, Self

from pipeline.config.base import Settings, Variant
from pipeline.config.classify import RecipeSettings, SplitSettings, StrategySettings, TrainingSettings
from pipeline.config.data import SamplingSettings
from pipeline.config.training import TrainingTask

if TYPE_CHECKING:
    from pipeline.config.whole import Config


class TrainClassifier(TrainingTask):
    """What one training reads. ``variant``: the frames that the network sees."""

    variant: Variant
    split: SplitSettings
    classes: str | None
    sampling: SamplingSettings
    recipe: RecipeSettings
    training: TrainingSettings
    strategy: StrategySettings

    @classmethod
    def from_config(
        cls,
        config: "Config",
        split: str,
        recipe: str,
        strategy: str = "cross_entropy",
        variant: Variant = "none",
        use: Literal["trained", "alone", "transferred"] = "trained",
    ) -> Self:
        """What a training reads.

        ``alone``: a shrunk architecture without its base network (Table 6.2), for as long as a hypothesis is trained;
        ``transferred``: fine-tuning on this data set (Table 6.6).
        """
        classify, recipe_settings = config.classify, config.classify.recipes[recipe]
        return cls.taken(
            classify,
            config,
            variant=variant,
            split=classify.splits[split],
            recipe=recipe_settings if use == "trained" else without_initial(recipe_settings),
            training=shorter(config) if use == "alone" else classify.training,
            strategy=classify.strategies[strategy],
        )


class EvaluateClassifier(Settings):
    """What an evaluation reads; the rest is in the model's own file."""

    split: SplitSettings
    short_videos: Literal["repeat", "drop"]
    test_clips: int
    micro_batch: int
    device: Literal["cpu", "cuda"]
    threads: int

    @classmethod
    def from_config(cls, config: "Config", split: str, recipe: str) -> Self:
        classify, recipe_settings = config.classify, config.classify.recipes[recipe]
        sources = (classify, classify.training, recipe_settings, recipe_settings.clip)
        return cls.taken(*sources, split=classify.splits[split])


def without_initial(recipe: RecipeSettings) -> RecipeSettings:
    """A recipe for a network that starts from another one of this project."""
    return recipe.model_copy(update={"initial": None})


def shorter(config: "Config") -> TrainingSettings:
    """The training of a hypothesis (Ch. 6): Chapter 5's, of as many epochs as hypotheses have."""
    return config.classify.training.model_copy(update={"epochs": config.shrink.epochs})
