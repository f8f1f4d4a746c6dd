"""Settings of soccer event spotting and highlights (Ch. 4)."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.config.base import Device, Name, Paths, Settings, Threads, WithoutNulls, merged, parse
from pipeline.config.data import FrameSettings
from pipeline.config.names import FrameBackboneName
from pipeline.config.spot_network import SpotNetworkSettings
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
        description="The development kit's files of games (JSON), by split; null takes one away. A split that is "
        "only submitted needs no labels.",
    )
    videos: str | None = Field(
        description="What a half's video is called after its number: `224p.mkv` for 1_224p.mkv. null: there are "
        "none, all features are imported."
    )
    use_video_ini: bool = Field(
        description="The halves are cut out of the videos as video.ini says (HQ, Sec. 4.3). false: the videos are "
        "the halves, as the smaller ones are."
    )
    max_bad_fraction: float = Field(
        ge=0,
        le=1,
        description="A training fails when more than this fraction of the games (and more than one) is bad; fewer "
        "are left out and listed.",
    )


class SpotFrameSettings(Settings):
    """When to look at a half, and how its frames are stored (Sec. 4.3, Data preparation)."""

    convert: float | None = Field(
        gt=0, description="Frames per second to convert videos to first. null: as they are. The thesis: 25 (Sec. 4.3)."
    )
    rate: float = Field(
        gt=0,
        description="Frames per second; frame k of a half is at k / rate seconds. Imported features must have the "
        "same. The thesis: 2 (Secs. 4.2.1 and 4.3).",
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
    pca: int | None = Field(
        ge=1,
        description="Numbers to which the backbone's are reduced, fitted on the training split; 512 for SoccerNet's "
        "features (Sec. 4.2.1). null: all, in more disk space.",
    )
    batch: int = Field(ge=1, description="Frames computed at once. Lower it when memory is short.")
    precision: Literal["float32", "bfloat16"] = Field(
        description="`bfloat16`: mixed precision, which saves time and memory on GPUs that have it."
    )
    device: Device
    threads: Threads

    @model_validator(mode="after")
    def _has_one_source(self) -> "FrameFeatureSettings":
        if (self.imported is None) == (self.backbone is None):
            raise ValueError("give one of `imported` and `backbone`, and null for the other")
        if self.imported and self.pca:
            raise ValueError("`pca` is for the features of a backbone; `imported` ones stay as they are")
        return self


class SpotSplitSettings(Settings):
    """Which games train, which steer the training, which are reported and which are handed in."""

    train: tuple[Name, ...] = Field(
        min_length=1,
        description="Splits of `data.splits` that train: [train]; all that are annotated for the challenge (Sec. 4.3).",
    )
    validation: str = Field(min_length=1, description="Ends the training and chooses the epoch.")
    test: str = Field(min_length=1, description="Is reported.")
    submitted: str = Field(min_length=1, description="Becomes the archive for the evaluation server.")


class PaddingSettings(Settings):
    """What of a game surrounds an event in the highlights."""

    before: float = Field(ge=0, description="Seconds before the event.")
    after: float = Field(ge=0, description="Seconds after the event.")


class HighlightSettings(Settings):
    """How highlights are cut."""

    renamed: ClassVar[Mapping[str, str]] = {"other": "default_padding", "lowest": "min_confidence"}

    length: float | None = Field(
        gt=0,
        description="Seconds of the whole, reached by taking the events of the highest ranks and shrinking their "
        "paddings by one factor. null: all events with their padding.",
    )
    padding: dict[str, PaddingSettings] = Field(
        description="Time around an event, by class (of `Labels.json` or `Labels-v2.json`)."
    )
    default_padding: PaddingSettings = Field(description="Time around an event of all other classes.")
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        description="By class, times the confidence: the rank of an event. 0 leaves a class out; others have 1."
    )
    min_confidence: float = Field(
        ge=0, le=1, description="Least confidence of an event. Lower shows more, and more that was none."
    )
    overlay: bool = Field(description="Write class and confidence into the picture.")


class SpotSettings(Settings):
    """Soccer event spotting, Ch. 4."""

    renamed: ClassVar[Mapping[str, str]] = {"chosen": "main_network"}

    data: SpotDataSettings = Field(
        description="Games, laid out as SoccerNet's development kit has them; apart from `data` above."
    )
    frames: SpotFrameSettings = Field(
        description="When to look at a half, and how its frames are stored. Unused where all features are imported."
    )
    splits: SpotSplitSettings = Field(
        description="Which games train, which steer the training, which are reported and which are handed in."
    )
    features: Annotated[dict[Name, FrameFeatureSettings], WithoutNulls] = Field(
        description="Features of single frames, by name; networks are trained on one of them. null takes one away."
    )
    seeds: tuple[int, ...] = Field(
        min_length=1,
        description="Of the trainings, one for each network and seed; tables give the mean and its 95 % interval.",
    )
    network: SpotNetworkSettings = Field(
        description="RMS-Net (Sec. 4.1, Table 4.1): what all of `networks` start from."
    )
    networks: dict[Name, dict[str, Any] | None] = Field(
        min_length=1,
        description="By name what differs from `network`, key by key; the tables know those of config.yaml. null "
        "takes one away.",
    )
    main_network: str = Field(
        description="The network whose spots are handed in, drawn in Figure 4.7 and cut into highlights."
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
            if network.input != "frames" and network.input not in self.features:
                raise ValueError(f"network {name!r} has the input {network.input!r}, which is not among `features`")
            if network.input == "frames" and self.data.videos is None:
                raise ValueError(f"network {name!r} needs videos, but `data.videos` is null")
        if self.main_network not in self.spotters:
            raise ValueError(
                f"`main_network` {self.main_network!r} is not among `networks`: {', '.join(self.spotters)}"
            )
        for name, features in self.features.items():
            if features.backbone and self.data.videos is None:
                raise ValueError(f"features {name!r} need videos, but `data.videos` is null")
        splits = self.splits
        for split in (*splits.train, splits.validation, splits.test, splits.submitted):
            if split not in self.data.splits:
                raise ValueError(f"split {split!r} is not among `data.splits`: {', '.join(self.data.splits)}")
        return self
