"""What the tables and figures read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from pipeline.config.base import Settings
from pipeline.config.classify import STRATEGIES, RecipeSettings, StrategySettings
from pipeline.config.shrink import FactorSettings
from pipeline.config.spot import SpotNetworkSettings, Version

if TYPE_CHECKING:
    from pipeline.config.whole import Config


class DrawClassification(Settings):
    """What the tables and figures of Ch. 5 read."""

    dataset: str
    splits: tuple[str, ...] = Field(min_length=1)
    variants: tuple[Literal["faces", "bodies"], ...] = Field(description="The anonymised variants.")
    recipe: str = Field(description="The recipe of Tables 5.1 and 5.2 and of the figures.")
    compare: tuple[str, ...] = Field(description="The recipes compared in Table 5.3.")
    recipes: dict[str, RecipeSettings] = Field(description="All of these recipes.")
    strategies: dict[str, StrategySettings] = Field(description="The strategies of the tables.")
    epochs: int
    test_clips: int

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        classify = config.classify
        return cls.taken(
            classify,
            classify.training,
            config,
            splits=tuple(classify.splits),
            variants=config.privacy.what,
            recipes={name: _named(classify.recipes[name]) for name in (classify.recipe, *classify.compare)},
            strategies={name: classify.strategies[name] for name in STRATEGIES},
        )


class DrawShrinkage(Settings):
    """What the tables and figures of Ch. 6 read."""

    dataset: str
    splits: tuple[str, ...]
    recipes: tuple[str, ...] = Field(description="The base networks, in the order of the tables.")
    bases: dict[str, RecipeSettings] = Field(description="How each is trained.")
    base_epochs: int
    test_clips: int
    iterations: int
    operators: dict[str, tuple[str, ...]] = Field(description="The hypotheses of each plan.")
    factors: FactorSettings
    alpha: float
    temperature: float
    epochs: int = Field(description="Epochs of a hypothesis.")

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        classify, shrink = config.classify, config.shrink
        return cls.taken(
            shrink,
            classify,
            config,
            splits=tuple(classify.splits),
            bases={name: _named(classify.recipes[name]) for name in shrink.recipes},
            base_epochs=classify.training.epochs,
            operators={name: plan.operators for name, plan in shrink.plans.items()},
        )


class DrawArchitecture(Settings):
    """What the tables of architectures read."""

    recipes: tuple[str, ...] = Field(description="The base networks of Table 6.10.")
    iterations: int

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        return cls.taken(config.shrink)


class DrawDetection(Settings):
    """What the tables and figures of Ch. 3 read."""

    dataset: str
    features: dict[str, str | None] = Field(
        min_length=1, description="The thesis's rows to show next to each of the features."
    )
    heads: dict[str, int] = Field(description="STAGE's attention heads, by features.")
    seeds: tuple[int, ...] = Field(min_length=1, description="Seeds of the trainings.")
    start: float = Field(description="The annotation's time at a video's beginning, in seconds.")
    without_backbone: tuple[str, ...] = Field(
        default=(), description="Features that come without the scores of their backbone's own classifier."
    )

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        detect = config.detect
        features = detect.features
        return cls.taken(
            detect.keyframes,
            detect,
            config,
            features={name: feature_settings.compare_with for name, feature_settings in features.items()},
            heads={name: feature_settings.heads for name, feature_settings in features.items()},
            without_backbone=tuple(name for name, settings in features.items() if not settings.backbone),
        )


class ReportedNetwork(Settings):
    """What a table says about a network in addition to its results."""

    input: str
    backbone: str | None
    clip: int
    probability: float | None
    max_offset: float | None
    regression_weight: float
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, network: SpotNetworkSettings, seeds: tuple[int, ...]) -> Self:
        masking = network.masking
        return cls.taken(
            network,
            backbone=network.backbone.name if network.backbone else None,
            probability=masking.probability if masking else None,
            max_offset=masking.max_offset if masking else None,
            seeds=network.seeds or seeds,
        )


class DrawSpotting(Settings):
    """What the tables and figures of Ch. 4 read. ``networks``: in the order of the configuration.

    ``test``, ``validation``: None where that split's games train.
    """

    dataset: str
    version: Version
    rate: float
    test: str | None
    validation: str | None
    networks: dict[str, ReportedNetwork]

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        spot, splits = config.spot, config.spot.splits
        return cls.taken(
            config,
            spot.data,
            spot.frames,
            test=None if splits.test in splits.train else splits.test,
            validation=None if splits.validation in splits.train else splits.validation,
            networks={name: ReportedNetwork.of(spotter, spot.seeds) for name, spotter in spot.spotters.items()},
        )


class ReportOverview(Settings):
    """What the first item of the page says of the configuration."""

    dataset: str = Field(description="Name of the dataset.")
    demo: bool = Field(description="Whether the videos are the demo's.")
    configuration: dict[str, Any] = Field(description="The whole configuration, but for where the data lie.")

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        content = _without_places(config.model_dump(mode="json"))
        return cls.taken(config, demo=config.data.adapter == "demo", configuration=content)


def _named(recipe: RecipeSettings) -> RecipeSettings:
    """A recipe for a table, which gives no more of its weights than their name."""
    return recipe if recipe.initial is None else recipe.model_copy(update={"initial": Path(recipe.initial).name})


def _without_places(content: Any) -> Any:
    """The configuration with the last part of each path: moving data reruns nothing, and a page tells no one's disk."""
    if isinstance(content, dict):
        return {key: _without_places(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_places(value) for value in content]
    return content.rsplit("/", 1)[-1] if isinstance(content, str) else content
