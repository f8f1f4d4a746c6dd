"""What a network costs per view, without data or weights: multiply-adds, parameters, peak activation."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models.architecture import BASES, Architecture
from pipeline.models.backbones import build


@dataclass(frozen=True)
class Complexity:
    """Cost of one view.

    Args:
        gflops: Multiply-adds in units of 10⁹, as the thesis counts (Table 6.1); a fused multiply-add is one.
        parameters: Trainable numbers.
        peak_activation_mb: Largest total of activations alive at once, float32, batch 1, inference, in 10⁶ bytes; the
            input counts, the weights don't.
    """

    gflops: float
    parameters: int
    peak_activation_mb: float


def complexity(architecture: Architecture, size: int | None = None) -> Complexity:
    """Cost of a network on a square view.

    Args:
        architecture: The network; its operator s applies to ``size`` too.
        size: Side of the base network's crop in pixels; None: the published test crop.
    """
    with torch.device("meta"), torch.no_grad():
        model = build(architecture).eval()
        side = architecture.pixels(size or BASES[architecture.backbone].size)
        with FlopCounterMode(display=False) as counter:
            # The counter sees two operations in a multiply-add.
            peak = peak_activations(
                lambda: model([torch.empty(1, 3, len(frames), side, side) for frames in architecture.pathways])
            )
    return Complexity(
        gflops=counter.get_total_flops() / 2 / 1e9,
        parameters=sum(p.numel() for p in model.parameters()),
        peak_activation_mb=peak / 1e6,
    )


def peak_activations(run: Callable[[], object]) -> int:
    """Largest total of bytes of the tensors that ``run`` makes and that are alive at once; meta tensors count too."""
    memory = _Live()
    with memory:
        run()
    return memory.peak


class _Live(TorchDispatchMode):
    """Follows the bytes of the tensors that operations make, from their birth to their death."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        made = function(*arguments, **(options or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self._alive:
                    self._alive[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, self._alive.pop, storage._cdata, None)
        self.peak = max(self.peak, sum(self._alive.values()))
        return made
