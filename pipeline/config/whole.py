"""The whole configuration, its file and its JSON schema."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.config.base import Settings, merged, parse
from pipeline.config.classify import ClassifySettings
from pipeline.config.data import DataSettings, FrameSettings, SamplingSettings
from pipeline.config.detect import DetectionSettings
from pipeline.config.files import read_configuration
from pipeline.config.privacy import ContactSheetSettings, PrivacySettings
from pipeline.config.shrink import ShrinkSettings
from pipeline.config.spot import SpotSettings

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_CONFIG = PROJECT / "config.yaml"
BASES = {"demo": DEFAULT_CONFIG, "full": PROJECT / "config/full.yaml"}


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


class Config(Settings):
    """The whole of config.yaml."""

    base: Literal["demo", "full"] = Field(
        description="What this dataset's settings start from. full: networks of full size and the thesis's recipes "
        "(config/full.yaml), which every dataset but the demo has unless its file says otherwise. demo: config.yaml, "
        "whose small networks train on two cores within minutes."
    )
    dataset: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name of the folder below results/ and logs/: letters, digits, `_`, `.` and `-`. One name per "
        "dataset; results of different datasets lie side by side.",
    )
    data: DataSettings
    sampling: SamplingSettings
    frames: FrameSettings = Field(description="How frames are stored, one HDF5 file per shard.")
    privacy: PrivacySettings = Field(
        description="Anonymisation (Sec. 5.1): which people are found, how they are hidden, who checks it."
    )
    contact_sheet: ContactSheetSettings
    classify: ClassifySettings = Field(
        description="Action recognition (Ch. 5): teachers on original frames, students on anonymised ones; `snakemake "
        "classify`."
    )
    shrink: ShrinkSettings = Field(
        description="Progressive architecture shrinkage (Ch. 6): ever smaller networks out of a trained one; "
        "`snakemake shrink`."
    )
    detect: DetectionSettings = Field(
        description="Action detection (Ch. 3): what every person does, told by a graph of people and objects; "
        "`snakemake detect`."
    )
    spot: SpotSettings = Field(
        description="Soccer event spotting (Ch. 4): what happens when in a match, and its highlights; `snakemake spot`."
    )
    report: ReportSettings = Field(description="The page of a run; `make report`.")
    departures: dict[str, str] = Field(
        description="Keys whose values are not the thesis's though a file means to follow it, each with the reason; "
        "tables repeat it."
    )

    @property
    def is_demo(self) -> bool:
        """Whether the demo's videos are the run's own: they serve the demo, and datasets that start from it."""
        return self.base == "demo" and self.data.adapter == "demo"

    @model_validator(mode="after")
    def _shrinks_what_there_is(self) -> "Config":
        for name in self.shrink.recipes:
            if name not in self.classify.recipes:
                known = ", ".join(self.classify.recipes)
                raise ValueError(f"shrink.recipes has {name!r}, which is not among classify.recipes: {known}")
        if self.shrink.split not in self.classify.splits:
            raise ValueError(f"shrink.split {self.shrink.split!r} is not among classify.splits")
        base = self.shrink.base
        if base.strategy is not None and base.strategy not in self.classify.strategies:
            known = ", ".join(self.classify.strategies)
            raise ValueError(f"shrink.base.strategy {base.strategy!r} is not among classify.strategies: {known}")
        if base.variant not in ("none", *self.privacy.what):
            raise ValueError(
                f"shrink.base.variant {base.variant!r} is not among privacy.what: {list(self.privacy.what)}"
            )
        return self

    @model_validator(mode="after")
    def _is_one_of_its_splits(self) -> "Config":
        splits = self.detect.mean_over
        if splits and self.dataset not in splits:
            raise ValueError(f"detect.mean_over is {list(splits)}, without this dataset, {self.dataset!r}")
        return self

    @model_validator(mode="after")
    def _departures_are_keys(self) -> "Config":
        for key in self.departures:
            place: Any = self
            for part in key.split("."):
                names = place if isinstance(place, dict) else getattr(type(place), "model_fields", {})
                if part not in names:
                    raise ValueError(f"departures names {key!r}, which is no key")
                place = place[part] if isinstance(place, dict) else getattr(place, part)
        return self


def load(path: Path | str = DEFAULT_CONFIG) -> Config:
    """Read and validate a whole configuration file (YAML)."""
    return parse(Config, read_configuration(Path(path)), str(path))


def base_of(content: Mapping[str, Any]) -> Path:
    """The file below the files of a dataset: what the demo chose for itself reaches no other dataset unasked.

    Args:
        content: The files' keys and values, one over the other; without any it is the demo.
    """
    named = content.get("base", "demo" if content.get("dataset", "demo") == "demo" else "full")
    return BASES.get(str(named), DEFAULT_CONFIG)  # another name is an error when the whole is checked


def load_over(paths: Sequence[Path]) -> Config:
    """The files of a dataset, one over the other and all over their base, as Snakemake's ``--configfile`` has it."""
    content: dict[str, Any] = {}
    for path in paths:
        content = merged(content, read_configuration(path))
    below = base_of(content)
    return parse(Config, merged(read_configuration(below), content), " and ".join(map(str, paths or [below])))


@cache
def of_the_thesis(*overlays: str) -> Config:
    """The configuration of the thesis's own runs: files in config/, such as ``kinetics400``."""
    return load_over([PROJECT / "config" / f"{overlay}.yaml" for overlay in overlays])


def schema() -> str:
    """The JSON schema of config.yaml as text."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"
