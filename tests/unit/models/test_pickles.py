"""Tables in pickles: numbers come out as they went in, and a file gets nothing else done."""

import collections
import copyreg
import pickle
import random
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.models.pickles import read_pickle
from pipeline.runtime.errors import ActaError

ARRAYS = {
    "rows": np.arange(6, dtype="f4").reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "axes": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    "parts": np.arange(16.0).reshape(4, 4)[::2],
    "big-endian": np.arange(3, dtype=">f4"),
    "no axis": np.array(1.5),
    "no rows": np.zeros((0, 5), "u2"),
    "truth": np.array([True, False]),
    "half": np.array([0.5], np.float16),
    "complex": np.array([1 + 2j], np.complex64),
}
NUMBERS = [np.float32(2.5), np.int64(-3), np.bool_(True), np.uint8(200)]


def written(folder: Path, content: Any, protocol: int = 2) -> Path:
    path = folder / "table.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_numbers_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    content = {"arrays": ARRAYS, "numbers": NUMBERS, "plain": collections.OrderedDict(a=[1, (2.5, "é", b"\xff", None)])}
    found = read_pickle(written(tmp_path, content, protocol))
    for name, array in ARRAYS.items():
        assert found["arrays"][name].dtype == array.dtype.newbyteorder("=")
        assert np.array_equal(found["arrays"][name], array)
    assert [(type(a), a) for a in found["numbers"]] == [(type(a), a) for a in NUMBERS]
    assert found["plain"] == content["plain"]


@pytest.mark.parametrize("core", ["core", "_core"])
def test_names_of_both_generations_of_numpy(tmp_path: Path, core: str) -> None:
    content = pickle.dumps([ARRAYS["rows"], NUMBERS[0]], protocol=2).replace(b"numpy._core", f"numpy.{core}".encode())
    rows, number = read_pickle(written(tmp_path, content))
    assert np.array_equal(rows, ARRAYS["rows"])
    assert number == 2.5


def test_bytes_of_python_2_are_latin_1(tmp_path: Path) -> None:
    """There the numbers of an array were a text."""
    content = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\n"
    )
    content += b"I0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00\\xc0'\ntb."
    assert read_pickle(written(tmp_path, content)).tolist() == [1.0, -2.0]


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize(
    ("array", "name"),
    [
        (np.array([None, 1]), "O8"),
        (np.array(["a"]), "U1"),
        (np.array([b"a"]), "S1"),
        (np.zeros(2, "V8"), "V8"),
        (np.zeros(2, [("a", "f4"), ("b", "O")]), "V12"),
        (np.zeros(2, "M8[s]"), "M8"),
        (np.zeros(2, np.longdouble), "f16"),
    ],
)
def test_only_numbers_are_read(tmp_path: Path, array: np.ndarray, name: str, protocol: int) -> None:
    with pytest.raises(ActaError, match=rf"table\.pkl: it has an array of type '{name}'; only numbers are read"):
        read_pickle(written(tmp_path, array, protocol))


# ---- attacks


class Call:
    """Pickles as a call of what a file names; ``state`` is given to the result."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None):
        self._reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self._reduced


RECONSTRUCT, SCALAR = np.zeros(1).__reduce__()[0], np.float32(1).__reduce__()[0]
FROM_BUFFER = np.zeros((2, 2)).__reduce_ex__(5)[0]
DOUBLE = np.dtype("f8")
POINTER = struct.pack("<Q", 0x1000)


def array(shape: Any, kind: Any, data: Any, fortran: bool = False) -> Call:
    return Call(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, shape, kind, fortran, data))


ATTACKS = {
    "objects by state": array((1,), Call(np.dtype, "f8", False, True, state=(3, "|", None, None, None, 8, 8, 63)), b""),
    "a type becomes objects": array((1,), Call(np.dtype, "O8", False, True), POINTER),
    "a type with fields": Call(np.dtype, "V8", False, True, state=(3, "|", None, ("a",), {"a": (DOUBLE, 0)}, 8, 1, 16)),
    "a numeric type with fields": Call(np.dtype, "f8", False, True, state=(3, "<", None, ("a",), {}, 8, 1, 16)),
    "a numeric type with parts": Call(np.dtype, "f8", False, True, state=(3, "<", (DOUBLE, (2,)), None, None, 8, 1, 0)),
    "a numeric type with an odd order": Call(np.dtype, "f8", False, True, state=(3, "O", None, None, None, 8, 1, 0)),
    "an array by itself": Call(np.ndarray, (1,), DOUBLE, POINTER, 0, (1 << 40,)),
    "an array of objects by itself": Call(np.ndarray, (1,), "O", POINTER),
    "more than there is": array((1 << 40,), DOUBLE, POINTER),
    "less than there is": array((1,), DOUBLE, 2 * POINTER),
    "a negative length": array((-1,), DOUBLE, POINTER),
    "two negative lengths": array((-1, -1), DOUBLE, POINTER),
    "a length that is no number": array(("1",), DOUBLE, POINTER),
    "a shape that is no tuple": array([1], DOUBLE, POINTER),
    "many axes": array((1,) * 33, DOUBLE, POINTER),
    "a list of objects": array((1,), DOUBLE, [None]),
    "a type that is none": array((1,), "f8", POINTER),
    "a number that is too long": Call(SCALAR, DOUBLE, 2 * POINTER),
    "a number that is too short": Call(SCALAR, DOUBLE, POINTER[:4]),
    "a number of objects": Call(SCALAR, np.dtype("O"), POINTER),
    "a buffer that is too short": Call(FROM_BUFFER, POINTER, DOUBLE, (1 << 40,), "C"),
    "a buffer with objects": Call(FROM_BUFFER, POINTER, np.dtype("O"), (1,), "C"),
    "another encoding": Call(__import__("_codecs").encode, "a", "zip"),
    "bytes of a size": Call(bytes, 1 << 40),
    "a command": Call(__import__("os").system, "touch never"),
    "an object of a class": Call(copyreg.__newobj__, type("Other", (), {})),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_one_line(tmp_path: Path, attack: str, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        content = pickle.dumps({"a": ATTACKS[attack]}, protocol=protocol)
    except Exception:  # of the test's own class, which cannot be pickled by its name
        content = b"\x80\x02cpathlib\nPath\n)\x81."
    with pytest.raises(ActaError) as caught:
        read_pickle(written(tmp_path, content))
    assert re.fullmatch(r"/\S*/table\.pkl(: it| is no pickle that can be read: ).*", str(caught.value))
    assert [path.name for path in tmp_path.iterdir()] == ["table.pkl"]


def test_a_place_in_the_memo_beyond_the_file_takes_no_memory(tmp_path: Path) -> None:
    content = b"\x80\x02Nr" + struct.pack("<I", 0xFFFFFFF0) + b"."
    with pytest.raises(ActaError, match="it wants room for 4294967280 values"):
        read_pickle(written(tmp_path, content))
    for last, first in (
        (b"\x80\x02Nr\x09\0\0\0.", b"\x80\x02Nr\x0a\0\0\0."),
        (b"Np4\n.", b"Np6\n."),
        (b"Nq\x04.", b"Nq\x05."),
    ):
        assert read_pickle(written(tmp_path, last)) is None
        with pytest.raises(ActaError, match="it wants room for"):
            read_pickle(written(tmp_path, first))


def test_what_unfolds_to_far_more_is_refused(tmp_path: Path) -> None:
    doubled: list[Any] = [1.0]
    for _ in range(40):
        doubled = [doubled, doubled]
    with pytest.raises(ActaError, match="it unfolds to far more values than it holds; it is not read"):
        read_pickle(written(tmp_path, doubled))
    assert read_pickle(written(tmp_path, [list(range(40))] * 1000)) == [list(range(40))] * 1000
    size = (240, 320)
    assert read_pickle(written(tmp_path, [size] * 100)) == [size] * 100


def test_what_is_nested_in_itself_or_too_deeply_is_refused(tmp_path: Path) -> None:
    inside: list[Any] = []
    inside.append(inside)
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert read_pickle(written(tmp_path, deep)) == deep
    for content in (inside, [deep], {"a": {"b": inside}}):
        with pytest.raises(ActaError, match="it is nested in itself, or more than 100 deep; it is not read"):
            read_pickle(written(tmp_path, content))


@pytest.mark.parametrize(
    "content", [b"\x80", b"no pickle", b"\x80\x02", b"\x80\x02(", b"\x80\x05\x97.", b"\x80\x02Nb."]
)
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ActaError, match=r"table\.pkl is no pickle that can be read: "):
        read_pickle(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty; copy or fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS, not the file itself"),
        (b"<html>", "it is a web page, such as a login or an error"),
        (b"PK\x03\x04", "it is a zip archive, such as torch.save writes, not a pickle"),
    ],
)
def test_what_is_no_pickle_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ActaError) as caught:
        read_pickle(written(tmp_path, content))
    assert str(caught.value).startswith(f"{tmp_path / 'table.pkl'}: {message}")


def test_random_damage_gives_arrays_or_one_line(tmp_path: Path) -> None:
    draw = random.Random(0)
    whole = [pickle.dumps({"arrays": ARRAYS, "numbers": NUMBERS, "plain": [1, "a"]}, protocol=p) for p in (0, 2, 5)]
    read = refused = 0
    for _ in range(300):
        content = bytearray(draw.choice(whole))
        for _ in range(draw.randint(1, 8)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        try:
            read_pickle(written(tmp_path, bytes(content)))
            read += 1
        except ActaError:
            refused += 1
    assert (read + refused, read > 0, refused > 0) == (300, True, True)


def test_reading_out_memory_by_a_type_ends_with_one_line(tmp_path: Path) -> None:
    """In a process of its own, which would end with a signal where a pointer of the file were followed."""
    path = written(tmp_path, {"a": array((1,), Call(np.dtype, "O8", False, True), POINTER)})
    code = "import sys, pathlib, pipeline.models.pickles as p; print(p.read_pickle(pathlib.Path(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("it has an array of type 'O8'; only numbers are read")
