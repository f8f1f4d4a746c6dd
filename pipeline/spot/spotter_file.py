"""A trained RMS-Net on disk: weights in safetensors, and a JSON beside them that says what it is and must be shown."""

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
    """What the JSON says.

    Args:
        architecture: The network.
        version: Of the classes (`pipeline.spot.events.CLASSES`).
        rate: Frames per second.
        input: Name of the features, or ``frames``.
        frames: How the frames were stored that the backbone was trained on; None: the input is features.
        stride: Frames from one window to the next; None: the clip's.
        nms: Seconds within which one spot of a class stays; None: all stay.
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
        """Refuse input that the network was not trained on; ``model`` is its file, for the message.

        Raises:
            ActaError: it has another number of channels.
        """
        if source.channels != self.architecture.features:
            raise ActaError(
                f"{model} was trained on {self.input!r} with {self.architecture.features} channels, but is shown "
                f"{source.channels}"
            )


_FILE = ModelFile("acta-spotter-1", SpotterDescription)


def save_spotter(path: Path, model: RmsNet, description: SpotterDescription) -> None:
    """Write ``path`` (.safetensors) and the JSON beside it."""
    _FILE.save(path, model, description)


def load_spotter(source: Path | Opened) -> tuple[RmsNet, SpotterDescription]:
    """A trained network on the CPU in evaluation mode, and what it is; errors as of `ModelFile.load`."""
    network, description = _FILE.load(source, lambda said: RmsNet(said.architecture))
    return network.eval(), description
