"""What each stage of soccer event spotting reads of the configuration."""

from typing import Literal

from pipeline.config.base import Settings
from pipeline.config.spot import (
    FrameBackboneSettings,
    FrameFeatureSettings,
    HighlightSettings,
    SpotFrameSettings,
    SpotInferenceSettings,
    SpotNetworkSettings,
    SpotSettings,
    Version,
)


class SpotGameStage(Settings):
    """What looking at a game reads. ``annotated``: splits whose games must have labels."""

    version: Version
    ini: bool
    rate: float
    videos: str | None
    imported: tuple[str, ...]
    annotated: tuple[str, ...]


class SpotFramesStage(Settings):
    """What storing a game's frames reads."""

    frames: SpotFrameSettings


class FrameFeaturesStage(Settings):
    """What the extraction of features of frames reads."""

    backbone: FrameBackboneSettings
    crop: int | None
    batch: int
    precision: Literal["float32", "bfloat16"]
    device: Literal["cpu", "cuda"]
    threads: int


class FitPcaStage(Settings):
    """What fitting a projection reads."""

    components: int
    train: tuple[str, ...]


class TrainSpottingStage(Settings):
    """What one training of RMS-Net reads. ``frames``: of a network that sees pictures."""

    version: Version
    rate: float
    frames: SpotFrameSettings | None
    train: tuple[str, ...]
    validation: str
    network: SpotNetworkSettings
    seed: int

    @property
    def epochs(self) -> int:
        return self.network.training.epochs

    @property
    def precision(self) -> Literal["float32", "bfloat16", "float64"]:
        return self.network.training.precision

    @property
    def threads(self) -> int:
        return self.network.training.threads


class PredictSpotsStage(Settings):
    """What spotting the games of a split reads."""

    split: str
    inference: SpotInferenceSettings
    batch: int
    device: Literal["cpu", "cuda"]
    threads: int


class EvaluateSpotsStage(Settings):
    """What an evaluation of a split's predictions reads."""

    version: Version
    split: str


class HighlightsStage(Settings):
    """What cutting a game's highlights reads."""

    version: Version
    highlights: HighlightSettings


class ReportedNetwork(Settings):
    """What a table says of a network beside its figures."""

    input: str
    backbone: str | None
    clip: int
    probability: float | None
    latest: float | None
    regression_weight: float
    seeds: tuple[int, ...]


class ReportSpottingStage(Settings):
    """What the tables and figures of Ch. 4 read. ``networks``: in the order of the configuration.

    ``test``, ``validation``: None where that split's games train.
    """

    dataset: str
    version: Version
    rate: float
    test: str | None
    validation: str | None
    networks: dict[str, ReportedNetwork]


def spot_stage(
    spot: SpotSettings, dataset: str, stage: str, features: str, network: str, seed: str, split: str
) -> Settings | None:
    """The part of the configuration that a stage of this chapter reads; None: it is no stage of it."""
    data, splits = spot.data, spot.splits
    match stage:
        case "spot-game":
            return SpotGameStage(
                version=data.version,
                ini=data.ini,
                rate=spot.frames.rate,
                videos=data.videos,
                imported=imported_features(spot),
                annotated=tuple(sorted({*splits.train, splits.validation, splits.test})),
            )
        case "spot-frames":
            return SpotFramesStage(frames=spot.frames)
        case "frame-features":
            return frame_features_stage(spot.features[features])
        case "fit-pca":
            return FitPcaStage(components=spot.features[features].pca or 0, train=splits.train)
        case "train-spotting":
            trained = spot.spotters[network].model_copy(update={"seeds": None})
            return TrainSpottingStage(
                version=data.version,
                rate=spot.frames.rate,
                frames=spot.frames if trained.backbone else None,
                train=splits.train,
                validation=splits.validation,
                network=trained,
                seed=int(seed),
            )
        case "predict-spots":
            chosen = spot.spotters[network]
            return PredictSpotsStage(
                split=split,
                inference=chosen.inference,
                batch=chosen.training.micro_batch,
                device=chosen.training.device,
                threads=chosen.training.threads,
            )
        case "evaluate-spots":
            return EvaluateSpotsStage(version=data.version, split=split)
        case "cut-highlights":
            return HighlightsStage(version=data.version, highlights=spot.highlights)
        case "report-spotting":
            return ReportSpottingStage(
                dataset=dataset,
                version=data.version,
                rate=spot.frames.rate,
                test=None if splits.test in splits.train else splits.test,
                validation=None if splits.validation in splits.train else splits.validation,
                networks={name: _reported(chosen, spot.seeds) for name, chosen in spot.spotters.items()},
            )
    return None


def imported_features(spot: SpotSettings) -> tuple[str, ...]:
    """What the files of imported features are called after the number of the half."""
    return tuple(sorted({chosen.imported for chosen in spot.features.values() if chosen.imported}))


def frame_features_stage(features: FrameFeatureSettings) -> FrameFeaturesStage:
    """What the extraction of these features reads."""
    assert features.backbone is not None
    return FrameFeaturesStage(
        backbone=features.backbone,
        crop=features.crop,
        batch=features.batch,
        precision=features.precision,
        device=features.device,
        threads=features.threads,
    )


def _reported(network: SpotNetworkSettings, seeds: tuple[int, ...]) -> ReportedNetwork:
    return ReportedNetwork(
        input=network.input,
        backbone=network.backbone.name if network.backbone else None,
        clip=network.clip,
        probability=network.masking.probability if network.masking else None,
        latest=network.masking.latest if network.masking else None,
        regression_weight=network.regression_weight,
        seeds=network.seeds or seeds,
    )
