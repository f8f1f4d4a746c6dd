"""Settings of the features of people and objects that action detection works on (Ch. 3)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.config.base import Device, Name, Paths, Precision, Settings, Threads
from pipeline.config.names import ActorBackboneName

DetectorName = Literal["resnet50_fpn_v2", "mobilenet_v2_fpn"]


class KeyframeSettings(Settings):
    """When clips are. Frames that the annotation or the proposals name are keyframes in any case."""

    step: float = Field(
        gt=0,
        description="Seconds between two consecutive clips, which are linked over time. The thesis, AVA: 1 (Sec. "
        "3.2.1).",
    )
    start: float = Field(
        description="Seconds: the annotation's time at a video's beginning. 0: whole videos; 900: AVA's cut to their "
        "15 minutes."
    )
    first: float | None = Field(
        description="Seconds: keyframes from here on, every `step`. null: only those that annotation or proposals "
        "name. Set it for videos without annotation."
    )
    last: float | None = Field(description="Seconds: the last of those. null: the video's end.")


class DetectorTrainingSettings(Settings):
    """Training a detector on one's own boxes."""

    initial: str | None = Field(
        description="torchvision's MobileNetV2 weights (ImageNet). null: the registered ones (`acta weights list`)."
    )
    classes: tuple[str, ...] = Field(
        min_length=1, description="What the boxes of `detector_boxes` are of, `person` among it."
    )
    short_side: int = Field(
        ge=32,
        le=4096,
        description="Pixels to which pictures are scaled. Raise it for small objects; cost grows with its square.",
    )
    feature_size: int = Field(
        ge=16,
        le=4096,
        description="Numbers of the box head, which are an object's features. The thesis's detector has 2048 (Sec. "
        "3.2.2).",
    )
    epochs: int = Field(ge=1, le=10_000, description="Each shows every picture once.")
    batch: int = Field(
        ge=1, description="Pictures in an optimiser step; change the learning rate with it in proportion."
    )
    learning_rate: float = Field(gt=0, description="Of SGD, at the end of the warm-up; half a cosine down to 0.")
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum; 0.9 is usual.")
    weight_decay: float = Field(
        ge=0, description="Weight decay of SGD, on all parameters. Raise it when a network overfits."
    )
    warmup_epochs: float = Field(
        ge=0,
        description="Epochs in which the learning rate rises in a line. Raise it when the loss is not finite at the "
        "start.",
    )
    precision: Precision
    device: Device
    threads: Threads
    seed: int = Field(ge=0, description="Of weights, order and cuts.")

    @property
    def micro_batch(self) -> int:
        return self.batch

    @property
    def schedule(self) -> Literal["cosine"]:
        return "cosine"

    @property
    def step_epochs(self) -> float:
        return 1.0


class ObjectSettings(Settings):
    """What finds objects, and people where no proposals are given."""

    renamed: ClassVar[Mapping[str, str]] = {"most": "max_detections"}

    imported: Paths = Field(
        description="Another detector's features (HDF5), by split, as the thesis has 2048 numbers by a detector of "
        "Visual Genome (Sec. 3.2.2); people then come from `data.proposals`. {}: none."
    )
    weights: str | None = Field(
        description="A detector of `acta task train_detector` (.safetensors) or torchvision's Faster R-CNN v2 (.pth). "
        "null: the registered one (COCO), unless `detector` is trained."
    )
    score: float = Field(
        ge=0, le=1, description="Objects below it are no nodes. Lower gives larger graphs with more that is nothing."
    )
    person_score: float = Field(
        ge=0,
        le=1,
        description="People below it are not kept at all; where `data.proposals` are given, those have scores of "
        "their own.",
    )
    max_detections: int = Field(ge=1, le=1000, description="The surest of a keyframe that are kept.")
    device: Device
    threads: Threads


class BoxSettings(Settings):
    """Which boxes of people become actors of a backbone (Sec. 3.2.2)."""

    score: float = Field(
        ge=0,
        le=1,
        description="Lowest score of a detected box that trains. The thesis: any (0) for I3D, 0.9 for the others "
        "(Sec. 3.2.2).",
    )
    iou: float = Field(
        gt=0,
        le=1,
        description="Overlap from which a detected box gets the labels of an annotated one. The thesis: 0.5 for I3D, "
        "0.9 for the others (Sec. 3.2.2).",
    )


class ActorBackboneSettings(Settings):
    """A network that gives features of actors (`pipeline.models.actor_backbones.ActorBackbone`)."""

    name: ActorBackboneName = Field(
        description="Which published network. The thesis: i3d, r101_i3d_nl and SlowFast-NL (Sec. 3.2.2)."
    )
    width: float = Field(
        gt=0, le=4, description="Factor on every number of channels. 1: as published, which published weights need."
    )
    frames: int | None = Field(
        ge=1, description="Consecutive frames of a clip. null: as published, which published weights need."
    )


class BackboneTrainingSettings(Settings):
    """How a backbone is trained on annotated boxes, as I3D is on AVA."""

    initial: str | None = Field(
        description="Published weights to start from. null: random ones (the demo). The thesis: Kinetics-400 (Sec. "
        "3.2.2)."
    )
    trainable: Literal["mixed_5", "all"] = Field(
        description="mixed_5: of I3D only what follows Mixed_4f, as in the thesis (Sec. 3.2.2). all: everything."
    )
    dropout: float = Field(ge=0, lt=1, description="Drop rate before the classifier.")
    flip: bool = Field(description="Mirror half of the clips. Turn it off where left and right matter.")
    epochs: int = Field(
        ge=1, le=10_000, description="Each shows every annotated keyframe once. The thesis: 10 (Sec. 3.2.2)."
    )
    batch: int = Field(
        ge=1,
        description="Keyframes in an optimiser step, over all processes; change the learning rate with it in "
        "proportion.",
    )
    micro_batch: int = Field(
        ge=1,
        description="Keyframes that a process computes at once; gradients are summed up to `batch`. 1 where videos "
        "have different widths.",
    )
    learning_rate: float = Field(gt=0, description="Of SGD, at the end of the warm-up.")
    warmup_epochs: float = Field(ge=0, description="Epochs in which the learning rate rises in a line.")
    schedule: Literal["step", "cosine"] = Field(
        description="After the warm-up: divided by 10 every `step_epochs`, or half a cosine down to 0."
    )
    step_epochs: float = Field(gt=0, description="step: epochs between two divisions by 10.")
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum; 0.9 is usual.")
    weight_decay: float = Field(
        ge=0, description="Weight decay of SGD, on all parameters. Raise it when a network overfits."
    )
    precision: Precision
    device: Device
    threads: Threads
    seed: int = Field(ge=0, description="Of weights, order and cuts.")


class ImportedFeaturesSettings(Settings):
    """Features that others published (`acta task import_actor_features`)."""

    renamed: ClassVar[Mapping[str, str]] = {"half": "half_precision"}

    layout: Literal["i3d", "slowfast"] = Field(description="i3d: a file for each keyframe. slowfast: one file.")
    actors: Paths = Field(min_length=1, description="Features of people by split: a folder (i3d) or a file (slowfast).")
    objects: Paths = Field(description="File of objects' features, by split. {}: none.")
    frame_lists: Paths = Field(
        description="PySlowFast's frame lists by split, where the file numbers its videos. {}: it names them."
    )
    half_precision: bool = Field(description="Store features as float16, half the disk space. false: float32.")


class BackboneFeaturesSettings(Settings):
    """Features by a backbone."""

    renamed: ClassVar[Mapping[str, str]] = {"half": "half_precision"}

    network: ActorBackboneSettings = Field(description="The network that sees the clip around a keyframe.")
    weights: str | None = Field(
        description="A model file (docs/weights.md), as the thesis takes the published ones of R101-I3D-NL and "
        "SlowFast-NL (Sec. 3.2.2). null: trained here, by `training`."
    )
    training: BackboneTrainingSettings | None = Field(
        description="Trains the network on the annotated boxes, as the thesis fine-tunes I3D (Sec. 3.2.2). null: "
        "`weights` are used as they are."
    )
    rate: float | None = Field(
        description="Frames per second in a clip. null: as published, which published weights need."
    )
    boxes: BoxSettings = Field(description="Which boxes of people become actors, and which of them get labels.")
    half_precision: bool = Field(description="Store features as float16, half the disk space. false: float32.")
    batch: int = Field(ge=1, description="Keyframes computed at once. Lower it when memory is short.")
    precision: Literal["float32", "bfloat16"] = Field(
        description="`bfloat16`: mixed precision, which saves time and memory on GPUs that have it."
    )
    device: Device
    threads: Threads

    @model_validator(mode="after")
    def _has_weights(self) -> "BackboneFeaturesSettings":
        if (self.weights is None) == (self.training is None):
            raise ValueError("give one of `weights` and `training`, and null for the other")
        return self


class FeatureSettings(Settings):
    """Features of actors, from one of three sources, and what STAGE needs to know of them (Sec. 3.2.2)."""

    renamed: ClassVar[Mapping[str, str]] = {"like": "compare_with", "averaged": "average_of"}

    compare_with: str | None = Field(
        description="The thesis's rows beside which results stand: i3d, r101_i3d_nl, slowfast_nl_8x8, "
        "slowfast_nl_16x8, averaged, action_tubes or amtnet. null: none."
    )
    heads: int = Field(
        ge=1,
        description="Attention heads, where a network does not say. The thesis: 4 for I3D, 2 for the others (Sec. "
        "3.3, Table 3.6).",
    )
    learning_rate: float = Field(
        gt=0,
        description="Of Adam, in STAGE's training on these features. The thesis: 6.25e-5 for I3D, 1e-5 for the "
        "others (Sec. 3.2.2).",
    )
    test_score: float = Field(
        ge=0,
        le=1,
        description="Lowest score of a detected box in tests. The thesis: 0.7 for I3D, 0.8 for the others (Sec. "
        "3.2.2).",
    )
    backbone: BackboneFeaturesSettings | None = Field(
        description="A network computes them from the videos. null: another source."
    )
    imported: ImportedFeaturesSettings | None = Field(
        description="Published ones are read (`acta task import_actor_features`). null: another source."
    )
    average_of: Annotated[tuple[Name, Name], Field(strict=False)] | None = Field(
        description="Names of two other features, averaged (Table 3.3). null: another source."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> "FeatureSettings":
        if sum(source is not None for source in (self.backbone, self.imported, self.average_of)) != 1:
            raise ValueError("give one of `backbone`, `imported` and `averaged`, and null for the others")
        return self

    @property
    def has_baseline(self) -> bool:
        """Whether the features come with the scores of their backbone's own classifier."""
        return self.backbone is not None
