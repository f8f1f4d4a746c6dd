"""Settings of the highlights of a game (Ch. 4)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from pipeline.config.base import Settings


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
