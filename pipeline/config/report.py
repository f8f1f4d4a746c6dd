"""Settings of the reports."""

from typing import Literal

from pydantic import Field

from pipeline.config.base import Settings
from pipeline.config.classify import RecipeSettings, StrategySettings
from pipeline.config.shrink import FactorSettings


class ReportClassificationStage(Settings):
    """What the tables and figures of Ch. 5 read."""

    dataset: str
    splits: tuple[str, ...] = Field(min_length=1)
    variants: tuple[Literal["faces", "bodies"], ...] = Field(description="The anonymised ones that there are.")
    recipe: str = Field(description="Of Tables 5.1 and 5.2 and of the figures.")
    compare: tuple[str, ...] = Field(description="Of Table 5.3.")
    recipes: dict[str, RecipeSettings] = Field(description="Those.")
    strategies: dict[str, StrategySettings] = Field(description="Those of the tables.")
    epochs: int
    test_clips: int


class ReportShrinkingStage(Settings):
    """What the tables and figures of Ch. 6 read."""

    dataset: str
    splits: tuple[str, ...]
    recipes: tuple[str, ...] = Field(description="The base networks, in the order of the tables.")
    bases: dict[str, RecipeSettings] = Field(description="How each is trained.")
    base_epochs: int
    test_clips: int
    iterations: int
    operators: dict[str, tuple[str, ...]] = Field(description="Of each plan its hypotheses.")
    factors: FactorSettings
    alpha: float
    temperature: float
    epochs: int = Field(description="Of a hypothesis.")


class ReportArchitectureStage(Settings):
    """What the tables of architectures read."""

    recipes: tuple[str, ...] = Field(description="The base networks of Table 6.10.")
    iterations: int


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
