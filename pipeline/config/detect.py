"""Settings of action detection (Ch. 3)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.config.base import Name, Settings
from pipeline.config.data import FrameSettings, SamplingSettings

FeatureName = Literal["i3d", "r101_i3d_nl", "slowfast_nl"]
DetectorName = Literal["resnet50_fpn_v2", "mobilenet_v2_fpn"]


def _without_nulls(value: Any) -> Any:
    """An overlay takes an entry of config.yaml away by null."""
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


Paths = Annotated[dict[Name, str], BeforeValidator(_without_nulls)]


class NetworkSettings(Settings):
    """STAGE, or one of its ablations (Tables 3.6 to 3.8)."""

    layers: int = Field(ge=0, le=16, description="Graph-attention layers. 0: a linear classifier, no graph.")
    heads: int | None = Field(description="Attention heads of a layer. null: those of the features.")
    receptive_field: int = Field(
        ge=1, description="Clips that a layer links a clip with, itself among them; odd. 1: no links over time."
    )
    attention: Literal["additive", "dot"] = Field(description="additive: Eq. 3.3. dot: Eq. 3.10 (Transformer).")
    proximity: Literal["boxes", "features", "none"] = Field(description="Of an edge: Eq. 3.1, Eq. 3.11, or 1.")
    objects: bool = Field(description="Whether objects are nodes.")
    actor_actor: bool = Field(description="Whether actors are linked with actors, themselves among them.")
    object_object: bool = Field(description="Whether objects are linked with objects, themselves among them.")
    dropout: float = Field(ge=0, lt=1, description="On the nodes and on the output of a head.")

    @model_validator(mode="after")
    def _odd(self) -> "NetworkSettings":
        if self.receptive_field % 2 == 0:
            raise ValueError(f"`receptive_field` {self.receptive_field} is not odd")
        return self


class StageTrainingSettings(Settings):
    """How STAGE is trained (Sec. 3.2.2)."""

    clips: int = Field(ge=1, le=1024, description="Consecutive clips in a block: one graph.")
    batch: int = Field(ge=1, description="Blocks in an optimiser step.")
    epochs: int = Field(ge=1, le=10_000, description="At most; each shows every clip once.")
    drop_patience: int = Field(ge=1, description="Epochs without a better validation mAP, then a tenth of the rate.")
    stop_patience: int = Field(ge=1, description="Such epochs after the first drop, then training ends.")
    loss: Literal["sigmoid", "softmax"] = Field(
        description="sigmoid: cross entropy of each action (AVA). softmax: one label an actor (J-HMDB-21, UCF101-24)."
    )
    boxes: Literal["all", "annotated", "detected"] = Field(description="Actors that train.")
    precision: Literal["float32", "bfloat16", "float64"] = Field(
        description="bfloat16: automatic mixed precision, on a GPU."
    )
    device: Literal["cpu", "cuda"] = Field(description="Where to compute. Part of the result.")
    threads: int = Field(ge=1, le=256, description="Compute threads on a CPU. Part of the result.")

    @property
    def micro_batch(self) -> int:
        """All blocks of a step are one padded batch."""
        return self.batch


class DetectionSplitSettings(Settings):
    """Which videos train, which steer the training, and which are reported."""

    train: tuple[str, ...] = Field(min_length=1, description="[train]; [train, val] for the test server (Table 3.3).")
    validation: str = Field(min_length=1, description="Steers learning rate and end, and chooses the epoch.")
    test: str = Field(min_length=1, description="Is reported. The thesis reports AVA's val, which also steers.")


ActorBackboneName = Literal[
    "i3d",
    "r101_i3d_nl",
    "slowfast_nl_8x8_r50",
    "slowfast_nl_8x8_r101",
    "slowfast_nl_16x8_r50",
    "slowfast_nl_16x8_r101",
]


class KeyframeSettings(Settings):
    """When clips are. Frames that the annotation or the proposals name are keyframes in any case."""

    step: float = Field(gt=0, description="Seconds between two consecutive clips. AVA: 1.")
    start: float = Field(
        description="The annotation's time at a video's beginning. 0: whole videos; 900: AVA's cut to their 15 minutes."
    )
    first: float | None = Field(description="Seconds: keyframes from here on, every `step`. null: only those named.")
    last: float | None = Field(description="Seconds: the last of those. null: the video's end.")


class DetectorTrainingSettings(Settings):
    """Training a detector on one's own boxes."""

    initial: str | None = Field(description="torchvision's MobileNetV2 weights (ImageNet). null: the registered ones.")
    classes: tuple[str, ...] = Field(min_length=1, description="What the boxes are of, `person` among it.")
    short_side: int = Field(ge=32, le=4096, description="Pixels to which pictures are scaled.")
    feature_size: int = Field(ge=16, le=4096, description="Of the box head.")
    epochs: int = Field(ge=1, le=10_000, description="Each shows every picture once.")
    batch: int = Field(ge=1, description="Pictures in an optimiser step.")
    learning_rate: float = Field(gt=0, description="Of SGD, at the end of the warm-up; half a cosine down to 0.")
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum.")
    weight_decay: float = Field(ge=0, description="Of SGD, on all parameters.")
    warmup_epochs: float = Field(ge=0, description="Linear warm-up.")
    precision: Literal["float32", "bfloat16", "float64"] = Field(description="See classify.training.")
    device: Literal["cpu", "cuda"] = Field(description="Where to compute. Part of the result.")
    threads: int = Field(ge=1, le=256, description="Compute threads on a CPU. Part of the result.")
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

    imported: Paths = Field(
        description="Another detector's features (HDF5), by split; people then come from `data.proposals`. {}: none."
    )
    weights: str | None = Field(
        description="A detector of `acta train-detector` (.safetensors) or torchvision's Faster R-CNN v2 (.pth). "
        "null: the registered one (COCO)."
    )
    score: float = Field(ge=0, le=1, description="Objects below it are no nodes.")
    person_score: float = Field(ge=0, le=1, description="People below it are not kept at all.")
    most: int = Field(ge=1, le=1000, description="The surest of a keyframe that are kept.")
    device: Literal["cpu", "cuda"] = Field(description="Where to compute. Part of the result.")
    threads: int = Field(ge=1, le=256, description="Compute threads on a CPU. Part of the result.")


class BoxSettings(Settings):
    """Which boxes of people become actors of a backbone (Sec. 3.2.2)."""

    score: float = Field(ge=0, le=1, description="Lowest score of a detected box that trains. I3D: 0; the others: 0.9.")
    iou: float = Field(gt=0, le=1, description="Overlap from which it gets the labels of an annotated box: 0.5; 0.9.")


class ActorBackboneSettings(Settings):
    """A network that gives features of actors (`pipeline.models.actor_backbones.ActorBackbone`)."""

    name: ActorBackboneName = Field(description="Which published network.")
    width: float = Field(gt=0, le=4, description="Factor on every number of channels. 1: as published.")
    frames: int | None = Field(ge=1, description="Consecutive frames of a clip. null: as published.")


class BackboneTrainingSettings(Settings):
    """How a backbone is trained on annotated boxes, as I3D is on AVA."""

    initial: str | None = Field(description="Published weights to start from. null: random ones (the demo).")
    trainable: Literal["mixed_5", "all"] = Field(description="mixed_5: of I3D only what follows Mixed_4f.")
    dropout: float = Field(ge=0, lt=1, description="Before the classifier.")
    flip: bool = Field(description="Mirror half of the clips.")
    epochs: int = Field(ge=1, le=10_000, description="Each shows every annotated keyframe once. The thesis: 10.")
    batch: int = Field(ge=1, description="Keyframes in an optimiser step, over all processes.")
    micro_batch: int = Field(ge=1, description="Keyframes that a process computes at once.")
    learning_rate: float = Field(gt=0, description="Of SGD, at the end of the warm-up.")
    warmup_epochs: float = Field(ge=0, description="Linear warm-up.")
    schedule: Literal["step", "cosine"] = Field(description="As of classify.recipes.")
    step_epochs: float = Field(gt=0, description="step: epochs between two divisions by 10.")
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum.")
    weight_decay: float = Field(ge=0, description="Of SGD, on all parameters.")
    precision: Literal["float32", "bfloat16", "float64"] = Field(description="As of classify.training.")
    device: Literal["cpu", "cuda"] = Field(description="Where to compute. Part of the result.")
    threads: int = Field(ge=1, le=256, description="Compute threads on a CPU. Part of the result.")
    seed: int = Field(ge=0, description="Of weights, order and cuts.")


class DetectionDataSettings(Settings):
    """Videos with boxes of people, in AVA's kinds of files."""

    adapter: Literal["demo", "ava"] = Field(
        description="`demo` (made videos), or `ava` (AVA's own files, or one's own in their form; J-HMDB-21 and "
        "UCF101-24 after `acta convert-annotations`)."
    )
    root: str | None = Field(description="Folder that holds the videos, anywhere below. null: features are imported.")
    label_map: str = Field(min_length=1, description="Every action with its number (pbtxt).")
    evaluated: str | None = Field(description="The actions that count (pbtxt): 60 of AVA's 80. null: all.")
    boxes: Paths = Field(min_length=1, description="Annotated boxes (CSV) by split; null takes one away.")
    excluded: Paths = Field(description="Frames that do not count (CSV), by split.")
    proposals: Paths = Field(description="Detected people (CSV or pickle), by split. {}: `objects` finds them.")
    shards: int = Field(ge=1, le=100_000, description="As data.shards; AVA: 64.")
    max_bad_fraction: float = Field(ge=0, le=1, description="As data.max_bad_fraction.")


class ImportedFeaturesSettings(Settings):
    """Features that others published (`acta import-features`)."""

    layout: Literal["i3d", "slowfast"] = Field(description="i3d: a file for each keyframe. slowfast: one file.")
    actors: Paths = Field(min_length=1, description="Folder or file, by split.")
    objects: Paths = Field(description="File of objects, by split. {}: none.")
    frame_lists: Paths = Field(description="PySlowFast's frame lists, where videos are numbers. {}: names.")
    half: bool = Field(description="Store half precision.")


class BackboneFeaturesSettings(Settings):
    """Features by a backbone."""

    network: ActorBackboneSettings
    weights: str | None = Field(description='A model file (README, "Weights"). null: trained here, by `training`.')
    training: BackboneTrainingSettings | None = Field(description="null: `weights` are used as they are.")
    rate: float | None = Field(description="Frames per second in a clip. null: as published.")
    boxes: BoxSettings
    half: bool = Field(description="Store half precision.")
    batch: int = Field(ge=1, description="Keyframes computed at once.")
    precision: Literal["float32", "bfloat16"] = Field(description="bfloat16: mixed precision, on a GPU.")
    device: Literal["cpu", "cuda"] = Field(description="Where to compute. Part of the result.")
    threads: int = Field(ge=1, le=256, description="Compute threads on a CPU. Part of the result.")

    @model_validator(mode="after")
    def _has_weights(self) -> "BackboneFeaturesSettings":
        if (self.weights is None) == (self.training is None):
            raise ValueError("give one of `weights` and `training`, and null for the other")
        return self


class FeatureSettings(Settings):
    """Features of actors, from one of three sources, and what STAGE needs to know of them (Sec. 3.2.2)."""

    like: str | None = Field(description="The thesis's rows beside which results stand: i3d, slowfast_nl_8x8 … null.")
    heads: int = Field(ge=1, description="Attention heads, where a network does not say. I3D: 4; the others: 2.")
    learning_rate: float = Field(gt=0, description="Of Adam. I3D: 6.25e-5; the others: 1e-5.")
    test_score: float = Field(ge=0, le=1, description="Lowest score of a detected box in tests. I3D: 0.7; others: 0.8.")
    backbone: BackboneFeaturesSettings | None
    imported: ImportedFeaturesSettings | None
    averaged: Annotated[tuple[Name, Name], Field(strict=False)] | None = Field(
        description="Two other features, averaged (Table 3.3)."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> "FeatureSettings":
        if sum(source is not None for source in (self.backbone, self.imported, self.averaged)) != 1:
            raise ValueError("give one of `backbone`, `imported` and `averaged`, and null for the others")
        return self

    @property
    def has_baseline(self) -> bool:
        """Whether the features come with the scores of their backbone's own classifier."""
        return self.backbone is not None


class DetectionSettings(Settings):
    """Action detection, Ch. 3."""

    data: DetectionDataSettings
    sampling: SamplingSettings
    frames: FrameSettings
    keyframes: KeyframeSettings
    splits: DetectionSplitSettings
    detector_boxes: str | None = Field(description="Boxes to train a detector on (CSV). null: `objects.weights`.")
    detector: DetectorTrainingSettings | None = Field(description="How. null: none is trained.")
    objects: ObjectSettings | None = Field(description="null: no objects, and people from `data.proposals`.")
    features: Annotated[dict[Name, FeatureSettings], BeforeValidator(_without_nulls)] = Field(
        min_length=1, description="By name; tables have rows for each. null takes one away."
    )
    training: StageTrainingSettings
    seeds: tuple[int, ...] = Field(min_length=1, description="Of STAGE's trainings; tables give mean and interval.")
    networks: dict[Name, NetworkSettings] = Field(description="By name; the tables know those of config.yaml.")
    capacity: int = Field(ge=0, description="Surest detections of a frame that count; 0: all.")
    tables: tuple[str, ...] = Field(description="What `snakemake detect` makes.")

    @model_validator(mode="after")
    def _names_are_known(self) -> "DetectionSettings":
        for split in (*self.splits.train, self.splits.validation):
            if split not in self.data.boxes:
                raise ValueError(f"split {split!r} has no `data.boxes`; known: {', '.join(self.data.boxes)}")
        if self.splits.test not in (*self.data.boxes, *self.data.proposals):
            raise ValueError(f"split {self.splits.test!r} is neither in `data.boxes` nor in `data.proposals`")
        for name, features in self.features.items():
            for part in features.averaged or ():
                if part not in self.features or self.features[part].averaged:
                    raise ValueError(f"features {name!r} average {part!r}, which are no features of a backbone")
            if features.backbone and self.data.root is None:
                raise ValueError(f"features {name!r} need videos, but `data.root` is null")
        shown = [name for name in self.tables if name in ("figure_3_5", "figure_3_6")]
        if shown and self.data.root is None:
            raise ValueError(f"`tables` has {shown[0]}, which shows frames of the videos, but `data.root` is null")
        if self.objects and self.objects.imported and not self.data.proposals:
            raise ValueError("`objects.imported` finds no people: `data.proposals` must name them")
        if (self.detector is None) != (self.detector_boxes is None):
            raise ValueError("`detector` and `detector_boxes` need each other")
        return self
