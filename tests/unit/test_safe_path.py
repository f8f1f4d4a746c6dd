"""Modules that lie in the working folder are never run: not by a command, nor by any Python that it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.media.lists import Listed, write_lists
from tests.planted import Planted


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    folder = tmp_path / "here"
    folder.mkdir()
    return Planted(folder, tmp_path / "told")


def test_what_is_planted_tells_when_it_is_run(planted: Planted) -> None:
    """As it would be without a safe path."""
    planted.run(Path(sys.executable).name, "-c", "import socket")
    planted.run(Path(sys.executable).name, "-m", "pip", "--version")
    assert planted.ran == ["socket", "__main__"]


def test_a_command(planted: Planted) -> None:
    done = planted.run("acta", "config", "schema")
    assert (done.returncode, planted.ran) == (0, [])


def test_pip(planted: Planted, tmp_path: Path) -> None:
    done = planted.run("acta", "weights", "fetch", "retinaface", ACTA_CACHE=str(tmp_path / "cache"), PIP_NO_INDEX="1")
    assert "pip could not download" in done.stderr
    assert (done.returncode, planted.ran) == (1, [])


def test_a_pool_of_workers(planted: Planted, clip: Path, tmp_path: Path) -> None:
    """With its server and its tracker of resources, which are Pythons of their own."""
    rows = [Listed(name, clip.name, "run", "train", clip.stat().st_size, 7) for name in ("a", "b")]
    write_lists(rows, tmp_path / "lists", 1)
    output = tmp_path / "manifest.json"
    words = ["--videos", tmp_path / "lists/0-of-1.json", "--root", clip.parent, "--cores", "2", "-o", output]
    done = planted.run("acta", "task", "build_manifest", *words)
    assert (done.returncode, planted.ran) == (0, []), done.stderr
    assert [row["id"] for row in json.loads(output.read_text())["videos"]] == ["a", "b"]


def test_processes_that_anonymise(planted: Planted, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"in/{name}.mp4").write_bytes(clip.read_bytes())
    done = planted.run("acta", "anonymize", tmp_path / "in", tmp_path / "out", "--jobs", "2")
    assert (done.returncode, planted.ran) == (0, []), done.stderr


def test_a_job_of_submitit(planted: Planted) -> None:
    done = planted.run("acta", "submit", "--cluster", "local", "--", "config", "schema")
    assert (done.returncode, planted.ran) == (0, []), done.stderr


def test_processes_of_torchrun(planted: Planted) -> None:
    """As docs/recognition.md starts them."""
    command = ["--nproc-per-node", "1", "-m", "pipeline", "config", "schema"]
    done = planted.run("torchrun", *command, PYTHONSAFEPATH="1")
    assert (done.returncode, planted.ran) == (0, []), done.stderr


@pytest.mark.parametrize(
    ("given", "left"), [(":/opt/x", "/opt/x"), ("/opt/x:", "/opt/x"), ("/a::b:./c:/d", "/a:/d"), ("", ""), (None, "")]
)
def test_only_whole_paths_are_searched_by_what_is_started(given: str | None, left: str) -> None:
    """An empty part is the working folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import os, pipeline; print(os.environ['PYTHONPATH'])"
    env = kept | ({} if given is None else {"PYTHONPATH": given})
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{left}\n"
