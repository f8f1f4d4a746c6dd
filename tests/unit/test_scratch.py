"""Copies of shards on a node's own disk: made once, shared, removed by the last, and never needed."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple

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
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 5, 5))
    with scratch():
        assert near(shard) == shard
    assert "is read where it is" in capsys.readouterr().err
