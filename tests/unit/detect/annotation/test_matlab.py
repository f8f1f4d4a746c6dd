"""MATLAB's files: what is read is what scipy reads, and what is damaged is refused."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pipeline.detect.annotation.matlab import read_array
from pipeline.runtime.errors import ActaError
from tests.unit.chance import damaged


def saved(content: dict[str, object], *, packed: bool = False) -> bytes:
    file = io.BytesIO()
    savemat(file, content, do_compression=packed)
    return file.getvalue()


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "mask.mat"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1), (3, 1), (5, 0)])
def test_arrays_are_those_that_scipy_reads(tmp_path, shape, dtype, packed):
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    content = saved({"a": values, "other": np.ones((2, 2)), "text": "words"}, packed=packed)
    path = written(tmp_path, content)
    found = read_array(path, "a")
    assert found.shape == shape
    assert np.array_equal(found, loadmat(path)["a"])
    assert read_array(path, "other").tolist() == [[1, 1], [1, 1]]


def element(order: str, kind: int, content: bytes) -> bytes:
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


@pytest.mark.parametrize(("order", "mark"), [("<", b"\0\1IM"), (">", b"\1\0MI")])
def test_other_orders_of_bytes_and_small_types(tmp_path, order, mark):
    """As MATLAB writes doubles that are small whole numbers, and names of up to four letters."""
    name = struct.pack(f"{order}I", 4 << 16 | 1) + b"mask"
    array = element(order, 6, struct.pack(f"{order}II", 6, 0)) + element(order, 5, struct.pack(f"{order}3i", 2, 1, 3))
    array += name + element(order, 4, struct.pack(f"{order}6H", *range(300, 306)))
    path = written(tmp_path, bytes(124) + mark + element(order, 14, array))
    assert read_array(path, "mask").tolist() == [[[300, 302, 304]], [[301, 303, 305]]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is not a MATLAB file of version 5; in MATLAB, save it with -v7"),
        (b"\x89HDF".ljust(600), "it is not a MATLAB file of version 5"),
        (saved({"a": 1.0})[:-1], "it is damaged: an element does not end"),
        (saved({"a": 1.0})[:131], "it is damaged: "),
        (saved({"a": 1.0}, packed=True)[:-9], "it is damaged: an element does not end"),
        (saved({"a": 1.0})[:124] + b"\0\1IM" + element("<", 15, b"zip"), "it is damaged: Error -3"),
        (bytes(124) + b"\0\1IM" + element("<", 15, zlib.compress(bytes(8))), "a packed element holds no array"),
        (
            saved({"a": np.zeros((2, 3))}).replace(struct.pack("<2i", 2, 3), struct.pack("<2i", 2, 4)),
            "6 numbers for the",
        ),
        (saved({"a": np.zeros((2, 3))}).replace(struct.pack("<2i", 2, 3), struct.pack("<2i", -2, -3)), "6 numbers for"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, said):
    path = written(tmp_path, content)
    with pytest.raises(ActaError) as caught:
        read_array(path, "a")
    assert str(caught.value).startswith(f"cannot read {path}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("value", ["text", np.array([["a", 1]], object), {"b": 1}, np.array([[1j]])])
def test_what_is_no_array_of_numbers(tmp_path, value):
    path = written(tmp_path, saved({"a": value}))
    with pytest.raises(ActaError, match=r"mask.mat: a holds no numbers"):
        read_array(path, "a")


def test_a_file_that_is_not_there_and_an_array_that_is_not(tmp_path):
    with pytest.raises(ActaError, match=r"cannot read .*mask.mat: No such file"):
        read_array(tmp_path / "mask.mat", "a")
    with pytest.raises(ActaError, match=r"mask.mat holds no 'b'"):
        read_array(written(tmp_path, saved({"a": 1.0})), "b")


def test_a_damaged_file_is_read_or_refused(tmp_path):
    generator, read = random.Random(3), 0
    files = [
        saved({"b": 1.0, "a": np.ones((4, 5, 2), dtype)}, packed=p) for dtype in ("u1", "f8") for p in (False, True)
    ]
    for _ in range(400):
        path = written(tmp_path, damaged(generator, generator.choice(files), [b"\xff" * 4, bytes(4)]))
        try:
            assert read_array(path, "a").dtype.kind in "iuf"
        except ActaError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            read += 1
    assert 20 < read < 380
