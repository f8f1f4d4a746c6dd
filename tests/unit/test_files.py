"""Atomic writing, what is there and what is claimed, leftovers of killed processes, private folders."""

import errno
import fcntl
import hashlib
import os
import socket
import stat
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ActaError
from pipeline.files import (
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
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 64)
    monkeypatch.setattr(os, "getpid", lambda: 4194304)
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
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    assert temporary.name == f".{'a' * 63}~{digest}.{host()}.{os.getpid()}.tmp.mp4"


@pytest.mark.parametrize(("length", "cut"), [(80, False), (81, True)])
def test_only_long_names_are_cut(tmp_path: Path, length: int, cut: bool) -> None:
    with atomic(tmp_path / ("a" * length)) as temporary:
        temporary.touch()
    assert ("~" in temporary.name) == cut


@pytest.mark.parametrize(("suffix", "kept"), [("." + "s" * 15, True), ("." + "s" * 16, False)])
def test_a_suffix_that_is_no_formats_is_left_out(tmp_path: Path, suffix: str, kept: bool) -> None:
    with atomic(tmp_path / f"a{suffix}") as temporary:
        temporary.touch()
    assert temporary.name.endswith(f".tmp{suffix}" if kept else ".tmp")


def test_leftovers_of_a_long_name_are_removed_and_those_of_its_neighbour_kept(tmp_path: Path, dead: int) -> None:
    one, other = "a" * 240 + "1.mp4", "a" * 240 + "2.mp4"
    for name in (one, other):
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        (tmp_path / f".{'a' * 63}~{digest}.{host()}.{dead}.tmp.mp4").write_text(name[-5])
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


@pytest.mark.parametrize("make", [_file, _folder, _link, _dangling, _circle, _pipe])
def test_whatever_is_there_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "out.mp4"
    make(path)
    before = sorted((p.name, p.lstat().st_ino) for p in tmp_path.iterdir())
    message = r"is a folder|is a device, pipe or socket|out\.mp4 exists; --overwrite replaces it"
    with pytest.raises(ActaError, match=message):
        check_free(path, overwrite=False)
    with pytest.raises(ActaError, match=message), atomic(path, overwrite=False):
        pytest.fail("the block was entered")
    assert sorted((p.name, p.lstat().st_ino) for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("make", [_file, _link, _dangling, _circle])
def test_overwriting_replaces_the_file_or_link_and_not_what_the_link_leads_to(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "out.mp4"
    make(path)
    with atomic(path, overwrite=True) as temporary:
        temporary.write_text("new")
    assert not path.is_symlink()
    assert path.read_text() == "new"
    assert [p.read_text() for p in tmp_path.glob("target")] in ([], ["precious"])


@pytest.mark.parametrize(("make", "kind"), [(_folder, "a folder"), (_pipe, "a device, pipe or socket")])
def test_folders_and_devices_are_never_replaced(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / "out.mp4")
    with pytest.raises(ActaError, match=rf"out\.mp4 is {kind}, which is never replaced; choose another output"):
        check_free(tmp_path / "out.mp4", overwrite=True)


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
    code = "import sys; from pipeline.files import atomic\nwith atomic(sys.argv[1], overwrite=True) as t: t.touch()"
    command = [sys.executable, "-c", code, str(tmp_path / "out.mp4")]
    with atomic(tmp_path / "out.mp4", overwrite=True) as temporary:
        temporary.write_text("first")
        assert "is being written by another run" in subprocess.run(command, capture_output=True, text=True).stderr
    assert (tmp_path / "out.mp4").read_text() == "first"
    assert subprocess.run(command).returncode == 0
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.mp4", "")]


def test_what_a_killed_run_leaves_does_not_block_the_next(tmp_path: Path, dead: int) -> None:
    for name in (".out.mp4.lock", f".out.mp4.{host()}.{dead}.tmp.mp4"):
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
        (tmp_path / f".out.mp4.{host()}.{dead}.tmp.mp4").write_text("half")

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
            monkeypatch.setattr(os, "getpid", lambda: os.getppid())
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
