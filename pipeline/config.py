"""Typed settings: the single source of the configuration's schema, its validation and its documentation.

`config.yaml` states every value once; the classes here state types, ranges, units and meaning. They have no defaults
on purpose: a key that is missing from the configuration is an error that names it. The JSON schema in
``workflow/schemas/config.schema.json`` is generated from `Config` (``acta config schema``).
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import ActaError

DEFAULT_CONFIG = Path(__file__).resolve().parent.parent / "config.yaml"

What = Literal["faces", "bodies"]
Variant = Literal["none", "faces", "bodies"]
BackboneName = Literal[
    "r2plus1d_18",
    "r3d_18",
    "slowfast_4x16_r50",
    "slowfast_8x8_r50",
    "slowfast_8x8_r101",
]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
DETECTORS = {"faces": ("retinaface", "centerface", "onnx"), "bodies": ("maskrcnn", "selfie", "onnx")}
Auditor = Literal["retinaface", "centerface", "pose", "maskrcnn"]
Score = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values keep their type, instances never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSettings(Settings):
    """Which videos, and how they are cut into shards."""

    adapter: Literal["demo", "folder", "ucf101", "hmdb51", "kinetics400"] = Field(
        description="How to read the dataset: `demo` (footage from pinned packages), `folder` (one folder per class), "
        "`ucf101` and `hmdb51` (the official split files), `kinetics400` (the official CSV)."
    )
    root: str = Field(min_length=1, description="Folder that holds the videos.")
    annotations: str | None = Field(
        description="ucf101: folder with classInd.txt and trainlist01.txt …; hmdb51: folder with "
        "<class>_test_split1.txt …; kinetics400: the CSV file. Otherwise null."
    )
    shards: int = Field(
        ge=1,
        le=100_000,
        description="Number of shards; a shard of a few hundred videos is a good size. Choose it once.",
    )
    max_bad_fraction: float = Field(
        ge=0,
        le=1,
        description="A stage fails when more than this fraction of a shard's videos (and more than one) is bad.",
    )

    @model_validator(mode="after")
    def _annotations_where_needed(self) -> "DataSettings":
        needs = self.adapter in ("ucf101", "hmdb51", "kinetics400")
        if needs and self.annotations is None:
            raise ValueError(f"adapter {self.adapter!r} needs `annotations`")
        return self


class SamplingSettings(Settings):
    """When to look at a video. Frames and detections share it, so that one detection fits every frame size."""

    rate: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        description="Frames per second. null keeps every frame. A video slower than this keeps all of its frames."
    )


class FrameSettings(Settings):
    """How frames are stored."""

    size: (
        Annotated[int, Field(ge=16, le=8192)]
        | tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]]
        | None
    ) = Field(
        description="Pixels: a number is the shorter side (aspect ratio kept), [height, width] is exact, null is the "
        "video's own size."
    )
    jpeg_quality: int = Field(ge=1, le=100, description="libjpeg quality, 4:2:0.")


class DetectSettings(Settings):
    """How instances are found."""

    detector: Literal["retinaface", "centerface", "maskrcnn", "selfie", "onnx"] = Field(
        description="faces: retinaface (MobileNet-0.25) or centerface; bodies: maskrcnn (the thesis's; needs its COCO "
        "weights) or selfie (people near the camera); either: onnx (a local file)."
    )
    weights: str | None = Field(
        description="A local weights file instead of the registered ones. null: the registered."
    )
    threshold: Score | None = Field(description="Lowest score that counts. null: the detector's own.")
    long_side: int | None = Field(
        ge=64,
        le=16384,
        description="Pixels: longer side at which the detector looks; smaller videos are not enlarged. "
        "null: the video's own resolution.",
    )
    interval: float = Field(
        ge=0,
        le=1,
        description="Seconds: the shortest time between two frames that are searched. The frames between them hide "
        "what either shows, where it must have been. 0: every frame is searched.",
    )
    fill_gap: int = Field(
        ge=0,
        le=1000,
        description="Frames: an instance missed for at most so many frames between two detections of it is "
        "filled in. 0: off.",
    )
    device: Literal["cpu", "cuda"] = Field(description="Where torch detectors (maskrcnn) run. Part of the result.")


def _check_detector(what: str, detector: str) -> None:
    if detector not in DETECTORS[what]:
        raise ValueError(f"detector {detector!r} does not find {what}; choose one of {', '.join(DETECTORS[what])}")


class ObfuscateSettings(Settings):
    """How instances are hidden."""

    filter: Literal["blur", "pixelate", "solid", "frame"] = Field(
        description="blur: normalised box filter; pixelate: `blocks` mean-coloured blocks along the longer side; "
        "solid: black; frame: the box filter over the whole of every frame, no detection needed to hide it."
    )
    enlarge: float = Field(ge=1, le=5, description="Factor on the box's sides (a mask is dilated as much).")
    kernel: float = Field(gt=0, le=4, description="blur: kernel side as a fraction of the enlarged box's longer side.")
    blocks: int = Field(ge=1, le=64, description="pixelate: blocks along the enlarged box's longer side.")
    jpeg_quality: int = Field(ge=1, le=100, description="libjpeg quality of the frames that were changed.")


class PerVariantDetect(Settings):
    """Detection, per variant."""

    faces: DetectSettings = Field(description="How faces are found.")
    bodies: DetectSettings = Field(description="How bodies are found.")

    @model_validator(mode="after")
    def _detectors_find_what_is_wanted(self) -> "PerVariantDetect":
        _check_detector("faces", self.faces.detector)
        _check_detector("bodies", self.bodies.detector)
        return self


class PerVariantObfuscate(Settings):
    """Obfuscation, per variant."""

    faces: ObfuscateSettings
    bodies: ObfuscateSettings


class AuditSettings(Settings):
    """Which independent detectors look at the anonymised frames, each with its lowest score that counts."""

    faces: dict[Auditor, Score] = Field(min_length=1, description="Auditors of the variant whose faces are hidden.")
    bodies: dict[Auditor, Score] = Field(min_length=1, description="Auditors of the variant whose bodies are hidden.")


class PrivacySettings(Settings):
    """Anonymisation."""

    what: tuple[What, ...] = Field(min_length=1, description="Which anonymised variants of the dataset to make.")
    detect: PerVariantDetect
    obfuscate: PerVariantObfuscate
    audit: AuditSettings

    @model_validator(mode="after")
    def _auditor_is_independent(self) -> "PrivacySettings":
        if len(set(self.what)) != len(self.what):
            raise ValueError(f"`what` names a variant twice: {list(self.what)}")
        for what in self.what:
            detector = getattr(self.detect, what).detector
            if detector in getattr(self.audit, what):
                raise ValueError(
                    f"audit.{what} uses {detector!r}, which also made the detections: choose another auditor"
                )
        return self


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


Operator = Literal["s", "t", "f", "c", "l"]


class FactorSettings(Settings):
    """By how much each operator of Sec. 6.1.1 reduces its axis: γ of Sec. 6.2.2."""

    s: float = Field(gt=1, le=16, description="Spatial resolution: height and width.")
    t: float = Field(gt=1, le=64, description="Length of the clip.")
    f: int = Field(gt=1, le=64, description="Frame rate: every how manyth frame is kept.")
    c: float = Field(gt=1, le=16, description="Channels of every convolution.")
    l: float = Field(gt=1, le=16, description="Residual blocks of every stage.")  # noqa: E741 (the thesis's letter)


class HalvingSettings(Settings):
    """Successive halving within an iteration: hypotheses that start badly stop early (beyond the thesis)."""

    epochs: int = Field(ge=1, description="Epochs after which all hypotheses are compared.")
    keep: int = Field(ge=1, description="How many of them go on.")


class PlanSettings(Settings):
    """One way to shrink: the thesis's, an ablation of it, or one of its open problems."""

    operators: tuple[Annotated[str, Field(pattern=r"^[stfcl]{1,4}$")], ...] = Field(
        min_length=1,
        description="The hypotheses of an iteration, in Algorithm 1's order, which breaks ties. Several letters are "
        "several operators in one step; Eq. 6.1 then chooses, as costs differ.",
    )
    follow: Name | None = Field(
        description="A plan from whose winners iterations start, for ablations of single ones. null: its own."
    )
    teacher: Literal["train", "eval"] | None = Field(
        description="Batch norm of the teacher: statistics of the micro-batch or the learnt ones (Table 6.8). "
        "null: no distillation (Table 6.4)."
    )
    stored: bool = Field(description="Compute the teacher's logits of every clip once, for all hypotheses.")
    fine_tuning: bool = Field(description="Operators s, t and f start from the previous winner's weights (Sec. 6.1.4).")
    inherit: bool = Field(description="Operators c and l start from a part of them, instead of at random.")
    features: Literal["mse", "margin_relu"] | None = Field(
        description="A loss on the activations of each residual stage (Table 6.7); operator l of a ResNet only."
    )
    halving: HalvingSettings | None = Field(description="null: every hypothesis is trained to its end.")

    @model_validator(mode="after")
    def _makes_sense(self) -> "PlanSettings":
        if len(set(self.operators)) != len(self.operators):
            raise ValueError(f"`operators` names a hypothesis twice: {list(self.operators)}")
        if self.teacher is None and (self.stored or self.features):
            raise ValueError("`stored` and `features` need a `teacher`")
        if self.stored and self.features:
            raise ValueError("`features` needs the live teacher: set `stored` to false")
        if self.features and set(self.operators) != {"l"}:
            raise ValueError("`features` needs `operators` [l]: the others change the shapes of the activations")
        if self.halving and self.halving.keep >= len(self.operators):
            raise ValueError(f"`halving` keeps {self.halving.keep} of {len(self.operators)} hypotheses: nothing stops")
        return self


class TransferSettings(Settings):
    """Fine-tuning of base and reduced networks that were made on another dataset (Table 6.6)."""

    base: str = Field(description="Model file of the base network; {recipe} is filled in.")
    reduced: str = Field(description="Model file of a reduced network; {recipe} and {iteration} are filled in.")


class ShrinkSettings(Settings):
    """Progressive architecture shrinkage, Ch. 6."""

    recipes: tuple[Name, ...] = Field(description="Of `classify.recipes`: the base networks to shrink.")
    split: Name = Field(description="Of `classify.splits`.")
    iterations: int = Field(ge=1, le=20, description="How many operators are applied, one after another.")
    factors: FactorSettings
    alpha: float = Field(ge=0, description="α of Eq. 6.7; the divergence is a mean over batch and classes.")
    temperature: float = Field(gt=0, description="t of Eqs. 6.6 and 6.7.")
    epochs: int = Field(ge=1, le=10_000, description="Of each hypothesis.")
    fine_tuning_rate: float = Field(gt=0, description="Factor on the learning rate where weights are inherited whole.")
    feature_weight: float = Field(ge=0, description="Of the loss on activations (Table 6.7).")
    plans: dict[Name, PlanSettings] = Field(description="By name; pas is the thesis's.")
    transfer: TransferSettings | None = Field(description="For a dataset to fine-tune on. null: none.")

    @model_validator(mode="after")
    def _plans_are_known(self) -> "ShrinkSettings":
        if "pas" not in self.plans:
            raise ValueError("plan 'pas' is missing; the tables need it")
        for name, plan in self.plans.items():
            if plan.follow is not None and (plan.follow == name or plan.follow not in self.plans):
                raise ValueError(f"plan {name!r} follows {plan.follow!r}; known: {', '.join(self.plans)}")
            if plan.follow is not None and self.plans[plan.follow].follow is not None:
                raise ValueError(f"plan {name!r} follows {plan.follow!r}, which has no winners of its own")
            if plan.features and self.alpha == 0:
                raise ValueError(f"plan {name!r} has `features`, which need a teacher, but `alpha` is 0")
            if plan.halving and plan.halving.epochs >= self.epochs:
                raise ValueError(f"plan {name!r} halves after {plan.halving.epochs} of {self.epochs} epochs")
        return self


class ContactSheetSettings(Settings):
    """The before / after picture."""

    videos: int = Field(ge=1, le=50, description="How many videos to show.")
    frames: int = Field(ge=1, le=12, description="How many frames of each.")


class Config(Settings):
    """The whole of config.yaml."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Name of the folder below results/.")
    data: DataSettings
    sampling: SamplingSettings
    frames: FrameSettings
    privacy: PrivacySettings
    contact_sheet: ContactSheetSettings
    classify: ClassifySettings
    shrink: ShrinkSettings

    @model_validator(mode="after")
    def _shrinks_what_there_is(self) -> "Config":
        for name in self.shrink.recipes:
            if name not in self.classify.recipes:
                known = ", ".join(self.classify.recipes)
                raise ValueError(f"shrink.recipes has {name!r}, which is not among classify.recipes: {known}")
        if self.shrink.split not in self.classify.splits:
            raise ValueError(f"shrink.split {self.shrink.split!r} is not among classify.splits")
        return self


class NoSettings(Settings):
    """For stages that read no settings."""


class FramesStage(Settings):
    """What the frames stage reads."""

    sampling: SamplingSettings
    frames: FrameSettings


class DetectStage(Settings):
    """What the detect stage reads."""

    what: What
    sampling: SamplingSettings
    detect: DetectSettings

    @model_validator(mode="after")
    def _detector_finds_what_is_wanted(self) -> "DetectStage":
        _check_detector(self.what, self.detect.detector)
        return self


class ObfuscateStage(Settings):
    """What the obfuscate stage reads."""

    obfuscate: ObfuscateSettings


class AuditStage(Settings):
    """What the audit stage reads: auditors and their thresholds."""

    auditors: dict[Auditor, Score]


class ContactSheetStage(Settings):
    """What the contact sheet reads."""

    contact_sheet: ContactSheetSettings


class TrainStage(Settings):
    """What one training reads. ``variant``: the frames that the network sees."""

    variant: Variant
    split: SplitSettings
    classes: str | None
    sampling: SamplingSettings
    recipe: RecipeSettings
    training: TrainingSettings
    strategy: StrategySettings


class EvaluateStage(Settings):
    """What an evaluation reads; the rest is in the model's own file."""

    split: SplitSettings
    short_videos: Literal["repeat", "drop"]
    test_clips: int
    micro_batch: int
    device: Literal["cpu", "cuda"]
    threads: int


class HypothesisStage(Settings):
    """What one hypothesis of an iteration reads: of the operators' factors only its own."""

    split: SplitSettings
    recipe: RecipeSettings
    training: TrainingSettings
    reductions: tuple[tuple[Operator, float], ...]
    start: Literal["previous", "part", "random"]
    strategy: StrategySettings
    teacher_mode: Literal["train", "eval"]
    features: Literal["mse", "margin_relu"] | None
    feature_weight: float


class TeacherLogitsStage(Settings):
    """What storing a teacher's logits reads."""

    split: SplitSettings
    recipe: RecipeSettings
    training: TrainingSettings
    mode: Literal["train", "eval"]


class SelectStage(Settings):
    """What the selection reads: the hypotheses in the order that breaks ties."""

    operators: tuple[str, ...]


class ExportStage(Settings):
    """Where an exported network's latency is measured, batch 1."""

    device: Literal["cpu", "cuda"]
    threads: int


class ReportShrinkingStage(Settings):
    """What the tables and figures of Ch. 6 read."""

    dataset: str
    splits: tuple[str, ...]
    recipes: tuple[str, ...]
    iterations: int
    operators: dict[str, tuple[str, ...]]


class HalveStage(Settings):
    """What halving reads."""

    operators: tuple[str, ...]
    keep: int


SettingsT = TypeVar("SettingsT", bound=Settings)


def parse(model: type[SettingsT], value: Mapping[str, Any] | str, source: str = "settings") -> SettingsT:
    """Build ``model`` from a mapping or a JSON text.

    Raises:
        ActaError: one line per mistake, with the key's path, its value, what is allowed and the nearest known key.
    """
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        problems = [_explain(model, detail) for detail in error.errors()]
        raise ActaError(f"{source}: " + "\n".join(dict.fromkeys(problems))) from None


def canonical(settings: BaseModel) -> str:
    """Sorted, compact JSON: equal settings give equal text, whatever their order in the file."""
    return json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def load(path: Path | str = DEFAULT_CONFIG) -> Config:
    """Read and validate a whole configuration file (YAML)."""
    path = Path(path)
    try:
        value = yaml.safe_load(path.read_text())
    except UnicodeDecodeError as error:
        raise ActaError(f"{path} is not UTF-8 text: {error.reason}") from None
    except OSError as error:
        raise ActaError(f"cannot read the configuration {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ActaError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise ActaError(f"{path} must hold keys and values, but holds {type(value).__name__}")
    return parse(Config, value, str(path))


def stage_settings(
    config: Config,
    stage: str,
    what: What | None = None,
    *,
    split: str = "",
    recipe: str = "",
    strategy: str = "",
    variant: Variant = "none",
    plan: str = "",
    operators: str = "",
) -> Settings:
    """The part of the configuration that one stage reads, and nothing else (what decides whether it reruns)."""
    privacy, classify = config.privacy, config.classify
    match stage:
        case "frames":
            return FramesStage(sampling=config.sampling, frames=config.frames)
        case "train":
            return TrainStage(
                variant=variant,
                split=classify.splits[split],
                classes=classify.classes,
                sampling=config.sampling,
                recipe=classify.recipes[recipe],
                training=classify.training,
                strategy=classify.strategies[strategy],
            )
        case "evaluate":
            chosen = classify.recipes[recipe]
            return EvaluateStage(
                split=classify.splits[split],
                short_videos=chosen.clip.short_videos,
                test_clips=classify.test_clips,
                micro_batch=chosen.micro_batch,
                device=classify.training.device,
                threads=classify.training.threads,
            )
        case "hypothesis":
            return _hypothesis(config, recipe, config.shrink.plans[plan], operators)
        case "train-alone" | "train-transferred":
            plain = stage_settings(config, "train", split=split, recipe=recipe, strategy="cross_entropy")
            assert isinstance(plain, TrainStage)
            changes: dict[str, Any] = {"recipe": plain.recipe.model_copy(update={"initial": None})}
            if stage == "train-alone":
                changes["training"] = _shorter(config)
            return plain.model_copy(update=changes)
        case "teacher-logits":
            return TeacherLogitsStage(
                split=classify.splits[config.shrink.split],
                recipe=classify.recipes[recipe].model_copy(update={"initial": None}),
                training=_shorter(config),
                mode=config.shrink.plans[plan].teacher or "train",
            )
        case "select":
            return SelectStage(operators=config.shrink.plans[plan].operators)
        case "export":
            return ExportStage(device=classify.training.device, threads=1)
        case "report-shrinking":
            return ReportShrinkingStage(
                dataset=config.dataset,
                splits=tuple(classify.splits),
                recipes=config.shrink.recipes,
                iterations=config.shrink.iterations,
                operators={name: chosen.operators for name, chosen in config.shrink.plans.items()},
            )
        case "halve":
            halving = config.shrink.plans[plan].halving
            return HalveStage(operators=config.shrink.plans[plan].operators, keep=halving.keep if halving else 1)
        case "contact-sheet":
            return ContactSheetStage(contact_sheet=config.contact_sheet)
        case "detect" if what:
            return DetectStage(what=what, sampling=config.sampling, detect=getattr(privacy.detect, what))
        case "obfuscate" if what:
            return ObfuscateStage(obfuscate=getattr(privacy.obfuscate, what))
        case "audit" if what:
            return AuditStage(auditors=getattr(privacy.audit, what))
        case _:
            return NoSettings()


def _hypothesis(config: Config, recipe: str, plan: PlanSettings, operators: str) -> HypothesisStage:
    shrink = config.shrink
    chosen = config.classify.recipes[recipe].model_copy(update={"initial": None})
    keeps_weights = set(operators) <= set("stf")
    start: Literal["previous", "part", "random"] = "random"
    if keeps_weights and plan.fine_tuning:
        start = "previous"
        chosen = chosen.model_copy(update={"learning_rate": chosen.learning_rate * shrink.fine_tuning_rate})
    elif not keeps_weights and plan.inherit:
        start = "part"
    taught = plan.teacher is not None and shrink.alpha > 0
    return HypothesisStage(
        split=config.classify.splits[shrink.split],
        recipe=chosen,
        training=_shorter(config),
        reductions=tuple((name, float(getattr(shrink.factors, name))) for name in operators),  # type: ignore[misc]
        start=start,
        strategy=StrategySettings(
            teacher="none" if taught else None,
            kd=shrink.alpha * shrink.temperature**2 if taught else 0.0,
            rkd=0.0,
            temperature=shrink.temperature,
        ),
        teacher_mode=plan.teacher or "train",
        features=plan.features,
        feature_weight=shrink.feature_weight if plan.features else 0.0,
    )


def _shorter(config: Config) -> TrainingSettings:
    return config.classify.training.model_copy(update={"epochs": config.shrink.epochs})


def schema() -> str:
    """The JSON schema of config.yaml as text."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


def _explain(model: type[BaseModel], detail: Any) -> str:
    keys = [str(part) for part in detail["loc"] if not _is_union_tag(part)]
    where = ".".join(keys) or "the configuration"
    got = json.dumps(detail["input"], default=str)
    if len(got) > 120:
        got = got[:117] + "..."
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, keys[:-1])
        near = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"unknown key {where!r} (value {got}).{hint} Known keys here: {', '.join(known)}."
    if detail["type"] == "missing":
        return f"missing key {where!r}; config.yaml, as shipped, says what it is for."
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where!r} is {got}: {message[0].lower()}{message[1:]}."


def _is_union_tag(part: object) -> bool:
    """Pydantic puts the name of the union's branch into the path; a person knows only keys."""
    return isinstance(part, str) and ("[" in part or part in ("constrained-int", "int", "float"))


def _known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(model.model_fields)
