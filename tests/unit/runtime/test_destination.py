"""Where an output really goes: what is never replaced, links that are followed, devices and pipes."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic, check_free, check_outputs, remove_leftovers, spool
from tests.unit.runtime.outputs import (
    NOBODY,
    a_circle,
    a_dangling_link,
    a_file,
    a_folder,
    a_link,
    a_socket,
    fail_while_writing,
    needs_root,
)

EXISTS = r"out.mp4 exists; --overwrite replaces it"
FOLDER = r"out.mp4 is a folder, which is never replaced; choose another output"
DEVICE = r"out.mp4 is a device, pipe or socket, which is never replaced; choose another output"
NOTHING = (
    "out.mp4 is a link to nothing; only links to regular files of your own are followed: remove it, or choose another "
    "output"
)


@pytest.mark.parametrize(
    ("make", "overwrite", "message"),
    [
        (a_file, False, EXISTS),
        (a_link, False, EXISTS),
        *((make, overwrite, DEVICE) for make in (a_socket,) for overwrite in (False, True, None)),
        *((make, overwrite, FOLDER) for make in (a_folder,) for overwrite in (False, True, None)),
        *((make, overwrite, NOTHING) for make in (a_dangling_link, a_circle) for overwrite in (False, True, None)),
    ],
)
def test_whatever_is_never_replaced_is_refused(
    tmp_path: Path, make: Callable[[Path], None], overwrite: bool | None, message: str
) -> None:
    path = tmp_path / "out.mp4"
    make(path)
    before = sorted((p.name, p.lstat().st_ino) for p in tmp_path.iterdir())
    whole = f"^{re.escape(f'{tmp_path}/{message}')}$"
    if overwrite is not None:
        with pytest.raises(ActaError, match=whole):
            check_free(path, overwrite=overwrite)
    if not path.is_dir() or overwrite is not None:
        with pytest.raises(ActaError, match=whole):
            check_outputs([path], [], overwrite=overwrite)
    with pytest.raises(ActaError, match=whole), atomic(path, overwrite=overwrite):
        pytest.fail("the block was entered")
    assert sorted((p.name, p.lstat().st_ino) for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("overwrite", [None, True])
def test_a_link_to_the_users_own_file_is_followed(tmp_path: Path, overwrite: bool | None) -> None:
    """The temporary lies next to the file, which may be on another disk."""
    path = tmp_path / "out.mp4"
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "target").write_text("old")
    (tmp_path / "between").symlink_to("disk/target")
    path.symlink_to("between")
    with atomic(path, overwrite=overwrite) as temporary:
        temporary.write_text("new")
        assert any(name.startswith(".target.") for name in os.listdir(tmp_path / "disk"))
    assert os.readlink(path) == "between"
    assert [(p.name, p.read_text()) for p in (tmp_path / "disk").iterdir()] == [("target", "new")]


@needs_root
@pytest.mark.parametrize("overwrite", [None, True, False])
@pytest.mark.parametrize("whose", ["file", "link", "link between"])
def test_what_another_user_has_linked_or_owns_is_not_followed(
    tmp_path: Path, whose: str, overwrite: bool | None
) -> None:
    """In a folder for a group a neighbour can plant a link to any of the user's files."""
    thesis, path, between = tmp_path / "thesis", tmp_path / "out", tmp_path / "between"
    thesis.write_text("precious")
    between.symlink_to("thesis")
    path.symlink_to("between")
    os.chown({"file": thesis, "link": path, "link between": between}[whose], NOBODY, NOBODY, follow_symlinks=False)
    message = {
        "file": "out is a link to a file of another user; only links to regular files of your own are followed: ",
        "link": "out is a link that another user has made; remove it, or choose another output",
        "link between": "out is a link that another user has made; remove it, or choose another output",
    }[whose]
    with pytest.raises(ActaError, match=message), atomic(path, overwrite=overwrite):
        pytest.fail("the block was entered")
    assert thesis.read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["between", "out", "thesis"]


# ---- devices and pipes are written through


@needs_root
@pytest.mark.parametrize("overwrite", [None, True, False])
@pytest.mark.parametrize("linked", [False, True])
def test_a_device_stays_a_device(tmp_path: Path, overwrite: bool | None, linked: bool) -> None:
    device = path = tmp_path / "null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    if linked:
        path = tmp_path / "out"
        path.symlink_to("null")
    before = {p.name: p.lstat() for p in tmp_path.iterdir()}
    check_outputs([path, path], [], overwrite=overwrite)
    with atomic(path, overwrite=overwrite) as temporary:
        temporary.write_text("away with it")
        assert len(list(tmp_path.iterdir())) == 1 + linked  # nothing is written next to a device
        kept = temporary
    with spool(path) as folder:
        (folder / "0.jpegs").write_text("a raw frame")
    remove_leftovers(path)
    assert {p.name: (p.lstat().st_ino, p.lstat().st_mode) for p in tmp_path.iterdir()} == {
        name: (found.st_ino, found.st_mode) for name, found in before.items()
    }
    assert not kept.exists()


@needs_root
def test_a_full_device_is_heard(tmp_path: Path) -> None:
    os.mknod(tmp_path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    with pytest.raises(OSError, match="No space left on device"), atomic(tmp_path / "full") as temporary:
        temporary.write_text("whole")


@needs_root
def test_a_disk_is_never_written_to(tmp_path: Path) -> None:
    os.mknod(tmp_path / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    with pytest.raises(ActaError, match="disk is a device, pipe or socket, which is never"), atomic(tmp_path / "disk"):
        pytest.fail("the block was entered")
    assert stat.S_ISBLK((tmp_path / "disk").stat().st_mode)


def test_who_reads_a_pipe_gets_what_is_whole(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with atomic(tmp_path / "pipe", overwrite=True) as temporary:
        temporary.write_text("whole")
        with pytest.raises(BlockingIOError):
            os.read(reader, 100)
    assert (os.read(reader, 100), os.read(reader, 100)) == (b"whole", b"")
    with pytest.raises(ZeroDivisionError):
        fail_while_writing(tmp_path / "pipe")
    assert os.read(reader, 100) == b""
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_more_than_a_pipe_holds_waits_for_its_reader(tmp_path: Path) -> None:
    code = (
        "import sys; from pipeline.runtime.files import atomic\n"
        "with atomic(sys.argv[1]) as t: t.write_bytes(bytes(300000))"
    )
    for output in ("/dev/stdout", "/proc/self/fd/1"):
        done = subprocess.run([sys.executable, "-c", code, output], capture_output=True)
        assert (done.stderr, done.stdout) == (b"", bytes(300000))


@pytest.mark.parametrize("output", ["/dev/stdout", "/proc/self/fd/1", "link"])
def test_a_log_to_which_a_shell_appends_keeps_what_it_holds(tmp_path: Path, output: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "log.csv").write_text("before\n")
    code = (
        "import sys; from pipeline.runtime.files import atomic\n"
        "with atomic(sys.argv[1]) as new: new.write_text('new\\n')"
    )
    with (tmp_path / "log.csv").open("a") as log:
        subprocess.run([sys.executable, "-c", code, tmp_path / output], check=True, stdout=log)
    assert (tmp_path / "log.csv").read_text() == "before\nnew\n"
    assert {path.name for path in tmp_path.iterdir()} == {"link", "log.csv"}


@pytest.mark.parametrize("overwrite", [None, True, False])
def test_a_pipe_that_nobody_reads_is_refused_at_once(tmp_path: Path, overwrite: bool | None) -> None:
    os.mkfifo(tmp_path / "pipe")
    message = "pipe is a pipe that nobody reads; start its reader first, or choose a file"
    with pytest.raises(ActaError, match=message), atomic(tmp_path / "pipe", overwrite=overwrite):
        pytest.fail("the block was entered")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@needs_root
def test_a_pipe_of_another_user_gets_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.chown(tmp_path / "pipe", NOBODY, NOBODY)
    with pytest.raises(ActaError, match="pipe is a device, pipe or socket, which is never"), atomic(tmp_path / "pipe"):
        pytest.fail("the block was entered")
