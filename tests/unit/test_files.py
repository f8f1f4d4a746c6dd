"""Atomic writing, leftovers of killed processes, private folders."""

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from pipeline.errors import ActaError
from pipeline.files import atomic, check_room, make_private, spool, write_json


def host() -> str:
    return socket.gethostname().split(".")[0]


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_atomic_puts_the_file_in_its_place(tmp_path: Path) -> None:
    with atomic(tmp_path / "new" / "out.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "out.txt").exists()
    assert [(p.name, p.read_text()) for p in (tmp_path / "new").iterdir()] == [("out.txt", "whole")]


def test_atomic_temporary_is_hidden_beside_and_of_the_same_kind(tmp_path: Path) -> None:
    with atomic(tmp_path / "out.mp4") as temporary:
        temporary.touch()
    assert temporary.parent == tmp_path
    assert temporary.name.startswith(".out.mp4.")
    assert temporary.suffix == ".mp4"


def fail_while_writing(output: Path) -> None:
    with atomic(output) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError


def fail_while_spooling(output: Path) -> None:
    with spool(output) as folder:
        (folder / "0.jpegs").write_text("a raw frame")
        raise ZeroDivisionError


def test_atomic_leaves_nothing_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_while_writing(tmp_path / "out.txt")
    assert list(tmp_path.iterdir()) == []


def test_atomic_keeps_the_old_file_after_an_exception(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("old")
    with pytest.raises(ZeroDivisionError):
        fail_while_writing(tmp_path / "out.txt")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.txt", "old")]


def test_atomic_without_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "out.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.h5", "match [1080p].mp4", "a*b?.mp4"])
def test_leftover_of_a_dead_process_is_removed(tmp_path: Path, dead: int, name: str) -> None:
    suffix = Path(name).suffix
    (tmp_path / f".{name}.{host()}.{dead}.tmp{suffix}").write_text("half")
    with atomic(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_leftover_folder_of_a_dead_process_is_removed(tmp_path: Path, dead: int) -> None:
    folder = tmp_path / f".out.h5.{host()}.{dead}.tmpabc"
    folder.mkdir()
    (folder / "0.jpegs").write_text("a raw frame")
    with spool(tmp_path / "out.h5"):
        assert not folder.exists()


@pytest.mark.parametrize("process", ["living", "own", "of another host"])
def test_leftover_that_may_be_in_use_is_kept(tmp_path: Path, dead: int, process: str) -> None:
    place, pid = {
        "living": (host(), os.getppid()),
        "own": (host(), os.getpid()),
        "of another host": ("elsewhere", dead),
    }[process]
    folder = tmp_path / f".out.h5.{place}.{pid}.tmpabc"
    folder.mkdir()
    with atomic(tmp_path / "out.h5") as temporary:
        temporary.write_text("whole")
    assert folder.is_dir()


def test_leftover_of_another_output_is_kept(tmp_path: Path, dead: int) -> None:
    other = tmp_path / f".other.h5.{host()}.{dead}.tmp.h5"
    other.write_text("half")
    with atomic(tmp_path / "out.h5") as temporary:
        temporary.write_text("whole")
    assert other.exists()


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o700])
def test_make_private_takes_access_away(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    folder.chmod(mode)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_make_private_creates_the_folder(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "raw")
    assert stat.S_IMODE((tmp_path / "a" / "raw").stat().st_mode) == 0o700


def test_spool_is_private_and_temporary(tmp_path: Path) -> None:
    with spool(tmp_path / "new" / "out.h5") as folder:
        assert folder.parent == tmp_path / "new"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "0.jpegs").write_text("a raw frame")
    assert list((tmp_path / "new").iterdir()) == []


def test_spool_is_removed_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_while_spooling(tmp_path / "out.h5")
    assert list(tmp_path.iterdir()) == []


def test_two_spools_of_one_output_do_not_meet(tmp_path: Path) -> None:
    with spool(tmp_path / "out.h5") as first, spool(tmp_path / "out.h5") as second:
        assert first.is_dir()
        assert first != second


def test_json_is_readable_and_in_the_order_given(tmp_path: Path) -> None:
    write_json(tmp_path / "out.json", {"b": "日本", "a": [1]})
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == '{\n "b": "\\u65e5\\u672c",\n "a": [\n  1\n ]\n}\n'


def test_too_little_room_is_said_before_anything_is_begun(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "there", 1.0, "a byte")
    with pytest.raises(
        ActaError, match=r"new has room for .* GB, but about 1000000000\.00 GB are needed for an exabyte"
    ):
        check_room(tmp_path / "new", 1e18, "an exabyte")
    assert not (tmp_path / "new").exists()
