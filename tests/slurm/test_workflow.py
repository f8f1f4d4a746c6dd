"""The real workflow on a real Slurm, through profiles/slurm: to the end, two at a time, and through what goes wrong."""

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from tests import PROJECT
from tests.slurm.cluster import Cluster
from tests.workflow.project import Project

POLLED = Path(__file__).with_name("polled_each_second.py")
OPERATORS = ("s", "t", "f", "c", "l")
# What differs on this cluster: small memory and times, and a pretended GPU for trainings on a CPU.
OVERLAY = ("--cores", "2", "--latency-wait", "10", "--slurm-init-seconds-before-status-checks", "1")


def overlay(project: Project) -> None:
    path = project.folder / "profiles" / "slurm" / "config.yaml"
    profile = yaml.safe_load(path.read_text())
    for rule, resources in profile["set-resources"].items():
        here = {"runtime": 30, "gpu": 1} if "launcher" in resources else {"runtime": 5}
        profile["set-resources"][rule] = resources | here
    path.write_text(yaml.safe_dump(profile))


def make(folder: Path) -> Project:
    """Anonymisation, a base network and one iteration of PAS with all five operators, on six clips."""
    project = Project(folder, warm=False)
    project.use_two_classes()
    project.configure(
        privacy__what=["faces"],
        classify__training__epochs=2,
        classify__training__threads=1,
        classify__recipes__r3d__batch=4,
        classify__recipes__r3d__micro_batch=4,
        classify__recipes__r3d__backbone__width=0.05,
        classify__recipes__r3d__backbone__blocks=[2, 2, 2, 2],
        classify__recipes__r3d__clip__frames=8,
        shrink__recipes=["r3d"],
        shrink__iterations=1,
        shrink__epochs=60,  # long enough to be cancelled in
    )
    overlay(project)
    return project


def another(project: Project, folder: Path) -> Project:
    """The same videos and settings in another checkout."""
    copied = Project(folder, warm=False)
    shutil.copytree(project.folder / "videos", folder / "videos")
    shutil.copy(project.folder / "config.yaml", folder)
    overlay(copied)
    return copied


SELECTED = "results/clips/shrink/r3d/pas/iteration_1/selected.json"
TARGETS = ("results/clips/audit/faces/certificate.json", "shrink")


def drive(cluster: Cluster, project: Project, *targets: str, options: Sequence[str] = (), **environment: str):
    """Start Snakemake on the login node, as a person would."""
    log = (project.folder / "driver.log").open("ab")
    command = [sys.executable, str(POLLED), "--profile", "profiles/slurm", *OVERLAY, *options, "--", *targets]
    return cluster.popen(command, environment, cwd=project.folder, stdout=log, stderr=log)


def said(project: Project) -> str:
    return (project.folder / "driver.log").read_text()


def finished(project: Project, process) -> None:
    assert process.wait(timeout=1800) == 0, said(project)[-5000:]


def results(project: Project) -> dict[str, bytes]:
    """What must be the same wherever it was computed: all but times, and exports, which hold the paths of sources."""
    base = project.folder / "results"
    timed = ("metrics.json", "export.json", "resources.json", "model.onnx", "model.pt2")
    timed += tuple(f"{table}.{kind}" for table in ("shrink_costs", "table_6_5") for kind in ("csv", "md", "html"))
    return {
        str(path.relative_to(base)): path.read_bytes()
        for path in sorted(base.rglob("*"))
        if path.is_file() and path.name not in timed and "tensorboard" not in path.parts
    }


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Project:
    """The same workflow without Slurm."""
    project = make(tmp_path_factory.mktemp("local"))
    project.run("--", *TARGETS)
    return project


GPUS_OF: dict[str, tuple[str, str]] = {}


@pytest.fixture(scope="module")
def on_cluster(cluster, tmp_path_factory, local) -> Project:
    """The whole workflow on the cluster."""
    project = another(local, tmp_path_factory.mktemp("cluster"))
    driver = drive(cluster, project, *TARGETS)
    while driver.poll() is None:  # which GPU a job has can only be asked while it runs
        for number in cluster.jobs("RUNNING"):
            job = cluster.job(number)
            if "IDX" in job.get("GRES", ""):
                GPUS_OF[number] = (job["NodeList"], job["GRES"])
        time.sleep(0.5)
    finished(project, driver)
    return project


@pytest.fixture
def copy(on_cluster, tmp_path) -> Project:
    """A finished workflow that a test may take apart."""
    shutil.copytree(on_cluster.folder, tmp_path / "copy", symlinks=True)
    copied = Project.__new__(Project)
    copied.folder = tmp_path / "copy"
    shutil.rmtree(copied.folder / "results/clips/shrink")
    shutil.rmtree(copied.folder / "logs")
    (copied.folder / "driver.log").unlink()
    return copied


def as_far_as_selected(copy: Project, whole: Project) -> None:
    """All that leads to the first selection is there, as in the whole workflow."""
    found, expected = results(copy), results(whole)
    assert SELECTED.removeprefix("results/") in found
    assert [name for name in found if found[name] != expected[name]] == []


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_the_same_bytes_as_without_slurm(local, on_cluster):
    expected, found = results(local), results(on_cluster)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def submissions(project: Project) -> dict[str, str]:
    """Slurm's job number → the rule, or the group of shards."""
    logs = (project.folder / "logs" / "slurm").rglob("*.log")
    told = re.findall(r"SLURM jobid '?(\d+)'? \(log: \S*/logs/slurm/(\w+)/", said(project))
    return dict(told) | {path.stem: path.parts[-3] for path in logs if path.stem.isdigit()}


def test_shards_are_grouped_into_one_submission_a_task(on_cluster):
    rules = sorted(submissions(on_cluster).values())
    groups = ("manifest_build_manifest", "frames_extract_frames", "detect_people_detect_people")
    for group in (*groups, "obfuscate_obfuscate"):
        assert rules.count(f"group_{group}") == 1, rules


def test_five_hypotheses_at_the_same_time_on_five_gpus(cluster, on_cluster):
    jobs = [number for number, rule in submissions(on_cluster).items() if rule == "rule_try_hypothesis"]
    assert len(jobs) == 5
    told = [cluster.job(number) for number in jobs]
    started = [datetime.fromisoformat(job["StartTime"]) for job in told]
    ended = [datetime.fromisoformat(job["EndTime"]) for job in told]
    assert max(started) < min(ended), "all five run before the first ends"
    devices = {GPUS_OF[number] for number in jobs}
    assert len(devices) == 5, devices


def training(copy: Project) -> list[str]:
    """Job numbers of the hypotheses that have begun to train."""
    began = [
        o for o in OPERATORS if "a batch of" in _text(copy.folder / f"logs/clips/try_hypothesis/r3d/pas/1/{o}.log")
    ]
    logs = copy.folder / "logs/slurm/rule_try_hypothesis"
    return [path.stem for operator in began for path in logs.glob(f"r3d_pas_1_{operator}/*.log")]


def test_a_killed_driver_its_restart_and_a_job_cancelled_under_it(cluster, copy, on_cluster, tmp_path):
    driver = drive(cluster, copy, SELECTED)
    held: set[str] = set()

    def all_are_held() -> bool:
        """Each is suspended as soon as it trains, so that none ends before another driver has started."""
        new = set(training(copy)) - held
        held.update(number for number in new if cluster.run("scontrol", "suspend", number).returncode == 0)
        return len(held) == len(OPERATORS)

    cluster.until(all_are_held, "all train")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert set(cluster.jobs("SUSPENDED")) == held, "its jobs outlive the driver"
    logs = copy.folder / "logs/clips/try_hypothesis/r3d/pas/1"
    for log in logs.glob("*.log"):
        log.unlink()
    cluster.run("snakemake", "--unlock", cwd=copy.folder)
    # They go on when they are cancelled: Slurm kills what is suspended, and they are to save.
    scancel = tmp_path / "bin" / "scancel"
    scancel.parent.mkdir()
    resume = f"for job in {' '.join(held)}; do scontrol resume $job; done"
    scancel.write_text(f'#!/bin/sh\n{resume}\nexec {cluster.folder}/bin/scancel "$@"\n')
    scancel.chmod(0o755)
    path = f"{scancel.parent}:{cluster.folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    again = drive(cluster, copy, SELECTED, PATH=path)
    trains = cluster.until(lambda: [job for job in training(copy) if job not in held], "a new one trains")
    cluster.run("scancel", trains[0])
    finished(copy, again)
    assert list(submissions(copy).values()).count("rule_try_hypothesis") == 2 * len(OPERATORS) + 1
    assert "cancelling jobs that a lost driver left here" in said(copy)
    assert {cluster.job(number)["JobState"] for number in held} == {"CANCELLED"}
    resumed = {operator for operator in OPERATORS if "resumed at step" in _text(logs / f"{operator}.log")}
    cancelled = next((copy.folder / "logs/slurm/rule_try_hypothesis").glob(f"*/{trains[0]}.log")).parent.name[-1]
    assert cancelled in resumed, "what was cancelled had saved"
    assert resumed - {cancelled}, "what the lost driver left had saved"
    as_far_as_selected(copy, on_cluster)


def test_a_controller_that_is_away_for_15_seconds(cluster, copy, on_cluster):
    driver = drive(cluster, copy, SELECTED)
    cluster.until(lambda: len(cluster.jobs("RUNNING")) == len(OPERATORS), "the hypotheses run")
    cluster.end("slurmctld")
    time.sleep(15)  # the length of the outage, not a wait for something
    cluster.start_controller()
    finished(copy, driver)
    as_far_as_selected(copy, on_cluster)
    rules = list(submissions(copy).values())
    assert rules.count("rule_try_hypothesis") == len(OPERATORS), "nothing ran twice"


def test_two_users_with_one_cache_compute_frames_once(cluster, local, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o770)
    users = [another(local, tmp_path / name) for name in ("first", "second")]
    users[1].configure(dataset="same_videos")  # another name is no other setting
    for user in users:
        dataset = next(iter((user.folder / "config.yaml").read_text().splitlines())).split()[-1]
        frames = [f"results/{dataset}/frames/faces/{n}-of-2.h5" for n in range(2)]
        cached = ("--cache", "build_manifest", "extract_frames", "detect_people", "obfuscate")
        finished(user, drive(cluster, user, *frames, options=cached, SNAKEMAKE_OUTPUT_CACHE=str(cache)))
        for n, path in enumerate(frames):
            expected = local.folder / f"results/clips/frames/faces/{n}-of-2.h5"
            assert (user.folder / path).read_bytes() == expected.read_bytes()
    # Groups of shards are submitted all the same; a task that runs writes what it cost.
    computed = [list((user.folder / "logs").rglob("*.costs.jsonl")) for user in users]
    assert [len(files) for files in computed] == [8, 0]


def test_a_cache_that_everybody_may_enter_is_refused(cluster, on_cluster, tmp_path):
    tmp_path.chmod(0o755)
    driver = drive(
        *(cluster, on_cluster, "-n", *TARGETS),
        options=("--cache", "detect_people"),
        SNAKEMAKE_OUTPUT_CACHE=str(tmp_path),
    )
    assert driver.wait(timeout=300) == 1
    assert f"everybody may enter the cache {tmp_path}" in said(on_cluster)


def test_snakemake_profile_slurm_after_it_was_registered(cluster, on_cluster, tmp_path):
    """What docs/slurm.md says: link the profile into the user's configuration, then `snakemake --profile slurm`."""
    line = next(
        line for line in (PROJECT / "docs" / "slurm.md").read_text().splitlines() if "ln -s" in line and "slurm" in line
    )
    registered = cluster.run("sh", "-c", line, cwd=on_cluster.folder, environment={"HOME": str(tmp_path)})
    assert registered.returncode == 0, registered.stderr
    planned = cluster.run(
        *("snakemake", "--profile", "slurm", "-n", "--", *TARGETS),
        cwd=on_cluster.folder,
        environment={"HOME": str(tmp_path)},
    )
    assert "Nothing to be done" in planned.stdout + planned.stderr, planned.stderr
