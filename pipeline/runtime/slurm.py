"""What Acta asks of Slurm itself: to start a training's job again, and to stop the jobs that a lost driver left."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from pipeline.runtime.errors import ActaError

PREFIX = "acta_"  # of the job names; the profiles set it (slurm-jobname-prefix)
_DRIVER_LOCKS: list[IO[str]] = []  # held as long as the process lives


def requeue() -> None:
    """Ask Slurm to start this job again, with its number; nothing outside a Slurm job."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    try:
        asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        problem = asked.stderr.strip() if asked.returncode else ""
    except OSError as error:
        problem = str(error)
    print(f"job {job} " + (f"was not requeued: {problem}" if problem else "is requeued"), file=sys.stderr)


def stop_orphans(folder: Path, patience: float = 300.0) -> list[str]:
    """Cancel the workflow's jobs that still run in a folder though their driver is gone, and wait until they ended.

    The next driver would otherwise start them a second time while they run. Trainings save before they end. While
    another driver of this folder lives, nothing is cancelled: each holds a lock. Returns the numbers of the jobs.

    Raises:
        ActaError: they have not ended within ``patience`` seconds.
    """
    lock = (folder / ".snakemake" / "acta.driver").open("a")
    _DRIVER_LOCKS.append(lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another driver works in {folder}; jobs of a lost one are not looked for", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_SH)
        return []
    except OSError as error:
        print(f"{lock.name} cannot be locked, so jobs of a lost driver are not looked for: {error}", file=sys.stderr)
        return []
    try:
        return _stop_jobs(folder, patience)
    finally:
        fcntl.flock(lock, fcntl.LOCK_SH)


def _stop_jobs(folder: Path, patience: float) -> list[str]:
    orphans = _jobs_of(folder)
    if orphans:
        print(f"cancelling jobs that a lost driver left here: {', '.join(orphans)}", file=sys.stderr)
        subprocess.run(["scancel", *orphans], check=False)
    end = time.monotonic() + patience
    while left := [job for job in _jobs_of(folder) if job in orphans]:
        if time.monotonic() > end:
            raise ActaError(f"jobs of a lost driver still run in {folder} after scancel: {', '.join(left)}")
        time.sleep(1)
    return orphans


def _jobs_of(folder: Path) -> list[str]:
    listed = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%A|%j|%Z"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise ActaError(f"squeue does not answer, so jobs of a lost driver cannot be found: {listed.stderr.strip()}")
    rows = [line.split("|", 2) for line in listed.stdout.splitlines()]
    return [number for number, name, place in rows if name.startswith(PREFIX) and Path(place) == folder.resolve()]
