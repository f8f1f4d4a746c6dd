"""Settings of soccer event spotting and highlights (Ch. 4)."""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.config.base import Name, Settings, merged, parse
from pipeline.config.data import FrameSettings
from pipeline.errors import ActaError

Paths = dict[Name, str]
Version = Literal[1, 2]  # of SoccerNet
FrameBackboneName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2"]


def _without_nulls(value: Any) -> Any:
    """An overlay takes an entry of the shipped configuration away by null."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class SpotDataSettings(Settings):
    """Games, laid out as SoccerNet's development kit has them: <league>/<season>/<game>/."""

    adapter: Literal["demo", "soccernet"] = Field(description="`demo` (made games) or `soccernet`.")
    root: str = Field(min_length=1, description="Folder that holds the leagues.")
    version: Version = Field(description="1: Labels.json, 3 classes. 2: Labels-v2.json, 17 classes.")
    splits: Annotated[Paths, BeforeValidator(_without_nulls)] = Field(
        min_length=1, description="The development kit's files of games (JSON), by split; null takes one away."
    )
    videos: str | None = Field(
        description="What a half's video is called after its number: `224p.mkv` for 1_224p.mkv. null: there are none."
    )
    ini: bool = Field(
        description="The halves are cut out of the videos as video.ini says (HQ). false: the videos are the halves."
    )
    max_bad_fraction: float = Field(
        ge=0, le=1, description="A training fails when more than this fraction of the games (and more than one) is bad."
    )


class SpotFrameSettings(Settings):
    """When to look at a half, and how its frames are stored (Sec. 4.3, Data preparation)."""

    convert: float | None = Field(gt=0, description="Frames per second to convert videos to first. null: as they are.")
    rate: float = Field(gt=0, description="Frames per second; frame k of a half is at k / rate seconds.")
    stored: FrameSettings


class FrameBackboneSettings(Settings):
    """An image network without its classifier."""

    name: FrameBackboneName = Field(description="Which of torchvision's.")
    weights: str | None = Field(description="Its weights (.pth). null: the registered ones (`acta weights list`).")


class FrameFeatureSettings(Settings):
    """Features of single frames: SoccerNet's own files, or a backbone's (Sec. 4.2.1)."""

    imported: str | None = Field(
        description="What a half's file is called after its number: `ResNET_PCA512.npy` for 1_ResNET_PCA512.npy."
    )
    backbone: FrameBackboneSettings | None = Field(description="null: `imported`.")
    crop: int | None = Field(
        ge=16, description="Pixels: side of the square in the middle that the backbone sees. null: all."
    )
    pca: int | None = Field(
        ge=1,
        description="Numbers to which the backbone's are reduced, fitted on the training split. null: all.",
    )
    batch: int = Field(ge=1, description="Frames computed at once.")
    precision: Literal["float32", "bfloat16"] = Field(description="bfloat16: mixed precision, on a GPU.")
    device: Literal["cpu", "cuda"] = Field(description="Where to compute. Part of the result.")
    threads: int = Field(ge=1, le=256, description="Compute threads on a CPU. Part of the result.")

    @model_validator(mode="after")
    def _has_one_source(self) -> "FrameFeatureSettings":
        if (self.imported is None) == (self.backbone is None):
            raise ValueError("give one of `imported` and `backbone`, and null for the other")
        if self.imported and self.pca:
            raise ValueError("`pca` is for the features of a backbone; `imported` ones stay as they are")
        return self


class TrainedBackboneSettings(Settings):
    """A backbone that is trained with the network, its batch norm frozen (Secs. 4.2.5 and 4.3)."""

    name: FrameBackboneName = Field(description="Which of torchvision's.")
    weights: str | None = Field(description="Where it starts from (.pth). null: the registered ones.")
    trainable: Literal["none", "last_block", "conv5", "conv4"] = Field(
        description="What trains: from there on to its end. Table 4.6: last_block; the challenge: conv4."
    )
    frames_at_once: int | None = Field(
        ge=1, description="Frames of its frozen part computed at once, to save memory. null: all of a micro-batch."
    )


class MaskingSettings(Settings):
    """M(p, q) of Eq. 4.4: frames on one side of the event are replaced by background."""

    probability: float = Field(ge=0, le=1, description="p. The thesis: 1/3.")
    latest: float = Field(
        ge=0, le=1, description="q: greatest relative offset of an event whose clip may be masked. The thesis: 0.5."
    )
    side: Literal["before", "after"] = Field(
        description="Frames that are replaced. after (Table 4.5): if at least 1 - q of the clip lies before the event."
    )


class ClipSamplingSettings(Settings):
    """Which clips an epoch has: the same number of each class (Sec. 4.1.3), or by the number of events (Sec. 4.3)."""

    foreground: int | None = Field(ge=1, description="Clips with an event, shared by the classes. null: by events.")
    background: int | None = Field(
        ge=1, description="Clips without. null: as many as of a class (or of the mean class, by events)."
    )
    margin: int | None = Field(
        ge=0, description="Frames that background keeps away from events. null: no window with an event touches it."
    )
    most: int = Field(ge=1, description="By events: a class with more than this …")
    divisor: int = Field(ge=1, description="… has its number divided by this.")
    fewest: int = Field(ge=0, description="By events: a class with fewer than this …")
    factor: int = Field(ge=1, description="… has its number multiplied by this.")
    halftime_substitutions: bool = Field(
        description="Whether substitutions at the very beginning of the second half, which nothing shows, train."
    )


class SpotTrainingSettings(Settings):
    """How a network is trained (Sec. 4.2.2)."""

    batch: int = Field(ge=1, description="Clips in an optimiser step, over all processes.")
    micro_batch: int = Field(ge=1, description="Clips that a process computes at once.")
    epochs: int = Field(ge=1, le=10_000, description="At most.")
    patience: int | None = Field(
        ge=1,
        description="Epochs without a better Average-mAP on the validation split that end it. null: never, and "
        "nothing is validated.",
    )
    learning_rate: float = Field(gt=0, description="Of SGD, at the end of the warm-up; half a cosine down to 0.")
    warmup_epochs: float = Field(ge=0, description="Linear warm-up.")
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum.")
    weight_decay: float = Field(ge=0, description="Of SGD, on all parameters.")
    precision: Literal["float32", "bfloat16", "float64"] = Field(
        description="bfloat16: automatic mixed precision, on a GPU."
    )
    device: Literal["cpu", "cuda"] = Field(description="Where to compute. Part of the result.")
    threads: int = Field(ge=1, le=256, description="Compute threads of a process on a CPU. Part of the result.")

    @property
    def schedule(self) -> Literal["cosine"]:
        return "cosine"

    @property
    def step_epochs(self) -> float:
        return 1.0

    @model_validator(mode="after")
    def _batches(self) -> "SpotTrainingSettings":
        if self.batch % self.micro_batch:
            raise ValueError(f"`batch` {self.batch} is not a multiple of `micro_batch` {self.micro_batch}")
        return self


class SpotInferenceSettings(Settings):
    """From windows to spots."""

    stride: int | None = Field(ge=1, description="Frames from one window to the next. null: the clip's, no overlap.")
    nms: float | None = Field(
        gt=0,
        description="Seconds: of a class's spots within half of it to each side the surest stays. null: all stay.",
    )


class SpotNetworkSettings(Settings):
    """RMS-Net (Sec. 4.1, Table 4.1) or an ablation of it."""

    input: str = Field(min_length=1, description="Name among `features`, or `frames` with a `backbone`.")
    backbone: TrainedBackboneSettings | None = Field(description="Of `frames`. null: the input is features.")
    projection: int | None = Field(
        ge=1, description="Outputs of FC1. null: the convolutions work straight on the features (the challenge)."
    )
    convolutions: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(
        strict=False, description="Output channels of the two convolutions over time."
    )
    kernel: int = Field(ge=1, le=101, description="Their width in frames; odd.")
    dropout: float = Field(ge=0, lt=1, description="After the convolutions.")
    hidden: int = Field(ge=1, description="Outputs of FC2.")
    clip: int = Field(ge=2, le=4096, description="T: frames of a clip. The thesis: 41, 20 seconds.")
    offsets: Literal["uniform", "centre"] = Field(
        description="Where events lie in training clips: anywhere, or in the middle only (Table 4.3)."
    )
    regression: bool = Field(description="Whether the offset is predicted; false: events are in the middle.")
    regression_weight: float = Field(ge=0, description="λ of Eq. 4.3.")
    masking: MaskingSettings | None = Field(description="null: none.")
    sampling: ClipSamplingSettings
    training: SpotTrainingSettings
    inference: SpotInferenceSettings
    seeds: tuple[int, ...] | None = Field(min_length=1, description="Of its trainings. null: `spot.seeds`.")

    @model_validator(mode="after")
    def _fits(self) -> "SpotNetworkSettings":
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` {self.kernel} is not odd")
        if (self.input == "frames") != (self.backbone is not None):
            raise ValueError("`input: frames` and a `backbone` need each other")
        if self.offsets == "centre" and (self.regression or self.masking):
            raise ValueError("with `offsets: centre` there is nothing to regress or to mask")
        return self


class SpotSplitSettings(Settings):
    """Which games train, which steer the training, which are reported and which are handed in."""

    train: tuple[Name, ...] = Field(min_length=1, description="[train]; all that are annotated for the challenge.")
    validation: str = Field(min_length=1, description="Ends the training and chooses the epoch.")
    test: str = Field(min_length=1, description="Is reported.")
    submitted: str = Field(min_length=1, description="Becomes the archive for the evaluation server.")


class PaddingSettings(Settings):
    """What of a game surrounds an event in the highlights."""

    before: float = Field(ge=0, description="Seconds.")
    after: float = Field(ge=0, description="Seconds.")


class HighlightSettings(Settings):
    """How highlights are cut."""

    length: float | None = Field(gt=0, description="Seconds. null: all events with their padding.")
    padding: dict[str, PaddingSettings] = Field(description="By class.")
    other: PaddingSettings = Field(description="Of all other classes.")
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        description="By class, times the confidence: the rank of an event. 0 leaves a class out; others have 1."
    )
    lowest: float = Field(ge=0, le=1, description="Least confidence of an event.")
    overlay: bool = Field(description="Write class and confidence into the picture.")


class SpotSettings(Settings):
    """Soccer event spotting, Ch. 4."""

    data: SpotDataSettings
    frames: SpotFrameSettings
    splits: SpotSplitSettings
    features: Annotated[dict[Name, FrameFeatureSettings], BeforeValidator(_without_nulls)] = Field(
        description="By name; networks are trained on one of them. null takes one away."
    )
    seeds: tuple[int, ...] = Field(min_length=1, description="Of the trainings; tables give mean and interval.")
    network: SpotNetworkSettings
    networks: dict[Name, dict[str, Any] | None] = Field(
        min_length=1,
        description="By name what differs from `network`, key by key; the tables know those of config.yaml. null takes "
        "one away.",
    )
    chosen: str = Field(
        description="The network whose spots are handed in, drawn in Figure 4.7 and cut into highlights."
    )
    highlights: HighlightSettings
    tables: tuple[str, ...] = Field(description="What `snakemake spot` makes.")

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
            if network.input != "frames" and network.input not in self.features:
                raise ValueError(f"network {name!r} has the input {network.input!r}, which is not among `features`")
            if network.input == "frames" and self.data.videos is None:
                raise ValueError(f"network {name!r} needs videos, but `data.videos` is null")
        if self.chosen not in self.spotters:
            raise ValueError(f"`chosen` {self.chosen!r} is not among `networks`: {', '.join(self.spotters)}")
        for name, features in self.features.items():
            if features.backbone and self.data.videos is None:
                raise ValueError(f"features {name!r} need videos, but `data.videos` is null")
        splits = self.splits
        for split in (*splits.train, splits.validation, splits.test, splits.submitted):
            if split not in self.data.splits:
                raise ValueError(f"split {split!r} is not among `data.splits`: {', '.join(self.data.splits)}")
        return self
