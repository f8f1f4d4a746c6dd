"""The folder of raw frames in ``$TMPDIR``: who may look into it, when it goes, and whose leftovers are removed."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import spool
from pipeline.runtime.temporary import private_folder, remove_abandoned

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
