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
    split: int = Field(ge=1, le=3, description="Which of the three official splits (ucf101, hmdb51).")
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


def stage_settings(config: Config, stage: str, what: What | None = None) -> Settings:
    """The part of the configuration that one stage reads, and nothing else (what decides whether it reruns)."""
    privacy = config.privacy
    match stage:
        case "frames":
            return FramesStage(sampling=config.sampling, frames=config.frames)
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
