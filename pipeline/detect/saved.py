"""A trained STAGE on disk: weights in safetensors, and a JSON beside them that says what it is and must be shown."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import ActaError
from pipeline.files import atomic, write_json
from pipeline.models.stage import Stage, StageArchitecture
from pipeline.models.state import load_state, read_weights, state_bytes

FORMAT = "acta-stage-1"


@dataclass(frozen=True)
class StageDescription:
    """What the JSON says.

    Args:
        architecture: The network.
        actions: Names in the order of its outputs.
        loss: ``sigmoid``: scores are independent; ``softmax``: they sum to 1.
        clips: Consecutive clips of a graph.
        step: Seconds between two clips.
        score: Lowest score of a detected person that is a node in tests.
        provenance: What it was made from.
    """

    architecture: StageArchitecture
    actions: list[str]
    loss: Literal["sigmoid", "softmax"]
    clips: int
    step: float
    score: float
    provenance: dict[str, Any]


def save_stage(path: Path, model: Stage, description: StageDescription) -> None:
    """Write ``path`` (.safetensors) and the JSON beside it; the weights come last, so their presence means both."""
    write_json(path.with_suffix(".json"), {"format": FORMAT, **asdict(description)})
    with atomic(path) as temporary:
        temporary.write_bytes(state_bytes(model))


def load_stage(path: Path) -> tuple[Stage, StageDescription]:
    """A trained network on the CPU, and what it is.

    Raises:
        ActaError: the file is missing or damaged, or its weights are not those of the architecture beside it.
    """
    beside = path.with_suffix(".json")
    try:
        content = json.loads(beside.read_text())
        found = content.pop("format", None)
        if found != FORMAT:
            raise ActaError(f"{beside} holds {found!r}, but {FORMAT!r} is needed")
        description = StageDescription(**content | {"architecture": StageArchitecture(**content["architecture"])})
    except OSError as error:
        raise ActaError(f"cannot read the model's description {beside}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ActaError(f"{beside} does not describe a STAGE: {error!r}") from None
    model = Stage(description.architecture)
    load_state(model, read_weights(path), str(path))
    return model, description
