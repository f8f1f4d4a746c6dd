"""Whole trainings as processes: killed, asked to stop, shared by several, repeated on a GPU."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from tests.networks import command, finish, start, train_settings, write_dataset


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"))


def weights(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize("world", [1, 2])
def test_killed_trainings_end_with_the_same_bytes(config, shards, tmp_path, world):
    """SIGKILL at random steps, then the same command again; dropout, jitter and order included."""
    changed = train_settings(config, training__epochs=25, recipe__backbone__dropout=0.3)
    calm, shot = tmp_path / "calm" / "model.safetensors", tmp_path / "shot" / "model.safetensors"
    finish(start(command(shards, calm, changed), world))
    moments = random.Random(world)
    kills = 0
    for _ in range(3):
        processes = start(command(shards, shot, changed, "--save-every", "0"), world)
        checkpoint = shot.with_name("last.ckpt")
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while processes[0].poll() is None and not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > seen):
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.15))
        kills += processes[0].poll() is None
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate()
    assert kills >= 2
    printed = finish(start(command(shards, shot, changed), world))
    assert "resumed at step" in printed[0]
    assert weights(shot) == weights(calm)
    assert shot.with_suffix(".json").read_bytes() == calm.with_suffix(".json").read_bytes()
    assert not shot.with_name("last.ckpt").exists()


def _of_group(group: int) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "pgid="], capture_output=True, text=True, check=True).stdout.split()
    return [line for line in listed if int(line) == group]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_stops(config, shards, tmp_path, number):
    """As Slurm sends it: to every process, those that load data among them."""
    output = tmp_path / "model.safetensors"
    changed = train_settings(config, training__epochs=400)
    (process,) = start(command(shards, output, changed, "--cores", "3"), process_group=0)
    assert process.stdout is not None
    while "a batch of" not in (line := process.stdout.readline()):
        assert line, "it ended"
    while len(_of_group(process.pid)) < 6:  # the training, two that load data, two of Python's own, and a client
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, number)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number, printed
    assert "the same command goes on from there" in printed
    assert (tmp_path / "last.ckpt").exists()
    assert not output.exists()


def test_two_processes_equal_one_that_accumulates_two(config, shards, tmp_path):
    """Same micro-batches, float64: all weights and running statistics to 1e-12 after four steps."""
    changed = train_settings(config, training__precision="float64", training__epochs=2)
    outputs = [tmp_path / name / "model.safetensors" for name in ("one", "two")]
    for world, output in zip((1, 2), outputs, strict=True):
        finish(start(command(shards, output, changed), world))
    alone, together = map(load_file, outputs)
    for name in (name for name in alone if "tracked" not in name):
        assert np.allclose(alone[name], together[name], rtol=0, atol=1e-12), name
    metrics = [json.loads(output.with_name("metrics.json").read_text()) for output in outputs]
    assert [m["processes"] for m in metrics] == [1, 2]
    assert metrics[0]["history"][-1]["loss"] == pytest.approx(metrics[1]["history"][-1]["loss"], abs=1e-12)


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_on_a_gpu_deterministic_trainings_end_with_the_same_bytes(config, shards, tmp_path, precision):
    changed = train_settings(
        config, training__device="cuda", training__deterministic=True, training__precision=precision
    )
    outputs = [tmp_path / name / "model.safetensors" for name in ("one", "two")]
    for output in outputs:
        finish(start(command(shards, output, changed)))
    assert weights(outputs[0]) == weights(outputs[1])
    history = json.loads(outputs[0].with_name("metrics.json").read_text())["history"]
    assert ("overflows" in history[0]) == (precision == "float16")
