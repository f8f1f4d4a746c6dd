"""A network on disk: its weights in safetensors, and next to them a JSON that says what it is.

The JSON may come from anybody. It is read strictly: every field must have the type and be within the bounds that its
class says before anything is built from it, and what is built must be as large as the weights that are there.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from safetensors.torch import load, save
from torch import Tensor, nn

from pipeline.models.opened import Opened, opened
from pipeline.models.state import check_state, load_state
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic, write_json
from pipeline.runtime.seals import make_again, unsealed
from pipeline.runtime.text import parse_json, read_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LARGEST = 64 << 20  # bytes of a description

DescriptionT = TypeVar("DescriptionT", bound="DataclassInstance")
NetworkT = TypeVar("NetworkT", bound=nn.Module)


class ModelFile(Generic[DescriptionT]):
    """A kind of network on disk.

    Args:
        form: The ``format`` in its JSON.
        kind: The class of its descriptions: what else the JSON must hold.
        names: What a description names (``classes``), these names, and the number of its network's outputs, if any.
    """

    def __init__(
        self,
        form: str,
        kind: type[DescriptionT],
        names: Callable[[DescriptionT], tuple[str, Sequence[str], int]] | None = None,
    ):
        self._form, self._kind, self._names = form, kind, names

    def save(self, path: Path, network: nn.Module, description: DescriptionT) -> None:
        """Write ``path`` (.safetensors) and the JSON next to it."""
        said = {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for name, value in asdict(description).items()
        }
        weights = save({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()})
        sha256 = hashlib.sha256(weights).hexdigest()
        write_described(path, {"format": self._form, **said, "weights": sha256}, weights)

    def read(self, path: Path) -> DescriptionT:
        """The description next to a network.

        Raises:
            ActaError: it is missing, damaged or of another format, or describes an impossible network.
        """
        return self._read(path)[0]

    def load(self, source: Path | Opened, build: Callable[[DescriptionT], NetworkT]) -> tuple[NetworkT, DescriptionT]:
        """A trained network on the CPU, and what it is.

        Args:
            source: The file (.safetensors).
            build: Builds a network as described, with any weights; first one without memory, to compare with the file.

        Raises:
            ActaError: the file is missing or damaged, or its weights are not those of the described network.
        """
        path = source.path if isinstance(source, Opened) else source
        description, sha256 = self._read(path)
        return loaded(lambda: build(description), described_weights(source, sha256), str(path)), description

    def weights(self, file: Opened) -> dict[str, Tensor]:
        """The weights alone, for another network to start from; errors as of `load`."""
        return described_weights(file, self._read(file.path)[1])

    def content(self, path: Path) -> dict[str, Any]:
        """The JSON's fields, not yet validated."""
        return read_content(path, self._form)

    def _read(self, path: Path) -> tuple[DescriptionT, str | None]:
        """The description, and the sha256 of the weights; None: the file is older and has none."""
        content = self.content(path)
        sha256 = content.pop("weights", None)
        about = path.with_suffix(".json")
        description = _validated(self._kind, content, about)
        if self._names is not None:
            what, names, outputs = self._names(description)
            if len(names) != outputs:
                raise ActaError(f"{about} names {len(names)} {what}, but the network has {outputs} outputs")
        return description, sha256


def write_described(path: Path, content: Mapping[str, Any], weights: bytes) -> None:
    """Write ``path`` (.safetensors) and the JSON next to it; the weights come last, so their presence means both."""
    write_json(path.with_suffix(".json"), content)
    with atomic(path) as temporary:
        temporary.write_bytes(weights)


def read_content(path: Path, form: str, what: str = "model") -> dict[str, Any]:
    """The JSON next to a network, not yet validated, without ``format``.

    Args:
        path: The weights (.safetensors).
        form: The format that is needed.
        what: What to call it in a message.

    Raises:
        ActaError: it is missing, is no JSON, has another format, or was changed since it was written.
    """
    about = path.with_suffix(".json")
    if about.exists() and (not about.is_file() or about.stat().st_size > _LARGEST):
        raise ActaError(f"{about} does not describe a {what}: it is no file of up to {_LARGEST >> 20} MB")
    text = read_text(about, f"the {what}'s description")
    try:
        content = unsealed(parse_json(text, str(about), strict=False), about)
    except ActaError as error:
        said = str(error)
        raise ActaError(said if make_again(about) in said else f"{said}; {make_again(about)}") from None
    if not isinstance(content, dict):
        raise ActaError(f"{about} does not describe a {what}: it holds a {type(content).__name__}")
    if content.get("format") != form:
        raise ActaError(f"{about} holds {content.get('format')!r}, but {form!r} is needed")
    del content["format"]
    return content


def _validated(kind: type[DescriptionT], content: Mapping[str, Any], about: Path) -> DescriptionT:
    """A description from its JSON; a field that is not strictly as its class says is an `ActaError` that names it."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        value = f" is {json.dumps(first['input'], default=str)[:80]}" if first["type"] != "missing" else ""
        said = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise ActaError(f"{about} does not describe a model: {where!r}{value}: {said}") from None
    except ActaError as error:
        raise ActaError(f"{about}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ActaError(f"{about} does not describe a model: {error}") from None


def described_weights(source: Path | Opened, sha256: str | None) -> dict[str, Tensor]:
    """The tensors of a .safetensors file; ``sha256`` is the described one, None in descriptions that are older.

    Raises:
        ActaError: it is missing or damaged, or another file than the described one.
    """
    if isinstance(source, Path) and not source.exists():
        raise ActaError(f"there is no model file {source}")
    file = opened(source, "the model file")
    try:
        state = load(file.content)
    except Exception as error:  # besides its own, the library lets through what an unknown type or shape leads to
        raise ActaError(f"{file.path} is not a whole safetensors file: {error}") from None
    if sha256 is not None and file.sha256 != sha256:
        raise ActaError(f"{file.path} was changed or damaged since it was written; {make_again(file.path)}")
    return state


def loaded(make: Callable[[], NetworkT], state: dict[str, Tensor], source: str) -> NetworkT:
    """A network with these weights; it takes memory only once they are known to be its own.

    Raises:
        ActaError: they are another network's, or there can be no such network.
    """
    try:
        with torch.device("meta"):
            outline = make()
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise ActaError(f"the network of {source} cannot be: {str(error).splitlines()[0][:200]}") from None
    check_state(outline, state, source)
    network = make()
    load_state(network, state, source)
    return network
