"""A trained STAGE on disk: weights in safetensors, and a JSON beside them that says what it is and must be shown."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.models.bounds import STRICT, Frames, Seconds, Share
from pipeline.models.described import check_names, load_network, read_content, validated, write_network
from pipeline.models.opened import Opened
from pipeline.models.stage import Stage
from pipeline.models.stage_architecture import StageArchitecture

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

    __pydantic_config__ = STRICT

    architecture: StageArchitecture
    actions: list[str]
    loss: Literal["sigmoid", "softmax"]
    clips: Frames
    step: Seconds
    score: Share
    provenance: dict[str, Any]


def save_stage(path: Path, model: Stage, description: StageDescription) -> None:
    """Write ``path`` (.safetensors) and the JSON beside it; the weights come last, so their presence means both."""
    write_network(path, {"format": FORMAT, **asdict(description)}, model)


def load_stage(source: Path | Opened) -> tuple[Stage, StageDescription]:
    """A trained network on the CPU, and what it is.

    Raises:
        ActaError: the file is missing or damaged, or its weights are not those of the architecture beside it.
    """
    path = source.path if isinstance(source, Opened) else source
    content = read_content(path, FORMAT)
    weights = content.pop("weights", None)
    description = validated(StageDescription, content, path)
    check_names(path, description.actions, "actions", description.architecture.classes)
    return load_network(source, lambda: Stage(description.architecture), weights), description
