"""A trained STAGE on disk: weights in safetensors, and a JSON that describes it and the input it needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.models.bounds import STRICT, Frames, Seconds, Share
from pipeline.models.described import ModelFile
from pipeline.models.opened import Opened
from pipeline.models.stage import Stage
from pipeline.models.stage_architecture import StageArchitecture


@dataclass(frozen=True)
class StageDescription:
    """The content of the JSON.

    Args:
        architecture: The network.
        actions: Names in the order of its outputs.
        loss: ``sigmoid``: scores are independent; ``softmax``: they sum to 1.
        clips: Consecutive clips of a graph.
        step: Seconds between two clips.
        score: Lowest score of a detected person to be a node in tests.
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


_FILE = ModelFile("acta-stage-1", StageDescription, lambda said: ("actions", said.actions, said.architecture.classes))


save_stage = _FILE.save


def load_stage(source: Path | Opened) -> tuple[Stage, StageDescription]:
    """A trained network on the CPU, and its description; errors as for `ModelFile.load`."""
    return _FILE.load(source, lambda said: Stage(said.architecture))
