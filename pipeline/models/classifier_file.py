"""A trained network on disk: weights in safetensors, and a JSON beside them that says what they are.

The JSON holds the format, the architecture, the classes in the order of the outputs, what the network must be shown
(frame rate, frames, view, which variant of the frames) and the provenance. Nothing is unpickled.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from pipeline.config.base import Variant
from pipeline.config.classify import ViewSettings
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.bounds import STRICT, Rate
from pipeline.models.described import (
    check_names,
    described_weights,
    load_network,
    read_content,
    validated,
    write_network,
)
from pipeline.models.opened import Opened
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic, write_json

FORMAT = "acta-model-1"


@dataclass(frozen=True)
class Description:
    """What a model file's JSON says.

    Args:
        architecture: The network.
        classes: Labels in the order of its outputs.
        variant: The frames that it was trained on.
        rate: Frames per second of its clips; None: the video's own.
        view: What of a frame it saw in training; `ViewSettings.test` is what to show it.
        provenance: What it was made from.
    """

    __pydantic_config__ = STRICT

    architecture: Architecture
    classes: list[str]
    variant: Variant
    rate: Rate | None
    view: ViewSettings
    provenance: dict[str, Any]


def save_model(path: Path, model: nn.Module, description: Description) -> None:
    """Write ``path`` (.safetensors) and the JSON beside it; the weights come last, so their presence means both."""
    content = {
        "format": FORMAT,
        "architecture": asdict(description.architecture),
        "classes": description.classes,
        "variant": description.variant,
        "rate": description.rate,
        "view": description.view.model_dump(mode="json"),
        "provenance": description.provenance,
    }
    write_network(path, content, model)


def save_absent(path: Path, reason: str) -> None:
    """Write, in place of a network that cannot be or was given up, an empty model file that says why."""
    write_json(path.with_suffix(".json"), {"format": FORMAT, "absent": reason})
    with atomic(path) as temporary:
        temporary.write_bytes(save({}))


def absent_reason(path: Path) -> str | None:
    """Why a model file holds no network (`save_absent`); None: it holds one, or is not readable."""
    try:
        reason = json.loads(path.with_suffix(".json").read_text()).get("absent")
    except (OSError, ValueError, AttributeError):
        return None
    return None if reason is None else str(reason)


def read_description(path: Path) -> Description:
    """The description of a model file.

    Raises:
        ActaError: it is missing, damaged or of another format, or describes no network that can be.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[Description, str | None]:
    """The description, and the sha256 of the weights."""
    content = read_content(path, FORMAT)
    if "absent" in content:
        raise ActaError(f"{path} holds no network: {content['absent']}")
    content.pop("selection", None)  # `pipeline.shrink.select_hypothesis` says there why it is the winner
    weights = content.pop("weights", None)
    description = validated(Description, content, path)
    check_names(path, description.classes, "classes", description.architecture.classes)
    return description, weights


def load_model(source: Path | Opened) -> tuple[nn.Module, Description]:
    """A trained network on the CPU, and what it is.

    Raises:
        ActaError: the file is missing or damaged, or its weights are not those of the architecture beside it.
    """
    description, weights = _read(source.path if isinstance(source, Opened) else source)
    return load_network(source, lambda: build(description.architecture), weights), description


def model_weights(file: Opened) -> dict[str, Tensor]:
    """The weights of a model file, for another network to start from.

    Raises:
        ActaError: the file or its description is damaged, or they do not belong together.
    """
    return described_weights(file, _read(file.path)[1])


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the last layer's weights, which belong to the classes."""
    return tuple(name for name in model.state_dict() if name.startswith(("fc.", "head.projection.")))
