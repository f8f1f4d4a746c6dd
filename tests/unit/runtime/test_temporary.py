"""Temporary folders, next to outputs and in ``$TMPDIR``: their names, who may look in, whose leftovers are removed."""

import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic, remove_leftovers, spool
from pipeline.runtime.temporary import private_folder, remove_abandoned
from tests.unit.runtime.outputs import NOBODY, needs_root, process

HOLDS = """
import sys
from pathlib import Path
from pipeline.runtime.files import spool
from pipeline.runtime.temporary import private_folder
with private_folder() if sys.argv[1] == "private" else spool(Path("/dev/null")) as folder:
    (folder / "frame.jpg").write_text("raw")
    print(folder.resolve(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    monkeypatch.undo()


def holder(place: Path, kind: str = "private") -> tuple[subprocess.Popen[str], Path]:
    """A process that holds such a folder, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(place)},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str], number: signal.Signals | None = None) -> None:
    if number is not None:
        process.send_signal(number)
    process.communicate(timeout=20)


# ---- next to outputs


def test_atomic_temporary_is_in_a_private_hidden_folder_and_of_the_same_kind(tmp_path: Path) -> None:
    with atomic(tmp_path / "out.mp4") as temporary:
        temporary.touch()
        (neighbour,) = tmp_path.iterdir()
        assert temporary.parent.samefile(neighbour)
        assert stat.S_IMODE(neighbour.stat().st_mode) == 0o700
        assert re.fullmatch(rf"\.out\.mp4\.{process(os.getpid())}\.tmp[a-z0-9_]{{8}}", neighbour.name)
    assert temporary.name == "new.mp4"


def test_temporary_folders_have_random_names(tmp_path: Path) -> None:
    def name() -> str:
        with atomic(tmp_path / "out") as temporary:
            temporary.touch()
            return next(path.name for path in tmp_path.iterdir() if path.name != "out")

    assert len({name() for _ in range(20)}) == 20


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
        (neighbour,) = tmp_path.iterdir()
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    assert neighbour.name[:-8] == f".{'a' * 63}~{digest}.{process(os.getpid())}.tmp"
    assert temporary.name == "new.mp4"


@pytest.mark.parametrize(("length", "cut"), [(80, False), (81, True)])
def test_only_long_names_are_cut(tmp_path: Path, length: int, cut: bool) -> None:
    with atomic(tmp_path / ("a" * length)) as temporary:
        temporary.touch()
        (neighbour,) = tmp_path.iterdir()
    assert ("~" in neighbour.name) == cut


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


# ---- in $TMPDIR


def test_it_is_private_and_goes_with_what_is_in_it(place: Path) -> None:
    with private_folder() as folder:
        assert folder.resolve().parent == place
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "below").mkdir()
        (folder / "below/frame.jpg").write_text("raw")
    assert list(place.iterdir()) == []


def test_it_goes_after_an_error(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), private_folder():
        raise ZeroDivisionError
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["private", "of a stream"])
def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(place: Path, kind: str) -> None:
    (killed, left), (living, used) = holder(place, kind), holder(place, kind)
    end(killed, signal.SIGKILL)
    assert {path.name for path in left.iterdir()} == {"frame.jpg"}
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    remove_abandoned()
    assert not left.exists()
    assert (used / "frame.jpg").exists()
    end(living)
    assert not used.exists()


def test_the_next_command_removes_it_whatever_it_does(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process, left = holder(place)
    end(process, signal.SIGKILL)
    assert main(["weights", "list"]) == 0
    capsys.readouterr()
    assert not left.exists()


def test_other_peoples_folders_and_those_of_other_machines_are_left_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, left = holder(place)
    end(process, signal.SIGKILL)
    number = left.name.split(".")[-2]
    elsewhere = left.with_name(left.name.replace(f".{number}.", f".{'0' * 12}.{number}.", 1))
    elsewhere.mkdir()
    mine = place / "mine"
    mine.mkdir(mode=0o700)
    (mine / "precious").touch()
    left.with_name(f"{left.name}link").symlink_to(mine)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        remove_abandoned()
    assert left.exists()
    remove_abandoned()
    assert not left.exists()
    assert elsewhere.exists()
    assert (mine / "precious").exists()


def test_a_setgid_folder_for_temporary_files_does(place: Path) -> None:
    """What is made in it has the bit, too; so is the scratch of groups on clusters."""
    place.chmod(0o2770)
    with private_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) & 0o777 == 0o700
    assert list(place.iterdir()) == []


def test_another_users_folder_in_its_place_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made in a folder belongs to who makes it, the folder to who has put it there."""
    real, made = os.fstat, os.stat_result
    theirs: list[int] = []

    def fstat(file: int) -> os.stat_result:
        found = real(file)
        if stat.S_ISDIR(found.st_mode):
            theirs.append(file)
            return made([*found[:4], 12345, *found[5:]])
        return found

    monkeypatch.setattr(os, "fstat", fstat)
    with (
        pytest.raises(ActaError, match=r"^another user has put a folder in the place of .*acta-private"),
        private_folder(),
    ):
        pass
    assert theirs


def test_a_file_system_that_gives_all_files_one_owner_does(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with private_folder() as folder, spool(place / "out.h5") as other:
        assert list(folder.iterdir()) == list(other.iterdir()) == []


def test_without_a_place_for_temporary_files_commands_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert main(["weights", "list"]) == 0
    capsys.readouterr()
