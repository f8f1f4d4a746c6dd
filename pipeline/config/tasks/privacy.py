"""What the tasks on videos, frames and people read (Ch. 5)."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from pipeline.config.base import Fraction, Settings, What
from pipeline.config.data import FrameSettings, SamplingSettings
from pipeline.config.privacy import (
    Auditor,
    ContactSheetSettings,
    FindSettings,
    ObfuscateSettings,
    SearchSettings,
    check_detector,
)

if TYPE_CHECKING:
    from pipeline.config.whole import Config


class ExtractFrames(Settings):
    """What storing frames reads."""

    sampling: SamplingSettings
    frames: FrameSettings

    @classmethod
    def from_config(cls, config: "Config", chapter: Literal["classify", "detect"] = "classify") -> Self:
        whole = config.detect if chapter == "detect" else config
        return cls(sampling=whole.sampling, frames=whole.frames)


class DetectPeople(Settings):
    """What the search for people reads."""

    what: What
    sampling: SamplingSettings
    detect: SearchSettings

    @model_validator(mode="after")
    def _detector_finds_what_is_wanted(self) -> "DetectPeople":
        check_detector(self.what, self.detect.detector)
        faces = self.detect.faces
        if self.what == "bodies":
            if faces is None:
                raise ValueError(
                    "`detect.faces` is null, but for what: bodies it must say how the faces are found that are hidden "
                    f"with them, by the keys {', '.join(FindSettings.model_fields)}"
                )
            check_detector("faces", faces.detector)
        elif faces is not None:
            raise ValueError(
                f"`detect.faces` names the detector {faces.detector!r}, but for what: faces it must be null, as "
                "`detect` itself says how faces are found"
            )
        return self

    @classmethod
    def from_config(cls, config: "Config", what: What) -> Self:
        return cls(what=what, sampling=config.sampling, detect=config.privacy.detect.search(what))


class Obfuscate(Settings):
    """What hiding reads."""

    obfuscate: ObfuscateSettings

    @classmethod
    def from_config(cls, config: "Config", what: What) -> Self:
        return cls(obfuscate=getattr(config.privacy.obfuscate, what))


class Audit(Settings):
    """What an audit reads: auditors and their thresholds."""

    auditors: dict[Auditor, Fraction]

    @classmethod
    def from_config(cls, config: "Config", what: What) -> Self:
        return cls(auditors=getattr(config.privacy.audit, what))


class DrawContactSheet(ContactSheetSettings):
    """What the contact sheet reads."""

    @classmethod
    def from_config(cls, config: "Config") -> Self:
        return cls.taken(config.contact_sheet)


class DrawFaceSample(DrawContactSheet):
    """What the picture of found faces reads."""
