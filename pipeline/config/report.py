"""Settings of the reports."""

from pydantic import Field

from pipeline.config.base import Settings


class ReportDetectionStage(Settings):
    """What the tables and figures of Ch. 3 read."""

    dataset: str
    features: dict[str, str | None] = Field(
        min_length=1, description="Features by name, and beside which of the thesis's their numbers stand."
    )
    heads: dict[str, int] = Field(description="STAGE's, by features.")
    seeds: tuple[int, ...] = Field(min_length=1, description="Of the trainings.")
    start: float = Field(description="The annotation's time at a video's beginning, in seconds.")
    without_backbone: tuple[str, ...] = Field(
        default=(), description="Features that come without the scores of their backbone's own classifier."
    )
