"""What a job of ``acta submit`` runs: a command of its own process, stopped and started again by submitit."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from submitit.helpers import DelayedSubmission

_STOPPED = (128 + signal.SIGTERM, -signal.SIGTERM)


@dataclass
class Command:
    """``acta <arguments>``; `checkpoint` is what submitit calls before the job's time ends or it is preempted."""

    arguments: tuple[str, ...]

    def __call__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "pipeline", *self.arguments])
        status = self._process.wait()
        if status in _STOPPED:
            time.sleep(600)  # the first process has Slurm start the job again, which ends this one
        if status:
            raise RuntimeError(f"acta {self.arguments[0]} ended with {status}; its message is above")

    def checkpoint(self) -> Any:
        """Stop the command, which saves, and say what is to be run in its place: the same."""
        self._process.terminate()
        # Not Popen.wait: this runs inside a signal handler, which has interrupted it.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Command(self.arguments))
