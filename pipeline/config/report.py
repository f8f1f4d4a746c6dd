"""Settings of the report page."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from pipeline.config.base import Settings

Chapter = Literal["all", "classify", "shrink", "detect", "spot"]


class ReportSettings(Settings):
    """The page of a run."""

    renamed: ClassVar[Mapping[str, str]] = {"originals": "show_originals"}

    targets: tuple[Chapter, ...] | None = Field(
        min_length=1,
        description="Targets that `snakemake everything` makes and the page shows. null: all, but for action detection "
        "and event spotting where their data are still the demo's and the dataset is not.",
    )
    show_originals: bool | None = Field(
        description="Whether the page holds pictures and videos that show original frames (before and after, "
        "detections, highlights). null: only where the videos are the demo's."
    )
