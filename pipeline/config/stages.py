"""The part of the configuration that each stage reads: what decides whether it reruns."""

from typing import Literal

from pydantic import model_validator

from pipeline.config.base import Settings, Variant, What
from pipeline.config.classify import RecipeSettings, SplitSettings, StrategySettings, TrainingSettings
from pipeline.config.data import FrameSettings, SamplingSettings
from pipeline.config.detect import (
    ActorBackboneSettings,
    BackboneTrainingSettings,
    BoxSettings,
    DetectorTrainingSettings,
    KeyframeSettings,
    NetworkSettings,
    ObjectSettings,
    StageTrainingSettings,
)
from pipeline.config.privacy import (
    Auditor,
    ContactSheetSettings,
    FindSettings,
    ObfuscateSettings,
    Score,
    SearchSettings,
    check_detector,
)
from pipeline.config.shrink import Operator


class NoSettings(Settings):
    """For stages that read no settings."""


class FramesStage(Settings):
    """What the frames stage reads."""

    sampling: SamplingSettings
    frames: FrameSettings


class DetectStage(Settings):
    """What the detect-people stage reads."""

    what: What
    sampling: SamplingSettings
    detect: SearchSettings

    @model_validator(mode="after")
    def _detector_finds_what_is_wanted(self) -> "DetectStage":
        check_detector(self.what, self.detect.detector)
        faces = self.detect.faces
        if self.what == "bodies":
            if faces is None:
                raise ValueError(
                    "`detect.faces` is null, but for what: bodies it must say how the faces are found that are hidden "
                    f"with them, by the keys {', '.join(FindSettings.model_fields)}"
                )
            check_detector("faces", faces.detector)
        elif faces is not None:
            raise ValueError(
                f"`detect.faces` names the detector {faces.detector!r}, but for what: faces it must be null, as "
                "`detect` itself says how faces are found"
            )
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


class TrainDetectionStage(Settings):
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

    @property
    def epochs(self) -> int:
        return self.training.epochs

    @property
    def precision(self) -> Literal["float32", "bfloat16", "float64"]:
        return self.training.precision

    @property
    def threads(self) -> int:
        return self.training.threads


class EvaluateDetectionStage(Settings):
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


class ImportObjectsStage(Settings):
    """What an import of published objects reads."""

    keyframes: KeyframeSettings
    score: float


class ImportFeaturesStage(Settings):
    """What an import of published features reads."""

    layout: Literal["i3d", "slowfast"]
    half: bool


class TrainDetectorStage(Settings):
    """What the training of a detector reads."""

    detector: DetectorTrainingSettings
    start: float


class DetectObjectsStage(Settings):
    """What the search for people and objects reads."""

    keyframes: KeyframeSettings
    objects: ObjectSettings


class TrainBackboneStage(Settings):
    """What the training of an actor backbone reads."""

    backbone: ActorBackboneSettings
    rate: float | None
    start: float
    training: BackboneTrainingSettings


class ActorFeaturesStage(Settings):
    """What the extraction of actors' features reads. ``boxes.score``: the lower one of training and tests."""

    network: ActorBackboneSettings
    keyframes: KeyframeSettings
    boxes: BoxSettings
    rate: float | None
    half: bool
    batch: int
    precision: Literal["float32", "bfloat16"]
    device: Literal["cpu", "cuda"]
    threads: int


class HalveStage(Settings):
    """What halving reads."""

    operators: tuple[str, ...]
    keep: int
