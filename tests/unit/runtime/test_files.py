"""Atomic writing: a file is whole or not there, and what was there is kept or replaced."""

import errno
import hashlib
import os
from argparse import Namespace
from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import (
    atomic,
    check_free,
    check_outputs,
    check_room,
    write_json,
)
from tests.unit.runtime.outputs import (
    a_file,
    fail_while_writing,
    failing,
)


def test_atomic_puts_the_file_in_its_place(tmp_path: Path) -> None:
    with atomic(tmp_path / "new" / "out.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "out.txt").exists()
    assert [(p.name, p.read_text()) for p in (tmp_path / "new").iterdir()] == [("out.txt", "whole")]


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


def test_an_error_names_the_output_and_not_the_temporary(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught, atomic(tmp_path / "out.h5") as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))
    assert caught.value.filename == str(tmp_path / "out.h5")


def test_nothing_there_is_free(tmp_path: Path) -> None:
    a_file(tmp_path / "file")
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
