"""`acta submit`: one command as one job, with what submitit does about its end."""

import json
import re

from tests.networks import command, finish, start, train_settings, write_dataset


def submit(cluster, folder, *arguments: str, options: tuple[str, ...] = ()):
    said = cluster.run("acta", "submit", "--memory", "2", *options, "--", *arguments, cwd=folder, timeout=600)
    found = re.search(r"slurm job (\d+)", said.stdout)
    return said, found[1] if found else ""


def test_a_training_warned_and_requeued_ends_with_the_same_bytes(cluster, config, tmp_path):
    shards = write_dataset(tmp_path / "dataset")
    changed = train_settings(config, training__epochs=60)
    calm, output = tmp_path / "calm" / "model.safetensors", tmp_path / "model.safetensors"
    finish(start(command(shards, calm, changed)))
    arguments = command(shards, output, changed, "--save-every", "0")[3:]
    said, job = submit(cluster, tmp_path, *arguments)
    assert job, said.stderr
    cluster.until((tmp_path / "last.ckpt").exists, "a checkpoint is there")
    cluster.run("scancel", "--signal=USR2", job)
    cluster.until(lambda: cluster.job(job)["Restarts"] == "1", "Slurm starts it again")
    cluster.until(lambda: cluster.job(job)["JobState"] == "COMPLETED", "it ends")
    assert output.read_bytes() == calm.read_bytes()


def test_two_nodes_of_two_train_together(cluster, config, tmp_path):
    shards = write_dataset(tmp_path / "dataset", train=8)
    changed = train_settings(config, recipe__batch=16)
    arguments = command(shards, tmp_path / "model.safetensors", changed)[3:]
    said, _ = submit(cluster, tmp_path, *arguments, options=("--nodes", "2", "--processes", "2", "--wait"))
    assert said.returncode == 0, said.stdout + said.stderr
    assert json.loads((tmp_path / "metrics.json").read_text())["processes"] == 4


def test_a_command_that_fails(cluster, tmp_path):
    said, job = submit(cluster, tmp_path, "weights", "fetch", "nothing-of-that-name", options=("--wait",))
    assert said.returncode == 1
    assert f"error: job {job} failed" in said.stderr
