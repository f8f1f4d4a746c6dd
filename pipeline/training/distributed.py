"""Processes that train together, as the environment of srun or torchrun says; without either, a single one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes of one training: this one's ``rank`` of ``world``, and its device."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def machine(self) -> str:
        """What computes: the name of the GPU, or ``cpu``."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    def total(self, values: Tensor) -> Tensor:
        """Sum over the processes, in place."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def gather(self, mine: list[T]) -> list[T]:
        """The lists of all processes one after another, in every process."""
        if self.world == 1:
            return mine
        parts: list[list[T]] = [[] for _ in range(self.world)]
        dist.all_gather_object(parts, mine)
        return [item for part in parts for item in part]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def process_group(device: str) -> Iterator[Group]:
    """Join the processes that the environment names (``torchrun``, or Slurm's ``srun`` through submitit).

    Communication is over NCCL between GPUs and over gloo between CPUs.
    """
    tasks = os.environ.get("SUBMITIT_LOCAL_NTASKS") or os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if "RANK" not in os.environ and int(tasks) > 1:
        _join_step()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = device == "cuda"
    own = torch.device("cuda", local % max(1, torch.cuda.device_count())) if cuda else torch.device("cpu")
    if world == 1:
        yield Group(0, 1, own)
        return
    if cuda:
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if cuda else "gloo", rank=rank, world_size=world)
    try:
        yield Group(rank, world, own)
    finally:
        dist.destroy_process_group()


def _join_step() -> None:
    from submitit.helpers import TorchDistributedEnvironment

    if "SUBMITIT_EXECUTOR" not in os.environ:  # submitit only knows its own jobs; this is a step of another one
        os.environ["SUBMITIT_EXECUTOR"] = "slurm"
        os.environ.setdefault("SLURM_JOB_NUM_NODES", os.environ["SLURM_STEP_NUM_NODES"])
        # Two steps of one job need two ports.
        number = int(os.environ["SLURM_JOB_ID"]) * 7 + int(os.environ["SLURM_STEP_ID"])
        os.environ.setdefault("MASTER_PORT", str(20_000 + number % 30_000))
    TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)


class RunningStatistics:
    """Batch norm's running statistics in one step: in the end all processes have those of a single one.

    With momentum m, a micro-batch of statistics b makes (1 - m) r + m b of r. So the n micro-batches of a step make
    (1 - m)ⁿ r + Σ m (1 - m)ⁿ⁻¹⁻ⁱ bᵢ. Each process computes its own terms of this sum, and its share of the first one.
    Frozen statistics are left alone.

    Args:
        model: The model, before the step's first micro-batch.
        group: The processes.
    """

    def __init__(self, model: nn.Module, group: Group):
        norms = [module for module in model.modules() if isinstance(module, _NormBase) and module.training]
        self._group, self._seen = group, 0
        self._buffers = [
            (buffer, 1 - (norm.momentum or 0.0))
            for norm in norms
            for buffer in norm.buffers()
            if buffer.is_floating_point() and group.world > 1
        ]
        for buffer, _ in self._buffers:
            buffer /= group.world

    def before(self, part: int) -> None:
        """Count the micro-batches before this one that other processes compute."""
        for buffer, kept in self._buffers:
            buffer *= kept ** (part - self._seen)
        self._seen = part + 1

    def add_up(self, parts: int) -> None:
        """End the step, which has this many micro-batches over all processes."""
        if not self._buffers:
            return
        self.before(parts)
        buffers = [buffer for buffer, _ in self._buffers]
        flat = self._group.total(torch.cat([buffer.flatten() for buffer in buffers]))
        for buffer, part in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(part.view_as(buffer))
