"""The folder of raw frames: who may look into it, when it goes, and whose leftovers are removed."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.private_folder import private_folder, remove_abandoned

HOLDS = """
import sys
from pipeline.private_folder import private_folder
with private_folder() as folder:
    (folder / "frame.jpg").write_text("raw")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    monkeypatch.undo()


def holder(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds such a folder, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS],
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
        assert folder.parent == place
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "below").mkdir()
        (folder / "below/frame.jpg").write_text("raw")
    assert list(place.iterdir()) == []


def test_it_goes_after_an_error(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), private_folder():
        raise ZeroDivisionError
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(place: Path) -> None:
    (killed, left), (living, used) = holder(place), holder(place)
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


def test_folders_that_others_can_enter_links_and_files_are_left_alone(place: Path) -> None:
    mine = place / "mine"
    mine.mkdir(mode=0o700)
    (mine / "precious").touch()
    (place / "acta-private-link").symlink_to(mine)
    (place / "acta-private-file").touch()
    (place / "acta-private-open").mkdir()
    (place / "acta-private-open").chmod(0o755)
    os.mkfifo(place / "acta-private-pipe")
    remove_abandoned()
    assert {path.name for path in place.iterdir()} == {
        "mine",
        "acta-private-link",
        "acta-private-file",
        "acta-private-open",
        "acta-private-pipe",
    }
    assert (mine / "precious").exists()


def test_a_folder_that_was_taken_for_a_leftover_is_made_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tempfile.mkdtemp

    def made_and_removed(**options: str) -> str:
        monkeypatch.setattr(tempfile, "mkdtemp", made)
        folder = made(**options)
        opened = os.open

        def open_then_remove(path: Path, flags: int) -> int:
            monkeypatch.setattr(os, "open", opened)
            handle = opened(path, flags)
            os.rmdir(path)
            return handle

        monkeypatch.setattr(os, "open", open_then_remove)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", made_and_removed)
    with private_folder() as folder:
        assert list(place.iterdir()) == [folder]
    assert list(place.iterdir()) == []


def test_another_users_folder_in_its_place_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with (
        pytest.raises(OSError, match=r"^another user has put something in the place of .*acta-private-"),
        private_folder(),
    ):
        pass


def test_without_locks_nothing_is_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(file: int, kind: int) -> None:
        raise OSError(37, "No locks available")

    process, left = holder(place)
    end(process, signal.SIGKILL)
    monkeypatch.setattr("fcntl.flock", no_locks)
    remove_abandoned()
    assert left.exists()
    with private_folder() as folder:
        assert folder.exists()
