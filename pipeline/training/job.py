"""A training from its start to its files: what the trainings of all chapters share apart from the loop."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.config.training import CommonTrainingSettings
from pipeline.runtime.device import check_device
from pipeline.runtime.files import write_json
from pipeline.runtime.scratch import scratch
from pipeline.training.checkpoint import Progress
from pipeline.training.distributed import Group, process_group
from pipeline.training.steering import SCORE
from pipeline.training.stopping import listening


@dataclass(frozen=True)
class Job:
    """A training that has begun (`start_job`).

    Args:
        output: The model file; the checkpoint and ``metrics.json`` are next to it.
        training: How long, and with what.
        group: The processes.
        workers: Processes that load data; the result does not depend on it.
        save_every: Seconds between checkpoints. One is also saved on SIGTERM and SIGUSR1, and at the end.
    """

    output: Path
    training: CommonTrainingSettings
    group: Group
    workers: int
    save_every: float

    @property
    def checkpoint(self) -> Path:
        """Where the first process saves, and from where all resume."""
        return self.output.parent / "last.ckpt"

    @property
    def machines(self) -> dict[str, object]:
        """What computes, for ``metrics.json``."""
        return {"device": self.group.machine, "processes": self.group.world}

    def finish(
        self, done: Progress, figures: Mapping[str, object], save: Callable[[], None], state: Path | None = None
    ) -> None:
        """Write ``metrics.json`` and the model, and remove the checkpoint; only the first process does.

        Args:
            done: Where it ended.
            figures: What is particular to this training, for ``metrics.json``.
            save: Writes the model and its description.
            state: Where the checkpoint is kept, for another job to go on from; None: it is removed.
        """
        if self.group.is_first:
            metrics = {**spent(done.history), **figures, **_best(done.history), "history": done.history}
            write_json(self.output.with_name("metrics.json"), metrics)
            save()
            if state is None:
                self.checkpoint.unlink(missing_ok=True)
            else:
                self.checkpoint.replace(state)
        self.group.wait()


@contextmanager
def start_job(output: Path, training: CommonTrainingSettings, workers: int, save_every: float) -> Iterator[Job]:
    """Begin a training: check that this machine can do it, join the processes, hold the node's copies of shards.

    A signal that asks to stop is kept until a step has ended (`pipeline.training.stopping`). Arguments: see `Job`.

    Raises:
        ActaError: this machine cannot do it (`check_device`).
    """
    check_device(training.device, training.precision, alone=True)
    with listening(), scratch(), process_group(training.device) as group:
        yield Job(output, training, group, workers, save_every)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let the seed decide what is random in the block, such as initial weights; the caller's state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def spent(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """Seconds of a whole training with its validations, and the share of its steps' that was spent waiting for data."""
    data = sum(epoch["data_seconds"] for epoch in history)
    compute = sum(epoch["compute_seconds"] for epoch in history)
    validation = sum(epoch.get("validation_seconds", 0.0) for epoch in history)
    share = data / (data + compute) if data + compute else 0.0
    return {"seconds": data + compute + validation, "data_share": share}


def _best(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """If a training is validated, the epoch whose weights are kept, and its score."""
    scores = [epoch[SCORE] for epoch in history if SCORE in epoch]
    return {"best_epoch": 1 + scores.index(max(scores)), "validation_mAP": max(scores)} if scores else {}
