"""A trained RMS-Net on disk: weights in safetensors, and a JSON beside them that says what it is and must be shown."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ActaError
from pipeline.files import atomic, write_json
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.models.state import load_state, read_weights, state_bytes
from pipeline.spot.events import Version
from pipeline.spot.halves import Source

FORMAT = "acta-spotter-1"


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

    architecture: RmsNetArchitecture
    version: Version
    rate: float
    input: str
    frames: dict[str, Any] | None
    stride: int | None
    nms: float | None
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


def save_spotter(path: Path, model: RmsNet, description: SpotterDescription) -> None:
    """Write ``path`` (.safetensors) and the JSON beside it; the weights come last, so their presence means both."""
    write_json(path.with_suffix(".json"), {"format": FORMAT, **asdict(description)})
    with atomic(path) as temporary:
        temporary.write_bytes(state_bytes(model))


def load_spotter(path: Path) -> tuple[RmsNet, SpotterDescription]:
    """A trained network on the CPU in evaluation mode, and what it is.

    Raises:
        ActaError: the file is missing or damaged, or its weights are not those of the architecture beside it.
    """
    beside = path.with_suffix(".json")
    try:
        content = json.loads(beside.read_text())
        found = content.pop("format", None)
        if found != FORMAT:
            raise ActaError(f"{beside} holds {found!r}, but {FORMAT!r} is needed")
        fields = content["architecture"]
        fields |= {"convolutions": tuple(fields["convolutions"])}
        description = SpotterDescription(**content | {"architecture": RmsNetArchitecture(**fields)})
        model = RmsNet(description.architecture)
    except OSError as error:
        raise ActaError(f"cannot read the model's description {beside}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ActaError(f"{beside} does not describe an RMS-Net: {error!r}") from None
    load_state(model, read_weights(path), str(path))
    return model.eval(), description
