"""Settings of networks, their training, and action recognition (Ch. 5)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.config.base import Name, Settings, Variant

BackboneName = Literal[
    "r2plus1d_18",
    "r3d_18",
    "slowfast_4x16_r50",
    "slowfast_8x8_r50",
    "slowfast_8x8_r101",
]


class ViewSettings(Settings):
    """What of a frame a network sees: a square out of the resized frame.

    In evaluation the square is the centre; where the shorter side is drawn, it is then the lowest, and so is the crop
    (SlowFast: trained on 224 out of 256 to 320, tested on 256 out of 256).
    """

    size: tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]] | None = Field(
        description="Pixels: [height, width] to resize to. null: `short_side` says it."
    )
    short_side: tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]] | None = Field(
        description="Pixels: the shorter side is drawn from [lowest, highest], the aspect ratio kept. null: `size`."
    )
    crop: int = Field(ge=16, le=8192, description="Pixels: side of the square (random in training, else the centre).")

    @model_validator(mode="after")
    def _fits(self) -> "ViewSettings":
        if (self.size is None) == (self.short_side is None):
            raise ValueError("give one of `size` and `short_side`, and null for the other")
        low, high = self.size or self.short_side or (0, 0)
        if self.short_side and low > high:
            raise ValueError(f"`short_side` [{low}, {high}] is not [lowest, highest]")
        if self.crop > min(low, high):
            raise ValueError(f"`crop` {self.crop} does not fit into {[low, high]}")
        return self

    @property
    def test(self) -> "ViewSettings":
        """The view in evaluation."""
        if self.short_side is None:
            return self
        side = self.short_side[0]
        return ViewSettings(size=None, short_side=(side, side), crop=side)


class ClipSettings(Settings):
    """How clips are cut out of a video."""

    frames: int = Field(ge=1, le=1024, description="Consecutive frames of the frame store in a raw clip.")
    view: ViewSettings
    train_clips: int = Field(ge=1, le=100, description="Clips of each video in an epoch, at random times.")
    flip: bool = Field(description="Mirror half of the training clips.")
    short_videos: Literal["repeat", "drop"] = Field(
        description="Videos shorter than a clip: repeat their last frame, or leave them out; both are counted."
    )


class BackboneSettings(Settings):
    """A network of the family (`pipeline.models.architecture.Architecture`)."""

    name: BackboneName = Field(description="Which published network.")
    width: float = Field(gt=0, le=4, description="Factor on every number of channels. 1: as published.")
    blocks: tuple[int, int, int, int] | None = Field(description="Residual blocks per stage. null: as published.")
    dropout: float = Field(ge=0, lt=1, description="Before the classifier.")


class RecipeSettings(Settings):
    """One backbone, its clips and its way to train."""

    backbone: BackboneSettings
    clip: ClipSettings
    batch: int = Field(ge=1, description="Clips in an optimiser step, over all processes.")
    micro_batch: int = Field(
        ge=1, description="Clips that a process computes at once; gradients are summed up to `batch`."
    )
    learning_rate: float = Field(gt=0, description="At the end of the warm-up.")
    warmup_epochs: float = Field(ge=0, description="Linear warm-up.")
    schedule: Literal["step", "cosine"] = Field(
        description="After the warm-up: divided by 10 every `step_epochs`, or half a cosine down to 0."
    )
    step_epochs: float = Field(gt=0, description="step: epochs between two divisions.")
    initial: str | None = Field(
        description="A model file (.safetensors) to fine-tune from; its classifier is made anew where the classes "
        "differ. null: random weights, from which the thesis's students start."
    )

    @model_validator(mode="after")
    def _batches(self) -> "RecipeSettings":
        if self.batch % self.micro_batch:
            raise ValueError(f"`batch` {self.batch} is not a multiple of `micro_batch` {self.micro_batch}")
        return self


class TrainingSettings(Settings):
    """What all recipes have in common."""

    epochs: int = Field(ge=1, le=10_000, description="Each shows every video `clip.train_clips` times.")
    momentum: float = Field(ge=0, lt=1, description="SGD's momentum.")
    weight_decay: float = Field(ge=0, description="Of SGD, on all parameters.")
    precision: Literal["float32", "bfloat16", "float64"] = Field(
        description="bfloat16: automatic mixed precision, on a GPU."
    )
    device: Literal["cpu", "cuda"] = Field(description="Where to compute. Part of the result.")
    threads: int = Field(ge=1, le=256, description="Compute threads of a process on a CPU. Part of the result.")
    seed: int = Field(ge=0, description="Of weights, order, cuts and dropout.")


class StrategySettings(Settings):
    """How a student learns (Sec. 5.2): which frames the teacher sees, and which losses count how much."""

    teacher: Variant | None = Field(description="The frames that the teacher sees. null: there is no teacher.")
    kd: float = Field(ge=0, description="λ of Eq. 5.11: weight of the KL divergence, mean over batch and classes.")
    rkd: float = Field(ge=0, description="β of Eq. 5.11: weight of the relational loss.")
    temperature: float = Field(gt=0, description="T of Eq. 5.6.")

    @model_validator(mode="after")
    def _teacher_where_needed(self) -> "StrategySettings":
        if (self.teacher is None) != (self.kd == self.rkd == 0):
            raise ValueError("a teacher and a weight (`kd`, `rkd`) above 0 need each other")
        return self


class SplitSettings(Settings):
    """Which videos train and which test, by the names of the dataset's splits."""

    train: str = Field(min_length=1, description="kinetics400, folder: train; ucf101, hmdb51: train1, train2, train3.")
    test: str = Field(min_length=1, description="For example val or test; ucf101, hmdb51: test1, test2, test3.")

    @model_validator(mode="after")
    def _differ(self) -> "SplitSettings":
        if self.train == self.test:
            raise ValueError(f"train and test are both {self.train!r}")
        return self


# The strategies that Tables 5.1 to 5.3 are made of.
STRATEGIES = ("cross_entropy", "kd", "kd_rkd")


class ClassifySettings(Settings):
    """Action recognition, Ch. 5."""

    splits: dict[Name, SplitSettings] = Field(
        min_length=1, description="Each is trained and tested by itself; tables give the mean (Sec. 6.2.4)."
    )
    classes: str | None = Field(
        description="Text file with one class a line, in the order of the network's outputs. null: the labels of the "
        "training videos, sorted."
    )
    test_clips: int = Field(ge=1, le=100, description="Clips of each video in evaluation, at uniform times.")
    recipe: Name = Field(description="The recipe of Tables 5.1 and 5.2 and of the figures.")
    compare: tuple[Name, ...] = Field(description="The recipes of Table 5.3.")
    strategies: dict[Name, StrategySettings] = Field(description="cross_entropy, kd and kd_rkd, and others of yours.")
    training: TrainingSettings
    recipes: dict[Name, RecipeSettings] = Field(description="By name; the tables know r2plus1d, r3d and slowfast.")

    @model_validator(mode="after")
    def _names_are_known(self) -> "ClassifySettings":
        for name in (self.recipe, *self.compare):
            if name not in self.recipes:
                raise ValueError(f"there is no recipe {name!r}; known: {', '.join(self.recipes)}")
        for name in STRATEGIES:
            if name not in self.strategies:
                raise ValueError(f"strategy {name!r} is missing; the tables need it")
        if self.strategies["cross_entropy"].teacher is not None:
            raise ValueError("strategy 'cross_entropy' trains the teachers, so it cannot have one")
        return self
