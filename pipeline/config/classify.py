"""Settings of networks, their training, and action recognition (Ch. 5)."""

from typing import Annotated, Literal, get_args

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from pipeline.config.base import Count, DropRate, Name, Pixels, Settings, Variant, Width
from pipeline.config.distillation import KlWeight, weight_for
from pipeline.config.names import BackboneName, PublishedName
from pipeline.config.training import BatchSettings, Epochs, ScheduleSettings, SgdSettings

Blocks = Annotated[int, Field(ge=1, le=100)]
Clips = Annotated[int, Field(ge=1, le=100)]


class ViewSettings(Settings):
    """The part of a frame that a network sees: a square cut out of the resized frame.

    In evaluation it is the central square; a shorter side that is drawn is then the lowest, and so is the crop
    (SlowFast: trained on 224 out of 256 to 320, tested on 256 out of 256).
    """

    size: tuple[Pixels, Pixels] | None = Field(
        description="Pixels: [height, width] to resize to. null: `short_side` says it. The thesis: [128, 171] for "
        "R(2+1)D and R3D (Sec. 5.3.1)."
    )
    short_side: tuple[Pixels, Pixels] | None = Field(
        description="Pixels: the shorter side is drawn from [lowest, highest], the aspect ratio kept; evaluation takes "
        "the lowest. null: `size` says it. The thesis: [256, 320] for SlowFast (Sec. 5.3.1)."
    )
    crop: Pixels = Field(
        description="Pixels: side of the square (random in training, else the centre; with `short_side` evaluation "
        "takes the whole shorter side). The thesis: 112 for R(2+1)D and R3D, 224 for SlowFast (Sec. 5.3.1)."
    )

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

    frames: int = Field(
        ge=1,
        le=1024,
        description="Consecutive frames of the frame store in a raw clip; SlowFast's paths sample from it. Cost grows "
        "in proportion. The thesis: 16 for R(2+1)D and R3D, 64 for SlowFast (Sec. 5.3.1).",
    )
    view: ViewSettings = Field(
        description="The part of a frame that the network sees: a square cut out of the resized frame."
    )
    train_clips: Clips = Field(
        description="Clips of each video in an epoch, at random times. Raise it for long videos. The thesis: 3 (Sec. "
        "5.3.1)."
    )
    flip: bool = Field(
        description="Mirror half of the training clips. Turn it off where left and right matter. The thesis names no "
        "mirroring, so its overlays have false."
    )
    short_videos: Literal["repeat", "drop"] = Field(
        description="Videos shorter than a clip: repeat their last frame, or leave them out; both are counted. The "
        "thesis leaves SlowFast's longest networks out on HMDB51 because of them (Sec. 6.2.4)."
    )


class BackboneSettings(Settings):
    """A network of the family (`pipeline.models.architecture.Architecture`)."""

    name: BackboneName = Field(
        description="Which published network. The thesis: r2plus1d_18, r3d_18 and slowfast_4x16_r50 (Secs. 5.3.1 and "
        "6.2.2)."
    )
    width: Width = Field(
        description="Factor on every number of channels. 1: as published, which the thesis takes; less trains on a CPU."
    )
    blocks: tuple[Blocks, Blocks, Blocks, Blocks] | None = Field(
        description="Residual blocks of each of the four stages. null: as published, which the thesis takes."
    )
    dropout: DropRate = Field(description="Drop rate before the classifier. The thesis: 0.5 for SlowFast (Sec. 6.2.2).")


class RecipeSettings(ScheduleSettings, BatchSettings):
    """One backbone, its clips and its way to train."""

    backbone: BackboneSettings = Field(
        description="The network. Published weights (`initial`) need `width` 1 and `blocks` null."
    )
    clip: ClipSettings = Field(
        description="How clips are cut out of a video. A student sees its teacher's clips, so all strategies share it."
    )
    batch: Count = Field(
        description="Clips in an optimiser step, over all processes; change the learning rate with it in proportion. "
        "The thesis: 1536 for R(2+1)D and R3D, 2048 for SlowFast (Sec. 5.3.1).",
    )
    micro_batch: Count = Field(
        description="Clips that a process computes at once; gradients are summed up to `batch`. Lower it when memory "
        "is short; batch norm and the relational loss see a micro-batch, so it is part of the result. The thesis: 24 "
        "and 16 for each GPU (Sec. 6.2.2).",
    )
    learning_rate: PositiveFloat = Field(
        description="Of SGD, at the end of the warm-up. The thesis: 0.96 for R(2+1)D and R3D, 1.6 for SlowFast (Sec. "
        "5.3.1), a tenth of it in fine-tuning (Sec. 6.2.4).",
    )
    initial: str | None = Field(
        description="Weights to fine-tune from: a model file (.safetensors, of this project or of `acta model "
        "convert`), or r2plus1d_18 or r3d_18 for torchvision's, trained on Kinetics-400 (`acta weights fetch`). The "
        "classifier is replaced where the number of classes differs. null: random weights, from which the thesis's "
        "students start. Set it for datasets that are too small to train from scratch (Sec. 6.2.4)."
    )

    @model_validator(mode="after")
    def _starts_from_its_own_network(self) -> "RecipeSettings":
        name, network = self.initial, self.backbone
        if name is None or name.endswith(".safetensors"):
            return self
        published = get_args(PublishedName)
        if name not in published:
            raise ValueError(f"`initial` {name!r} is neither a .safetensors file nor one of {', '.join(published)}")
        if (network.name, network.width, network.blocks) != (name, 1.0, None):
            raise ValueError(
                f"`initial` {name!r} is a whole {name}: `backbone` needs that name, width 1 and blocks null, and is "
                f"{network.name!r}, {network.width:g} and {network.blocks and list(network.blocks)}"
            )
        return self


class TrainingSettings(SgdSettings):
    """What all recipes have in common."""

    epochs: Epochs = Field(description="Each shows every video `clip.train_clips` times. The thesis: 45 (Sec. 5.3.1).")
    seed: NonNegativeInt = Field(
        description="Seed of weights, order, cuts and dropout. Another one gives another training of the same recipe."
    )


class StrategySettings(Settings):
    """How a student learns (Sec. 5.2): which frames the teacher sees, and which losses count how much."""

    teacher: Variant | None = Field(
        description="The frames that the teacher sees; the thesis's sees the original ones, `none` (Sec. 5.2). null: "
        "there is no teacher."
    )
    kd: KlWeight = Field(
        description="λ of Eq. 5.11: weight of the KL divergence, which is a mean over batch and classes. `31.25 per "
        "class` grows with the number of classes, as the same effect needs. The thesis: 12,500 for 400 classes (Sec. "
        "5.3.1); 0: off."
    )
    rkd: NonNegativeFloat = Field(
        description="β of Eq. 5.11: weight of the relational loss. The thesis: 10 (Sec. 5.3.1); 0: off."
    )
    temperature: PositiveFloat = Field(
        description="T of Eq. 5.6: higher softens the probabilities that are compared. The thesis: 5 (Sec. 5.3.1)."
    )

    @model_validator(mode="after")
    def _teacher_where_needed(self) -> "StrategySettings":
        if (self.teacher is None) != (weight_for(self.kd, 1) == self.rkd == 0):
            raise ValueError("a teacher and a weight (`kd`, `rkd`) above 0 need each other")
        return self


class SplitSettings(Settings):
    """Which videos train and which test, by the names of the dataset's splits."""

    train: str = Field(
        min_length=1,
        description="The dataset's split that trains. kinetics400, folder: train; ucf101, hmdb51: train1, train2, "
        "train3.",
    )
    test: str = Field(
        min_length=1,
        description="The split that is reported, for example val or test; ucf101, hmdb51: test1, test2, test3. The "
        "thesis reports Kinetics-400's val (Sec. 6.2.1).",
    )

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
        min_length=1,
        description="Which videos train and which test, by names of your own. Each is trained and tested separately; "
        "tables give the mean, as over the three splits of UCF101 and HMDB51 (Sec. 6.2.1).",
    )
    classes: str | None = Field(
        description="Text file with one class a line, in the order of the network's outputs. null: the labels of the "
        "training videos, sorted. Give one where published weights have an order of their own."
    )
    test_clips: Clips = Field(
        description="Clips of each video in evaluation, at uniform times, whose softmax scores are averaged. Cost "
        "grows in proportion; no training reruns. The thesis: 10 (Sec. 5.3.1)."
    )
    recipe: Name = Field(
        description="The recipe of Tables 5.1 and 5.2 and of Figures 5.6 and 5.7. The thesis: R(2+1)D."
    )
    compare: tuple[Name, ...] = Field(description="The recipes of Table 5.3. The thesis: R3D and SlowFast.")
    strategies: dict[Name, StrategySettings] = Field(
        description="How students learn (Sec. 5.2), by name: cross_entropy, kd and kd_rkd, which the tables need, and "
        "any of your own."
    )
    training: TrainingSettings = Field(
        description="What all recipes share. Any change trains everything in `classify` again."
    )
    recipes: dict[Name, RecipeSettings] = Field(
        description="A backbone, its clips and its way to train, by name; the tables know r2plus1d, r3d and slowfast."
    )

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
