"""Settings of the highlights of a game (Ch. 4)."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat

from pipeline.config.base import Fraction, Settings


class PaddingSettings(Settings):
    """What of a game surrounds an event in the highlights."""

    before: NonNegativeFloat = Field(description="Seconds before the event.")
    after: NonNegativeFloat = Field(description="Seconds after the event.")


class HighlightSettings(Settings):
    """How highlights are cut."""

    renamed: ClassVar[Mapping[str, str]] = {"other": "default_padding", "lowest": "min_confidence"}

    length: PositiveFloat | None = Field(
        description="Seconds of the whole, reached by taking the events of the highest ranks and shrinking their "
        "paddings by one factor. null: all events with their padding."
    )
    padding: dict[str, PaddingSettings] = Field(
        description="Time around an event, by class (of `Labels.json` or `Labels-v2.json`)."
    )
    default_padding: PaddingSettings = Field(description="Time around an event of all other classes.")
    weights: dict[str, NonNegativeFloat] = Field(
        description="By class, times the confidence: the rank of an event. 0 leaves a class out; others have 1."
    )
    min_confidence: Fraction = Field(
        description="Least confidence of an event. Lower shows more, and more that was none."
    )
    overlay: bool = Field(description="Write class and confidence into the picture.")
