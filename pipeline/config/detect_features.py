"""Settings of keyframes, people and objects, and of the networks that find and describe them (Ch. 3)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from pipeline.config.base import Count, Device, DropRate, Fraction, Paths, Settings, Threads, Width
from pipeline.config.names import ActorBackboneName
from pipeline.config.training import BatchSettings, CosineSettings, Epochs, ScheduleSettings, SgdSettings

DetectorName = Literal["resnet50_fpn_v2", "mobilenet_v2_fpn"]


class KeyframeSettings(Settings):
    """The times of clips. Frames that the annotation or the proposals name are always keyframes."""

    step: PositiveFloat = Field(
        description="Seconds between two consecutive clips, which are linked over time. The thesis, AVA: 1 (Sec. "
        "3.2.1)."
    )
    start: float = Field(
        description="Seconds: the annotation's time at a video's beginning. 0: whole videos; 900: AVA's cut to their "
        "15 minutes."
    )
    first: float | None = Field(
        description="Seconds: keyframes from here on, every `step`. null: only those that annotation or proposals "
        "name. Set it for videos without annotation."
    )
    last: float | None = Field(description="Seconds: the last of these keyframes. null: the video's end.")


class DetectorTrainingSettings(CosineSettings, SgdSettings):
    """Training a detector on your own boxes."""

    initial: str | None = Field(
        description="torchvision's MobileNetV2 weights (ImageNet). null: the registered ones (`acta weights list`)."
    )
    classes: tuple[str, ...] = Field(min_length=1, description="The classes in `detector_boxes`, including `person`.")
    short_side: int = Field(
        ge=32,
        le=4096,
        description="Pixels to which pictures are scaled. Raise it for small objects; cost grows with its square.",
    )
    feature_size: int = Field(
        ge=16,
        le=4096,
        description="Size of the box head's output, an object's features. The thesis's detector has 2048 (Sec. 3.2.2).",
    )
    batch: Count = Field(description="Pictures in an optimiser step; change the learning rate with it in proportion.")
    seed: NonNegativeInt = Field(description="Seed of weights, order and cuts.")

    @property
    def micro_batch(self) -> int:
        return self.batch


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
    score: Fraction = Field(
        description="Objects with a lower score are no nodes. Lower it for larger graphs with more false objects."
    )
    person_score: Fraction = Field(
        description="People with a lower score are dropped; `data.proposals`, if given, have scores of their own."
    )
    max_detections: int = Field(ge=1, le=1000, description="The most confident of a keyframe that are kept.")
    device: Device
    threads: Threads


class BoxSettings(Settings):
    """Which boxes of people become actors of a backbone (Sec. 3.2.2)."""

    score: Fraction = Field(
        description="Lowest score of a detected box that trains. The thesis: any (0) for I3D, 0.9 for the others (Sec. "
        "3.2.2)."
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
    width: Width = Field(
        description="Factor on every number of channels. 1: as published, which published weights need."
    )
    frames: Count | None = Field(
        description="Consecutive frames of a clip. null: as published, which published weights need."
    )


class BackboneTrainingSettings(ScheduleSettings, BatchSettings, SgdSettings):
    """How a backbone is trained on annotated boxes, as I3D is on AVA."""

    initial: str | None = Field(
        description="Published weights to start from. null: random ones (the demo). The thesis: Kinetics-400 (Sec. "
        "3.2.2)."
    )
    trainable: Literal["mixed_5", "all"] = Field(
        description="mixed_5: of I3D only what follows Mixed_4f, as in the thesis (Sec. 3.2.2). all: everything."
    )
    dropout: DropRate = Field(description="Drop rate before the classifier.")
    flip: bool = Field(description="Mirror half of the clips. Turn it off where left and right matter.")
    epochs: Epochs = Field(description="Each shows every annotated keyframe once. The thesis: 10 (Sec. 3.2.2).")
    micro_batch: Count = Field(
        description="Keyframes that a process computes at once; gradients are summed up to `batch`. 1 where videos "
        "have different widths.",
    )
    seed: NonNegativeInt = Field(description="Seed of weights, order and cuts.")
