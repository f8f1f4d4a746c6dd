"""Being asked to stop: a preemption or cancelled job (SIGTERM), the warning ahead of a time limit (SIGUSR1).

Slurm sends both to every process of a job's step, so the processes that load data must not hear them: they would die
before the training has saved.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from pipeline.runtime.slurm import requeue

STOPS = (signal.SIGTERM, signal.SIGUSR1)


class Stop:
    """``wanted``: the signal that came, None until one does."""

    wanted: int | None = None

    def __call__(self, number: int, frame: Any) -> None:
        self.wanted = number


_listening: Stop | None = None


@contextmanager
def listening() -> Iterator[Stop]:
    """Keep the signals for whoever asks, as long as the block runs; inside another such block, share that one's."""
    global _listening
    if _listening is not None:
        yield _listening
        return
    stop = Stop()
    try:
        kept = {number: signal.signal(number, stop) for number in STOPS}
    except ValueError:  # not in the main thread: nobody can ask
        yield stop
        return
    _listening = stop
    try:
        yield stop
    finally:
        _listening = None
        for number, handler in kept.items():
            signal.signal(number, handler)


def last_step_is_saved() -> None:
    """Call when a training's last checkpoint is saved: from here on SIGTERM ends the process at once.

    What is written from now on would be lost with the workflow's own job, which is asked to stop as well; the
    checkpoint is not, so the next process only has to write it again. The warning of a time limit leaves enough time.

    Raises:
        SystemExit: SIGTERM has come already.
    """
    if _listening is None:
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _listening.wanted == signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)


def say_stopped(step: int, asked: list[int]) -> None:
    """Say that all is saved up to this step; after only the warning of a time limit, have Slurm start the job again."""
    print(f"asked to stop at step {step}: saved; the same command goes on from there", file=sys.stderr)
    if asked == [signal.SIGUSR1]:
        requeue()


@contextmanager
def deaf_children(numbers: tuple[int, ...] = STOPS) -> Iterator[None]:
    """Processes started in the block never hear these signals; what comes meanwhile reaches this process afterwards."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        # Python's own helper process, which is started with the first child, unblocks SIGTERM as it starts.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
