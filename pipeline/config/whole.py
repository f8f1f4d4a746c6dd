"""The whole configuration, its file and its JSON schema."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, model_validator

from pipeline.config.base import Settings, merged, parse
from pipeline.config.classify import ClassifySettings
from pipeline.config.data import DataSettings, FrameSettings, SamplingSettings
from pipeline.config.detect import DetectionSettings
from pipeline.config.privacy import ContactSheetSettings, PrivacySettings
from pipeline.config.shrink import ShrinkSettings
from pipeline.config.spot import SpotSettings
from pipeline.errors import ActaError

DEFAULT_CONFIG = Path(__file__).resolve().parents[2] / "config.yaml"


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
    detect: DetectionSettings
    spot: SpotSettings

    @model_validator(mode="after")
    def _shrinks_what_there_is(self) -> "Config":
        for name in self.shrink.recipes:
            if name not in self.classify.recipes:
                known = ", ".join(self.classify.recipes)
                raise ValueError(f"shrink.recipes has {name!r}, which is not among classify.recipes: {known}")
        if self.shrink.split not in self.classify.splits:
            raise ValueError(f"shrink.split {self.shrink.split!r} is not among classify.splits")
        return self


def load(path: Path | str = DEFAULT_CONFIG) -> Config:
    """Read and validate a whole configuration file (YAML)."""
    return parse(Config, _read(Path(path)), str(path))


def _read(path: Path) -> dict[str, Any]:
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
    return value


def load_over(paths: Sequence[Path]) -> Config:
    """The shipped configuration with these files over it, key by key, as Snakemake's ``--configfile`` has it."""
    content: dict[str, Any] = _read(DEFAULT_CONFIG)
    for path in paths:
        content = merged(content, _read(path))
    return parse(Config, content, " and ".join(map(str, paths or [DEFAULT_CONFIG])))


def schema() -> str:
    """The JSON schema of config.yaml as text."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"
