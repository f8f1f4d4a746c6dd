"""A trained classifier on disk, as `pipeline.models.described` says; nothing is unpickled."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from pipeline.config.base import Variant
from pipeline.config.classify import ViewSettings
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.bounds import STRICT, Rate
from pipeline.models.described import ModelFile, write_described
from pipeline.models.opened import Opened
from pipeline.runtime.errors import ActaError

FORMAT = "acta-model-1"


@dataclass(frozen=True)
class Description:
    """The content of a model file's JSON.

    Args:
        architecture: The network.
        classes: Labels in the order of its outputs.
        variant: The frames that it was trained on.
        rate: Frames per second of its clips; None: the video's own.
        view: The part of a frame that it saw in training; `ViewSettings.test` is what to show it.
        provenance: What it was made from.
    """

    __pydantic_config__ = STRICT

    architecture: Architecture
    classes: list[str]
    variant: Variant
    rate: Rate | None
    view: ViewSettings
    provenance: dict[str, Any]


class _File(ModelFile[Description]):
    def content(self, path: Path) -> dict[str, Any]:
        content = super().content(path)
        if "absent" in content:
            raise ActaError(f"{path} holds no network: {content['absent']}")
        content.pop("selection", None)  # `pipeline.shrink.select_hypothesis` says there why it is the winner
        return content


_FILE = _File(FORMAT, Description, lambda said: ("classes", said.classes, said.architecture.classes))
read_description, model_weights, save_model = _FILE.read, _FILE.weights, _FILE.save


def save_absent(path: Path, reason: str) -> None:
    """Write, in place of a network that is impossible or was given up, an empty model file that says why."""
    write_described(path, {"format": FORMAT, "absent": reason}, save({}))


def absent_reason(path: Path) -> str | None:
    """Why a model file holds no network (`save_absent`); None: it holds one, or is not readable."""
    try:
        reason = json.loads(path.with_suffix(".json").read_text()).get("absent")
    except (OSError, ValueError, AttributeError):
        return None
    return None if reason is None else str(reason)


def load_model(source: Path | Opened) -> tuple[nn.Module, Description]:
    """A trained network on the CPU, and what it is; errors as of `ModelFile.load`."""
    return _FILE.load(source, lambda said: build(said.architecture))


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the last layer's weights, which belong to the classes."""
    return tuple(name for name in model.state_dict() if name.startswith(("fc.", "head.projection.")))
