"""What the tables and figures read."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from pipeline.config.base import Settings
from pipeline.config.classify import STRATEGIES, RecipeSettings, StrategySettings, TrainingSettings
from pipeline.config.detect import DetectionSettings, FeatureSettings
from pipeline.config.privacy import DetectSettings, ObfuscateSettings
from pipeline.config.shrink import BaseNetworkSettings, FactorSettings
from pipeline.config.spot import SpotNetworkSettings, Version

if TYPE_CHECKING:
    from pipeline.config.whole import Config


Value = str | int | float | bool | tuple[int | float | str, ...] | None
# Where and how something is computed, from which file, and what is drawn at random: no part of a recipe.
_COMPUTED = {"device", "threads", "deterministic", "recompute_activations", "frames_at_once"}
_NO_RECIPE = frozenset(_COMPUTED | {"seed", "seeds", "weights", "initial"})


def decisive(settings: Settings, above: str = "") -> dict[str, Value]:
    """The values of settings that make a recipe, by their keys: ``clip.view.crop``."""
    values: dict[str, Value] = {}
    for name, value in settings:
        if isinstance(value, Settings):
            values |= decisive(value, f"{above}{name}.")
        elif name not in _NO_RECIPE:
            values[f"{above}{name}"] = value
    return values


class RecognitionValues(Settings):
    """What decides the results of Ch. 5, in a run or in the thesis."""

    rate: float | None
    training: TrainingSettings
    test_clips: int
    recipes: dict[str, RecipeSettings]
    strategies: dict[str, StrategySettings]
    detect: dict[str, DetectSettings] = Field(description="How people are found, by variant.")
    obfuscate: dict[str, ObfuscateSettings] = Field(description="How people are hidden, by variant.")

    @classmethod
    def values(cls, config: "Config", recipes: Iterable[str]) -> dict[str, Any]:
        """The fields, with these recipes of the configuration."""
        classify, privacy = config.classify, config.privacy
        return {
            "rate": config.sampling.rate,
            "training": classify.training,
            "test_clips": classify.test_clips,
            "recipes": {name: _named(classify.recipes[name]) for name in recipes},
            "strategies": {name: classify.strategies[name] for name in STRATEGIES},
            "detect": {what: getattr(privacy.detect, what) for what in privacy.what},
            "obfuscate": {what: getattr(privacy.obfuscate, what) for what in privacy.what},
        }


class DrawClassification(RecognitionValues):
    """What the tables and figures of Ch. 5 read."""

    dataset: str
    splits: tuple[str, ...] = Field(min_length=1)
    variants: tuple[Literal["faces", "bodies"], ...] = Field(description="The anonymised variants.")
    recipe: str = Field(description="The recipe of Tables 5.1 and 5.2 and of the figures.")
    compare: tuple[str, ...] = Field(description="The recipes compared in Table 5.3.")
    thesis: RecognitionValues
    departures: dict[str, str] = Field(description="Declared in the configuration, with their reasons.")

    @classmethod
    def from_config(cls, config: "Config", recipes: str | None = None) -> Self:
        """``recipes``: the names of those that are shown; None: of all."""
        classify = config.classify
        named = dict.fromkeys((classify.recipe, *classify.compare))
        return cls.taken(
            classify,
            config,
            splits=tuple(classify.splits),
            variants=config.privacy.what,
            thesis=_recognition_of_the_thesis(),
            departures=_departures(config, "classify", "privacy", "sampling"),
            **cls.values(config, _of(named, recipes)),
        )


class ShrinkageValues(Settings):
    """What decides how networks are shrunk (Ch. 6), in a run or in the thesis."""

    base: BaseNetworkSettings
    iterations: int
    factors: FactorSettings
    alpha: float | str
    temperature: float
    epochs: int = Field(description="Epochs of a hypothesis.")
    fine_tuning_rate: float


class DrawShrinkage(ShrinkageValues):
    """What the tables and figures of Ch. 6 read."""

    dataset: str
    splits: tuple[str, ...]
    recipes: tuple[str, ...] = Field(description="The base networks, in the order of the tables.")
    bases: dict[str, RecipeSettings] = Field(description="How each is trained.")
    training: TrainingSettings = Field(description="What their trainings have in common.")
    rate: float | None
    test_clips: int
    operators: dict[str, tuple[str, ...]] = Field(description="The hypotheses of each plan.")
    thesis: ShrinkageValues
    thesis_bases: RecognitionValues
    departures: dict[str, str] = Field(description="Declared in the configuration, with their reasons.")

    @classmethod
    def from_config(cls, config: "Config", plans: str | None = None) -> Self:
        """``plans``: the names of those that are shown; None: of all."""
        from pipeline.config.whole import of_the_thesis

        classify, shrink = config.classify, config.shrink
        return cls.taken(
            shrink,
            classify,
            config,
            base=_named_base(shrink.base),
            splits=tuple(classify.splits),
            bases={name: _named(classify.recipes[name]) for name in shrink.recipes},
            rate=config.sampling.rate,
            operators={name: shrink.plans[name].operators for name in _of(shrink.plans, plans)},
            thesis=ShrinkageValues.taken(of_the_thesis(_RECOGNITION).shrink),
            thesis_bases=_recognition_of_the_thesis(),
            departures=_departures(config, "classify", "shrink", "sampling"),
        )


class DrawArchitecture(Settings):
    """What the tables of architectures read."""

    recipes: tuple[str, ...] = Field(description="The base networks of Table 6.10.")
    iterations: int

    @classmethod
    def from_config(cls, config: "Config", name: str) -> Self:
        return cls.taken(config.shrink) if name == "table_6_10" else cls(recipes=(), iterations=0)


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
    recipes: dict[str, dict[str, Value]] = Field(description="How STAGE is trained on each of the features.")
    thesis: dict[str, dict[str, Value]] = Field(description="The same in the thesis, by its rows.")
    mean_over: tuple[str, ...] = Field(description="The datasets that Table 3.5 averages.")
    departures: dict[str, str] = Field(description="Declared in the configuration, with their reasons.")

    @classmethod
    def from_config(cls, config: "Config", features: str | None = None, name: str = "table_3_5") -> Self:
        """``features``: the names of those that are shown; None: of all. ``name``: of the table or figure."""
        detect = config.detect
        shown = {name: detect.features[name] for name in _of(detect.features, features)}
        return cls.taken(
            detect.keyframes,
            detect,
            config,
            features={name: feature_settings.compare_with for name, feature_settings in shown.items()},
            heads={name: feature_settings.heads for name, feature_settings in shown.items()},
            without_backbone=tuple(name for name, settings in shown.items() if not settings.backbone),
            recipes={name: _actor_recipe(detect, feature_settings) for name, feature_settings in shown.items()},
            thesis=_detection_of_the_thesis(),
            mean_over=detect.mean_over if name == "table_3_5" else (),
            departures=_departures(config, "detect"),
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
    trained: dict[str, dict[str, Value]] = Field(description="The networks' settings (`decisive`).")
    thesis: dict[str, dict[str, Value]] = Field(description="Those of the thesis's networks.")
    departures: dict[str, str] = Field(description="Declared in the configuration, with their reasons.")

    @classmethod
    def from_config(cls, config: "Config", networks: str | None = None) -> Self:
        """``networks``: the names of those that are shown; None: of all."""
        spot, splits = config.spot, config.spot.splits
        shown = {name: spot.spotters[name] for name in _of(spot.spotters, networks)}
        return cls.taken(
            config,
            spot.data,
            spot.frames,
            test=None if splits.test in splits.train else splits.test,
            validation=None if splits.validation in splits.train else splits.validation,
            networks={name: ReportedNetwork.of(spotter, spot.seeds) for name, spotter in shown.items()},
            trained={name: decisive(spotter) for name, spotter in shown.items()},
            thesis=_spotters_of_the_thesis(),
            departures=_departures(config, "spot"),
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


# The thesis's run of Ch. 5 and 6, in config/.
_RECOGNITION = "kinetics400"


def _recognition_of_the_thesis() -> RecognitionValues:
    from pipeline.config.whole import of_the_thesis

    config = of_the_thesis(_RECOGNITION)
    return RecognitionValues(**RecognitionValues.values(config, config.classify.recipes))


def _actor_recipe(detect: DetectionSettings, features: FeatureSettings) -> dict[str, Value]:
    values: dict[str, Value] = {
        "heads": features.heads,
        "learning_rate": features.learning_rate,
        "test_score": features.test_score,
    }
    values |= decisive(detect.training, "training.")
    if features.backbone:
        values |= decisive(features.backbone, "backbone.")
        del values["backbone.batch"]  # how many are computed at once
    if "stage" in detect.networks:
        values |= decisive(detect.networks["stage"], "networks.stage.")
    return values


def _detection_of_the_thesis() -> dict[str, dict[str, Value]]:
    from pipeline.config.whole import of_the_thesis

    recipes = {}
    for overlays in (("ava",), ("ava", "ava_2_2"), ("jhmdb21",), ("jhmdb21", "ucf101_24")):
        detect = of_the_thesis(*overlays).detect
        for features in detect.features.values():
            recipes[str(features.compare_with)] = _actor_recipe(detect, features)
    return recipes


def _spotters_of_the_thesis() -> dict[str, dict[str, Value]]:
    from pipeline.config.whole import of_the_thesis

    challenge = of_the_thesis("soccernet_v2").spot.spotters["challenge"]
    spotters = of_the_thesis("soccernet", "soccernet_finetuned").spot.spotters | {"challenge": challenge}
    return {name: decisive(spotter) for name, spotter in spotters.items()}


def _departures(config: "Config", *sections: str) -> dict[str, str]:
    """What the configuration declares of these sections."""
    return {key: reason for key, reason in config.departures.items() if key.split(".")[0] in sections}


def _named_base(base: BaseNetworkSettings) -> BaseNetworkSettings:
    """With a model file by its name, as where it lies says nothing."""
    return base if base.model is None else base.model_copy(update={"model": Path(base.model).name})


def _of(known: Iterable[str], shown: str | None) -> list[str]:
    """The names among these that are shown, in their order; ``shown``: as words, None: all."""
    return list(known) if shown is None else [name for name in known if name in shown.split()]


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
