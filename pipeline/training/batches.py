"""Which samples each step and each process gets: drawn from (seed, epoch), the same for any number of processes."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pipeline.runtime.errors import ActaError
from pipeline.training.distributed import Group

Key = tuple[int, int]  # epoch and number of a sample
Collate = Callable[[list[Any]], dict[str, Tensor]]


class Samples(Protocol):
    """A dataset that is asked for (epoch, number); ``len`` is the number of samples in an epoch.

    An item is tensors by name, or whatever the ``collate`` of `load` takes.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key) -> Any: ...


class Batches(Protocol):
    """The samples in an optimiser step over all processes, and how many a process computes at once."""

    @property
    def batch(self) -> int: ...

    @property
    def micro_batch(self) -> int: ...


def steps_of(count: int, sizes: Batches, group: Group) -> int:
    """Optimiser steps of an epoch with this many samples; samples that do not fill a batch are left out.

    Raises:
        ActaError: too few samples for a batch, or a batch that the processes cannot share.
    """
    if count < sizes.batch:
        raise ActaError(f"an epoch has {count} clips, fewer than one batch of {sizes.batch}")
    parts = sizes.batch // sizes.micro_batch
    if parts % group.world:
        raise ActaError(
            f"a batch of {sizes.batch} is {parts} micro-batches of {sizes.micro_batch}, which {group.world} "
            "processes cannot share equally"
        )
    return count // sizes.batch


class MicroBatches(Sampler[list[Key]]):
    """This process's micro-batches from step ``first`` to the end: of each step, every ``world``-th.

    The samples are cut into as many ranges as a batch has micro-batches, and each micro-batch is drawn from its own
    range. Samples lie in the order of their shards, so a process reads its own part of the shards, and the batches are
    the same for any number of processes.
    """

    def __init__(self, count: int, sizes: Batches, epochs: int, seed: int, group: Group, first: int = 0):
        self._count, self._sizes, self._epochs, self._seed = count, sizes, epochs, seed
        self._group, self._first = group, first

    def __iter__(self) -> Iterator[list[Key]]:
        batch, micro = self._sizes.batch, self._sizes.micro_batch
        steps = self._count // batch
        for epoch in range(self._first // steps, self._epochs):
            generator = np.random.default_rng([self._seed, epoch])
            ranges = np.array_split(np.arange(self._count), batch // micro)
            orders = [generator.permutation(numbers) for numbers in ranges]
            for step in range(self._first % steps if epoch == self._first // steps else 0, steps):
                for part in range(self._group.rank, batch // micro, self._group.world):
                    yield [(epoch, int(number)) for number in orders[part][step * micro : (step + 1) * micro]]


def load(
    samples: Samples, batches: MicroBatches, workers: int, collate: Collate | None = None, *, pinned: bool = False
) -> DataLoader:
    """A loader of micro-batches.

    Args:
        samples: The training set.
        batches: Which samples, in which order.
        workers: Processes that load; the result does not depend on it.
        collate: Makes a micro-batch of samples; None: they are stacked.
        pinned: Whether the memory is pinned, for a GPU.
    """
    return DataLoader(
        cast("Dataset[Any]", samples),
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context="forkserver" if workers else None,
        pin_memory=pinned,
    )
