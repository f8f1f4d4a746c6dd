"""What a job of ``acta submit`` runs: a command of its own process, stopped and started again by submitit."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from submitit.helpers import DelayedSubmission

from pipeline.training.stopping import deaf_children

_STOPPED = (128 + signal.SIGTERM, -signal.SIGTERM)
# Seconds until Slurm has ended a job that is preempted or starts again; KillWait is 30 by default.
_PATIENCE = 120
# submitit's warning, which Slurm sends to every process of the job: `checkpoint` passes it on as SIGTERM.
_WARNING = (signal.SIGUSR2,)


@dataclass
class Command:
    """``acta <arguments>``; `checkpoint` is what submitit calls before the job's time ends or it is preempted."""

    arguments: tuple[str, ...]
    _process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        with deaf_children(_WARNING):
            self._process = subprocess.Popen([sys.executable, "-m", "pipeline", *self.arguments])
        status = self._process.wait()
        if status in _STOPPED:
            time.sleep(_PATIENCE)  # the first process has Slurm start the job again, which ends this one
        if status:
            called = " ".join(self.arguments[: 2 if self.arguments[0] == "task" else 1])
            raise RuntimeError(f"acta {called} ended with {status}; its message is above")

    def checkpoint(self) -> Any:
        """Stop the command, which saves, and say what is to be run in its place: the same."""
        if self._process is not None:
            self._process.terminate()
            # Not Popen.wait: this runs inside a signal handler, which has interrupted it.
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Command(self.arguments))
