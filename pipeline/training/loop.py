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
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, Sampler

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import check_room
from pipeline.runtime.progress import progress
from pipeline.runtime.slurm import requeue
from pipeline.training.checkpoint import Progress, resume, save
from pipeline.training.distributed import Group, average_buffers
from pipeline.training.steering import SCORE, Steering
from pipeline.training.stopping import STOPS, deaf_children, last_step_is_saved, listening

# What a micro-batch gives: the loss to descend, and figures to log; all are means over the micro-batch.
Losses = Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]
DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}


class Samples(Protocol):
    """A dataset whose items are (epoch, number); ``len`` is the number of samples in an epoch.

    An item is tensors by name, or what `fit` is given a ``collate`` for.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int]) -> Any: ...


class Batches(Protocol):
    """Samples in an optimiser step over all processes, and those that a process computes at once."""

    @property
    def batch(self) -> int: ...

    @property
    def micro_batch(self) -> int: ...


class Running(Protocol):
    """What of a training's settings the loop itself reads (`pipeline.config.classify.TrainingSettings`)."""

    @property
    def epochs(self) -> int: ...

    @property
    def precision(self) -> Literal["float32", "bfloat16", "float64"]: ...

    @property
    def threads(self) -> int: ...

    @property
    def seed(self) -> int: ...


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
    steps = len(samples) // recipe.batch
    if not steps:
        raise ActaError(f"an epoch has {len(samples)} clips, fewer than one batch of {recipe.batch}")
    parts = recipe.batch // recipe.micro_batch
    if parts % group.world:
        raise ActaError(
            f"a batch of {recipe.batch} is {parts} micro-batches of {recipe.micro_batch}, which {group.world} "
            "processes cannot share equally"
        )
    optimizer = steering.optimizer(parameter for parameter in model.parameters() if parameter.requires_grad)
    done = resume(checkpoint, identity, model, optimizer)
    if started is not None and not done.step:
        done = resume(started, identity, model, optimizer)
    loader = DataLoader(
        Keyed(samples),
        batch_sampler=MicroBatches(len(samples), recipe, training, group, done.step),
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context="forkserver" if workers else None,
        pin_memory=group.device.type == "cuda",
        persistent_workers=False,
    )
    _check_together(done, group)
    if group.is_first:
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        there = checkpoint.stat().st_size if checkpoint.exists() else 0
        check_room(
            checkpoint.parent, steering.copies * size - there, "the model, and weights and momenta in two checkpoints"
        )
        print(
            f"a batch of {recipe.batch}: {group.world} process{'es' * (group.world > 1)} with "
            f"{parts // group.world} micro-batches of {recipe.micro_batch} each",
            file=sys.stderr,
        )
    wrapped = _distributed(model) if group.world > 1 else model
    log = _Log(checkpoint.parent / "tensorboard", done.step) if group.is_first else None
    saved = time.monotonic()
    last_step = steps * min(training.epochs, until or training.epochs)
    if done.history and steering.enough(done.history):
        last_step = done.step
    with (
        pinned(training),
        listening() as stop,
        progress(
            total=last_step * recipe.batch,
            done=done.step * recipe.batch,
            unit="samples",
            desc="training",
            shown=group.is_first,
        ) as bar,
    ):
        wrapped.train()
        with deaf_children():
            batches = iter(loader)
        while done.step < last_step:
            epoch, step = divmod(done.step, steps)
            rate = steering.rate((done.step + 1) / steps, done.history)
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate
            waited, began = 0.0, time.perf_counter()
            totals: dict[str, Tensor] = {}
            for part in range(parts // group.world):
                mark = time.perf_counter()
                batch = next(batches)
                waited += time.perf_counter() - mark
                batch = {name: value.to(group.device, non_blocking=True) for name, value in batch.items()}
                last = part == parts // group.world - 1
                torch.manual_seed(_seed(training.seed, epoch, step, part * group.world + group.rank))
                with nullcontext() if last or group.world == 1 else wrapped.no_sync():  # type: ignore[operator]
                    with torch.autocast(group.device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
                        loss, figures = losses(wrapped, batch)
                    for name, value in {"loss": loss, **figures}.items():
                        totals[name] = totals.get(name, 0) + value.detach().double()
                    (loss * group.world / parts).backward()
            # One exchange a step: the figures, and whether anybody was asked to stop or warned of the time limit.
            names = sorted(totals)
            signals = [torch.tensor(float(stop.wanted == number)).to(loss) for number in STOPS]
            shared = group.total(torch.stack([*(totals[n] for n in names), *signals]))
            figures_now = {n: float(v) / parts for n, v in zip(names, shared[: len(names)], strict=True)}
            asked = [number for number, count in zip(STOPS, shared[len(names) :], strict=True) if count > 0]
            if not math.isfinite(figures_now["loss"]):
                raise ActaError(
                    f"the loss is {figures_now['loss']} at step {step + 1} of epoch {epoch + 1} (learning rate "
                    f"{rate:.4g}): {figures_now}; no step was taken. A lower learning rate or a longer warm-up may help"
                )
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average_buffers(model, group)
            spent = time.perf_counter() - began
            _count(done, figures_now | {"data_seconds": waited, "compute_seconds": spent - waited})
            done.step += 1
            said = f"loss {figures_now['loss']:.3f}, {waited / spent:.0%} of the time waiting for data"
            bar.describe(f"epoch {epoch + 1}/{last_step // steps}", said)
            bar.update(recipe.batch)
            if log:
                log.step(done.step, figures_now, rate, waited, spent)
            if done.step % steps == 0:
                _finish_epoch(done, steps, rate)
                _validate(done, model, steering, log)
                if steering.enough(done.history):
                    last_step = done.step
            ended = done.step == last_step
            if group.is_first and (asked or ended or time.monotonic() - saved >= save_every):
                save(checkpoint, identity, model, optimizer, done)
                saved = time.monotonic()
            if asked and (not ended or signal.SIGTERM in asked):
                if group.is_first:
                    print(
                        f"asked to stop at step {done.step}: saved; the same command goes on from there",
                        file=sys.stderr,
                    )
                    if asked == [signal.SIGUSR1]:
                        requeue()
                group.wait()  # the first to leave ends the step for all, and the first process has to save
                raise SystemExit(128 + asked[0])
        last_step_is_saved()
    if done.best is not None:
        model.load_state_dict(done.best)
    if log:
        log.close()
    return done


def _distributed(model: nn.Module) -> nn.Module:
    # Without `find_unused_parameters` DDP lays its buckets anew after the first step. With three processes or more the
    # order of a sum follows the layout, and the first step after a resumption would differ in the last bits.
    return DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)


class Keyed(Dataset):
    """The samples, for the loader."""

    def __init__(self, samples: Samples):
        self._samples = samples

    def __getitem__(self, key: tuple[int, int]) -> Any:
        return self._samples[key]


class MicroBatches(Sampler[list[tuple[int, int]]]):
    """This process's micro-batches from a step on to the end: of each step, every ``world``-th.

    The samples are cut into as many ranges as a batch has micro-batches, and each micro-batch is drawn from its own
    range. Samples lie in the order of their shards, so a process reads its own part of the shards, and the batches are
    the same for any number of processes.
    """

    def __init__(self, count: int, recipe: Batches, training: Running, group: Group, first: int):
        self._count, self._recipe, self._training, self._group, self._first = count, recipe, training, group, first

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        batch, micro = self._recipe.batch, self._recipe.micro_batch
        steps = self._count // batch
        for epoch in range(self._first // steps, self._training.epochs):
            generator = np.random.default_rng([self._training.seed, epoch])
            ranges = np.array_split(np.arange(self._count), batch // micro)
            orders = [generator.permutation(numbers) for numbers in ranges]
            for step in range(self._first % steps if epoch == self._first // steps else 0, steps):
                for part in range(self._group.rank, batch // micro, self._group.world):
                    yield [(epoch, int(number)) for number in orders[part][step * micro : (step + 1) * micro]]


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


def _validate(done: Progress, model: nn.Module, steering: Steering, log: "_Log | None") -> None:
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


class _Log:
    """TensorBoard: losses, learning rate, and how long a step waited for data."""

    def __init__(self, folder: Path, step: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step)

    def step(self, step: int, figures: dict[str, float], rate: float, waited: float, spent: float) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(f"train/{name}", value, step)
        self._writer.add_scalar("train/learning_rate", rate, step)
        self._writer.add_scalar("seconds/data", waited, step)
        self._writer.add_scalar("seconds/compute", spent - waited, step)

    def validated(self, step: int, score: float) -> None:
        self._writer.add_scalar(SCORE, score, step)

    def close(self) -> None:
        self._writer.close()


def figures_of(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """Seconds of a whole training, and the share of them that was spent waiting for data."""
    data = sum(epoch["data_seconds"] for epoch in history)
    compute = sum(epoch["compute_seconds"] for epoch in history)
    return {"seconds": data + compute, "data_share": data / (data + compute) if data + compute else 0.0}
