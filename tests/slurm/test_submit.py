"""`acta submit`: one command as one job, with what submitit does about its end."""

import json
import re
import subprocess

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
    arguments = command(shards, output, changed, "--cores", "2")[3:]
    said, job = submit(cluster, tmp_path, *arguments)
    assert job, said.stderr

    def log() -> str:
        return "".join(path.read_text() for path in (tmp_path / "logs" / "submit").glob("*.err"))

    cluster.until(lambda: "a batch of" in log(), "it trains")
    cluster.run("scancel", "--signal=USR2", job)
    cluster.until(lambda: cluster.job(job)["Restarts"] == "1", "Slurm starts it again")
    cluster.until(lambda: cluster.job(job)["JobState"] == "COMPLETED", "it ends")
    assert output.read_bytes() == calm.read_bytes()
    assert "asked to stop at step" in log()
    assert "resumed at step" in log()


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


def test_a_job_that_is_refused(cluster, tmp_path):
    said, _ = submit(cluster, tmp_path, "weights", "list", options=("--partition", "no-such-partition"))
    assert said.returncode == 1
    assert "error: the job was not accepted: " in said.stderr
    assert "Traceback" not in said.stderr


def test_waiting_for_a_job_that_is_cancelled(cluster, tmp_path):
    """Without accounting nobody says how it ended, but it does not wait for ever."""
    arguments = ("--memory", "2", "--nodes", "3", "--wait", "--", "weights", "list")  # of two nodes: it never starts
    waiting = cluster.popen(["acta", "submit", *arguments], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    number = re.search(r"slurm job (\d+)", waiting.stdout.readline())
    cluster.run("scancel", number[1])
    assert waiting.wait(timeout=120) == 1
