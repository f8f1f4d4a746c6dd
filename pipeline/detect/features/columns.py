"""What is on a shard's keyframes, column by column in temporary files: the features of AVA are too many for memory."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.runtime.errors import ActaError

_BLOCK = 8 << 20  # bytes


class Columns:
    """Columns of the entities of keyframes, which are added one after another and then written at once.

    Args:
        folder: Where the files are, one a column; it is for this object alone.
        kinds: Type of each column; None means the arrays' own.
        stack: Closes the files.
    """

    def __init__(self, folder: Path, kinds: Mapping[str, type | None], stack: ExitStack):
        folder.mkdir()
        self._kinds = kinds
        self._files = {name: stack.enter_context((folder / name).open("w+b")) for name in kinds}
        self._forms: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        self._firsts = [0]

    @property
    def size(self) -> int:
        """Bytes of all columns."""
        return sum(file.tell() for file in self._files.values()) + 8 * len(self._firsts)

    def add(self, entities: Any) -> None:
        """Add the entities of the next keyframe, which have an array of n rows as each column.

        Raises:
            ActaError: rows have another shape than those before.
        """
        for name, kind in self._kinds.items():
            rows = np.asarray(getattr(entities, name), kind)
            shape, dtype = self._forms.setdefault(name, (rows.shape[1:], rows.dtype))
            if rows.shape[1:] != shape:
                raise ActaError(f"rows of {name} have the shape {rows.shape[1:]}, and before {shape}")
            self._files[name].write(np.ascontiguousarray(rows, dtype).data)
        self._firsts.append(self._firsts[-1] + len(entities.box))

    def write(self, group: h5py.Group) -> None:
        """Write ``first`` (keyframe i has the rows first[i]:first[i + 1]) and the columns as datasets."""
        group.create_dataset("first", data=np.array(self._firsts, np.uint64))
        for name, kind in self._kinds.items():
            shape, dtype = self._forms.get(name, ((0,), np.dtype(kind or np.float32)))
            data = group.create_dataset(name, (self._firsts[-1], *shape), dtype)
            width = dtype.itemsize * int(np.prod(shape, dtype=int))
            if not width:
                continue
            file, rows = self._files[name], max(1, _BLOCK // width)
            file.seek(0)
            for first in range(0, self._firsts[-1], rows):
                block = file.read(rows * width)
                data[first : first + len(block) // width] = np.frombuffer(block, dtype).reshape(-1, *shape)
