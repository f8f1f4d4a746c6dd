"""The training loop: steps over micro-batches, the same result however often it is stopped and resumed.

Nothing random has a state: the order of an epoch, the cut of a clip and the dropout of a micro-batch are drawn from
(seed, epoch, number). So a checkpoint holds weights, momenta and the place, and a training that was killed anywhere
ends with the same bytes as one that was not. The micro-batches of a step are the same for any number of processes.
"""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import check_room
from pipeline.runtime.progress import Progress as Bar
from pipeline.runtime.progress import progress
from pipeline.runtime.slurm import requeue
from pipeline.training.batches import Batches, Keyed, MicroBatches, Running, Samples
from pipeline.training.checkpoint import Progress, resume, save
from pipeline.training.distributed import Group, average_buffers
from pipeline.training.log import Log
from pipeline.training.steering import SCORE, Steering
from pipeline.training.stopping import STOPS, Stop, deaf_children, last_step_is_saved, listening

# What a micro-batch gives: the loss to descend, and figures to log; all are means over the micro-batch.
Losses = Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]
DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}


def fit(
    model: nn.Module,
    samples: Samples,
    losses: Losses,
    recipe: Batches,
    training: Running,
    group: Group,
    steering: Steering,
    *,
    checkpoint: Path,
    identity: str,
    workers: int = 0,
    save_every: float = 300.0,
    until: int | None = None,
    started: Path | None = None,
    collate: Callable[[list[Any]], dict[str, Tensor]] | None = None,
) -> Progress:
    """Train ``model`` in place; where it is validated, it ends with the weights of its best epoch.

    Args:
        model: On the group's device.
        samples: The training set; the loader asks it for (epoch, number).
        losses: What to descend.
        recipe: Size of a batch.
        training: Epochs, precision, seed.
        group: The processes; each must be given the same weights.
        steering: Optimiser, learning rate, validation, early end.
        checkpoint: Where the first process saves, and where all resume from.
        identity: Digest of all that decides the result; a checkpoint of another one is left alone, with a message.
        workers: Processes that load data; the result does not depend on it.
        save_every: Seconds between two checkpoints. One is also saved on SIGTERM and SIGUSR1, and at the end.
        until: Stop at the end of this epoch, from where a training with the same identity goes on. None: the last.
        started: A state of the same identity to go on from, where the checkpoint has none.
        collate: Samples to a micro-batch; None: stacked.

    Raises:
        ActaError: too few samples for a batch, a batch that the processes cannot share, or a loss that is not finite.
        SystemExit: a signal asked to stop; the state is saved. After the warning of a time limit (SIGUSR1) Slurm was
            also asked to start the job again.
    """
    steps, parts = _division(len(samples), recipe, group)
    optimizer = steering.optimizer(parameter for parameter in model.parameters() if parameter.requires_grad)
    done = resume(checkpoint, identity, model, optimizer)
    if started is not None and not done.step:
        done = resume(started, identity, model, optimizer)
    _check_together(done, group)
    if group.is_first:
        _check_room(model, checkpoint, steering)
        _announce(recipe, parts, group)
    saving = partial(save, checkpoint, identity, model, optimizer)
    loop = _Loop(model, losses, optimizer, steering, recipe, training, group, steps, saving, save_every)
    log = Log(checkpoint.parent / "tensorboard", done.step) if group.is_first else None
    last_step = steps * min(training.epochs, until or training.epochs)
    if done.history and steering.enough(done.history):
        last_step = done.step
    total, before = last_step * recipe.batch, done.step * recipe.batch
    with (
        pinned(training),
        listening() as stop,
        progress(total=total, done=before, unit="samples", desc="training", shown=group.is_first) as bar,
    ):
        with deaf_children():
            batches = iter(_loader(samples, recipe, training, group, done.step, workers, collate))
        loop.run(done, last_step, batches, stop, bar, log)
        last_step_is_saved()
    if done.best is not None:
        model.load_state_dict(done.best)
    if log:
        log.close()
    return done


def _division(count: int, recipe: Batches, group: Group) -> tuple[int, int]:
    """Steps of an epoch, and micro-batches of a step over all processes."""
    steps = count // recipe.batch
    if not steps:
        raise ActaError(f"an epoch has {count} clips, fewer than one batch of {recipe.batch}")
    parts = recipe.batch // recipe.micro_batch
    if parts % group.world:
        raise ActaError(
            f"a batch of {recipe.batch} is {parts} micro-batches of {recipe.micro_batch}, which {group.world} "
            "processes cannot share equally"
        )
    return steps, parts


def _check_room(model: nn.Module, checkpoint: Path, steering: Steering) -> None:
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    there = checkpoint.stat().st_size if checkpoint.exists() else 0
    what = "the model, and weights and momenta in two checkpoints"
    check_room(checkpoint.parent, steering.copies * size - there, what)


def _announce(recipe: Batches, parts: int, group: Group) -> None:
    print(
        f"a batch of {recipe.batch}: {group.world} process{'es' * (group.world > 1)} with "
        f"{parts // group.world} micro-batches of {recipe.micro_batch} each",
        file=sys.stderr,
    )


def _loader(
    samples: Samples,
    recipe: Batches,
    training: Running,
    group: Group,
    first: int,
    workers: int,
    collate: Callable[[list[Any]], dict[str, Tensor]] | None,
) -> DataLoader:
    return DataLoader(
        Keyed(samples),
        batch_sampler=MicroBatches(len(samples), recipe, training, group, first),
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context="forkserver" if workers else None,
        pin_memory=group.device.type == "cuda",
        persistent_workers=False,
    )


class _Loop:
    """The steps of a training; arguments as of `fit`, and how many steps an epoch has and how a state is saved."""

    def __init__(
        self,
        model: nn.Module,
        losses: Losses,
        optimizer: torch.optim.Optimizer,
        steering: Steering,
        recipe: Batches,
        training: Running,
        group: Group,
        steps: int,
        saving: Callable[[Progress], None],
        save_every: float,
    ):
        self._model, self._losses, self._optimizer, self._steering = model, losses, optimizer, steering
        self._recipe, self._training, self._group, self._steps = recipe, training, group, steps
        self._saving, self._save_every = saving, save_every
        self._parts = recipe.batch // recipe.micro_batch
        self._wrapped = _distributed(model) if group.world > 1 else model

    def run(
        self,
        done: Progress,
        last_step: int,
        batches: Iterator[dict[str, Tensor]],
        stop: Stop,
        bar: Bar,
        log: Log | None,
    ) -> None:
        """Take all steps up to the last one, or to that at which the steering has enough."""
        steps, group = self._steps, self._group
        saved = time.monotonic()
        self._wrapped.train()
        while done.step < last_step:
            epoch, step = divmod(done.step, steps)
            rate = self._steering.rate((done.step + 1) / steps, done.history)
            began = time.perf_counter()
            figures, asked, waited = self._take(epoch, step, rate, batches, stop)
            spent = time.perf_counter() - began
            _count(done, figures | {"data_seconds": waited, "compute_seconds": spent - waited})
            done.step += 1
            said = f"loss {figures['loss']:.3f}, {waited / spent:.0%} of the time waiting for data"
            bar.describe(f"epoch {epoch + 1}/{last_step // steps}", said)
            bar.update(self._recipe.batch)
            if log:
                log.step(done.step, figures, rate, waited, spent)
            if done.step % steps == 0:
                _finish_epoch(done, steps, rate)
                _validate(done, self._model, self._steering, log)
                if self._steering.enough(done.history):
                    last_step = done.step
            ended = done.step == last_step
            if group.is_first and (asked or ended or time.monotonic() - saved >= self._save_every):
                self._saving(done)
                saved = time.monotonic()
            if asked and (not ended or signal.SIGTERM in asked):
                _leave(asked, done.step, group)

    def _take(
        self, epoch: int, step: int, rate: float, batches: Iterator[dict[str, Tensor]], stop: Stop
    ) -> tuple[dict[str, float], list[signal.Signals], float]:
        """Take one step: its figures, the signals that any process was asked to stop by, seconds waited for data."""
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = rate
        totals, waited = self._descend(epoch, step, batches)
        # One exchange a step: the figures, and whether anybody was asked to stop or warned of the time limit.
        names = sorted(totals)
        signals = [torch.tensor(float(stop.wanted == number)).to(totals["loss"]) for number in STOPS]
        shared = self._group.total(torch.stack([*(totals[n] for n in names), *signals]))
        figures = {n: float(v) / self._parts for n, v in zip(names, shared[: len(names)], strict=True)}
        asked = [number for number, count in zip(STOPS, shared[len(names) :], strict=True) if count > 0]
        if not math.isfinite(figures["loss"]):
            raise ActaError(
                f"the loss is {figures['loss']} at step {step + 1} of epoch {epoch + 1} (learning rate "
                f"{rate:.4g}): {figures}; no step was taken. A lower learning rate or a longer warm-up may help"
            )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        average_buffers(self._model, self._group)
        return figures, asked, waited

    def _descend(self, epoch: int, step: int, batches: Iterator[dict[str, Tensor]]) -> tuple[dict[str, Tensor], float]:
        """Gradients of this process's micro-batches of a step: sums of their figures, seconds waited for data."""
        group, training, own = self._group, self._training, self._parts // self._group.world
        waited = 0.0
        totals: dict[str, Tensor] = {}
        for part in range(own):
            mark = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - mark
            batch = {name: value.to(group.device, non_blocking=True) for name, value in batch.items()}
            last = part == own - 1
            torch.manual_seed(_seed(training.seed, epoch, step, part * group.world + group.rank))
            with nullcontext() if last or group.world == 1 else self._wrapped.no_sync():  # type: ignore[operator]
                with torch.autocast(group.device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
                    loss, figures = self._losses(self._wrapped, batch)
                for name, value in {"loss": loss, **figures}.items():
                    totals[name] = totals.get(name, 0) + value.detach().double()
                (loss * group.world / self._parts).backward()
        return totals, waited


def _leave(asked: list[signal.Signals], step: int, group: Group) -> NoReturn:
    """End the process, whose state is saved, as it was asked to."""
    if group.is_first:
        print(f"asked to stop at step {step}: saved; the same command goes on from there", file=sys.stderr)
        if asked == [signal.SIGUSR1]:
            requeue()
    group.wait()  # the first to leave ends the step for all, and the first process has to save
    raise SystemExit(128 + asked[0])


def _distributed(model: nn.Module) -> nn.Module:
    # Without `find_unused_parameters` DDP lays its buckets anew after the first step. With three processes or more the
    # order of a sum follows the layout, and the first step after a resumption would differ in the last bits.
    return DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _count(done: Progress, figures: dict[str, float]) -> None:
    for name, value in figures.items():
        done.sums[name] = done.sums.get(name, 0.0) + value


def _finish_epoch(done: Progress, steps: int, rate: float) -> None:
    seconds = {name: done.sums.pop(name) for name in ("data_seconds", "compute_seconds")}
    means = {name: value / steps for name, value in sorted(done.sums.items())}
    done.history.append({"epoch": len(done.history) + 1, "learning_rate": rate, **means, **seconds})
    done.sums.clear()


def _validate(done: Progress, model: nn.Module, steering: Steering, log: Log | None) -> None:
    model.eval()
    score = steering.validate(model)
    model.train()
    if score is None:
        return
    if done.best is None or score > max(epoch[SCORE] for epoch in done.history[:-1]):
        done.best = {name: value.detach().clone() for name, value in model.state_dict().items()}
    done.history[-1][SCORE] = score
    if log:
        log.validated(done.step, score)


def _check_together(done: Progress, group: Group) -> None:
    """Processes that resume from different places would train on different batches."""
    steps = torch.zeros(group.world, dtype=torch.int64, device=group.device)
    steps[group.rank] = done.step
    places = group.total(steps).tolist()
    if len(set(places)) > 1:
        raise ActaError(
            f"the processes would go on from different steps, {places}: one has not seen the newest checkpoint; "
            "start the job again"
        )


@contextmanager
def pinned(training: Running) -> Iterator[None]:
    """The threads that the result depends on, and the random state of the caller kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(training.threads)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)


def figures_of(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """Seconds of a whole training, and the share of them that was spent waiting for data."""
    data = sum(epoch["data_seconds"] for epoch in history)
    compute = sum(epoch["compute_seconds"] for epoch in history)
    return {"seconds": data + compute, "data_share": data / (data + compute) if data + compute else 0.0}
