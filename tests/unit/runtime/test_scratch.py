"""Copies of shards on a node's own disk: made once, shared, removed by the last, and never needed."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys

import pytest

from pipeline.runtime.scratch import near, scratch


@pytest.fixture
def disk(tmp_path, monkeypatch):
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("ACTA_SCRATCH", str(folder))
    return folder / f"acta-{os.getuid()}"


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "0-of-1.h5"
    path.write_bytes(b"frames")
    return path


def test_without_a_disk_a_shard_is_read_where_it_is(shard, monkeypatch):
    monkeypatch.delenv("ACTA_SCRATCH", raising=False)
    with scratch():
        assert near(shard) == shard


def test_a_copy_is_private_used_again_and_removed(disk, shard):
    with scratch():
        copy = near(shard)
        assert copy.parent == disk
        assert copy.read_bytes() == b"frames"
        assert disk.stat().st_mode & 0o777 == 0o700
        made = copy.stat().st_ino
        assert near(shard).stat().st_ino == made
    assert not disk.exists()


def test_a_changed_shard_is_copied_again(disk, shard):
    with scratch():
        first = near(shard)
        shard.write_bytes(b"other frames")
        assert near(shard) != first
        assert near(shard).read_bytes() == b"other frames"


def test_copies_stay_while_another_process_reads_them(disk, shard):
    code = "from pipeline.runtime.scratch import scratch\nwith scratch():\n print(1, flush=True)\n input()"
    with scratch():
        copy = near(shard)
        other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        other.stdout.readline()
    assert copy.exists()
    other.communicate("\n")
    assert not disk.exists()


def test_a_full_disk_is_not_used(disk, shard, monkeypatch, capsys):
    def full(source, target):
        target.write_bytes(b"fra")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with scratch():
        assert near(shard) == shard
        assert [path for path in disk.iterdir() if path.suffix != ".lock"] == []
    assert "so it is read where it is: [Errno 28]" in capsys.readouterr().err


def test_what_a_killed_process_left_is_removed_by_the_next(disk, shard):
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.runtime.scratch import near, scratch\n"
        "with scratch():\n near(Path(sys.argv[1]))\n print(1, flush=True)\n input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    killed = subprocess.Popen([sys.executable, "-c", code, str(shard)], **pipes)
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.kill()
    killed.communicate()
    assert [path.suffix for path in disk.iterdir()].count(".h5") == 1
    with scratch():
        assert list(disk.iterdir()) == []


# ---- what a neighbour has put there


def run_at_once(shard):
    """A training that finds the place taken goes on, and reads shards where they are."""
    with scratch():
        assert near(shard) == shard


def _link(disk):
    disk.with_name("home").mkdir(mode=0o755)
    (disk.with_name("home") / "diary").write_text("precious")
    disk.symlink_to("home")


def _dangling(disk):
    disk.symlink_to("home")


def _file(disk):
    disk.write_text("")


def _pipe(disk):
    os.mkfifo(disk)


def _open_to_others(disk):
    disk.mkdir()
    (disk / "kept").touch()
    disk.chmod(0o750)


def _of_another(disk):
    disk.mkdir(mode=0o700)
    (disk / "kept").touch()
    os.chown(disk, 65534, 65534)


NOT_A_FOLDER, NOT_OURS = "Not a directory", "it is another user's, or open to others"
PLANTED = [(_link, NOT_A_FOLDER), (_dangling, NOT_A_FOLDER), (_file, NOT_A_FOLDER), (_pipe, NOT_A_FOLDER)]
PLANTED += [(_open_to_others, NOT_OURS), (_of_another, NOT_OURS)]


@pytest.mark.parametrize(("plant", "reason"), PLANTED)
def test_what_is_planted_neither_changes_nor_stops_anything(disk, shard, capsys, plant, reason):
    if plant is _of_another and os.geteuid() != 0:
        pytest.skip("needs a second user: it runs as root, and gives a folder another user")
    plant(disk)
    before = {path.name: (path.lstat().st_mode, path.lstat().st_ino) for path in disk.parent.iterdir()}
    run_at_once(shard)
    assert {path.name: (path.lstat().st_mode, path.lstat().st_ino) for path in disk.parent.iterdir()} == before
    assert capsys.readouterr().err == f"{disk} is not used, so frames are read where they are: {reason}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user: it runs as root, and starts a process of another")
def test_locks_that_another_user_holds_do_not_stop_a_run(disk, shard):
    """The neighbour takes whatever could be a lock: next to the folder, and the folder itself if that were possible."""
    disk.parent.chmod(0o1777)
    code = (
        "import fcntl, os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"file = os.open('{disk.name}.lock', os.O_CREAT | os.O_RDWR); fcntl.flock(file, fcntl.LOCK_EX)\n"
        f"os.mkfifo('{disk.name}.fifo'); print(1, flush=True); input()\n"
        f"try: os.open('{disk.name}', os.O_RDONLY)\n"
        "except PermissionError: print('closed', flush=True)\n"
    )
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=disk.parent, **pipes) as neighbour:
        assert neighbour.stdout.readline() == "1\n"
        with scratch():
            assert near(shard).parent == disk
            assert neighbour.communicate("\n")[0] == "closed\n"
    assert not disk.exists()


def test_a_disk_without_locks_is_not_used(disk, shard, monkeypatch, capsys):
    def fail(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    run_at_once(shard)
    assert capsys.readouterr().err == f"{disk} is not used, so frames are read where they are: No locks available\n"
    assert not disk.exists()


def test_a_disk_that_is_not_there_is_not_used(disk, shard, monkeypatch, capsys):
    monkeypatch.setenv("ACTA_SCRATCH", str(disk / "no"))
    run_at_once(shard)
    assert "is not used, so frames are read where they are: No such file or directory" in capsys.readouterr().err


def test_a_folder_that_its_last_process_removes_meanwhile_is_made_anew(disk, shard, monkeypatch):
    flock, seen = fcntl.flock, []

    def late(file, operation):
        if not seen:
            disk.rmdir()
        seen.append(operation)
        flock(file, operation)

    monkeypatch.setattr("fcntl.flock", late)
    with scratch():
        assert near(shard).parent == disk
    assert not disk.exists()
