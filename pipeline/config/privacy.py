"""Settings of anonymisation (Sec. 5.1)."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.base import Fraction, JpegQuality, Settings, What
from pipeline.config.detectors import DETECTORS, detectors_of

Auditor = Literal["retinaface", "centerface", "pose", "maskrcnn"]
_THRESHOLDS = ", ".join(f"{name} {kind.threshold:g}" for name, kind in DETECTORS.items() if kind.finds)
_ON_A_GPU = ", ".join(name for name, kind in DETECTORS.items() if kind.on_gpu)


class FindSettings(Settings):
    """How instances are found in one picture."""

    renamed: ClassVar[Mapping[str, str]] = {"turned": "search_rotated"}

    detector: Literal["retinaface", "centerface", "maskrcnn", "ssdlite", "selfie", "onnx"] = Field(
        description="faces: retinaface (MobileNet-0.25; half the time, misses some small faces) or centerface; bodies: "
        "maskrcnn (instance segmentation as in Sec. 5.1; needs its COCO weights), ssdlite (works offline; boxes of "
        "people near and far) or selfie (works offline; quick, masks of people near the camera); either: onnx (a local "
        "file). Bodies include the faces that `privacy.detect.faces` finds and what is below them."
    )
    weights: str | None = Field(
        description="A local weights file instead of the registered ones; onnx needs one. null: the registered."
    )
    threshold: Fraction | None = Field(
        description="Lowest score that counts. A lower one hides more, false detections among it. null: the "
        f"detector's own ({_THRESHOLDS})."
    )
    long_side: int | None = Field(
        ge=64,
        le=16384,
        description="Pixels: longer side at which the detector looks; smaller videos are not enlarged. Cost grows with "
        "its square; smaller finds fewer small instances. null: the video's own resolution.",
    )
    device: Literal["cpu", "cuda"] = Field(
        description=f"Where to detect. These can use `cuda`: {_ON_A_GPU}; all but maskrcnn need onnxruntime-gpu for "
        "it. Part of the result: changing it reruns detection."
    )

    def scaled(self, factor: int) -> Self:
        """The same with a larger picture; the video's own size stays."""
        return self.model_copy(update={"long_side": self.long_side and factor * self.long_side})


class DetectSettings(FindSettings):
    """How instances are found in a video."""

    interval: Fraction = Field(
        description="Seconds: the longest time between two searched frames; at least one frame in sixteen is searched. "
        "A frame between two of them hides the whole path of each instance, without masks; where it does not show an "
        "instance near its place, or shows something new, it is searched, too. The last frame and those around a cut "
        "are searched. 0: every frame is searched, as in the thesis (Sec. 5.1). Raise it to save time on calm videos."
    )
    search_rotated: bool = Field(
        description="Search the picture turned by 90, 180 and 270 degrees too, for people lying down or upside down "
        "where the file does not say so. Four times the work."
    )
    fill_gap: int = Field(
        ge=0,
        le=1000,
        description="Frames: an instance missed for at most this number of frames between two detections of it is "
        "hidden there, as one box around both. 0: off, as in the thesis, which names tracking for harder scenes (Sec. "
        "5.1). Raise it with the frame rate.",
    )


class SearchSettings(DetectSettings):
    """What a search of a variant reads; ``faces`` (bodies only): how the faces are found that are hidden with them."""

    faces: FindSettings | None

    @property
    def networks(self) -> tuple[FindSettings, ...]:
        """How each network of the search finds: its own, then that of the faces."""
        return (self,) if self.faces is None else (self, self.faces)

    @property
    def picture_side(self) -> int | None:
        """Pixels of the longer side of the picture that is searched; None: the video's own."""
        sides = [network.long_side for network in self.networks]
        known = [side for side in sides if side is not None]
        return max(known) if len(known) == len(sides) else None

    def scaled(self, factor: int) -> Self:
        """The same with a larger picture for each network."""
        return super().scaled(factor).model_copy(update={"faces": self.faces and self.faces.scaled(factor)})

    def on_cpu(self) -> Self:
        """The same without a GPU."""
        faces = self.faces and self.faces.model_copy(update={"device": "cpu"})
        return self.model_copy(update={"device": "cpu", "faces": faces})

    @property
    def uses_gpu(self) -> bool:
        """Whether any of its networks runs on a GPU."""
        return any(network.device == "cuda" for network in self.networks)


def check_detector(what: What, detector: str) -> None:
    if detector not in detectors_of(what):
        raise ValueError(f"detector {detector!r} does not find {what}; choose one of {', '.join(detectors_of(what))}")


class ObfuscateSettings(Settings):
    """How instances are hidden."""

    filter: Literal["blur", "pixelate", "solid", "frame"] = Field(
        description="blur: normalised box filter, the thesis's (Sec. 5.1); pixelate: `blocks` mean-coloured blocks "
        "along the longer side; solid: black; frame: the box filter over the whole of every frame, no detection needed "
        "to hide it."
    )
    shape: Literal["box", "ellipse"] = Field(
        description="Shape of what is hidden where the detector gives boxes; a mask is its own shape. ellipse: through "
        "the corners of the enlarged box, so it hides all that the box would, with a soft edge around it. The thesis "
        "blurs boxes."
    )
    enlarge: float = Field(
        ge=1,
        le=5,
        description="Factor on the box's sides (a mask is dilated as much). A box drawn tight around a face leaves it "
        "recognisable; raise it when the audit still finds instances. The thesis gives no value.",
    )
    kernel: float = Field(
        gt=0,
        le=4,
        description="blur: kernel side as a fraction of the enlarged box's longer side. Below 1 faces become "
        "recognisable again. The thesis gives no value.",
    )
    blocks: int = Field(
        ge=1, le=64, description="pixelate: blocks along the enlarged box's longer side. Fewer hide more."
    )
    jpeg_quality: JpegQuality = Field(
        description="libjpeg quality of the frames that were changed; the others stay as they were stored."
    )


class PerVariantDetect(Settings):
    """Detection, per variant."""

    faces: DetectSettings = Field(description="How faces are found.")
    bodies: DetectSettings = Field(description="How bodies are found.")

    @model_validator(mode="after")
    def _detectors_find_what_is_wanted(self) -> "PerVariantDetect":
        check_detector("faces", self.faces.detector)
        check_detector("bodies", self.bodies.detector)
        return self

    def search(self, what: What) -> SearchSettings:
        """What the search for a variant reads: that for bodies finds the faces too, as those of the other variant."""
        faces = FindSettings.taken(self.faces) if what == "bodies" else None
        return SearchSettings.taken(getattr(self, what), faces=faces)


class PerVariantObfuscate(Settings):
    """Obfuscation, per variant."""

    faces: ObfuscateSettings = Field(description="How faces are hidden.")
    bodies: ObfuscateSettings = Field(description="How bodies are hidden.")


class AuditSettings(Settings):
    """Which independent detectors look at the anonymised frames, each with its lowest score that counts."""

    faces: dict[Auditor, Fraction] = Field(
        min_length=1,
        description="Auditors of the variant whose faces are hidden, each with the lowest score that counts. None may "
        "be the detector that it checks. A lower score finds more that is left, and more that is no face.",
    )
    bodies: dict[Auditor, Fraction] = Field(
        min_length=1,
        description="Auditors of the variant whose bodies are hidden, each with the lowest score that counts. None may "
        "be a detector that it checks, that of the faces included.",
    )


class PrivacySettings(Settings):
    """Anonymisation."""

    what: tuple[What, ...] = Field(
        min_length=1,
        description="Which anonymised variants of the dataset to make, each in addition to the original: faces only, "
        "or whole bodies (the thesis makes both, Sec. 5.1). One variant less saves its detection, its frames and its "
        "students.",
    )
    detect: PerVariantDetect = Field(
        description="How people are found, for each variant, on the video at its own resolution."
    )
    obfuscate: PerVariantObfuscate = Field(
        description="How what was found is hidden, for each variant. Changing it does not rerun detection."
    )
    audit: AuditSettings = Field(
        description="Which independent detectors look for what is left in the anonymised frames."
    )

    @model_validator(mode="after")
    def _auditor_is_independent(self) -> "PrivacySettings":
        if len(set(self.what)) != len(self.what):
            raise ValueError(f"`what` names a variant twice: {list(self.what)}")
        for what in self.what:
            for network in self.detect.search(what).networks:
                if network.detector in getattr(self.audit, what):
                    raise ValueError(
                        f"audit.{what} uses {network.detector!r}, which also made the detections: choose another "
                        "auditor"
                    )
        return self


class ContactSheetSettings(Settings):
    """The before / after picture."""

    videos: int = Field(ge=1, le=50, description="How many videos to show: the picture's rows.")
    frames: int = Field(ge=1, le=12, description="How many frames of each: the picture's columns for each variant.")
