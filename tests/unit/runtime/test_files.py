"""Atomic writing, what is there and what is claimed, leftovers of killed processes, private folders."""

import errno
import fcntl
import hashlib
import os
import re
import socket
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

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text()
HERE = hashlib.sha256(f"{BOOT}{os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:12]
USER = "runs as root, and gives a process another user"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason=f"needs a second user: it {USER}")
NOBODY = 65534


def host() -> str:
    return socket.gethostname().split(".")[0]


def process(pid: int, host: str = host(), namespace: str = HERE) -> str:
    """What names a process in temporary names."""
    return f"{host}.{namespace}.{pid}"


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


def test_atomic_temporary_is_hidden_beside_in_a_private_folder_and_of_the_same_kind(tmp_path: Path) -> None:
    with atomic(tmp_path / "out.mp4") as temporary:
        temporary.touch()
        (beside,) = tmp_path.iterdir()
        assert temporary.parent.samefile(beside)
        assert stat.S_IMODE(beside.stat().st_mode) == 0o700
        assert re.fullmatch(rf"\.out\.mp4\.{process(os.getpid())}\.tmp[a-z0-9_]{{8}}", beside.name)
    assert temporary.name == "new.mp4"


def test_temporary_folders_have_random_names(tmp_path: Path) -> None:
    def name() -> str:
        with atomic(tmp_path / "out") as temporary:
            temporary.touch()
            return next(path.name for path in tmp_path.iterdir() if path.name != "out")

    assert len({name() for _ in range(20)}) == 20


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
    (tmp_path / f".{name}.{process(dead)}.tmp1a2b_c3d").write_text("half")
    with atomic(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_leftover_folder_of_a_dead_process_is_removed(tmp_path: Path, dead: int) -> None:
    folder = tmp_path / f".out.h5.{process(dead)}.tmpabc"
    folder.mkdir()
    (folder / "0.jpegs").write_text("a raw frame")
    with spool(tmp_path / "out.h5"):
        assert not folder.exists()


@pytest.mark.parametrize("whose", ["living", "own", "of another host", "of another namespace"])
def test_leftover_that_may_be_in_use_is_kept(tmp_path: Path, dead: int, whose: str) -> None:
    """Two containers can have one host name, and a process of the same number each."""
    named = {
        "living": process(os.getppid()),
        "own": process(os.getpid()),
        "of another host": process(dead, host="elsewhere"),
        "of another namespace": process(dead, namespace="0123456789ab"),
    }[whose]
    folder = tmp_path / f".out.h5.{named}.tmpabc"
    folder.mkdir()
    with atomic(tmp_path / "out.h5") as temporary:
        temporary.write_text("whole")
    assert folder.is_dir()


@needs_root
def test_leftover_of_another_user_is_kept(tmp_path: Path, dead: int) -> None:
    folder = tmp_path / f".out.h5.{process(dead)}.tmpabc"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    with atomic(tmp_path / "out.h5") as temporary:
        temporary.write_text("whole")
    assert folder.is_dir()


def test_a_link_among_the_leftovers_is_removed_and_not_what_it_leads_to(tmp_path: Path, dead: int) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    (tmp_path / f".out.h5.{process(dead)}.tmpabc").symlink_to("mine")
    with atomic(tmp_path / "out.h5") as temporary:
        temporary.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out.h5"]
    assert (tmp_path / "mine" / "file").read_text() == "precious"


def test_leftover_of_another_output_is_kept(tmp_path: Path, dead: int) -> None:
    other = tmp_path / f".other.h5.{process(dead)}.tmp.h5"
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
        (beside,) = (tmp_path / "new").iterdir()
        assert folder.samefile(beside)
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


# ---- long names


LONG = ["a" * 246 + ".mp4", "é" * 123 + ".mkv", "漢" * 82 + ".h5", "a." + "b" * 248, "a" * 79 + "é" * 80]


@pytest.mark.parametrize("name", LONG, ids=lambda name: f"{name[0]}{name[-4:]}")
@pytest.mark.parametrize("overwrite", [None, False, True])
def test_names_as_long_as_a_file_system_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, overwrite: bool | None
) -> None:
    """With the longest name of a host and the highest process number that Linux knows."""
    assert 230 < len(os.fsencode(name)) <= 255
    monkeypatch.setattr("pipeline.runtime.temporary._process", lambda pid: process(4194304, host="h" * 64))
    with atomic(tmp_path / name, overwrite=overwrite) as temporary:
        temporary.write_text("whole")
        assert max(len(os.fsencode(path.name)) for path in tmp_path.iterdir()) < 200
    with spool(tmp_path / name) as folder:
        (folder / "0.jpegs").write_text("a raw frame")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "whole")]


def test_the_temporary_of_a_long_name_is_its_own_and_of_its_kind(tmp_path: Path) -> None:
    name = "a" * 250 + ".mp4"
    with atomic(tmp_path / name) as temporary:
        temporary.touch()
        (beside,) = tmp_path.iterdir()
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    assert beside.name[:-8] == f".{'a' * 63}~{digest}.{process(os.getpid())}.tmp"
    assert temporary.name == "new.mp4"


@pytest.mark.parametrize(("length", "cut"), [(80, False), (81, True)])
def test_only_long_names_are_cut(tmp_path: Path, length: int, cut: bool) -> None:
    with atomic(tmp_path / ("a" * length)) as temporary:
        temporary.touch()
        (beside,) = tmp_path.iterdir()
    assert ("~" in beside.name) == cut


@pytest.mark.parametrize(("suffix", "kept"), [("." + "s" * 15, True), ("." + "s" * 16, False)])
def test_a_suffix_that_is_no_formats_is_left_out(tmp_path: Path, suffix: str, kept: bool) -> None:
    with atomic(tmp_path / f"a{suffix}") as temporary:
        temporary.touch()
    assert temporary.name == (f"new{suffix}" if kept else "new")


def test_leftovers_of_a_long_name_are_removed_and_those_of_its_neighbour_kept(tmp_path: Path, dead: int) -> None:
    one, other = "a" * 240 + "1.mp4", "a" * 240 + "2.mp4"
    for name in (one, other):
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        (tmp_path / f".{'a' * 63}~{digest}.{process(dead)}.tmp1a2b_c3d").write_text(name[-5])
    remove_leftovers(tmp_path / one)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["2"]


def test_a_name_that_no_file_can_have_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long"), atomic(tmp_path / ("a" * 256), overwrite=False):
        pytest.fail("the block was entered")
    assert list(tmp_path.iterdir()) == []


# ---- what is there stays


def _file(path: Path) -> None:
    path.write_text("precious")


def _folder(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    path.with_name("target").write_text("precious")
    path.symlink_to("target")


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


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
        (_file, False, EXISTS),
        (_link, False, EXISTS),
        *((make, overwrite, DEVICE) for make in (_socket,) for overwrite in (False, True, None)),
        *((make, overwrite, FOLDER) for make in (_folder,) for overwrite in (False, True, None)),
        *((make, overwrite, NOTHING) for make in (_dangling, _circle) for overwrite in (False, True, None)),
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


@pytest.mark.parametrize("overwrite", [None, True])
def test_a_link_to_the_users_own_file_is_followed(tmp_path: Path, overwrite: bool | None) -> None:
    """The temporary lies beside the file, which may be on another disk."""
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
        assert len(list(tmp_path.iterdir())) == 1 + linked  # nothing is written beside a device
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
    code = "import sys; from pipeline.runtime.files import atomic\nwith atomic(sys.argv[1]) as t: t.write_bytes(bytes(300000))"
    for output in ("/dev/stdout", "/proc/self/fd/1"):
        done = subprocess.run([sys.executable, "-c", code, output], capture_output=True)
        assert (done.stderr, done.stdout) == (b"", bytes(300000))


@pytest.mark.parametrize("output", ["/dev/stdout", "/proc/self/fd/1", "link"])
def test_a_log_to_which_a_shell_appends_keeps_what_it_holds(tmp_path: Path, output: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "log.csv").write_text("before\n")
    code = "import sys; from pipeline.runtime.files import atomic\nwith atomic(sys.argv[1]) as new: new.write_text('new\\n')"
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


@pytest.mark.parametrize("make", [_link, _dangling, _folder, _pipe, _socket])
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
    _file(tmp_path / "file")
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
    code = "import sys; from pipeline.runtime.files import atomic\nwith atomic(sys.argv[1], overwrite=True) as t: t.touch()"
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
    _file(tmp_path / "there.json")
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
