"""A trained RMS-Net on disk: weights in safetensors, and a JSON that describes it and the input it needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.models.bounds import STRICT, Frames, Rate, Seconds
from pipeline.models.described import ModelFile
from pipeline.models.opened import Opened
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.runtime.errors import ActaError
from pipeline.spot.events import Version
from pipeline.spot.halves import Source


@dataclass(frozen=True)
class SpotterDescription:
    """The content of the JSON.

    Args:
        architecture: The network.
        version: Of the classes (`pipeline.spot.events.CLASSES`).
        rate: Frames per second.
        input: Name of the features, or ``frames``.
        frames: How the frames were stored on which the backbone was trained; None: the input is features.
        stride: Frames from one window to the next; None: the clip's length.
        nms: Seconds within which one spot of a class is kept; None: all are.
        provenance: What it was made from.
    """

    __pydantic_config__ = STRICT

    architecture: RmsNetArchitecture
    version: Version
    rate: Rate
    input: str
    frames: dict[str, Any] | None
    stride: Frames | None
    nms: Seconds | None
    provenance: dict[str, Any]

    def check_input(self, source: Source, model: str) -> None:
        """Raise an `ActaError` that names the file ``model`` if the input has another number of channels."""
        if source.channels != self.architecture.features:
            raise ActaError(
                f"{model} was trained on {self.input!r} with {self.architecture.features} channels, but is shown "
                f"{source.channels}"
            )


_FILE = ModelFile("acta-spotter-1", SpotterDescription)


save_spotter = _FILE.save


def load_spotter(source: Path | Opened) -> tuple[RmsNet, SpotterDescription]:
    """A trained network on the CPU in evaluation mode, and its description; errors as for `ModelFile.load`."""
    network, description = _FILE.load(source, lambda said: RmsNet(said.architecture))
    return network.eval(), description
