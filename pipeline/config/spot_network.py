"""Settings of the networks that spot events, and of their training (Ch. 4)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.config.base import Device, Precision, Settings, Threads
from pipeline.config.names import FrameBackboneName


class TrainedBackboneSettings(Settings):
    """A backbone that is trained with the network, its batch norm frozen (Secs. 4.2.5 and 4.3)."""

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
    frames_at_once: int | None = Field(
        ge=1, description="Frames of its frozen part computed at once, to save memory. null: all of a micro-batch."
    )


class MaskingSettings(Settings):
    """M(p, q) of Eq. 4.4: frames on one side of the event are replaced by background."""

    renamed: ClassVar[Mapping[str, str]] = {"latest": "max_offset"}

    probability: float = Field(
        ge=0, le=1, description="p: how often an event's clip is masked. The thesis: 1/3 (Sec. 4.2.2, Table 4.4)."
    )
    max_offset: float = Field(
        ge=0,
        le=1,
        description="q: greatest relative offset of an event whose clip may be masked. The thesis: 0.5 (Sec. 4.2.2, "
        "Table 4.4).",
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

    foreground: int | None = Field(
        ge=1,
        description="Clips with an event in an epoch, shared equally by the classes. null: by the number of events "
        "(Sec. 4.3). The thesis: 30,000 (Sec. 4.2.2).",
    )
    background: int | None = Field(
        ge=1,
        description="Clips without an event in an epoch. null: as many as of a class (or of the mean class, by "
        "events). The thesis: 10,000 (Sec. 4.2.2).",
    )
    margin: int | None = Field(
        ge=0,
        description="Frames that background keeps away from events. null: no window with an event touches it, as in "
        "the thesis (Sec. 4.3). Lower it where events are close to one another.",
    )
    frequent_above: int = Field(
        ge=1,
        description="By events: a class with more than this has its number divided by `frequent_divisor`. The "
        "challenge: 10,000 (Sec. 4.3).",
    )
    frequent_divisor: int = Field(
        ge=1, description="By events: what the number of a frequent class is divided by. The challenge: 5 (Sec. 4.3)."
    )
    rare_below: int = Field(
        ge=0,
        description="By events: a class with fewer than this has its number multiplied by `rare_factor`. The "
        "challenge: 100 (Sec. 4.3).",
    )
    rare_factor: int = Field(
        ge=1, description="By events: what the number of a rare class is multiplied by. The challenge: 10 (Sec. 4.3)."
    )
    halftime_substitutions: bool = Field(
        description="Whether substitutions at the very beginning of the second half, which nothing shows, train. The "
        "thesis: false (Sec. 4.2.2)."
    )


class SpotTrainingSettings(Settings):
    """How a network is trained (Sec. 4.2.2)."""

    batch: int = Field(
        ge=1,
        description="Clips in an optimiser step, over all processes; change the learning rate with it in proportion. "
        "The thesis: 64 (Sec. 4.2.2), 24 in Table 4.6 (Sec. 4.2.5), 32 in the challenge (Sec. 4.3).",
    )
    micro_batch: int = Field(
        ge=1,
        description="Clips that a process computes at once; gradients are summed up to `batch`. Lower it when memory "
        "is short.",
    )
    epochs: int = Field(
        ge=1, le=10_000, description="At most. The thesis: 50 (Sec. 4.2.2), 20 in the challenge (Sec. 4.3)."
    )
    patience: int | None = Field(
        ge=1,
        description="Epochs without a better Average-mAP on the validation split that end it; the best epoch's "
        "weights stay. null: never, and nothing is validated. The thesis stops early too (Sec. 4.2.2), without a "
        "number.",
    )
    learning_rate: float = Field(
        gt=0,
        description="Of SGD, at the end of the warm-up; half a cosine down to 0. The thesis: 0.05 (Sec. 4.2.2), "
        "0.025 in Table 4.6 (Sec. 4.2.5), 0.0032 in the challenge (Sec. 4.3).",
    )
    warmup_epochs: float = Field(
        ge=0, description="Epochs in which the learning rate rises in a line. The thesis: 1 (Sec. 4.2.2)."
    )
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum. The thesis: 0.9 (Sec. 4.2.2).")
    weight_decay: float = Field(
        ge=0,
        description="Weight decay of SGD, on all parameters. Raise it when a network overfits. The thesis: 0.0001 "
        "(Sec. 4.2.2).",
    )
    precision: Precision
    device: Device
    threads: Threads

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

    stride: int | None = Field(
        ge=1,
        description="Frames from one window to the next. null: the clip's, no overlap, as in the thesis (Sec. "
        "4.2.2). The challenge: 4 (Sec. 4.3). Fewer take longer and need `nms`.",
    )
    nms: float | None = Field(
        gt=0,
        description="Seconds: of a class's spots within half of it to each side the surest stays. null: all stay, as "
        "in the thesis (Sec. 4.2.3). The challenge: 15 (Sec. 4.3).",
    )


class SpotNetworkSettings(Settings):
    """RMS-Net (Sec. 4.1, Table 4.1) or an ablation of it."""

    input: str = Field(
        min_length=1, description="Name among `features`, or `frames` with a `backbone`, which is then trained too."
    )
    backbone: TrainedBackboneSettings | None = Field(
        description="The image network of `frames`, its batch norm frozen (Secs. 4.2.5 and 4.3). null: the input is "
        "features."
    )
    projection: int | None = Field(
        ge=1,
        description="Outputs of FC1. The thesis: 256 (Table 4.1). null: the convolutions work straight on the "
        "features (the challenge).",
    )
    convolutions: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(
        strict=False,
        description="Output channels of the two convolutions over time. The thesis: [256, 128] (Table 4.1).",
    )
    kernel: int = Field(ge=1, le=101, description="Their width in frames; odd. The thesis: 9 (Sec. 4.2.2).")
    dropout: float = Field(ge=0, lt=1, description="Drop rate after the convolutions. The thesis: 0.1 (Sec. 4.2.2).")
    hidden: int = Field(ge=1, description="Outputs of FC2. The thesis: 64 (Table 4.1).")
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
    regression_weight: float = Field(
        ge=0, description="λ of Eq. 4.3, the weight of the regression. The thesis: 10 (Sec. 4.2.2, Figure 4.6)."
    )
    masking: MaskingSettings | None = Field(
        description="M(p, q) of Eq. 4.4: frames on one side of the event are replaced by background. null: none "
        "(Table 4.3; the challenge)."
    )
    sampling: ClipSamplingSettings = Field(
        description="Which clips an epoch has: the same number of each class (Sec. 4.1.3), or by the number of "
        "events (Sec. 4.3)."
    )
    training: SpotTrainingSettings = Field(description="How the network is trained (Sec. 4.2.2).")
    inference: SpotInferenceSettings = Field(description="From windows to spots. A change trains nothing.")
    seeds: tuple[int, ...] | None = Field(
        min_length=1,
        description="Of its trainings, in place of `spot.seeds`; one seed saves time where a row needs no interval. "
        "null: `spot.seeds`.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "SpotNetworkSettings":
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` {self.kernel} is not odd")
        if (self.input == "frames") != (self.backbone is not None):
            raise ValueError("`input: frames` and a `backbone` need each other")
        if self.offsets == "centre" and (self.regression or self.masking):
            raise ValueError("with `offsets: centre` there is nothing to regress or to mask")
        return self
