"""Pickles of plain values and numpy arrays, read without running or trusting anything that they ask for.

Caffe2's tables and annotated tubes are such files. Numbers, texts, containers and arrays of numbers are admitted. A
file never reaches numpy's own constructors, which believe what they are told about sizes and pointers: arrays are
built here, of numeric types only, and never of more bytes than the file has.
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pipeline.models.opened import Opened, opened, refuse_known
from pipeline.runtime.errors import ActaError

_NUMERIC = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16)")
_DEPTH, _DIMENSIONS = 100, 32
# The name of each opcode and the bytes of its argument; if negative, the file says how many.
_OPCODES = {ord(opcode.code): (opcode.name, opcode.arg.n if opcode.arg else 0) for opcode in pickletools.opcodes}
_WIDTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_PLACES = ("PUT", "BINPUT", "LONG_BINPUT")
# How many values a file may unfold to for each of its bytes, and however small it is. A value that it holds once and
# refers to often counts each time.
_PER_BYTE, _ALWAYS = 8, 1_000_000


def read_pickle(source: Path | Opened) -> Any:
    """What a pickle of plain values and numpy arrays holds; texts of Python 2 are read as Latin-1.

    Raises:
        ActaError: the file is missing, damaged, asks for anything else, or unfolds to more than it holds.
    """
    file = opened(source, "the table")
    try:
        refuse_known(file.content)
        if file.content.startswith(b"PK\x03\x04"):
            raise ActaError("it is a zip archive, such as torch.save writes, not a pickle")
        content, _ = unpickle(file.content, Unpickler)
    except ActaError as error:
        raise ActaError(f"{file.path}: {error}") from None
    except Exception as error:  # whatever pickle raises on damaged files
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ActaError(f"{file.path} is no pickle that can be read: {said}") from None
    return content


class Unpickler(pickle.Unpickler):
    """Admits plain values and arrays; anything else is refused, unless a subclass has a stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        admitted = _ADMITTED.get((module, name))
        return self.foreign(f"{module}.{name}") if admitted is None else admitted

    def foreign(self, name: str) -> Any:
        """The stand-in for a name that is not admitted."""
        raise ActaError(f"it asks for {name}, which is no part of a table of weights; it is not opened")


def unpickle(content: bytes, kind: Callable[..., Unpickler], start: int = 0) -> tuple[Any, int]:
    """The value of the pickle that begins at ``start``, and where it ends.

    Raises:
        ActaError: it asks for what is not admitted, or is nested too deeply or unfolds to more than it holds.
        Exception: whatever pickle raises on damaged files.
    """
    end = _scan(content, start)
    value = kind(io.BytesIO(content[start:end]), encoding="latin1").load()
    _check_unfolded(value, max(_ALWAYS, _PER_BYTE * (end - start)))
    return value, end


def _scan(content: bytes, start: int) -> int:
    """Where a pickle ends; a place in the memo is memory, so none may be beyond what so short a file can need."""
    at, last = start, len(content)
    while at < last:
        if content[at] not in _OPCODES:
            raise ValueError(f"byte {at} is 0x{content[at]:02x}, as in no pickle")
        name, size = _OPCODES[content[at]]
        first = at = at + 1
        if size == pickletools.UP_TO_NEWLINE:
            for _ in range(2 if name in ("GLOBAL", "INST") else 1):
                at = (content.find(b"\n", at) + 1) or last + 1
        elif size < 0:
            width = _WIDTHS[size]
            at += width + int.from_bytes(content[at : at + width], "little")
        else:
            at += size
        if name in _PLACES:
            place = int(content[first:at]) if name == "PUT" else int.from_bytes(content[first:at], "little")
            if place > last - start:
                raise ValueError(f"it wants room for {place} values")
        if name == "STOP":
            return at
    raise ValueError("it is cut off")


def _check_unfolded(content: Any, limit: int) -> None:
    sizes: dict[int, int] = {}
    above: set[int] = set()
    stack = [(content, False)]
    while stack:
        value, done = stack.pop()
        parts = _parts(value)
        if parts is None or id(value) in sizes:
            continue
        if done:
            above.discard(id(value))
            sizes[id(value)] = 1 + sum(sizes.get(id(part), 1) for part in parts)
            if sizes[id(value)] > limit:
                raise ActaError("it unfolds to far more values than it holds; it is not read")
            continue
        if id(value) in above or len(above) >= _DEPTH:
            raise ActaError(f"it is nested in itself, or more than {_DEPTH} deep; it is not read")
        above.add(id(value))
        stack.append((value, True))
        stack += [(part, False) for part in parts]


def _parts(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return list(value) if isinstance(value, list | tuple | set | frozenset) else None


class Mapping(dict[Any, Any]):
    """Stands for an ordered dict; what a file attaches to it is dropped (torch: versions of modules)."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Type:
    """Stands for a numpy type while a file is read: numeric, with nothing inside that the file could choose."""

    def __init__(self, name: Any, *flags: Any):
        if not isinstance(name, str) or not _NUMERIC.fullmatch(name):
            raise ActaError(f"it has an array of type {name!r}; only numbers are read")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        _, order, *inner = state
        if order not in ("<", ">", "|", "=") or any(part is not None for part in inner[:3]):
            raise ActaError("it has an array of a type with parts; only numbers are read")
        self.dtype = self.dtype.newbyteorder(order)


class AnyType(_Type):
    """For files where only tensors matter: other arrays than those of numbers, such as names, are read as empty."""

    def __init__(self, name: Any, *flags: Any):
        self.is_numeric = isinstance(name, str) and _NUMERIC.fullmatch(name) is not None
        super().__init__(name if self.is_numeric else "f8")

    def __setstate__(self, state: Any) -> None:
        if self.is_numeric:
            super().__setstate__(state)


class _Array(np.ndarray):
    """An array that takes its numbers from a file only after their count was checked."""

    def __setstate__(self, state: Any) -> None:
        shape, kind, fortran, data = state[-4:]
        checked = _array(data, kind, shape, "F" if fortran else "C")
        super().__setstate__((checked.shape, checked.dtype, bool(fortran), checked.tobytes("A")))  # type: ignore[arg-type]


def _array(data: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    if isinstance(kind, AnyType) and not kind.is_numeric:
        return np.zeros(0)
    if isinstance(data, str):
        data = data.encode("latin1")  # as Python 2 wrote bytes
    sizes = (shape,) if isinstance(shape, int) else shape
    if not isinstance(kind, _Type) or not isinstance(data, bytes | bytearray) or not isinstance(sizes, tuple):
        raise ActaError("it has an array that is no array of numbers")
    if len(sizes) > _DIMENSIONS or any(type(size) is not int or size < 0 for size in sizes):
        raise ActaError(f"it has an array of shape {sizes}"[:120])
    if math.prod(sizes) * kind.dtype.itemsize != len(data):
        raise ActaError(f"it has an array of shape {sizes} and type {kind.dtype} in {len(data)} bytes")
    flat = np.frombuffer(bytearray(data), kind.dtype).astype(kind.dtype.newbyteorder("="), copy=False)
    return flat.reshape(sizes, order=order)  # type: ignore[call-overload]


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    if order == "K" and axes is not None:
        return _array(data, kind, shape, "C").transpose(axes)
    return _array(data, kind, shape, "F" if order == "F" else "C")


def _scalar(kind: Any, data: Any) -> Any:
    array = _array(data, kind, (1,), "C")
    return array[0] if len(array) else None


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ActaError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


class _Nothing:
    """Stands for the type of arrays, which a file names but need not have."""

    __slots__ = ()

    def __call__(self, *values: Any) -> NoReturn:
        raise ActaError("it builds an array by itself; it is not opened")


# What a file may name, under the names of both numpy's generations, and what it gets.
_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): Mapping,
    ("numpy", "ndarray"): _Nothing(),
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): lambda: b"",  # how Python 3 writes empty bytes in the protocols of Python 2
}
for _core in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = lambda kind, shape, code: np.zeros(0).view(_Array)
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _from_buffer
