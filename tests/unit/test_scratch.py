"""Copies of shards on a node's own disk: made once, shared, removed by the last, and never needed."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from pipeline.scratch import near, scratch


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
    code = "from pipeline.scratch import scratch\nwith scratch():\n print(1, flush=True)\n input()"
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
        "import sys\nfrom pathlib import Path\nfrom pipeline.scratch import near, scratch\n"
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
