"""Two runs on one output: locks, and what a killed run leaves."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import (
    atomic,
    remove_leftovers,
)
from tests.unit.runtime.outputs import (
    NOBODY,
    a_dangling_link,
    a_folder,
    a_link,
    a_pipe,
    a_socket,
    failing,
    needs_root,
    process,
)


@pytest.mark.parametrize("make", [a_link, a_dangling_link, a_folder, a_pipe, a_socket])
def test_what_stands_where_a_lock_would_is_neither_followed_nor_changed(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / ".out.lock")
    before = {p.name: (p.lstat().st_ino, p.lstat().st_mode) for p in tmp_path.iterdir()}
    message = r"\.out\.lock is no regular file, but stands where a lock would; remove it"
    with pytest.raises(ActaError, match=message), atomic(tmp_path / "out", overwrite=True):
        pytest.fail("the block was entered")
    assert {p.name: (p.lstat().st_ino, p.lstat().st_mode) for p in tmp_path.iterdir()} == before


def test_only_a_new_lock_is_opened_to_all(tmp_path: Path) -> None:
    (tmp_path / ".out.lock").write_text("")
    (tmp_path / ".out.lock").chmod(0o600)
    os.link(tmp_path / ".out.lock", tmp_path / "diary")
    with atomic(tmp_path / "out", overwrite=True) as temporary:
        temporary.touch()
    assert stat.S_IMODE((tmp_path / "diary").stat().st_mode) == 0o600


@needs_root
def test_a_lock_that_another_user_holds_says_so_at_once(tmp_path: Path) -> None:
    (tmp_path / ".out.lock").touch()
    os.chown(tmp_path / ".out.lock", NOBODY, NOBODY)
    with (tmp_path / ".out.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        again = atomic(tmp_path / "out", overwrite=True)
        with pytest.raises(ActaError, match="out is being written by another run"), again:
            pytest.fail("the block was entered")


@pytest.mark.parametrize("overwrite", [False, True])
def test_of_two_runs_on_one_output_the_second_is_refused_at_once(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "out.mp4"
    with atomic(path, overwrite=overwrite) as temporary:
        temporary.write_text("first")
        again = atomic(path, overwrite=not overwrite)
        with pytest.raises(ActaError, match=r"out\.mp4 is being written by another run"), again:
            pytest.fail("the block was entered")
        with atomic(tmp_path / "other.mp4", overwrite=overwrite) as other:
            other.write_text("another")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"out.mp4": "first", "other.mp4": "another"}


def test_another_process_is_refused_too(tmp_path: Path) -> None:
    code = (
        "import sys; from pipeline.runtime.files import atomic\n"
        "with atomic(sys.argv[1], overwrite=True) as t: t.touch()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out.mp4")]
    with atomic(tmp_path / "out.mp4", overwrite=True) as temporary:
        temporary.write_text("first")
        assert "is being written by another run" in subprocess.run(command, capture_output=True, text=True).stderr
    assert (tmp_path / "out.mp4").read_text() == "first"
    assert subprocess.run(command).returncode == 0
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.mp4", "")]


def test_what_a_killed_run_leaves_does_not_block_the_next(tmp_path: Path, dead: int) -> None:
    for name in (".out.mp4.lock", f".out.mp4.{process(dead)}.tmp1a2b_c3d"):
        (tmp_path / name).write_text("half")
    with atomic(tmp_path / "out.mp4", overwrite=False) as temporary:
        temporary.write_text("whole")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.mp4", "whole")]


def test_a_lock_can_be_taken_over_by_another_user(tmp_path: Path) -> None:
    with atomic(tmp_path / "out", overwrite=False) as temporary:
        temporary.touch()
        assert stat.S_IMODE((tmp_path / ".out.lock").stat().st_mode) == 0o666


def test_leftovers_are_removed_unless_somebody_writes(tmp_path: Path, dead: int) -> None:
    def leave() -> None:
        (tmp_path / f".out.mp4.{process(dead)}.tmp1a2b_c3d").write_text("half")

    with atomic(tmp_path / "out.mp4", overwrite=False) as temporary:
        temporary.touch()
        leave()
        remove_leftovers(tmp_path / "out.mp4")
        assert len(list(tmp_path.iterdir())) == 3
    remove_leftovers(tmp_path / "out.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_a_lock_that_its_owner_removes_meanwhile_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the lock's file and locking it, its owner can have ended: the lock then is on no file."""
    flock, lock, seen = fcntl.flock, tmp_path / ".out.lock", []

    def late(file: int, operation: int) -> None:
        if not seen:
            lock.unlink()
        seen.append(file)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with atomic(tmp_path / "out", overwrite=False) as temporary:
        temporary.touch()
        assert lock.exists()
    assert len(seen) == 2


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_one_of_two_runs_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(number))
    path = tmp_path / "out"

    def write_slowly() -> None:
        with atomic(path, overwrite=False) as slow:
            slow.write_text("slow")
            with atomic(path, overwrite=False) as fast:
                fast.write_text("fast")

    with pytest.raises(ActaError, match="was created by another process during the run"):
        write_slowly()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out", "fast")]


def test_a_lock_that_fails_otherwise_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"), atomic(tmp_path / "out", overwrite=False):
        pytest.fail("the block was entered")


def test_a_tasks_output_is_replaced_without_a_claim(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with atomic(tmp_path / "out") as temporary:
        temporary.write_text("new")
        assert len(list(tmp_path.iterdir())) == 2
    assert (tmp_path / "out").read_text() == "new"
