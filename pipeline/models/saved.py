"""A trained network on disk: weights in safetensors, and a JSON beside them that says what they are.

The JSON holds the format, the architecture, the classes in the order of the outputs, what the network must be shown
(frame rate, frames, view, which variant of the frames) and the provenance. Nothing is unpickled.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from pipeline.config.base import Variant, parse
from pipeline.config.classify import ViewSettings
from pipeline.errors import ActaError
from pipeline.files import atomic, write_json
from pipeline.models.architecture import Architecture, Reduction
from pipeline.models.backbones import build
from pipeline.models.state import load_state, read_weights, state_bytes

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

    architecture: Architecture
    classes: list[str]
    variant: Variant
    rate: float | None
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
    write_json(path.with_suffix(".json"), content)
    with atomic(path) as temporary:
        temporary.write_bytes(state_bytes(model))


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
        ActaError: it is missing, damaged or of another format.
    """
    beside = path.with_suffix(".json")
    try:
        content = json.loads(beside.read_text())
        if content.get("format") != FORMAT:
            raise ActaError(f"{beside} holds {content.get('format')!r}, but {FORMAT!r} is needed")
        if "absent" in content:
            raise ActaError(f"{path} holds no network: {content['absent']}")
        fields = content["architecture"]
        blocks = fields["blocks"]
        reductions = tuple(Reduction(*reduction) for reduction in fields["reductions"])
        fields |= {"reductions": reductions, "blocks": tuple(blocks) if blocks else None}
        return Description(
            Architecture(**fields),
            content["classes"],
            content["variant"],
            content["rate"],
            parse(ViewSettings, content["view"], str(beside)),
            content["provenance"],
        )
    except OSError as error:
        raise ActaError(f"cannot read the model's description {beside}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ActaError(f"{beside} does not describe a model: {error!r}") from None


def load_model(path: Path) -> tuple[nn.Module, Description]:
    """A trained network on the CPU, and what it is.

    Raises:
        ActaError: the file is missing or damaged, or its weights are not those of the architecture beside it.
    """
    description = read_description(path)
    model = build(description.architecture)
    load_state(model, read_weights(path), str(path))
    return model, description


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the last layer's weights, which belong to the classes."""
    return tuple(name for name in model.state_dict() if name.startswith(("fc.", "head.projection.")))
