"""What each stage of soccer event spotting reads of the configuration."""

from typing import Literal

from pipeline.config.base import Settings
from pipeline.config.spot import (
    FrameBackboneSettings,
    HighlightSettings,
    SpotFrameSettings,
    SpotInferenceSettings,
    SpotNetworkSettings,
)
from pipeline.spot.events import Version


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
    """What one training of RMS-Net reads."""

    version: Version
    rate: float
    train: tuple[str, ...]
    validation: str
    max_bad_fraction: float
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
    max_bad_fraction: float
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

    highlights: HighlightSettings


class ReportedNetwork(Settings):
    """What a table says of a network beside its figures."""

    input: str
    like: str | None
    backbone: str | None
    clip: int
    probability: float | None
    latest: float | None
    regression_weight: float
    seeds: tuple[int, ...]


class ReportSpottingStage(Settings):
    """What the tables and figures of Ch. 4 read. ``networks``: in the order of the configuration."""

    dataset: str
    version: Version
    rate: float
    test: str
    validation: str
    networks: dict[str, ReportedNetwork]
