"""One GPU for each process of a workflow's jobs, where no scheduler gives them out: a lock file for each device.

Snakemake counts GPUs (``--resources gpu=4``) but does not say which one is a job's. So each process takes the first
that no other process holds, and sees no other. The lock ends with the process, however that ends.
"""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.runtime.errors import ActaError

ASKED = "ACTA_ASSIGN_GPUS"  # the workflow sets it for its jobs
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_HELD = "ACTA_GPU"  # what this process or the one that started it holds


def take_gpu() -> None:
    """Take a GPU and let this process, and those that it starts, see that one alone; nothing outside a workflow.

    It must come before anything else asks CUDA for its devices. A single process waits until one is free. Processes
    that train together do not, as two such groups could wait for each other.

    Raises:
        ActaError: the processes of a group are more than the GPUs that are free.
    """
    if ASKED not in os.environ or _HELD in os.environ or "SLURM_JOB_ID" in os.environ:
        return
    names = _visible()
    if not names:  # `check_device` says why
        return
    together = int(os.environ.get("WORLD_SIZE", "1"))
    try:
        taken, waiting = _take(names), False
        while taken is None:
            if together > 1:
                raise ActaError(
                    f"no GPU is free for one of {together} processes that train together; this machine has "
                    f"{len(names)} ({', '.join(names)}). Start as many processes as there are GPUs, and tell Snakemake "
                    "both numbers: the rule's resource gpu, and --resources gpu"
                )
            if not waiting:
                said = f"waiting for a GPU: other jobs hold {', '.join(names)}; is --resources gpu={len(names)} given?"
                print(said, file=sys.stderr)
            waiting = True
            time.sleep(1)
            taken = _take(names)
    except OSError as error:
        print(f"GPUs are not given out, as {error.filename} cannot be locked: {error.strerror}", file=sys.stderr)
        return
    os.environ[_VISIBLE] = os.environ[_HELD] = taken


def _visible() -> list[str]:
    """The GPUs of this process as CUDA names them: numbers or identifiers."""
    named = os.environ.get(_VISIBLE)
    if named is None:
        import torch

        return [str(number) for number in range(torch.cuda.device_count())]
    return [name for part in named.split(",") if (name := part.strip()) not in ("", "-1", "NoDevFiles")]


def _take(names: Sequence[str]) -> str | None:
    """The first that no other process holds, held from now on to the end of this process; None: all are held."""
    for name in names:
        file = _opened(Path(tempfile.gettempdir(), f"acta-gpu-{name.replace('/', '-')}.lock"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        return name
    return None


def _opened(path: Path) -> int:
    """The lock file of a device, which all users of the machine share; reading is enough to lock it."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags)  # where the folder is everybody's, O_CREAT may not open another user's file
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o644)
