"""The training loop: steps over micro-batches, with the same result however often it is stopped and resumed.

No random generator has a state: the order of an epoch, the cut of a clip and the dropout of a micro-batch are drawn
from (seed, epoch, number). So a checkpoint only holds weights, momenta and the position, and a training that was killed
anywhere ends with the same bytes as one that was not: on a CPU always, on a GPU only as far as its algorithms repeat
themselves, which is what the setting ``deterministic`` is for. The micro-batches of a step are the same for any number
of processes.

With float16 the loss is scaled up before the backward pass, so that small gradients do not vanish, and the gradients
are scaled down again. Where one overflows, which the averaged gradients show to every process alike, the optimiser does
not step, the scale is halved, and the history counts it in ``overflows``; the position moves on. A loss that is not
finite is an error in every precision.
"""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from pipeline.models.precision import DTYPES, mixed
from pipeline.models.recompute import recompute_activations
from pipeline.runtime.device import deterministic_algorithms, pinned_threads
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import check_room
from pipeline.runtime.progress import Progress as Bar
from pipeline.training.batches import Batches, Collate, MicroBatches, Samples, load, steps_of
from pipeline.training.checkpoint import Progress, resume, save
from pipeline.training.distributed import RunningStatistics
from pipeline.training.job import Job
from pipeline.training.log import Log
from pipeline.training.steering import SCORE, Steering
from pipeline.training.stopping import STOPS, Stop, deaf_children, last_step_is_saved, listening, say_stopped

# What a micro-batch gives: the loss to minimise, and figures to log; all are means over the micro-batch.
Losses = Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]
_SMALLEST_SCALE = 1.0  # of float16's loss: a training begins with 65,536, and each overflow halves it


def fit(
    job: Job,
    model: nn.Module,
    samples: Samples,
    losses: Losses,
    sizes: Batches,
    seed: int,
    steering: Steering,
    identity: str,
    *,
    until: int | None = None,
    started: Path | None = None,
    collate: Collate | None = None,
) -> Progress:
    """Train ``model`` in place; where it is validated, it ends with the weights of its best epoch.

    Args:
        job: The training; each of its processes must be given the same weights.
        model: It is moved to the group's device, in the type of the precision.
        samples: The training set; the loader asks it for (epoch, number).
        losses: What to minimise.
        sizes: The sizes of batch and micro-batch.
        seed: Decides order and dropout.
        steering: Optimiser, learning rate, validation, early end.
        identity: Digest of all that decides the result; a checkpoint with another one is skipped with a message.
        until: Stop at the end of this epoch, from where a training with the same identity goes on. None: the last.
        started: A state of the same identity to go on from if there is no checkpoint.
        collate: Makes a micro-batch of samples; None: they are stacked.

    Raises:
        ActaError: too few samples for a batch, a batch that the processes cannot share, a loss that is not finite,
            gradients that overflow float16 at any scale, or an operation without a deterministic algorithm.
        SystemExit: a signal asked to stop; the state is saved. After the warning of a time limit (SIGUSR1) Slurm was
            also asked to start the job again.
    """
    group, training = job.group, job.training
    steps = steps_of(len(samples), sizes, group)
    model.to(group.device, DTYPES[training.precision])
    if training.recomputes:
        recompute_activations(model)
    optimizer = steering.optimizer(parameter for parameter in model.parameters() if parameter.requires_grad)
    done = resume(job.checkpoint, identity, model, optimizer)
    if started is not None and not done.step:
        done = resume(started, identity, model, optimizer)
    scaler = _scaler(job, done)
    _check_start(job, model, sizes, steering, done)
    ended = bool(done.history) and steering.enough(done.history)
    loop = _Loop(
        job=job,
        model=model,
        wrapped=_distributed(model) if group.world > 1 else model,
        losses=losses,
        sizes=sizes,
        seed=seed,
        steering=steering,
        optimizer=optimizer,
        scaler=scaler,
        done=done,
        steps=steps,
        last_step=done.step if ended else steps * min(training.epochs, until or training.epochs),
        save=lambda: save(job.checkpoint, identity, model, optimizer, replace(done, scaler=scaler.state_dict())),
        log=Log(job.output.parent / "tensorboard", done.step) if group.is_first else None,
    )
    batches = MicroBatches(len(samples), sizes, training.epochs, seed, group, done.step)
    loader = load(samples, batches, job.workers, collate, pinned=group.device.type == "cuda")
    with (
        pinned_threads(training.threads),
        deterministic_algorithms(training.deterministic),
        torch.random.fork_rng(),
        listening() as stop,
    ):
        with deaf_children():
            loaded = iter(loader)
        loop.run(loaded, stop)
        last_step_is_saved()
    if done.best is not None:
        model.load_state_dict(done.best)
    if loop.log:
        loop.log.close()
    return done


@dataclass
class _Loop:
    """A training between two of its steps."""

    job: Job
    model: nn.Module
    wrapped: nn.Module  # the model, with the gradients of all processes
    losses: Losses
    sizes: Batches
    seed: int
    steering: Steering
    optimizer: Optimizer
    scaler: GradScaler  # does nothing in other precisions than float16
    done: Progress
    steps: int  # of an epoch
    last_step: int
    save: Callable[[], None]
    log: Log | None  # only in the first process

    @property
    def _parts(self) -> int:
        """Micro-batches of a step, over all processes."""
        return self.sizes.batch // self.sizes.micro_batch

    def run(self, batches: Iterator[dict[str, Tensor]], stop: Stop) -> None:
        """Take steps to the last one, or until a signal asks to stop."""
        batch, saved = self.sizes.batch, time.monotonic()
        total, before, first = self.last_step * batch, self.done.step * batch, self.job.group.is_first
        self.wrapped.train()
        with Bar(total=total, done=before, unit="samples", desc="training", shown=first) as bar:
            while self.done.step < self.last_step:
                asked = self._step(batches, stop, bar)
                ended = self.done.step == self.last_step
                if first and (asked or ended or time.monotonic() - saved >= self.job.save_every):
                    self.save()
                    saved = time.monotonic()
                if asked and (not ended or signal.SIGTERM in asked):
                    self._leave(asked)

    def _step(self, batches: Iterator[dict[str, Tensor]], stop: Stop, bar: Bar) -> list[int]:
        """Take one step of the optimiser; the signals that any process was sent."""
        epoch, step = divmod(self.done.step, self.steps)
        rate = self.steering.rate((self.done.step + 1) / self.steps, self.done.history)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate
        began = time.perf_counter()
        statistics = RunningStatistics(self.model, self.job.group)
        totals, waited = self._descend(batches, epoch, step, statistics)
        figures, asked = self._exchange(totals, stop)
        if not math.isfinite(figures["loss"]):
            raise ActaError(
                f"the loss is {figures['loss']} at step {step + 1} of epoch {epoch + 1} (learning rate "
                f"{rate:.4g}): {figures}; no step was taken. A lower learning rate or a longer warm-up may help"
            )
        figures |= self._update(f"step {step + 1} of epoch {epoch + 1}")
        statistics.add_up(self._parts)
        spent = time.perf_counter() - began
        self.done.count(figures | {"data_seconds": waited, "compute_seconds": spent - waited})
        said = f"loss {figures['loss']:.3f}, {waited / spent:.0%} of the time waiting for data"
        bar.describe(f"epoch {epoch + 1}/{self.last_step // self.steps}", said)
        bar.update(self.sizes.batch)
        if self.log:
            self.log.step(self.done.step, figures, rate, waited, spent)
        if self.done.step % self.steps == 0:
            self._end_epoch(rate)
        return asked

    def _descend(
        self, batches: Iterator[dict[str, Tensor]], epoch: int, step: int, statistics: RunningStatistics
    ) -> tuple[dict[str, Tensor], float]:
        """Add up the gradients of this process's micro-batches; their figures, and the seconds of waiting for data."""
        group, totals, waited = self.job.group, dict[str, Tensor](), 0.0
        mine = range(group.rank, self._parts, group.world)
        for part in mine:
            mark = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - mark
            batch = {name: value.to(group.device, non_blocking=True) for name, value in batch.items()}
            torch.manual_seed(_seed(self.seed, epoch, step, part))
            statistics.before(part)
            alone = group.world == 1 or part == mine[-1]
            with nullcontext() if alone else self.wrapped.no_sync():  # type: ignore[operator]
                with mixed(group.device.type, self.job.training.precision):
                    loss, figures = self.losses(self.wrapped, batch)
                for name, value in {"loss": loss, **figures}.items():
                    totals[name] = totals.get(name, 0) + value.detach().double()
                self.scaler.scale(loss * group.world / self._parts).backward()
        return totals, waited

    def _update(self, where: str) -> dict[str, float]:
        """Let the optimiser step, unless gradients overflow float16; with float16, whether they did.

        Raises:
            ActaError: the scale of the loss cannot be halved any more.
        """
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if not self.scaler.is_enabled():
            return {}
        overflowed = self.scaler.get_scale() < scale
        if overflowed and scale <= _SMALLEST_SCALE:
            raise ActaError(
                f"gradients overflow float16 at {where} although the loss is only scaled by {scale:g}, after one step "
                "after another was skipped for that. A lower learning rate or `precision: float32` may help"
            )
        return {"overflows": float(overflowed)}

    def _exchange(self, totals: dict[str, Tensor], stop: Stop) -> tuple[dict[str, float], list[int]]:
        """The figures of a step and the signals, over all processes, in one exchange."""
        names = sorted(totals)
        signals = torch.tensor([float(stop.wanted == number) for number in STOPS]).to(totals["loss"])
        shared = self.job.group.total(torch.cat([torch.stack([totals[name] for name in names]), signals]))
        figures = {name: float(value) / self._parts for name, value in zip(names, shared[: len(names)], strict=True)}
        return figures, [number for number, count in zip(STOPS, shared[len(names) :], strict=True) if count > 0]

    def _end_epoch(self, rate: float) -> None:
        """Record the epoch's means, validate if the training is validated, and see whether that is enough."""
        done = self.done
        done.end_epoch(self.steps, rate)
        began = time.perf_counter()
        self.model.eval()
        score = self.steering.validate(self.model)
        self.model.train()
        if score is not None:
            done.history[-1]["validation_seconds"] = time.perf_counter() - began
            if done.best is None or score > max(epoch[SCORE] for epoch in done.history[:-1]):
                done.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            done.history[-1][SCORE] = score
            if self.log:
                self.log.validated(done.step, score)
        if self.steering.enough(done.history):
            self.last_step = done.step

    def _leave(self, asked: list[int]) -> None:
        """End this process, as it was asked to; its state is saved."""
        if self.job.group.is_first:
            say_stopped(self.done.step, asked)
        self.job.group.wait()  # the first to leave ends the step for all, and the first process has to save
        raise SystemExit(128 + asked[0])


def _scaler(job: Job, done: Progress) -> GradScaler:
    scaler = GradScaler(job.group.device.type, enabled=job.training.precision == "float16")
    if done.scaler:
        scaler.load_state_dict(done.scaler)
    return scaler


def _distributed(model: nn.Module) -> nn.Module:
    # Without `find_unused_parameters` DDP lays out its buckets again after the first step. With three processes or more
    # the order of a sum follows the layout, and the first step after a resumption would differ in the last bits.
    return DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _check_start(job: Job, model: nn.Module, sizes: Batches, steering: Steering, done: Progress) -> None:
    """Check that the training can start, and say how a batch is shared.

    Raises:
        ActaError: the processes would go on from different places, and so train on different batches; or there is no
            room for what is written.
    """
    group, checkpoint = job.group, job.checkpoint
    steps = torch.zeros(group.world, dtype=torch.int64, device=group.device)
    steps[group.rank] = done.step
    places = group.total(steps).tolist()
    if len(set(places)) > 1:
        raise ActaError(
            f"the processes would go on from different steps, {places}: one has not seen the newest checkpoint; "
            "start the job again"
        )
    if group.is_first:
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        there = checkpoint.stat().st_size if checkpoint.exists() else 0
        what = "the model, and weights and momenta in two checkpoints"
        check_room(checkpoint.parent, steering.copies * size - there, what)
        print(
            f"a batch of {sizes.batch}: {group.world} process{'es' * (group.world > 1)} with "
            f"{sizes.batch // sizes.micro_batch // group.world} micro-batches of {sizes.micro_batch} each",
            file=sys.stderr,
        )
