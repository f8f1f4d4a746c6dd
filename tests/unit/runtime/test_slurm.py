"""What a lost driver left is cancelled by the next, never what a living one runs; squeue and scancel are scripts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.runtime.slurm import requeue

DRIVER = """
import sys
from pathlib import Path
from pipeline.runtime.slurm import stop_orphans
print(stop_orphans(Path(sys.argv[1]), patience=2), flush=True)
input()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A workflow's folder with two jobs of Acta and one of somebody else, which scancel ends."""
    (tmp_path / "work" / ".snakemake").mkdir(parents=True)
    jobs, here = tmp_path / "jobs", tmp_path / "work"
    jobs.write_text(f"1|acta_x|{here}\n2|acta_y|{here}\n3|other|{here}\n4|acta_z|/elsewhere\n")
    scripts = {
        "squeue": f'#!/bin/sh\ncat "{jobs}"\n',
        "scancel": f'#!/bin/sh\nfor job; do sed -i "/^$job|/d" "{jobs}"; done\n',
    }
    for name, script in scripts.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return here


def drive(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a driver; what it cancelled."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder)], **pipes)
    return driver, driver.stdout.readline().strip()


def test_a_lost_driver_s_jobs_are_cancelled_once(folder):
    driver, cancelled = drive(folder)
    assert cancelled == "['1', '2']"
    assert "cancelling jobs that a lost driver left here: 1, 2" in driver.communicate("\n")[1]
    assert [line[0] for line in (folder.parent / "jobs").read_text().splitlines()] == ["3", "4"]


def test_a_driver_s_jobs_are_safe_as_long_as_it_lives(folder):
    """Also when the driver that came first has ended and a third one comes."""
    first, cancelled = drive(folder)
    assert cancelled == "['1', '2']"
    second, cancelled = drive(folder)
    assert cancelled == "[]"
    (folder.parent / "jobs").write_text(f"5|acta_of_the_second|{folder}\n")
    first.communicate("\n")
    third, cancelled = drive(folder)
    assert cancelled == "[]"
    second.kill()
    second.communicate()
    assert "another driver works in" in third.communicate("\n")[1]
    fourth, cancelled = drive(folder)
    assert cancelled == "['5']"
    fourth.communicate("\n")


def test_jobs_that_do_not_end_are_an_error(folder):
    (folder.parent / "scancel").write_text("#!/bin/sh\n")
    driver, _ = drive(folder)
    assert "jobs of a lost driver still run in" in driver.communicate()[1]


def test_a_controller_that_does_not_answer_is_an_error(folder):
    (folder.parent / "squeue").write_text("#!/bin/sh\necho slurm_load_jobs error >&2\nexit 1\n")
    driver, _ = drive(folder)
    assert f"{ActaError.__name__}: squeue does not answer" in driver.communicate()[1]


def test_a_requeue_that_is_refused_is_said(folder, monkeypatch, capsys):
    (folder.parent / "scontrol").write_text("#!/bin/sh\necho 'Requested operation is disabled' >&2\nexit 1\n")
    (folder.parent / "scontrol").chmod(0o755)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    requeue()
    assert capsys.readouterr().err == "job 7 was not requeued: Requested operation is disabled\n"
    monkeypatch.delenv("SLURM_JOB_ID")
    requeue()
    assert capsys.readouterr().err == ""
