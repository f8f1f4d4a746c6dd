"""Private folders and files, and what a neighbour does in a folder for a group."""

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
    make_private,
    private_files,
    spool,
)
from tests.unit.runtime.outputs import (
    NOBODY,
    needs_root,
)


def fail_while_spooling(output: Path) -> None:
    with spool(output) as folder:
        (folder / "0.jpegs").write_text("a raw frame")
        raise ZeroDivisionError


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


def test_private_files_are_their_owners_from_the_first_byte(tmp_path: Path) -> None:
    with private_files():
        (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o077 for name in "ab"] == [0, 0o044]
