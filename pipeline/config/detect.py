"""Settings of action detection (Ch. 3)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from pipeline.config.base import (
    ByName,
    Count,
    Device,
    DropRate,
    Fraction,
    InferencePrecision,
    Name,
    Paths,
    Settings,
    Shards,
    Threads,
)
from pipeline.config.data import FrameSettings, SamplingSettings
from pipeline.config.detect_features import (
    ActorBackboneSettings,
    BackboneTrainingSettings,
    BoxSettings,
    DetectorTrainingSettings,
    KeyframeSettings,
    ObjectSettings,
)
from pipeline.config.training import CommonTrainingSettings, Epochs


class NetworkSettings(Settings):
    """STAGE, or one of its ablations (Tables 3.6 to 3.8)."""

    layers: int = Field(
        ge=0,
        le=16,
        description="Graph-attention layers; each widens what is linked over time. 0: a linear classifier, no graph "
        "(Table 3.5). The thesis: 2 (Sec. 3.3, Table 3.6).",
    )
    heads: int | None = Field(
        description="Attention heads of a layer. null: those of the features. The thesis: 4 for I3D, 2 for the others "
        "(Table 3.6)."
    )
    receptive_field: Count = Field(
        description="Clips that a layer links a clip with, including itself; odd. 1: no links over time (Table 3.8). "
        "The thesis: 3 (Sec. 3.2.2)."
    )
    attention: Literal["additive", "dot", "non_local"] = Field(
        description="additive: Eq. 3.3, the thesis's. dot: Eq. 3.10 (Transformer, Tables 3.7 and 3.8). non_local: the "
        "operator of the long-term feature banks on actors alone (STO in Table 3.7), with 1 head, no objects and no "
        "proximity."
    )
    proximity: Literal["boxes", "features", "none"] = Field(
        description="Weight of an edge: by distance of boxes (Eq. 3.1, the thesis's), by distance of features (Eq. "
        "3.11, Table 3.8), or 1 (none)."
    )
    objects: bool = Field(
        description="Whether objects are nodes. The thesis: true; false for the graph of actors alone (Table 3.5)."
    )
    actor_actor: bool = Field(
        description="Whether actors are linked with actors, including themselves. The thesis: true; false is a row of "
        "Table 3.8."
    )
    object_object: bool = Field(
        description="Whether objects are linked with objects, including themselves. The thesis: true; false is a row "
        "of Table 3.8."
    )
    dropout: DropRate = Field(
        description="Drop rate on the nodes and on the output of a head. The thesis: 0.5 (Sec. 3.2.2)."
    )

    @model_validator(mode="after")
    def _odd(self) -> "NetworkSettings":
        if self.receptive_field % 2 == 0:
            raise ValueError(f"`receptive_field` {self.receptive_field} is not odd")
        if self.attention == "non_local" and (self.heads, self.objects, self.proximity) != (1, False, "none"):
            raise ValueError("`attention: non_local` needs `heads: 1`, `objects: false` and `proximity: none`")
        return self


class StageTrainingSettings(CommonTrainingSettings):
    """How STAGE is trained (Sec. 3.2.2)."""

    clips: int = Field(
        ge=1,
        le=1024,
        description="Consecutive clips in a block: one graph. Memory grows with its square. The thesis: 6, its batch "
        "size (Sec. 3.2.2).",
    )
    batch: Count = Field(
        description="Blocks in an optimiser step. The thesis: 1, as its batch of 6 is one block (Sec. 3.2.2)."
    )
    epochs: Epochs = Field(
        description="Maximum; each shows every clip once. The patiences can end a training earlier. Table 3.9 has 20.",
    )
    drop_patience: Count = Field(
        description="Epochs without a better validation mAP before the learning rate falls to a tenth. The thesis: 10 "
        "(Sec. 3.2.2)."
    )
    stop_patience: Count = Field(
        description="Such epochs after the first drop before training ends. The thesis: 5 (Sec. 3.2.2)."
    )
    loss: Literal["sigmoid", "softmax"] = Field(
        description="sigmoid: cross entropy of each action, several a person (AVA). softmax: one label a person "
        "(J-HMDB-21, UCF101-24; Sec. 3.2.2)."
    )
    boxes: Literal["all", "annotated", "detected"] = Field(
        description="Which boxes train: annotated ones, detected ones, or both. Sec. 3.2.2 names annotated ones for "
        "training and both for its features."
    )

    @property
    def micro_batch(self) -> int:
        """All blocks of a step are one padded batch."""
        return self.batch


class DetectionSplitSettings(Settings):
    """Which videos train, which steer the training, and which are reported."""

    train: tuple[str, ...] = Field(
        min_length=1,
        description="Splits of `data.boxes` that train: [train]; [train, val] for the test server (Table 3.3).",
    )
    validation: str = Field(
        min_length=1,
        description="Steers the learning rate, ends the training and chooses the epoch. The thesis: AVA's val.",
    )
    test: str = Field(
        min_length=1,
        description="The reported split. The thesis reports AVA's val, which also steers; a third split gives unbiased "
        "numbers.",
    )


class DetectionDataSettings(Settings):
    """Videos with boxes of people, in AVA's kinds of files."""

    adapter: Literal["demo", "ava"] = Field(
        description="`demo` (made videos), or `ava` (AVA's own files, or your own in the same format; J-HMDB-21 and "
        "UCF101-24 after `acta convert-annotations`)."
    )
    root: str | None = Field(
        description="Folder with the videos, at any depth. null: there are none; all features are imported."
    )
    label_map: str = Field(min_length=1, description="Every action with its number (pbtxt).")
    evaluated: str | None = Field(
        description="The actions that count (pbtxt): 60 of AVA's 80, those with 25 validation examples (Sec. 3.2.1). "
        "null: all."
    )
    boxes: Paths = Field(
        min_length=1,
        description="Annotated boxes (CSV: video, timestamp, x1, y1, x2, y2, action and, if known, person; corners in "
        "[0, 1]) by split; null removes one.",
    )
    excluded: Paths = Field(description="Frames that do not count (CSV), by split. {}: all count.")
    proposals: Paths = Field(
        description="Detected people (CSV or pickle), by split; the thesis's come from a Faster R-CNN with 93.9 AP@50 "
        "on AVA (Sec. 3.2.2). {}: `objects` finds them."
    )
    shards: Shards = Field(
        description="Number of shards into which videos are divided; each is one job of a task (AVA: 64). Choose it "
        "once: a change reruns nearly everything."
    )
    max_bad_fraction: Fraction = Field(
        description="A task fails when more than this fraction of a shard's videos (and more than one) is bad; fewer "
        "are left out and listed. Raise it where videos are known to be missing, as AVA's often are."
    )


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
    batch: Count = Field(description="Keyframes computed at once. Lower it when memory is short.")
    precision: InferencePrecision
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
        description="The thesis's rows to show next to the results: i3d, r101_i3d_nl, slowfast_nl_8x8, "
        "slowfast_nl_16x8, averaged, action_tubes or amtnet. null: none."
    )
    heads: Count = Field(
        description="Attention heads of networks that do not set their own. The thesis: 4 for I3D, 2 for the others "
        "(Sec. 3.3, Table 3.6)."
    )
    learning_rate: PositiveFloat = Field(
        description="Of Adam, in STAGE's training on these features. The thesis: 6.25e-5 for I3D, 1e-5 for the others "
        "(Sec. 3.2.2)."
    )
    test_score: Fraction = Field(
        description="Lowest score of a detected box in tests. The thesis: 0.7 for I3D, 0.8 for the others (Sec. 3.2.2)."
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
            raise ValueError("give one of `backbone`, `imported` and `average_of`, and null for the others")
        return self


class DetectionSettings(Settings):
    """Action detection, Ch. 3."""

    data: DetectionDataSettings = Field(
        description="Videos with boxes of people, in AVA's kinds of files; separate from `data` above."
    )
    sampling: SamplingSettings = Field(description="When to look at these videos.")
    frames: FrameSettings = Field(description="How frames of these videos are stored.")
    keyframes: KeyframeSettings
    splits: DetectionSplitSettings
    detector_boxes: str | None = Field(
        description="Boxes to train a detector of people and objects on (CSV), with `detector`. null: "
        "`objects.weights`."
    )
    detector: DetectorTrainingSettings | None = Field(description="How that detector is trained. null: none is.")
    objects: ObjectSettings | None = Field(
        description="What finds objects, and people where no proposals are given. null: no objects, and people from "
        "`data.proposals` or from imported features."
    )
    features: ByName[FeatureSettings] = Field(
        min_length=1, description="Features of people, by name; tables have rows for each. null removes one."
    )
    training: StageTrainingSettings = Field(
        description="How STAGE and its ablations are trained. A change trains them again, no features."
    )
    seeds: tuple[int, ...] = Field(
        min_length=1,
        description="Seeds of STAGE's trainings, one for each network and seed; tables give the mean and its 95 % "
        "interval. The thesis reports single numbers.",
    )
    networks: dict[Name, NetworkSettings] = Field(
        description="STAGE and its ablations, by name; Tables 3.5 to 3.8 know those of config.yaml."
    )
    capacity: NonNegativeInt = Field(
        description="Most confident detections of a frame that count; 0: all, as in the backbones' own evaluations; "
        "AVA's official evaluator: 50."
    )
    mean_over: tuple[Name, ...] = Field(
        description="Datasets over which Table 3.5 gives the mean, each a run of its own: the splits of J-HMDB-21, "
        "this one among them. Those without evaluations are left out, and named. []: this dataset alone."
    )
    tables: tuple[str, ...] = Field(
        description="Tables and figures of Ch. 3 that `snakemake detect` makes; each is a target of its own too. Leave "
        "out what your data cannot give."
    )

    def train_score(self, name: str) -> float:
        """The lowest score of detected people that STAGE trains on; averaged features hold people of lower ones too."""
        features = self.features[name]
        averaged = [self.features[part] for part in features.average_of or ()]
        return max((f.backbone.boxes.score for f in (features, *averaged) if f.backbone), default=0.0)

    @model_validator(mode="after")
    def _names_are_known(self) -> "DetectionSettings":
        for split in (*self.splits.train, self.splits.validation):
            if split not in self.data.boxes:
                raise ValueError(f"split {split!r} has no `data.boxes`; known: {', '.join(self.data.boxes)}")
        if self.splits.test not in (*self.data.boxes, *self.data.proposals):
            raise ValueError(f"split {self.splits.test!r} is neither in `data.boxes` nor in `data.proposals`")
        for name, features in self.features.items():
            for part in features.average_of or ():
                if part not in self.features or self.features[part].average_of:
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
