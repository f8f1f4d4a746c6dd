"""What a training set is, and how its samples come to a training's micro-batches, whatever the number of processes."""

from collections.abc import Iterator
from typing import Any, Literal, Protocol

import numpy as np
from torch.utils.data import Dataset, Sampler

from pipeline.training.distributed import Group


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
