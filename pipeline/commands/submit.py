"""``acta submit``: one command as one Slurm job, or on this machine with the same call, without the workflow."""

import argparse
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from pipeline.runtime.errors import ActaError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run one acta command as a Slurm job, or on this machine where there is no Slurm. A training that "
        "meets its time limit or is preempted saves, is started again by Slurm, and goes on."
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="for example: -- task train_classifier …"
    )
    parser.add_argument("--cluster", choices=("slurm", "local"), help="default: slurm where sbatch is, else local")
    parser.add_argument(
        "--logs", type=Path, default=Path("logs/submit"), help="folder of its output (default: %(default)s)"
    )
    parser.add_argument("--partition")
    parser.add_argument("--account")
    parser.add_argument("--minutes", type=int, default=60, help="time limit of one segment (default: %(default)s)")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1, help="per node; they train together")
    parser.add_argument("--gpus", type=int, default=0, help="per node")
    parser.add_argument("--cpus", type=int, default=2, help="per process")
    parser.add_argument("--memory", type=int, default=16, help="GB per node")
    parser.add_argument(
        "--warning", type=int, default=90, help="seconds before the limit to save (default: %(default)s)"
    )
    parser.add_argument("--wait", action="store_true", help="until it has ended; its exit status is this command's")
    parser.set_defaults(run=_submit)


def _submit(options: argparse.Namespace) -> int:
    import submitit

    from pipeline.cli import parse
    from pipeline.commands.slurm_job import Command

    arguments = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not arguments:
        raise ActaError("submit needs a command after --, such as: acta submit --gpus 1 -- task train_classifier …")
    if parse(arguments).run is _submit:
        raise ActaError("submit cannot submit itself")
    _keep_to_oneself(options.logs)
    # A job that is preempted or out of time is started again as often as it needs.
    executor = submitit.AutoExecutor(options.logs, cluster=options.cluster, slurm_max_num_timeout=10_000)
    is_slurm = executor.cluster == "slurm"
    place = {"slurm_partition": options.partition, "slurm_account": options.account}
    executor.update_parameters(
        name="acta-submit",
        timeout_min=options.minutes if is_slurm else 525_600,  # submitit stops a local command out of time for good
        nodes=options.nodes,
        tasks_per_node=options.processes,
        gpus_per_node=options.gpus,
        cpus_per_task=options.cpus,
        mem_gb=options.memory,
        slurm_signal_delay_s=options.warning,
        slurm_setup=["export PYTHONSAFEPATH=1"],  # where a cluster gives a job none of the environment
        **{name: value for name, value in place.items() if value},
    )
    try:
        job = executor.submit(Command(tuple(arguments)))
    except (submitit.core.utils.FailedJobError, ValueError) as error:
        raise ActaError(f"the job was not accepted: {error}") from None
    print(f"{executor.cluster} job {job.job_id}; it prints to {job.paths.stderr}")
    if is_slurm and not options.wait:
        return 0
    if is_slurm:
        _wait_for_end(str(job.job_id), job.paths.result_pickle)
    try:
        if is_slurm and not job.paths.result_pickle.exists():
            raise RuntimeError  # a lost node, scancel: submitit would wait for ever
        job.results()
    except Exception:  # or its own error
        print(f"error: job {job.job_id} failed; {job.paths.stderr} says why", file=sys.stderr)
        return 1
    return 0


def _keep_to_oneself(logs: Path) -> None:
    """Make the folder from which jobs read what they run (a pickle), or see that nobody else can write there."""
    logs.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        logs.mkdir(mode=0o700)
    status = logs.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise ActaError(
            f"others may write to {logs}, from where jobs read what they run; "
            f"choose another --logs, or, if it is yours: chmod go-w {logs}"
        )


def _wait_for_end(number: str, result: Path) -> None:
    """Until a job has left its result, or Slurm knows it no longer; submitit's own way needs accounting."""
    gone = 0
    while not result.exists() and gone < 3:  # the result of a job that is gone may take a moment to be seen
        time.sleep(5)
        asked = subprocess.run(["squeue", "--noheader", "--jobs", number], capture_output=True, text=True, check=False)
        known = asked.stdout.strip() if asked.returncode == 0 else "Invalid job id" not in asked.stderr
        gone = 0 if known else gone + 1
