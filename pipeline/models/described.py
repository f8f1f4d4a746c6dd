"""A network on disk: its weights in safetensors, and a JSON beside them that says what it is.

The JSON may come from anybody. It is read strictly: every field of the type and within the bounds that its class says,
before anything is built of it; and what is built must be as large as the weights that are there.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from pipeline.models.opened import Opened
from pipeline.models.state import check_state, load_state, read_weights, state_bytes
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic, write_json
from pipeline.runtime.seals import make_again, unsealed
from pipeline.runtime.text import parse_json, read_text

_LARGEST = 64 << 20  # bytes of a description

DescriptionT = TypeVar("DescriptionT")
NetworkT = TypeVar("NetworkT", bound=nn.Module)


def write_network(path: Path, content: Mapping[str, Any], network: nn.Module) -> None:
    """Write ``path`` (.safetensors) and the JSON beside it; the weights come last, so their presence means both."""
    weights = state_bytes(network)
    write_json(path.with_suffix(".json"), {**content, "weights": hashlib.sha256(weights).hexdigest()})
    with atomic(path) as temporary:
        temporary.write_bytes(weights)


def read_content(path: Path, form: str, what: str = "model") -> dict[str, Any]:
    """The JSON beside a network, not yet validated, without ``format``.

    Args:
        path: The weights (.safetensors).
        form: The format that is needed.
        what: What it is to the user, for the message.

    Raises:
        ActaError: it is missing, is no JSON, has another format, or was changed since it was written.
    """
    beside = path.with_suffix(".json")
    if beside.exists() and (not beside.is_file() or beside.stat().st_size > _LARGEST):
        raise ActaError(f"{beside} does not describe a {what}: it is no file of up to {_LARGEST >> 20} MB")
    text = read_text(beside, f"the {what}'s description")
    try:
        content = unsealed(parse_json(text, str(beside), strict=False), beside)
    except ActaError as error:
        said = str(error)
        raise ActaError(said if make_again(beside) in said else f"{said}; {make_again(beside)}") from None
    if not isinstance(content, dict):
        raise ActaError(f"{beside} does not describe a {what}: it holds a {type(content).__name__}")
    if content.get("format") != form:
        raise ActaError(f"{beside} holds {content.get('format')!r}, but {form!r} is needed")
    del content["format"]
    return content


def validated(kind: type[DescriptionT], content: Mapping[str, Any], path: Path) -> DescriptionT:
    """A description from its JSON.

    Args:
        kind: Its class, whose fields are what the JSON must hold.
        content: Of `read_content`.
        path: The weights, for messages.

    Raises:
        ActaError: a field is missing, unknown, of another type or out of bounds; its name, value and what is allowed.
    """
    beside = path.with_suffix(".json")
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        value = f" is {json.dumps(first['input'], default=str)[:80]}" if first["type"] != "missing" else ""
        said = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise ActaError(f"{beside} does not describe a model: {where!r}{value}: {said}") from None
    except ActaError as error:
        raise ActaError(f"{beside}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ActaError(f"{beside} does not describe a model: {error}") from None


def check_names(path: Path, names: Sequence[str], what: str, outputs: int) -> None:
    """Refuse a description that names more or fewer things than its network has outputs.

    Raises:
        ActaError: it does; ``what`` they are is in the message.
    """
    if len(names) != outputs:
        raise ActaError(f"{path.with_suffix('.json')} names {len(names)} {what}, but the network has {outputs} outputs")


def load_network(path: Path | Opened, make: Callable[[], NetworkT], weights: str | None) -> NetworkT:
    """A network with the weights of its file.

    Args:
        path: The file (.safetensors).
        make: Builds it as it is described. It is first asked for one without memory, to compare with what is there.
        weights: The file's sha256 as described; None: the description is older and has none.

    Raises:
        ActaError: the file is missing or damaged, or holds the weights of another network.
    """
    file = path if isinstance(path, Opened) else _opened(path)
    return loaded(make, described_weights(file, weights), str(file.path))


def described_weights(file: Opened, weights: str | None) -> dict[str, Tensor]:
    """The tensors of a network's file; ``weights`` and errors as of `load_network`."""
    state = read_weights(file)
    if weights is not None and file.sha256 != weights:
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


def _opened(path: Path) -> Opened:
    if not path.exists():
        raise ActaError(f"there is no model file {path}")
    return Opened(path, "the model file")
