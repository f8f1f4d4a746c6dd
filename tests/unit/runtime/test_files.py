"""Atomic writing, what is there and what is claimed, private folders, outputs that are inputs."""

import errno
import fcntl
import hashlib
import os
import stat
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import (
    atomic,
    check_free,
    check_no_input,
    check_outputs,
    check_room,
    identities,
    make_private,
    private_files,
    remove_leftovers,
    spool,
    write_json,
)
from tests.unit.runtime.outputs import (
    NOBODY,
    a_dangling_link,
    a_file,
    a_folder,
    a_link,
    a_pipe,
    a_socket,
    fail_while_writing,
    needs_root,
    process,
)


def test_atomic_puts_the_file_in_its_place(tmp_path: Path) -> None:
    with atomic(tmp_path / "new" / "out.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "out.txt").exists()
    assert [(p.name, p.read_text()) for p in (tmp_path / "new").iterdir()] == [("out.txt", "whole")]


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
        (neighbour,) = (tmp_path / "new").iterdir()
        assert folder.samefile(neighbour)
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
    write_json(tmp_path / "out.json", {"b": "日本", "a": [1]}, seal=False)
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == '{\n "b": "\\u65e5\\u672c",\n "a": [\n  1\n ]\n}\n'


def test_json_carries_its_digest_last(tmp_path: Path) -> None:
    write_json(tmp_path / "out.json", {"b": 1, "a": [2.5]})
    digest = hashlib.sha256(b'{"a": [2.5], "b": 1}').hexdigest()
    assert (tmp_path / "out.json").read_text() == (
        f'{{\n "b": 1,\n "a": [\n  2.5\n ],\n "acta_sha256": "{digest}"\n}}\n'
    )
    write_json(tmp_path / "out.json", [1])
    assert (tmp_path / "out.json").read_text() == "[\n 1\n]\n"


def test_too_little_room_is_said_before_anything_is_begun(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "there", 1.0, "a byte")
    with pytest.raises(
        ActaError, match=r"new has room for .* GB, but about 1000000000\.00 GB are needed for an exabyte"
    ):
        check_room(tmp_path / "new", 1e18, "an exabyte")
    assert not (tmp_path / "new").exists()


def test_room_for_just_so_much_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Namespace(free=2_500_000_000))
    check_room(tmp_path, 2.5e9, "it")
    with pytest.raises(ActaError, match=r"room for 2\.50 GB, but about 2\.60 GB are needed for it"):
        check_room(tmp_path, 2.6e9, "it")


def test_some_tasks_fill_a_folder(tmp_path: Path) -> None:
    check_outputs([tmp_path], [], overwrite=None)


@pytest.mark.parametrize("overwrite", [None, True])
def test_a_file_is_replaced(tmp_path: Path, overwrite: bool | None) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("old")
    os.link(path, tmp_path / "other")
    with atomic(path, overwrite=overwrite) as temporary:
        temporary.write_text("new")
    assert (path.read_text(), (tmp_path / "other").read_text()) == ("new", "old")


# ---- what a neighbour does in a folder for a group


@needs_root
def test_a_neighbour_who_watches_a_shared_folder_cannot_have_files_overwritten(tmp_path: Path) -> None:
    """While the block runs, the neighbour puts a folder of their own, with links, in the place of the temporary one."""
    thesis, shared = tmp_path / "thesis", tmp_path / "shared"
    thesis.write_text("precious")
    thesis.chmod(0o644)
    shared.mkdir()
    shared.chmod(0o777)
    os.chmod(tmp_path, 0o755)
    attack = (
        "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "(name,) = os.listdir(); os.rename(name, 'aside'); os.mkdir(name)\n"
        "for kind in ('new.h5', 'out.h5', '0.jpegs'): os.symlink('../../thesis', f'{name}/{kind}')\n"
        "os.symlink('../thesis', '.out.h5.lock')"
    )
    with atomic(shared / "out.h5") as temporary:
        subprocess.run([sys.executable, "-c", attack], check=True, cwd=shared)
        temporary.write_text("whole")
    assert (thesis.read_text(), (shared / "out.h5").read_text()) == ("precious", "whole")


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


def test_a_folder_behind_the_users_own_link_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o755)
    (tmp_path / "raw").symlink_to("disk")
    make_private(tmp_path / "raw")
    assert stat.S_IMODE((tmp_path / "disk").stat().st_mode) == 0o700


def shared_by_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o1777)


def of_another(folder: Path) -> None:
    folder.mkdir(0o755)
    os.chown(folder, NOBODY, NOBODY)


def behind_anothers_link(folder: Path) -> None:
    folder.with_name("public").mkdir(0o755)
    folder.symlink_to("public")
    os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)


@needs_root
@pytest.mark.parametrize("make", [shared_by_all, of_another, behind_anothers_link])
def test_what_is_not_the_users_alone_is_not_made_private(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "raw")
    before = (tmp_path / "raw").stat().st_mode
    message = (
        r"^original frames would lie in .*/raw, which cannot be made private \(mode 0700\), as it is not yours alone "
        r"\(of user \d+, mode \d+\); name an output in a folder of its own$"
    )
    with pytest.raises(ActaError, match=message):
        make_private(tmp_path / "raw")
    assert (tmp_path / "raw").stat().st_mode == before


def test_a_whole_file_system_is_not_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As /dev: a task with ``-o /dev/null`` would close it to everybody."""
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path)
    tmp_path.chmod(0o755)
    with pytest.raises(ActaError, match="cannot be made private"):
        make_private(tmp_path)
    tmp_path.chmod(0o700)
    make_private(tmp_path)


def test_an_error_names_the_output_and_not_the_temporary(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught, atomic(tmp_path / "out.h5") as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))
    assert caught.value.filename == str(tmp_path / "out.h5")


def test_nothing_there_is_free(tmp_path: Path) -> None:
    a_file(tmp_path / "file")
    for path in ("out.mp4", "no/such/folder/out.mp4", "file/out.mp4"):
        check_free(tmp_path / path, overwrite=False)


def write_too_late(path: Path) -> None:
    with atomic(path, overwrite=False) as temporary:
        temporary.write_text("mine")
        path.write_text("theirs")


def test_what_comes_while_the_block_runs_is_kept(tmp_path: Path) -> None:
    with pytest.raises(
        ActaError,
        match=r"was created by another process during the run and was left as it is; --overwrite replaces it$",
    ):
        write_too_late(tmp_path / "out.mp4")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.mp4", "theirs")]


def failing(number: int) -> Callable[..., None]:
    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK])
@pytest.mark.parametrize("there", [False, True])
def test_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, there: bool
) -> None:
    monkeypatch.setattr(os, "link", failing(number))
    path = tmp_path / "out.mp4"
    if there:
        with pytest.raises(ActaError, match="was created by another process during the run"):
            write_too_late(path)
    else:
        with atomic(path, overwrite=False) as temporary:
            temporary.write_text("mine")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.mp4", "theirs" if there else "mine")]


def test_a_file_system_that_fails_otherwise_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"), atomic(tmp_path / "out", overwrite=False) as temporary:
        temporary.touch()
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_was_made_though_its_answer_was_lost_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system asks again when an answer is lost, and then finds what its first request has made."""
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    with atomic(tmp_path / "out", overwrite=False) as temporary:
        temporary.write_text("whole")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out", "whole")]


# ---- two runs on one output


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


# ---- outputs that are inputs


def ways_to(path: Path, how: str) -> Path:
    """Another name of a file."""
    other = path.parent / "other.mp4"
    match how:
        case "itself":
            return path
        case "relative":
            return Path(os.path.relpath(path))
        case "up and down":
            (path.parent / "deep").mkdir()
            return path.parent / "deep/../in.mp4"
        case "link":
            other.symlink_to(path)
        case "link to a link":
            path.with_name("between").symlink_to(path)
            other.symlink_to("between")
        case "hard link":
            os.link(path, other)
        case "through a linked folder":
            path.with_name("linked").symlink_to(path.parent)
            return path.parent / "linked/in.mp4"
    return other


@pytest.mark.parametrize(
    "how", ["itself", "relative", "up and down", "link", "link to a link", "hard link", "through a linked folder"]
)
@pytest.mark.parametrize("overwrite", [False, True, None])
def test_an_input_is_never_an_output(tmp_path: Path, how: str, overwrite: bool) -> None:
    source = tmp_path / "in.mp4"
    source.write_text("precious")
    output = ways_to(source, how)
    assert identities([output]) & identities([source])
    with pytest.raises(ActaError, match="is an input; choose another output"):
        check_outputs([tmp_path / "new.mp4", output], [tmp_path / "more.mp4", source], overwrite=overwrite)
    with pytest.raises(ActaError, match=f"^the output {output} is an input; choose another output$"):
        check_no_input([tmp_path / "new.mp4", output], [tmp_path / "more.mp4", source])
    check_no_input([tmp_path / "new.mp4"], [source])


def test_outputs_must_differ_and_be_free(tmp_path: Path) -> None:
    a_file(tmp_path / "there.json")
    check_outputs([tmp_path / "a.csv", tmp_path / "b.csv"], [tmp_path / "in.mp4"], overwrite=False)
    with pytest.raises(ActaError, match=r"two outputs are the same file, .*a\.csv"):
        check_outputs([tmp_path / "a.csv", tmp_path / "x/../a.csv"], [], overwrite=True)
    with pytest.raises(ActaError, match=r"there\.json exists"):
        check_outputs([tmp_path / "a.csv", tmp_path / "there.json"], [], overwrite=False)
    for overwrite in (True, None):
        check_outputs([tmp_path / "a.csv", tmp_path / "there.json"], [], overwrite=overwrite)
    (tmp_path / "folder").mkdir()
    check_outputs([tmp_path / "folder"], [], overwrite=None)
    with pytest.raises(ActaError, match="is a folder, which is never replaced"):
        check_outputs([tmp_path / "folder"], [], overwrite=True)


def test_private_files_are_their_owners_from_the_first_byte(tmp_path: Path) -> None:
    with private_files():
        (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o077 for name in "ab"] == [0, 0o044]
