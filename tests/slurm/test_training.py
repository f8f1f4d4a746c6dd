"""Trainings as Slurm jobs: several nodes, a warning of the time limit, a requeue, a preemption, a lost rank or node."""

import json
import re
import shlex
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests import PROJECT
from tests.networks import command, finish, start, train_settings, write_dataset

SINGLE = ("--ntasks=1",)
TWO_BY_TWO = ("--nodes=2", "--ntasks-per-node=2")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"), train=8)


@pytest.fixture(scope="module")
def long(config):
    """A training of a few hundred steps, so that it can be hit on its way."""
    return train_settings(config, training__epochs=40, recipe__batch=16, recipe__backbone__dropout=0.3)


@pytest.fixture(scope="module")
def calm(long, shards, tmp_path_factory):
    """The same, undisturbed and without Slurm."""
    output = tmp_path_factory.mktemp("calm") / "model.safetensors"
    finish(start(command(shards, output, long)))
    return output


class Job:
    """A training in a batch script, as the workflow's rules and profile start it."""

    def __init__(self, cluster, folder: Path, training: list[str], *sbatch: str, step: tuple[str, ...] = SINGLE):
        self.cluster, self.folder = cluster, folder
        script = folder / "job.sh"
        launched = f"srun --kill-on-bad-exit=1 {' '.join(step)} {shlex.join(training)}"
        script.write_text(f"#!/bin/sh\nexport OMP_NUM_THREADS=1\n{launched} >> training.log 2>&1\n")
        said = cluster.run("sbatch", "--parsable", "--open-mode=append", *sbatch, *step, str(script), cwd=folder)
        assert said.returncode == 0, said.stderr
        self.number = said.stdout.strip()

    def log(self) -> str:
        """What all segments and jobs in this folder have printed."""
        path = self.folder / "training.log"
        return path.read_text() if path.exists() else ""

    def state(self) -> str:
        return self.cluster.job(self.number)["JobState"]

    def restarts(self) -> int:
        return int(self.cluster.job(self.number)["Restarts"])

    def until(self, *states: str, seconds: float = 600) -> None:
        self.cluster.until(lambda: self.state() in states, f"job {self.number} is {states}: {self.log()}", seconds)

    def until_training(self, segment: int = 1) -> None:
        """Until the steps of that segment have begun."""
        self.cluster.until(
            lambda: self.log().count("a batch of") == segment or self.state() in ("COMPLETED", "FAILED"),
            f"segment {segment} trains: {self.log()}",
        )
        time.sleep(2)  # what loads its data has then begun, too
        assert self.state() == "RUNNING", f"the training ended before it could be hit: {self.log()}"

    def until_saved(self) -> None:
        """Until there is a checkpoint, without a signal; the training must save at each step."""
        checkpoint = self.folder / "last.ckpt"
        self.cluster.until(lambda: checkpoint.exists() or self.state() == "COMPLETED", f"it is saved: {self.log()}")
        assert self.state() == "RUNNING", "the training ended before it could be hit"


@pytest.fixture
def train(cluster, shards, long, tmp_path):
    """Submit a training; as shipped it saves every five minutes, so in a test when it is asked to stop."""

    def submit(*sbatch: str, settings=long, step=SINGLE, options: tuple[str, ...] = ()) -> Job:
        training = command(shards, tmp_path / "model.safetensors", settings, *options)
        return Job(cluster, tmp_path, training, f"--export=ALL,PYTHONPATH={PROJECT}", *sbatch, step=step)

    return submit


SAVING = ("--save-every", "0")


def same(folder: Path, calm: Path) -> None:
    assert (folder / "model.safetensors").read_bytes() == calm.read_bytes()
    assert (folder / "model.json").read_bytes() == calm.with_suffix(".json").read_bytes()
    assert not (folder / "last.ckpt").exists()


def places(log: str, said: str) -> list[int]:
    return [int(step) for step in re.findall(rf"{said} at step (\d+)", log)]


def ended_as_undisturbed(job: Job, calm: Path, stops: int) -> None:
    """It had saved as often as it was asked to stop, and went on to the same bytes.

    What a process prints after Slurm has begun to end its step need not arrive.
    """
    job.until("COMPLETED")
    assert len(places(job.log(), "resumed")) == stops, job.log()
    same(job.folder, calm)


def test_two_nodes_of_two_equal_one_that_accumulates_four(cluster, config, shards, tmp_path, train):
    """Same micro-batches, float64: trainable parameters to 1e-12 after six steps."""
    changed = train_settings(config, training__precision="float64", recipe__batch=16)
    job = train(settings=changed, step=TWO_BY_TWO)
    job.until("COMPLETED")
    assert "a batch of 16: 4 processes with 1 micro-batches of 4 each" in job.log()
    alone = tmp_path / "alone" / "model.safetensors"
    printed = finish(start(command(shards, alone, changed)))
    assert "a batch of 16: 1 process with 4 micro-batches of 4 each" in printed[0]
    one, four = load_file(alone), load_file(tmp_path / "model.safetensors")
    for name in one:
        if "running" not in name and "tracked" not in name:
            assert np.allclose(one[name], four[name], rtol=0, atol=1e-12), name
    assert json.loads((tmp_path / "metrics.json").read_text())["processes"] == 4


def test_a_batch_that_the_processes_cannot_share_ends_the_job(train, config):
    job = train(settings=train_settings(config, recipe__batch=6, recipe__micro_batch=2), step=TWO_BY_TWO)
    job.until("FAILED")
    assert "a batch of 6 is 3 micro-batches of 2, which 4 processes cannot share equally" in job.log()


def test_several_processes_are_warned_then_one_is_killed(cluster, train, long, shards, tmp_path):
    calm = tmp_path / "calm" / "model.safetensors"
    finish(start(command(shards, calm, long), world=4))
    job = train(step=TWO_BY_TWO, options=("--cores", "2"))
    job.until_training()
    cluster.run("scancel", "--signal=USR1", job.number)
    cluster.until(lambda: job.restarts() == 1, f"the job restarts: {job.log()}")
    job.until_training(2)
    assert places(job.log(), "asked to stop") == sorted(set(places(job.log(), "resumed")))
    ranks = [int(pid) for pid in re.findall(r"^\s*(\d+)", _processes(cluster, tmp_path), re.MULTILINE)]
    assert len(ranks) == 4
    cluster.run("kill", "-9", str(ranks[2]))
    job.until("FAILED", seconds=60)
    again = train(step=TWO_BY_TWO)
    again.until("COMPLETED")
    assert len(places(again.log(), "resumed")) == 8, "all four, twice"
    same(tmp_path, calm)


def _processes(cluster, folder: Path) -> str:
    """Lines of ``ps``: the trainings, without srun and without what loads their data."""
    listed = cluster.run("ps", "-eo", "pid,args").stdout.splitlines()
    wanted = [line for line in listed if "-m pipeline task train_classifier" in line and str(folder / "model") in line]
    return "\n".join(line for line in wanted if "srun" not in line)


def test_warned_requeued_and_preempted_it_ends_with_the_same_bytes(cluster, train, calm):
    """The warning is what `--signal=USR1@…` sends: to every process of the step, those that load data among them."""

    def warn() -> None:
        cluster.run("scancel", "--signal=USR1", job.number)

    def requeue() -> None:
        assert cluster.run("scontrol", "requeue", job.number).returncode == 0

    def preempt() -> None:
        urgent = cluster.run("sbatch", "--parsable", "-p", "urgent", "-N2", "--exclusive", "--wrap=sleep 1")
        cluster.until(lambda: cluster.job(urgent.stdout.strip())["JobState"] == "COMPLETED", "the urgent job is done")

    interruptions = (warn, requeue, warn, preempt)
    job = train("--partition=main", options=("--cores", "3"))
    for number, interrupt in enumerate(interruptions, 1):
        job.until_training(number)
        interrupt()
        cluster.until(lambda n=number: job.restarts() == n, f"restart {number}: {job.log()}")
    ended_as_undisturbed(job, calm, stops=len(interruptions))


def test_cancelled_then_submitted_again(cluster, train, calm, tmp_path):
    job = train()
    job.until_training()
    cluster.run("scancel", job.number)
    cluster.until(lambda: not _processes(cluster, tmp_path), "the training has ended")
    job.until("CANCELLED")
    ended_as_undisturbed(train(), calm, stops=1)


def test_a_lost_node_gives_its_job_back(cluster, train, calm, tmp_path):
    job = train(options=SAVING)
    job.until_saved()
    node = cluster.job(job.number)["NodeList"]
    for pid in cluster.steps_of(job.number):
        cluster.run("kill", "-9", pid)
    cluster.end(node, signal.SIGKILL)
    for line in _processes(cluster, tmp_path).splitlines():
        cluster.run("kill", "-9", line.split()[0])
    cluster.until(lambda: cluster.states()[node].startswith("down"), f"{node} is down")
    cluster.start_node(node)
    job.until("COMPLETED")
    assert job.restarts() == 1
    assert places(job.log(), "resumed")
    same(tmp_path, calm)
