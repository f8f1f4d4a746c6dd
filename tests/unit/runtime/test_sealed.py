"""Sealed HDF5 files: every flipped bit is found, other programs read them as ever, and no lock is needed."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.runtime.errors import ActaError
from pipeline.runtime.sealed import BLOCK, Sealed, create_sealed, open_hdf5
from tests import PROJECT

AGAIN = r"make it again \(in a workflow: snakemake --force {path}\)"
ARRAYS = {
    "bytes": np.arange(3 * BLOCK + 5, dtype=np.uint32).view(np.uint8)[: 3 * BLOCK + 5],
    "some/pairs": np.arange(24.0).reshape(4, 3, 2),
    "some/flags": np.array([True, False, True]),
    "some/halves": np.array([0.5, -2], np.float16),
    "some/names": np.array([b"a", b"bcd"]),
    "some/nothing": np.zeros((0, 7), np.int32),
}


def write(path: Path, arrays: dict[str, np.ndarray] = ARRAYS) -> Path:
    with create_sealed(path, sum(array.nbytes for array in arrays.values())) as file:
        file.attrs["about"] = "four words of text"
        file.create_group("some")  # made on the way to an array, it would carry the time
        for name, array in arrays.items():
            file[name] = array
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sealed") / "file.h5")


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back(path: Path, name: str) -> None:
    array = Sealed(path).array(name)
    wanted = ARRAYS[name]
    found = array[:]
    assert (array.shape, array.dtype, len(array)) == (wanted.shape, wanted.dtype, len(wanted))
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert np.array_equal(found, wanted)
    assert found.flags.aligned
    assert found.flags.writeable


@pytest.mark.parametrize(
    "rows", [slice(0, 0), slice(0, 1), slice(1, 3), slice(3, 99), slice(-2, None), slice(3, 1), slice(9, 12)], ids=str
)
def test_slices_are_those_of_numpy(path: Path, rows: slice) -> None:
    for name, wanted in ARRAYS.items():
        found = Sealed(path).array(name)[rows]
        assert (found.shape, found.tolist()) == (wanted[rows].shape, wanted[rows].tolist())


@pytest.mark.parametrize("start", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1])
@pytest.mark.parametrize("count", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_reads_across_blocks(path: Path, start: int, count: int) -> None:
    assert np.array_equal(Sealed(path).array("bytes")[start : start + count], ARRAYS["bytes"][start : start + count])


def test_rows_do_not_hold_the_blocks_around_them(path: Path) -> None:
    array = Sealed(path).array("bytes")
    assert array[5:9].base is None or array[5:9].base.nbytes == 4
    assert array[: 3 * BLOCK].base is not None, "what is most of its blocks is not copied"


def test_numbers_that_lie_between_words_of_the_file_are_aligned(tmp_path: Path) -> None:
    wanted = {f"a{size}": np.arange(BLOCK, dtype=np.float64) + size for size in range(3)}
    odd = {f"b{size}": np.ones(2 * size + 1, np.uint8) for size in range(3)}
    names = sorted([*wanted, *odd], key=lambda name: (name[1], name[0] == "a"))
    file = Sealed(write(tmp_path / "f.h5", {name: (wanted | odd)[name] for name in names}))
    assert any(file.array(name).place % 8 for name in wanted)
    for name, values in wanted.items():
        assert file.array(name)[:].flags.aligned
        assert np.array_equal(file.array(name)[:], values)


def test_other_programs_read_the_file(path: Path) -> None:
    with h5py.File(path) as file:
        assert dict(file.attrs) == {"about": "four words of text"}
        assert {name: file[name][()].tolist() for name in ARRAYS} == {n: a.tolist() for n, a in ARRAYS.items()}


def test_the_seal_is_the_documented_one(path: Path) -> None:
    import hashlib

    content = path.read_bytes()
    digest, size, mark = struct.unpack("<32sQ8s", content[-48:])
    blocks = [content[:size][start : start + 32768] for start in range(0, size, 32768)]
    table = b"".join(struct.pack("<I", zlib.crc32(block)) for block in blocks)
    sealed = content[size:-48]
    assert mark == b"ACTASEAL"
    assert len(blocks) == 4
    assert sealed.startswith(table)
    assert hashlib.sha256(sealed).digest() == digest
    described = json.loads(sealed[len(table) :])
    assert described["sha256"] == hashlib.sha256(content[:size]).hexdigest()
    assert described["attributes"] == Sealed(path).attributes == {"about": "four words of text"}
    assert described["arrays"]["some/pairs"][:2] == ["<f8", [4, 3, 2]]
    assert Sealed(path).digest == digest.hex()


def test_the_digest_is_of_the_content(tmp_path: Path, path: Path) -> None:
    assert Sealed(write(tmp_path / "same.h5")).digest == Sealed(path).digest
    other = ARRAYS["bytes"].copy()
    other[BLOCK + 1] ^= 1
    assert Sealed(write(tmp_path / "other.h5", ARRAYS | {"bytes": other})).digest != Sealed(path).digest


def test_files_of_many_blocks_have_a_checksum_of_each(tmp_path: Path) -> None:
    """More than is read at once when the seal is made."""
    wanted = np.random.default_rng(0).integers(0, 256, (8 << 20) + 3 * BLOCK + 1, np.uint8)
    array = Sealed(write(tmp_path / "large.h5", {"bytes": wanted})).array("bytes")
    assert np.array_equal(array[:], wanted)
    assert np.array_equal(array[(8 << 20) - 9 : (8 << 20) + BLOCK], wanted[(8 << 20) - 9 : (8 << 20) + BLOCK])


# ---- damage


def read_all(path: Path) -> dict[str, object]:
    file = Sealed(path)
    return {name: file.array(name)[:].tolist() for name in ARRAYS} | {"about": file.attribute("about")}


def flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    """A bit of every byte of a file of one block."""
    small = {name: array[:40] for name, array in ARRAYS.items()}
    path = write(tmp_path / "file.h5", small)
    wanted = read_all(path)
    for place in range(path.stat().st_size):
        flip(path, place, place % 8)
        with pytest.raises(ActaError, match=f"^({path} is damaged: |cannot read {path}: it is no HDF5 file)"):
            read_all(path)
        flip(path, place, place % 8)
    assert read_all(path) == wanted


def test_damage_elsewhere_does_not_matter(tmp_path: Path, path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "copy.h5"))
    place = Sealed(copy).array("bytes").place + 2 * BLOCK
    flip(copy, place, 3)
    bad = place // BLOCK
    array = Sealed(copy).array("bytes")
    assert np.array_equal(array[:BLOCK], ARRAYS["bytes"][:BLOCK])
    message = f"copy.h5 is damaged: its bytes {bad * BLOCK} to {bad * BLOCK + BLOCK - 1} are not those written; "
    with pytest.raises(ActaError, match=message + AGAIN.format(path=copy)):
        array[2 * BLOCK : 2 * BLOCK + 1]


def test_the_last_block_is_named_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "f.h5", {"a": np.zeros(7)})
    size = struct.unpack("<32sQ8s", path.read_bytes()[-48:])[1]
    flip(path, Sealed(path).array("a").place, 0)
    with pytest.raises(ActaError, match=f"its bytes 0 to {size - 1} are not those written"):
        Sealed(path).array("a")[:]


def test_what_another_program_changes_is_found(tmp_path: Path, path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "copy.h5"))
    with h5py.File(copy, "r+") as file:
        file["some/pairs"][:] = 0
    with pytest.raises(ActaError, match=r"copy\.h5 is damaged"):
        read_all(copy)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path / "copy.h5"))
    array = Sealed(copy).array("bytes")
    os.truncate(copy, BLOCK)
    with pytest.raises(ActaError, match=r"copy\.h5 is damaged: it was cut short while it was read"):
        array[:]


@pytest.mark.parametrize("content", [b"", b"\x89HD", b"text" * 100])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.h5").write_bytes(content)
    with pytest.raises(ActaError, match=r"^cannot read .*other\.h5: it is no HDF5 file$"):
        Sealed(tmp_path / "other.h5")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"^cannot read .*none\.h5: No such file or directory$"):
        Sealed(tmp_path / "none.h5")
    with pytest.raises(ActaError, match=r"^cannot read .*: Is a directory$"):
        Sealed(tmp_path)


def test_what_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(ActaError, match=r"file\.h5 has no some/thing; make it again"):
        Sealed(path).array("some/thing")
    with pytest.raises(ActaError, match=r"file\.h5 has no attribute format; make it again"):
        Sealed(path).attribute("format")


@pytest.mark.parametrize(
    "about",
    [
        {},
        [],
        {"attributes": {}, "arrays": {"a": ["<f8", [2], 10**9]}},
        {"attributes": {}, "arrays": {"a": ["<f8", [10**12], 0]}},
        {"attributes": {}, "arrays": {"a": ["<f8", [-1], 0]}},
        {"attributes": {}, "arrays": {"a": ["<f8", [1], -8]}},
        {"attributes": {}, "arrays": {"a": ["<f8", [], 0]}},
        {"attributes": {}, "arrays": {"a": ["|O", [1], 0]}},
        {"attributes": {}, "arrays": {"a": ["no type", [1], 0]}},
        {"attributes": {}, "arrays": {"a": 3}},
        {"attributes": 3, "arrays": {}},
    ],
    ids=str,
)
def test_a_seal_that_was_forged_reads_nothing_else(tmp_path: Path, about: object) -> None:
    import hashlib

    body = b"\x89HDF\r\n\x1a\n" + bytes(100)
    sealed = struct.pack("<I", zlib.crc32(body)) + json.dumps(about).encode()
    end = struct.pack("<32sQ8s", hashlib.sha256(sealed).digest(), len(body), b"ACTASEAL")
    (tmp_path / "f.h5").write_bytes(body + sealed + end)
    with pytest.raises(ActaError, match=r"f\.h5 is damaged: its seal makes no sense"):
        Sealed(tmp_path / "f.h5")


def test_an_array_must_be_written_whole(tmp_path: Path) -> None:
    for options in ({}, {"chunks": (1,)}):
        with (
            pytest.raises(ActaError, match=r"f\.h5 could not be written: a was not written, or is not contiguous"),
            create_sealed(tmp_path / "f.h5", 100) as file,
        ):
            file.create_dataset("a", (3,), np.float32, **options)
    assert list(tmp_path.iterdir()) == []


def test_files_are_closed(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    file = Sealed(path)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    file.close()
    file.close()
    assert len(os.listdir("/proc/self/fd")) == before
    Sealed(path).array("bytes")
    assert len(os.listdir("/proc/self/fd")) == before, "without close, with its last reference"


# ---- file systems without locks


_LOCKS = "#include <errno.h>\nint flock(int file, int how) { errno = %d; return -1; }\n"
_WRITE_AND_READ = """
import sys
from pathlib import Path
from pipeline.cli import main
try:
    main(["--version"])
except SystemExit:
    pass
import numpy as np
from pipeline.detect.features.foreign import open_foreign
from pipeline.runtime.sealed import Sealed, create_sealed
path = Path(sys.argv[1])
with create_sealed(path, 8) as file:
    file["a"] = np.arange(3)
print(Sealed(path).array("a")[:].tolist())
with open_foreign(path) as file:
    print(file["a"][:].tolist())
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
@pytest.mark.parametrize("environment", [{}, {"HDF5_USE_FILE_LOCKING": "TRUE"}], ids=str)
@pytest.mark.parametrize("number", [37, 38, 95], ids=["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_file_systems_without_locks(tmp_path: Path, number: int, environment: dict[str, str]) -> None:
    (tmp_path / "locks.c").write_text(_LOCKS % number)
    library = str(tmp_path / "locks.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, str(tmp_path / "locks.c")], check=True)
    result = subprocess.run(
        [sys.executable, "-c", _WRITE_AND_READ, str(tmp_path / "file.h5")],
        cwd=PROJECT,
        env=os.environ | environment | {"LD_PRELOAD": library},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1:] == ["[0, 1, 2]"] * 2


def test_locks_are_never_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = h5py.File.__init__

    def noted(self: h5py.File, *arguments: object, **options: object) -> None:
        if isinstance(arguments[0], Path):  # no handle of an open file
            asked.append(options["locking"])
        original(self, *arguments, **options)

    monkeypatch.setattr(h5py.File, "__init__", noted)
    write(tmp_path / "f.h5", {"a": np.zeros(2)})
    assert len(asked) == 2, "to write, and to seal"
    assert not any(asked)


def test_an_environment_that_asks_for_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HDF5 says where the variable was set before it was loaded by another program than Acta."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(
            37, "Unable to create file (unable to lock file, errno = 37, error message = 'No locks available')"
        )

    monkeypatch.setattr(h5py.File, "__init__", refuse)
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "TRUE")
    message = (
        r"^the file system of \S+ has no locks \(No locks available\), and HDF5_USE_FILE_LOCKING = TRUE asks for one: "
        "unset HDF5_USE_FILE_LOCKING$"
    )
    with pytest.raises(ActaError, match=message), create_sealed(tmp_path / "f.h5", 0):
        pass


def test_commands_drop_the_variable_that_asks_for_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "TRUE")
    with pytest.raises(SystemExit):
        main(["--version"])
    assert "HDF5_USE_FILE_LOCKING" not in os.environ


def test_other_errors_of_hdf5_are_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_hdf5(tmp_path / "none.h5", "r")


def test_no_other_module_opens_hdf5() -> None:
    found = [p for p in (PROJECT / "pipeline").rglob("*.py") if "h5py.File(" in p.read_text()]
    assert [path.name for path in found] == ["sealed.py"]
