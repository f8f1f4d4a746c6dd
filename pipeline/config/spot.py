"""Settings of soccer event spotting and highlights (Ch. 4)."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

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
    Threads,
    merged,
    parse,
)
from pipeline.config.data import FrameSettings
from pipeline.config.names import FrameBackboneName
from pipeline.config.training import BatchSettings, CosineSettings, Epochs, SgdSettings
from pipeline.runtime.errors import ActaError

Version = Literal[1, 2]  # of SoccerNet


class SpotDataSettings(Settings):
    """Games, laid out as SoccerNet's development kit has them: <league>/<season>/<game>/."""

    renamed: ClassVar[Mapping[str, str]] = {"ini": "use_video_ini"}

    adapter: Literal["demo", "soccernet"] = Field(
        description="`demo` (made games) or `soccernet` (its development kit's folders, or your own games laid out so)."
    )
    root: str = Field(
        min_length=1,
        description="Folder that holds the leagues: `<league>/<season>/<game>/` with videos, labels and features of "
        "both halves.",
    )
    version: Version = Field(
        description="1: Labels.json, 3 classes (Sec. 4.2). 2: Labels-v2.json, 17 classes (the challenge, Sec. 4.3)."
    )
    splits: Paths = Field(
        min_length=1,
        description="The development kit's game lists (JSON), by split; null removes one. A split that is only "
        "submitted needs no labels.",
    )
    videos: str | None = Field(
        description="What a half's video is called after its number: `224p.mkv` for 1_224p.mkv. null: there are none, "
        "all features are imported."
    )
    use_video_ini: bool = Field(
        description="The halves are cut out of the videos as video.ini says (HQ, Sec. 4.3). false: the videos are the "
        "halves, as the smaller ones are."
    )
    max_bad_fraction: Fraction = Field(
        description="A training fails when more than this fraction of the games (and more than one) is bad; fewer are "
        "left out and listed."
    )


class SpotFrameSettings(Settings):
    """When to look at a half, and how its frames are stored (Sec. 4.3, Data preparation)."""

    convert: PositiveFloat | None = Field(
        description="Frames per second to convert videos to first. null: as they are. The thesis: 25 (Sec. 4.3)."
    )
    rate: PositiveFloat = Field(
        description="Frames per second; frame k of a half is at k / rate seconds. Imported features must have the "
        "same. The thesis: 2 (Secs. 4.2.1 and 4.3)."
    )
    stored: FrameSettings = Field(description="How the frames are stored; disk space is the price of a larger size.")


class FrameBackboneSettings(Settings):
    """An image network without its classifier."""

    name: FrameBackboneName = Field(description="Which of torchvision's. The thesis: resnet152 (Sec. 4.2.1).")
    weights: str | None = Field(
        description="Its weights (.pth). null: the registered ones (ImageNet; `acta weights list`)."
    )


class FrameFeatureSettings(Settings):
    """Features of single frames: SoccerNet's own files, or a backbone's (Sec. 4.2.1)."""

    imported: str | None = Field(
        description="What a half's file is called after its number: `ResNET_PCA512.npy` for 1_ResNET_PCA512.npy, the "
        "thesis's features (Sec. 4.2.1). null: `backbone` computes them."
    )
    backbone: FrameBackboneSettings | None = Field(
        description="An image network without its classifier computes them. null: `imported`."
    )
    crop: int | None = Field(
        ge=16,
        description="Pixels: side of the square in the middle that the backbone sees; 224 for SoccerNet's features "
        "(Sec. 4.2.1). null: the whole frame.",
    )
    pca: Count | None = Field(
        description="Numbers to which the backbone's are reduced, fitted on the training split; 512 for SoccerNet's "
        "features (Sec. 4.2.1). null: all, in more disk space."
    )
    batch: Count = Field(description="Frames computed at once. Lower it when memory is short.")
    precision: InferencePrecision
    device: Device
    threads: Threads

    @model_validator(mode="after")
    def _has_one_source(self) -> "FrameFeatureSettings":
        if (self.imported is None) == (self.backbone is None):
            raise ValueError("give one of `imported` and `backbone`, and null for the other")
        if self.imported and self.pca:
            raise ValueError("`pca` is for the features of a backbone; `imported` ones stay as they are")
        return self


class TrainedBackboneSettings(Settings):
    """A backbone that is trained with the network, its running statistics frozen (Secs. 4.2.5 and 4.3)."""

    name: FrameBackboneName = Field(
        description="Which of torchvision's. The thesis: resnet18, resnet50, resnet152 (Table 4.6); the challenge: "
        "resnet152 (Sec. 4.3)."
    )
    weights: str | None = Field(
        description="Where it starts from (.pth). null: the registered ones (ImageNet), as in the thesis (Sec. 4.3)."
    )
    trainable: Literal["none", "last_block", "conv5", "conv4"] = Field(
        description="What trains: from there on to its end; less saves memory. Table 4.6: last_block; the challenge: "
        "conv4 (Sec. 4.3)."
    )
    frames_at_once: Count | None = Field(
        description="Frames of its frozen part computed at once, to save memory. null: all of a micro-batch."
    )


class MaskingSettings(Settings):
    """M(p, q) of Eq. 4.4: frames on one side of the event are replaced by background."""

    renamed: ClassVar[Mapping[str, str]] = {"latest": "max_offset"}

    probability: Fraction = Field(
        description="p: how often an event's clip is masked. The thesis: 1/3 (Sec. 4.2.2, Table 4.4)."
    )
    max_offset: Fraction = Field(
        description="q: greatest relative offset of an event whose clip may be masked. The thesis: 0.5 (Sec. 4.2.2, "
        "Table 4.4)."
    )
    side: Literal["before", "after"] = Field(
        description="Frames that are replaced. The thesis: before the event. after (Table 4.5): if at least 1 - q of "
        "the clip lies before the event."
    )


class ClipSamplingSettings(Settings):
    """Which clips an epoch has: the same number of each class (Sec. 4.1.3), or by the number of events (Sec. 4.3)."""

    renamed: ClassVar[Mapping[str, str]] = {
        "most": "frequent_above",
        "divisor": "frequent_divisor",
        "fewest": "rare_below",
        "factor": "rare_factor",
    }

    foreground: Count | None = Field(
        description="Clips with an event in an epoch, shared equally by the classes. null: by the number of events "
        "(Sec. 4.3). The thesis: 30,000 (Sec. 4.2.2)."
    )
    background: Count | None = Field(
        description="Clips without an event in an epoch. null: as many as of a class (or of the mean class, by "
        "events). The thesis: 10,000 (Sec. 4.2.2)."
    )
    margin: NonNegativeInt | None = Field(
        description="Distance of background clips from events, in frames. null: no window with an event touches it, as "
        "in the thesis (Sec. 4.3). Lower it where events are close to one another."
    )
    frequent_above: Count = Field(
        description="By events: a class with more than this has its number divided by `frequent_divisor`. The "
        "challenge: 10,000 (Sec. 4.3)."
    )
    frequent_divisor: Count = Field(
        description="By events: what the number of a frequent class is divided by. The challenge: 5 (Sec. 4.3)."
    )
    rare_below: NonNegativeInt = Field(
        description="By events: a class with fewer than this has its number multiplied by `rare_factor`. The "
        "challenge: 100 (Sec. 4.3)."
    )
    rare_factor: Count = Field(
        description="By events: what the number of a rare class is multiplied by. The challenge: 10 (Sec. 4.3)."
    )
    halftime_substitutions: bool = Field(
        description="Whether substitutions at the very beginning of the second half, which nothing shows, train. The "
        "thesis: false (Sec. 4.2.2); the challenge, whose pool has every annotated spot: true (Sec. 4.3). Evaluations "
        "always count them."
    )


class SpotTrainingSettings(CosineSettings, BatchSettings, SgdSettings):
    """How a network is trained (Sec. 4.2.2)."""

    batch: Count = Field(
        description="Clips in an optimiser step, over all processes; change the learning rate with it in proportion. "
        "The thesis: 64 (Sec. 4.2.2), 24 in Table 4.6 (Sec. 4.2.5), 32 in the challenge (Sec. 4.3).",
    )
    epochs: Epochs = Field(description="At most. The thesis: 50 (Sec. 4.2.2), 20 in the challenge (Sec. 4.3).")
    patience: Count | None = Field(
        description="Epochs without a better Average-mAP on the validation split that end it; the best epoch's weights "
        "stay. null: never, and nothing is validated. The thesis stops early too (Sec. 4.2.2), without a number."
    )
    learning_rate: PositiveFloat = Field(
        description="Of SGD, at the end of the warm-up; half a cosine down to 0. The thesis: 0.05 (Sec. 4.2.2), 0.025 "
        "in Table 4.6 (Sec. 4.2.5), 0.0032 in the challenge (Sec. 4.3).",
    )


class SpotInferenceSettings(Settings):
    """From windows to spots."""

    stride: Count | None = Field(
        description="Frames from one window to the next. null: the clip's, no overlap, as in the thesis (Sec. 4.2.2). "
        "The challenge: 4 (Sec. 4.3). Fewer take longer and need `nms`."
    )
    nms: PositiveFloat | None = Field(
        description="Seconds: of a class's spots within half of it to each side only the best stays. null: all stay, "
        "as in the thesis (Sec. 4.2.3). The challenge: 15 (Sec. 4.3)."
    )


class SpotNetworkSettings(Settings):
    """RMS-Net (Sec. 4.1, Table 4.1) or an ablation of it."""

    input: str = Field(
        min_length=1, description="Name among `features`, or `frames` with a `backbone`, which is then trained too."
    )
    backbone: TrainedBackboneSettings | None = Field(
        description="The image network of `frames`, whose batch norms keep their running statistics (Secs. 4.2.5 and "
        "4.3). null: the input is features."
    )
    projection: Count | None = Field(
        description="Outputs of FC1. The thesis: 256 (Table 4.1). null: the convolutions work straight on the features "
        "(the challenge)."
    )
    convolutions: tuple[Count, Count] = Field(
        strict=False,
        description="Output channels of the two convolutions over time. The thesis: [256, 128] (Table 4.1).",
    )
    kernel: int = Field(ge=1, le=101, description="Frames that a convolution sees; odd. The thesis: 9 (Sec. 4.2.2).")
    dropout: DropRate = Field(description="Drop rate after the convolutions. The thesis: 0.1 (Sec. 4.2.2).")
    hidden: Count = Field(description="Outputs of FC2. The thesis: 64 (Table 4.1).")
    clip: int = Field(
        ge=2,
        le=4096,
        description="T: frames of a clip. Short enough to hold one event. The thesis: 41, 20 seconds (Sec. 4.2.2).",
    )
    offsets: Literal["uniform", "centre"] = Field(
        description="Where events lie in training clips: anywhere, as in the thesis (Sec. 4.1.3), or in the middle "
        "only (Table 4.3)."
    )
    regression: bool = Field(
        description="Whether the offset is predicted; false: events are in the middle (Table 4.3)."
    )
    regression_weight: NonNegativeFloat = Field(
        description="λ of Eq. 4.3, the weight of the regression. The thesis: 10 (Sec. 4.2.2, Figure 4.6)."
    )
    masking: MaskingSettings | None = Field(
        description="M(p, q) of Eq. 4.4: frames on one side of the event are replaced by background. null: none (Table "
        "4.3; the challenge)."
    )
    sampling: ClipSamplingSettings
    training: SpotTrainingSettings = Field(description="How the network is trained (Sec. 4.2.2).")
    inference: SpotInferenceSettings = Field(description="From windows to spots. A change trains nothing.")
    seeds: tuple[int, ...] | None = Field(
        min_length=1,
        description="Seeds of its trainings, in place of `spot.seeds`; one seed saves time where a row needs no "
        "interval. null: `spot.seeds`.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "SpotNetworkSettings":
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` {self.kernel} is not odd")
        if (self.input == "frames") != (self.backbone is not None):
            raise ValueError("`input: frames` and a `backbone` need each other")
        if self.offsets == "centre" and self.regression:
            raise ValueError("with `offsets: centre` there is nothing to regress")
        return self


class SpotSplitSettings(Settings):
    """Which games train, which steer the training, which are reported and which are submitted."""

    train: tuple[Name, ...] = Field(
        min_length=1,
        description="Splits of `data.splits` that train: [train]; all that are annotated for the challenge (Sec. 4.3).",
    )
    validation: str = Field(min_length=1, description="The split that ends the training and chooses the epoch.")
    test: str = Field(min_length=1, description="The split that is reported.")
    submitted: str = Field(min_length=1, description="The split that becomes the archive for the evaluation server.")


class PaddingSettings(Settings):
    """How much of a game around an event the highlights show."""

    before: NonNegativeFloat = Field(description="Seconds before the event.")
    after: NonNegativeFloat = Field(description="Seconds after the event.")


class HighlightSettings(Settings):
    """How highlights are cut."""

    renamed: ClassVar[Mapping[str, str]] = {"other": "default_padding", "lowest": "min_confidence"}

    length: PositiveFloat | None = Field(
        description="Seconds of the whole, reached by taking the events of the highest ranks and shrinking their "
        "paddings by one factor. null: all events with their padding."
    )
    padding: dict[str, PaddingSettings] = Field(description="Time around an event, by class of the labels file.")
    default_padding: PaddingSettings = Field(description="Time around an event of all other classes.")
    weights: dict[str, NonNegativeFloat] = Field(
        description="By class; an event's rank is weight times confidence. 0 leaves a class out; others have 1."
    )
    min_confidence: Fraction = Field(
        description="Lowest confidence of an event. Lower values show more events, and more false ones."
    )
    overlay: bool = Field(description="Write class and confidence into the picture.")


class SpotSettings(Settings):
    """Soccer event spotting, Ch. 4."""

    renamed: ClassVar[Mapping[str, str]] = {"chosen": "main_network"}

    data: SpotDataSettings = Field(
        description="Games, laid out as SoccerNet's development kit has them; separate from `data` above."
    )
    frames: SpotFrameSettings = Field(
        description="When to look at a half, and how its frames are stored. Unused where all features are imported."
    )
    splits: SpotSplitSettings
    features: ByName[FrameFeatureSettings] = Field(
        description="Features of single frames, by name; networks are trained on one of them. null removes one."
    )
    seeds: tuple[int, ...] = Field(
        min_length=1,
        description="Seeds of each network's trainings; tables give the mean and its 95 % interval.",
    )
    network: SpotNetworkSettings = Field(
        description="RMS-Net (Sec. 4.1, Table 4.1): what all of `networks` start from."
    )
    networks: dict[Name, dict[str, Any] | None] = Field(
        min_length=1,
        description="What differs from `network`, key by key, by name; the tables know those of config.yaml. null "
        "removes one.",
    )
    main_network: str = Field(
        description="The network whose spots are submitted, drawn in Figure 4.7 and cut into highlights."
    )
    highlights: HighlightSettings = Field(
        description="How highlights are cut, by `acta highlights` too unless its options say otherwise."
    )
    tables: tuple[str, ...] = Field(
        description="Tables and figures of Ch. 4 that `snakemake spot` makes; each is a target of its own too. Leave "
        "out what your data cannot give."
    )

    @cached_property
    def spotters(self) -> dict[str, SpotNetworkSettings]:
        """Every network with all of its settings."""
        whole = self.network.model_dump(mode="json")
        return {
            name: parse(SpotNetworkSettings, merged(whole, changes), f"spot.networks.{name}")
            for name, changes in self.networks.items()
            if changes is not None
        }

    @model_validator(mode="after")
    def _names_are_known(self) -> "SpotSettings":
        try:
            self.spotters  # noqa: B018  # a mistake in one is an error now
        except ActaError as error:
            raise ValueError(str(error).removesuffix(".")) from None
        for name, network in self.spotters.items():
            if network.input not in ("frames", *self.features):
                raise ValueError(f"network {name!r} has the input {network.input!r}, which is not among `features`")
            if network.input == "frames" and self.data.videos is None:
                raise ValueError(f"network {name!r} needs videos, but `data.videos` is null")
        if self.main_network not in self.spotters:
            known = ", ".join(self.spotters)
            raise ValueError(f"`main_network` {self.main_network!r} is not among `networks`: {known}")
        for name, features in self.features.items():
            if features.backbone and self.data.videos is None:
                raise ValueError(f"features {name!r} need videos, but `data.videos` is null")
        splits = self.splits
        for split in (*splits.train, splits.validation, splits.test, splits.submitted):
            if split not in self.data.splits:
                raise ValueError(f"split {split!r} is not among `data.splits`: {', '.join(self.data.splits)}")
        return self
