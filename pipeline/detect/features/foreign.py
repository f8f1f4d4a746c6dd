"""HDF5 files from other people, read safely: such a file may refer to any file that the user can read.

Links to other files, arrays whose values are in other files (external storage, virtual data sets), and filters that
HDF5 would load as a library are refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.sealed import open_hdf5

LARGEST = 1 << 30  # bytes of one array, or of a chunk in which it is stored
_DEEPEST = 16  # links to links
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # HDF5's own, and LZF, which comes with h5py
# All that HDF5 and h5py raise on damaged files.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, OverflowError, SystemError)


@contextmanager
def _naming(path: Path | str) -> Iterator[None]:
    """Turn whatever fails into an `ActaError` that names the file."""
    try:
        yield
    except _DAMAGE as error:
        raise ActaError(f"cannot read {path}: {error}") from None


def open_foreign(path: Path) -> h5py.File:
    """Open a file; an `ActaError` names it if that fails."""
    with _naming(path):
        return open_hdf5(path, "r")


def names_in(group: h5py.Group) -> list[str]:
    """The names in a group; an `ActaError` names the file if that fails."""
    with _naming(group.file.filename):
        return [name if isinstance(name, str) else name.decode("utf-8", "replace") for name in group]


def place_of(group: h5py.Group) -> int:
    """Where in the file a group is, so that a group with two names can be recognised; errors as for `names_in`."""
    with _naming(group.file.filename):
        return int(h5py.h5o.get_info(group.id).addr)


def find(group: h5py.Group, name: str) -> Any:
    """The group or array with a name in a group, such as ``a/b``; None if there is none.

    Raises:
        VideoError: the file is damaged there.
        ActaError: it leads out of the file, or its values are in other files.
    """
    try:
        return _find(group, name, 0)
    except _DAMAGE as error:
        raise VideoError(f"cannot read {name!r} in {group.file.filename}: {error}") from None


def _find(group: Any, name: str, links: int) -> Any:
    node = group.file if name.startswith("/") else group
    for part in filter(None, name.split("/")):
        if part == ".":
            continue
        if not isinstance(node, h5py.Group) or not node.id.links.exists(node._e(part)):
            return None
        kind = node.id.links.get_info(node._e(part)).type
        if kind == h5py.h5l.TYPE_HARD:
            node = node[part]
        elif kind == h5py.h5l.TYPE_SOFT and links < _DEEPEST:
            target = _find(node, node.get(part, getlink=True).path, links + 1)
            if target is None:
                return None
            node = target
        else:
            what = "links in a circle" if kind == h5py.h5l.TYPE_SOFT else "a link to another file"
            raise _refused(node, part, f"is {what}")
    if isinstance(node, h5py.Dataset):
        _check_storage(node)
    return node if isinstance(node, h5py.Group | h5py.Dataset) else None


def _check_storage(array: Any) -> None:
    made = array.id.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL:
        raise _refused(array, "", "is a virtual data set, whose values are in other files")
    if made.get_external_count():
        raise _refused(array, "", "has its values in another file (external storage)")
    for number in range(made.get_nfilters()):
        if (code := made.get_filter(number)[0]) not in _FILTERS:
            raise _refused(array, "", f"needs the filter {code}, which is not part of HDF5")


def _refused(node: Any, part: str, what: str) -> ActaError:
    name = f"{node.name.rstrip('/')}/{part}".rstrip("/")
    return ActaError(
        f"{node.file.filename}: {name} {what}; only what is in the file itself is read: copy it there, such as with "
        "h5repack"
    )


def read_array(group: Any, name: str, place: str) -> np.ndarray:
    """An array of finite numbers.

    Raises:
        VideoError: it is missing, damaged, not numbers, or larger than a keyframe's can be; it names ``place``.
        ActaError: it leads out of the file.
    """
    array = find(group, name)
    if not isinstance(array, h5py.Dataset):
        raise VideoError(f"{place}: there is no {name!r} in {group.file.filename}{group.name}")
    try:
        dtype, shape = array.dtype, array.shape
        if dtype.kind not in "fiub" or not shape:
            raise VideoError(f"{place}: {name!r} is not an array of numbers")
        size = dtype.itemsize * max(array.size, int(np.prod(array.chunks or (), dtype=object)))
        if size > LARGEST:
            raise VideoError(f"{place}: {name!r} has {size / 1e9:.1f} GB; at most {LARGEST / 1e9:.1f} GB are read")
        content = np.asarray(array[()])
    except _DAMAGE as error:
        raise VideoError(f"{place}: {name!r} cannot be read: {error}") from None
    if not np.isfinite(content).all():
        raise VideoError(f"{place}: {name!r} holds a value that is not finite")
    return content
