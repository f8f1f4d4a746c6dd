"""Columns in files: what is added comes back, whatever the blocks; other shapes are refused."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from pipeline.detect.features import columns
from pipeline.detect.features.columns import Columns
from pipeline.runtime.errors import ActaError


def keyframe(count: int, width: int = 3) -> SimpleNamespace:
    box = np.arange(count * 4, dtype=np.float32).reshape(count, 4) + count
    return SimpleNamespace(box=box, feature=np.full((count, width), count, np.float16), seen=np.arange(count) % 2 == 0)


@pytest.mark.parametrize("block", [1, 20, 1 << 20])
def test_what_is_added_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(columns, "_BLOCK", block)
    added = [keyframe(count) for count in (2, 0, 5, 1)]
    with ExitStack() as stack, h5py.File(tmp_path / "a.h5", "w") as file:
        made = Columns(tmp_path / "files", {"box": None, "feature": None, "seen": np.uint8}, stack)
        for each in added:
            made.add(each)
        assert made.size == 8 * (16 + 6 + 1) + 8 * 5
        made.write(file.create_group("g"))
        assert file["g/first"][:].tolist() == [0, 2, 2, 7, 8]
        assert (file["g/feature"].dtype, file["g/seen"].dtype) == (np.float16, np.uint8)
        for name in ("box", "feature", "seen"):
            assert np.array_equal(file[f"g/{name}"][:], np.concatenate([getattr(each, name) for each in added]))
            assert file[f"g/{name}"].chunks is None, "a seal needs contiguous arrays"


def test_rows_of_another_shape(tmp_path: Path) -> None:
    with ExitStack() as stack:
        made = Columns(tmp_path / "files", {"box": None, "feature": None, "seen": None}, stack)
        made.add(keyframe(2))
        with pytest.raises(ActaError, match=r"rows of feature have the shape \(4,\), and before \(3,\)"):
            made.add(keyframe(1, width=4))
