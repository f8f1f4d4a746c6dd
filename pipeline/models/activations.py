"""How many bytes of activations a run of operations holds at once."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_activations(run: Callable[[], object]) -> int:
    """Largest total of bytes of the tensors that ``run`` makes and that are alive at once; meta tensors count too.

    Views of what was there before, such as weights, are not made.
    """
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
        # Views of weights are no activations.
        given = {tensor.untyped_storage()._cdata for tensor in _tensors((arguments, options))}
        made = function(*arguments, **(options or {}))
        for tensor in _tensors(made):
            storage = tensor.untyped_storage()
            if storage._cdata not in self._alive and storage._cdata not in given:
                self._alive[storage._cdata] = storage.nbytes()
                weakref.finalize(storage, self._alive.pop, storage._cdata, None)
        self.peak = max(self.peak, sum(self._alive.values()))
        return made


def _tensors(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
