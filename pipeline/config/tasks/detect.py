"""What the tasks of action detection read (Ch. 3)."""

from typing import TYPE_CHECKING, Literal, Self

from pipeline.config.base import Settings
from pipeline.config.detect import FeatureSettings, NetworkSettings, StageTrainingSettings
from pipeline.config.detect_features import (
    ActorBackboneSettings,
    BackboneTrainingSettings,
    BoxSettings,
    DetectorTrainingSettings,
    KeyframeSettings,
    ObjectSettings,
)
from pipeline.config.training import TrainingTask

if TYPE_CHECKING:
    from pipeline.config.whole import Config


class TrainDetector(Settings):
    """What the training of a detector reads."""

    detector: DetectorTrainingSettings
    start: float

    @property
    def threads(self) -> int:
        return self.detector.threads

    @classmethod
    def from_config(cls, config: "Config") -> Self | None:
        return cls.taken(config.detect, config.detect.keyframes) if config.detect.detector else None


class DetectObjects(Settings):
    """What the search for people and objects reads."""

    keyframes: KeyframeSettings
    objects: ObjectSettings

    @classmethod
    def from_config(cls, config: "Config") -> Self | None:
        return cls.taken(config.detect) if config.detect.objects else None


class ImportObjects(Settings):
    """What an import of published objects reads."""

    keyframes: KeyframeSettings
    score: float

    @classmethod
    def from_config(cls, config: "Config") -> Self | None:
        objects = config.detect.objects
        return cls.taken(objects, config.detect) if objects else None


class TrainBackbone(TrainingTask):
    """What the training of an actor backbone reads."""

    backbone: ActorBackboneSettings
    rate: float | None
    start: float
    training: BackboneTrainingSettings

    @classmethod
    def from_config(cls, config: "Config", features: str) -> Self | None:
        source = config.detect.features[features].backbone
        if source is None or source.training is None:
            return None
        return cls.taken(source, config.detect.keyframes, backbone=source.network)


class ExtractActorFeatures(Settings):
    """What the extraction of actors' features reads. ``boxes.score``: the lower one of training and tests."""

    network: ActorBackboneSettings
    keyframes: KeyframeSettings
    boxes: BoxSettings
    rate: float | None
    half_precision: bool
    batch: int
    precision: Literal["float32", "bfloat16", "float16"]
    device: Literal["cpu", "cuda"]
    threads: int

    @classmethod
    def from_config(cls, config: "Config", features: str) -> Self | None:
        feature_settings = config.detect.features[features]
        return cls.of(feature_settings, config.detect.keyframes) if feature_settings.backbone else None

    @classmethod
    def of(cls, features: FeatureSettings, keyframes: KeyframeSettings) -> Self:
        """What the extraction of these features reads, on these keyframes."""
        source = features.backbone
        assert source is not None
        lowest = min(source.boxes.score, features.test_score)
        return cls.taken(source, keyframes=keyframes, boxes=source.boxes.model_copy(update={"score": lowest}))


class ImportActorFeatures(Settings):
    """What an import of published features reads."""

    layout: Literal["i3d", "slowfast"]
    half_precision: bool

    @classmethod
    def from_config(cls, config: "Config", features: str) -> Self | None:
        imported = config.detect.features[features].imported
        return cls.taken(imported) if imported else None


class TrainStage(TrainingTask):
    """What one training of STAGE reads."""

    train: tuple[str, ...]
    validation: str
    step: float
    train_score: float
    test_score: float
    heads: int
    learning_rate: float
    network: NetworkSettings
    training: StageTrainingSettings
    capacity: int
    seed: int

    @classmethod
    def from_config(cls, config: "Config", features: str, network: str, seed: str) -> Self:
        detect = config.detect
        feature_settings = detect.features[features]
        return cls.taken(
            feature_settings,
            detect.splits,
            detect.keyframes,
            detect,
            train_score=detect.train_score(features),
            network=detect.networks[network],
            seed=int(seed),
        )


class EvaluateStage(Settings):
    """What an evaluation of detections reads. ``score`` and ``clips``: without a network, whose own they are else."""

    test: str
    boxes: Literal["detected", "annotated"]
    step: float
    clips: int
    score: float
    iou: float
    capacity: int
    device: Literal["cpu", "cuda"]
    threads: int

    @classmethod
    def from_config(cls, config: "Config", features: str, boxes: Literal["detected", "annotated"] = "detected") -> Self:
        detect = config.detect
        score = detect.features[features].test_score
        sources = (detect.splits, detect.keyframes, detect.training, detect)
        return cls.taken(*sources, boxes=boxes, score=score, iou=0.5)
