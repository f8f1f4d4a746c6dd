"""Files that ``torch.save`` wrote, as zip archives (since torch 1.6) or one pickle after another, read as data.

Nothing is run and no object of the file's own is made: tensors are cut out of the bytes that are there. Whatever else a
file holds, such as the settings of the training, becomes an inert stand-in.
"""

import io
import math
import pickle
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pipeline.models.opened import Opened
from pipeline.models.pickles import AnyType, Unpickler, unpickle
from pipeline.runtime.errors import ActaError

ZIP = b"PK\x03\x04"
# Before torch 1.6: a pickle of the number that torch recognises its files by.
LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_MOST_KINDS = 1000
_DIMENSIONS = 64
_DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
_STORAGES = {
    **{f"{name}Storage": getattr(torch, name.lower()) for name in ("Float", "Double", "Half", "BFloat16", "Bool")},
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}


class Foreign:
    """Stands for an object of the file's own: it takes all that it is given and keeps nothing.

    ``named``: the module and name of its type.
    """

    named = ""

    def __new__(cls, *values: Any, **named: Any) -> "Foreign":
        return super().__new__(cls)

    def __init__(self, *values: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Nothing."""

    extend = add = append


class _Storage(NamedTuple):
    """Numbers of a file: ``length`` of them from ``start`` on, in the bytes of that key."""

    key: str
    dtype: torch.dtype
    start: int
    length: int


class _View(NamedTuple):
    """A tensor before its numbers are read."""

    storage: Any
    offset: Any
    size: Any
    stride: Any
    dtype: Any


def read_torch(file: Opened) -> Any:
    """What a file of ``torch.save`` holds: containers, numbers, texts, tensors on the CPU, `Foreign` for the rest.

    Raises:
        ActaError: what is wrong with the file, without its path.
        Exception: whatever pickle and zipfile raise on damaged files.
    """
    return (_from_zip if file.content.startswith(ZIP) else _from_pickles)(file.content)


def _from_zip(content: bytes) -> Any:
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = {info.filename: info for info in archive.infolist()}
    if any("/code/" in name or name.endswith("/constants.pkl") for name in members):
        raise ActaError(
            "it is a TorchScript archive, which is a program; save its weights alone: "
            "torch.save(torch.jit.load(path).state_dict(), path)"
        )
    tables = [name for name in members if name.endswith("/data.pkl")]
    if len(tables) != 1:
        kind = "a NumPy archive" if any(name.endswith(".npy") for name in members) else "a zip archive"
        raise ActaError(f"it is {kind}, not a file of torch.save")
    if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
        raise ActaError("its parts are compressed, as torch.save never does; it is not unpacked")
    if sum(info.file_size for info in members.values()) > len(content):
        raise ActaError("its parts are larger than the file; it is not unpacked")
    folder = tables[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
        raise ActaError("it was saved on a big-endian machine; save it again on another")
    value, _ = unpickle(archive.read(tables[0]), partial(_Unpickler, {}))
    return _Builder(lambda key: archive.read(f"{folder}data/{key}")).build(value)


def _from_pickles(content: bytes) -> Any:
    at = 0
    heads = []
    for _ in range(3):
        head, at = unpickle(content, Unpickler, at)
        heads.append(head)
    if heads[1] != 1001 or heads[2].get("little_endian") is not True:
        raise ActaError("it was saved by a version of torch, or on a machine, that is not known here")
    items: dict[str, int] = {}
    value, at = unpickle(content, partial(_Unpickler, items), at)
    keys, at = unpickle(content, Unpickler, at)
    parts: dict[str, bytes] = {}
    for key in keys:
        size = int.from_bytes(content[at : at + 8], "little") * items[key]
        at += 8 + size
        if at > len(content):
            raise ActaError("it ends too early; copy or fetch it again")
        parts[key] = content[at - size : at]
    return _Builder(parts.__getitem__).build(value)


class _Unpickler(Unpickler):
    """``items`` becomes the bytes of a number by the key of its storage."""

    def __init__(self, items: dict[str, int], stream: io.BytesIO, encoding: str):
        super().__init__(stream, encoding=encoding)
        self._items = items
        self._kinds: dict[str, type[Foreign]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("numpy", "dtype"):
            return AnyType
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _STORAGES[name]
        return _REBUILT.get((module, name)) or super().find_class(module, name)

    def foreign(self, name: str) -> Any:
        if len(self._kinds) >= _MOST_KINDS and name not in self._kinds:
            raise ActaError(f"it asks for more than {_MOST_KINDS} things that are no weights; it is not opened")
        return self._kinds.setdefault(name, type("Foreign", (Foreign,), {"named": name}))

    def persistent_load(self, pid: Any) -> Any:
        what, kind, key, *rest = pid
        if what == "module":
            return kind
        _, count, *view = rest
        start = 0
        if view and view[0] is not None:
            _, start, count = view[0]
        if isinstance(kind, type) and issubclass(kind, Foreign):
            raise ActaError(f"it has numbers of the type {kind.named}, which are not read")
        if not isinstance(kind, torch.dtype) or not isinstance(key, str) or not _are_sizes((start, count)):
            raise ActaError("it has a storage that is none")
        self._items[key] = kind.itemsize
        return _Storage(key, kind, start, count)


def _are_sizes(values: tuple[Any, ...]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 62 for value in values)


class _Builder:
    """Makes tensors of views; ``read`` gives the bytes of a storage by its key, each once."""

    def __init__(self, read: Callable[[str], bytes]):
        self._read = read
        self._bytes: dict[str, Tensor] = {}

    def build(self, value: Any) -> Any:
        """The same containers, with tensors."""
        if isinstance(value, _View):
            return self._tensor(value)
        if isinstance(value, dict):
            return {key: self.build(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.build(part) for part in value]
        return tuple(self.build(part) for part in value) if isinstance(value, tuple) else value

    def _tensor(self, view: _View) -> Tensor:
        storage, size, stride = view.storage, view.size, view.stride
        good = isinstance(storage, _Storage) and isinstance(size, tuple) and isinstance(stride, tuple)
        if not good or not _are_sizes((view.offset, *size, *stride)) or not len(size) == len(stride) <= _DIMENSIONS:
            raise ActaError("it has a tensor that is none")
        dtype = view.dtype or storage.dtype
        whole = self._whole(storage)[storage.start * storage.dtype.itemsize :]
        count = storage.length * storage.dtype.itemsize // dtype.itemsize
        last = view.offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        wanted = math.prod(size)
        if wanted and (last >= count or count * dtype.itemsize > len(whole)):
            raise ActaError(f"it has a tensor of shape {list(size)} in {len(whole)} bytes")
        if not wanted:
            return torch.empty(0, dtype=dtype).reshape(size)
        flat = whole[: count * dtype.itemsize].view(dtype)
        return torch.as_strided(flat, size, stride, flat.storage_offset() + view.offset)

    def _whole(self, storage: _Storage) -> Tensor:
        if storage.key not in self._bytes:
            content = self._read(storage.key)
            whole = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0)
            self._bytes[storage.key] = whole.to(torch.uint8)
        return self._bytes[storage.key]


def _rebuilt(storage: Any, offset: Any, size: Any, stride: Any, *hooks: Any) -> _View:
    return _View(storage, offset, size, stride, None)


def _rebuilt_as(storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *_: Any) -> _View:
    return _View(storage, offset, size, stride, dtype)


_REBUILT: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): _rebuilt,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuilt_as,
    ("torch._utils", "_rebuild_parameter"): lambda data, *hooks: data,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda data, *hooks: data,
    ("torch", "Size"): lambda values=(): tuple(values),
}
