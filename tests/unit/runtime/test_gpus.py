"""Each process of a workflow's jobs takes a GPU of its own; the devices here are invented."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pipeline.runtime.errors import ActaError
from pipeline.runtime.gpus import take_gpu

TAKE = """
import os
from pipeline.runtime.gpus import take_gpu
take_gpu()
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
input()
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with two GPUs, in a job of the workflow without Slurm."""
    for name in ("ACTA_GPU", "SLURM_JOB_ID", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("ACTA_ASSIGN_GPUS", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    before = set(_descriptors())
    yield
    for file in set(_descriptors()) - before:  # a process keeps its lock to its end
        if Path(f"/proc/self/fd/{file}").resolve().is_relative_to(tmp_path):
            os.close(int(file))


def _descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")


def job(**environment: str) -> "subprocess.Popen[str]":
    """Another process that takes a GPU, and holds it until its input ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", TAKE], env=os.environ | environment, text=True, **pipes)


def test_jobs_at_once_get_one_each() -> None:
    jobs = [job(CUDA_VISIBLE_DEVICES="4,GPU-7f,6") for _ in range(3)]
    try:
        assert sorted(each.stdout.readline().strip() for each in jobs) == ["4", "6", "GPU-7f"]
    finally:
        for each in jobs:
            each.communicate("\n")


def test_a_killed_job_gives_its_gpu_back() -> None:
    with job(CUDA_VISIBLE_DEVICES="0") as other:
        assert other.stdout.readline() == "0\n"
        other.kill()
    take_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_without_a_list_all_are_there() -> None:
    with job(CUDA_VISIBLE_DEVICES="0") as other:
        other.stdout.readline()
        take_gpu()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
        other.communicate("\n")


def test_a_single_process_waits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with job() as other:
        other.stdout.readline()
        monkeypatch.setattr(time, "sleep", lambda seconds: other.communicate("\n"))
        take_gpu()
    assert os.environ["ACTA_GPU"] == "0"
    assert capsys.readouterr().err == "waiting for a GPU: other jobs hold 0; is --resources gpu=1 given?\n"


def test_processes_that_train_together_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with job() as other:
        assert other.stdout.readline() == "0\n", "the first of them"
        with pytest.raises(ActaError, match=r"no GPU is free for one of 2 processes .* this machine has 1 \(0\)"):
            take_gpu()
        other.communicate("\n")


def test_what_it_starts_sees_the_same_one() -> None:
    take_gpu()
    with job() as worker:
        assert worker.communicate("\n")[0] == "0\n"


@pytest.mark.parametrize(
    "environment",
    [{"SLURM_JOB_ID": "7"}, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "-1"}, {"ACTA_GPU": "3"}],
)
def test_where_it_is_none_of_its_business(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    take_gpu()
    assert (dict(os.environ), list(tmp_path.iterdir())) == (before, [])


def test_outside_a_workflow_nothing_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ACTA_ASSIGN_GPUS")
    take_gpu()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "acta-gpu-0.lock").symlink_to(tmp_path / "elsewhere")
    take_gpu()
    assert "GPUs are not given out, as " in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()
