"""What the tasks of soccer event spotting read (Ch. 4)."""

from typing import TYPE_CHECKING, Literal, Self

from pipeline.config.base import Settings
from pipeline.config.spot import (
    FrameBackboneSettings,
    HighlightSettings,
    SpotFrameSettings,
    SpotInferenceSettings,
    SpotNetworkSettings,
    SpotSettings,
    Version,
)

if TYPE_CHECKING:
    from pipeline.config.whole import Config


class BuildGame(Settings):
    """What looking at a game reads. ``annotated``: splits whose games must have labels."""

    version: Version
    use_video_ini: bool
    rate: float
    videos: str | None
    imported: tuple[str, ...]
    annotated: tuple[str, ...]

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        spot, splits = config.spot, config.spot.splits
        annotated = tuple(sorted({*splits.train, splits.validation, splits.test}))
        return cls.taken(spot.data, spot.frames, imported=imported_features(spot), annotated=annotated)


class ExtractGameFrames(Settings):
    """What storing a game's frames reads."""

    frames: SpotFrameSettings

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        return cls(frames=config.spot.frames)


class ExtractFrameFeatures(Settings):
    """What the extraction of features of frames reads."""

    backbone: FrameBackboneSettings
    crop: int | None
    batch: int
    precision: Literal["float32", "bfloat16", "float16"]
    device: Literal["cpu", "cuda"]
    threads: int

    @classmethod
    def from_config(cls, config: "Config", features: str) -> Self:
        return cls.taken(config.spot.features[features])


class FitPca(Settings):
    """What fitting a projection reads."""

    components: int
    train: tuple[str, ...]

    @classmethod
    def from_config(cls, config: "Config", features: str) -> Self:
        return cls(components=config.spot.features[features].pca or 0, train=config.spot.splits.train)


class TrainSpotter(Settings):
    """What one training of RMS-Net reads. ``frames``: of a network that sees pictures."""

    version: Version
    rate: float
    frames: SpotFrameSettings | None
    train: tuple[str, ...]
    validation: str
    network: SpotNetworkSettings
    seed: int

    @property
    def threads(self) -> int:
        return self.network.training.threads

    @classmethod
    def from_config(cls, config: "Config", network: str, seed: str) -> Self:
        spot = config.spot
        trained = spot.spotters[network].model_copy(update={"seeds": None})
        frames = spot.frames if trained.backbone else None
        return cls.taken(spot.data, spot.frames, spot.splits, frames=frames, network=trained, seed=int(seed))


class PredictSpots(Settings):
    """What spotting the games of a split reads."""

    split: str
    inference: SpotInferenceSettings
    batch: int
    device: Literal["cpu", "cuda"]
    threads: int

    @classmethod
    def from_config(cls, config: "Config", network: str, split: str) -> Self:
        spotter = config.spot.spotters[network]
        return cls.taken(spotter, spotter.training, split=split, batch=spotter.training.micro_batch)


class CountVotes(PredictSpots):
    """What counting votes reads."""


class EvaluateSpots(Settings):
    """What an evaluation of a split's predictions reads."""

    version: Version
    split: str

    @classmethod
    def from_config(cls, config: "Config", split: str) -> Self:
        return cls(version=config.spot.data.version, split=split)


class CutHighlights(Settings):
    """What cutting a game's highlights reads."""

    version: Version
    highlights: HighlightSettings

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        return cls.taken(config.spot, config.spot.data)


def imported_features(spot: SpotSettings) -> tuple[str, ...]:
    """What the files of imported features are called after the number of the half."""
    return tuple(sorted({features.imported for features in spot.features.values() if features.imported}))
