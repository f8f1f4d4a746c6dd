"""The state that a training resumes from: written whole, and used only if every part of it fits.

A checkpoint only saves time, so one that cannot be used is skipped with a message, never an error. None is trusted: its
tensors are read as data (`pipeline.models.torch_files`) and must have the shapes of what is trained.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.models.opened import Opened
from pipeline.models.torch_files import read_torch
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic

# What each optimiser keeps of a parameter.
_KEPT = {"SGD": {"momentum_buffer"}, "Adam": {"step", "exp_avg", "exp_avg_sq"}}
_SCALER = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}
_SUMS = ("overflows", "data_seconds", "compute_seconds")


@dataclass
class Progress:
    """Where a training is, and what it has measured: all of it goes into the checkpoint.

    ``best`` holds the weights after the epoch with the highest score, if the training is validated, ``scaler`` the
    state of the gradient scaler, if the precision needs one.
    """

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    best: dict[str, Tensor] | None = None
    scaler: dict[str, float] = field(default_factory=dict)

    def count(self, figures: Mapping[str, float]) -> None:
        """Add a step's figures to the epoch's sums."""
        self.step += 1
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def end_epoch(self, steps: int, rate: float) -> None:
        """Put the sums into the history: means over the epoch's steps, except those of `_SUMS`, which stay sums."""
        kept = {name: self.sums.pop(name) for name in _SUMS if name in self.sums}
        means = {name: value / steps for name, value in sorted(self.sums.items())}
        self.history.append({"epoch": len(self.history) + 1, "learning_rate": rate, **means, **kept})
        self.sums.clear()


def save(path: Path, identity: str, model: nn.Module, optimizer: torch.optim.Optimizer, done: Progress) -> None:
    """Write a checkpoint, replacing an earlier one."""
    state = {"identity": identity, "model": model.state_dict(), "optimizer": optimizer.state_dict(), **vars(done)}
    with atomic(path) as temporary:
        torch.save(state, temporary)


def resume(path: Path, identity: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Put a checkpoint's state into ``model`` and ``optimizer``; without a usable one, leave both alone.

    Args:
        path: The checkpoint; it need not exist.
        identity: Digest of all that decides the result; a checkpoint with another one is skipped with a message.
        model: The network, on its device.
        optimizer: The optimiser of its trained parameters.
    """
    if not path.exists():
        return Progress()
    try:
        state = read_torch(Opened(path))
        if not isinstance(state, dict) or "identity" not in state:
            raise ActaError("it is no checkpoint of a training")
    except Exception as error:  # whatever is raised on damaged files
        said = (str(error).splitlines() or [type(error).__name__])[0]
        print(f"{path} cannot be read and is left alone: {said}", file=sys.stderr)
        return Progress()
    if state["identity"] != identity:
        print(f"{path} belongs to other settings, code or inputs; training starts from the beginning", file=sys.stderr)
        return Progress()
    if wrong := _misfit(state, model, optimizer):
        print(f"{path} is damaged and is left alone: {wrong}; training starts from the beginning", file=sys.stderr)
        return Progress()
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"resumed at step {state['step']} from {path}", file=sys.stderr)
    return Progress(state["step"], state["history"], state["sums"], state["best"], state["scaler"])


def _misfit(state: Mapping[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> str | None:
    """The part that does not fit what is trained; None: all fit."""
    weights = model.state_dict()
    fits = {
        "model": _are_like(state.get("model"), weights),
        "optimizer": _is_of(state.get("optimizer"), optimizer),
        "step": type(state.get("step")) is int and state["step"] >= 0,
        "history": isinstance(state.get("history"), list) and all(map(_are_figures, state["history"])),
        "sums": _are_figures(state.get("sums")),
        "best": "best" in state and (state["best"] is None or _are_like(state["best"], weights)),
        "scaler": _are_figures(state.get("scaler")) and (not state["scaler"] or _is_scaler(state["scaler"])),
    }
    return next((f"its {name!r} does not fit" for name, fit in fits.items() if not fit), None)


def _are_like(state: Any, weights: Mapping[str, Tensor]) -> bool:
    """Whether these are tensors of the same names, shapes and types."""
    return (
        isinstance(state, dict)
        and state.keys() == weights.keys()
        and all(
            isinstance(value, Tensor) and value.shape == weights[name].shape and value.dtype == weights[name].dtype
            for name, value in state.items()
        )
    )


def _is_of(state: Any, optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimiser with the same settings, except the rate, wrote this state for the same parameters."""
    own = optimizer.state_dict()["param_groups"]
    if not isinstance(state, dict) or not isinstance(state.get("state"), dict):
        return False
    groups = state.get("param_groups")
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        return False
    if [{**group, "lr": 0} for group in groups] != [{**group, "lr": 0} for group in own]:
        return False
    if not all(isinstance(group.get("lr"), float | int) for group in groups):
        return False
    parameters = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
    return all(
        number in parameters and isinstance(kept, dict) and _are_kept(kept, parameters[number], optimizer)
        for number, kept in state["state"].items()
    )


def _are_kept(kept: dict[Any, Any], parameter: Tensor, optimizer: torch.optim.Optimizer) -> bool:
    if kept.keys() != _KEPT[type(optimizer).__name__]:
        return False
    return all(
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.shape == (() if name == "step" else parameter.shape)
        for name, value in kept.items()
    )


def _is_scaler(state: dict[str, float]) -> bool:
    return state.keys() == _SCALER and 0 < state["scale"] < math.inf and state["_growth_tracker"] >= 0


def _are_figures(figures: Any) -> bool:
    return isinstance(figures, dict) and all(
        isinstance(name, str) and isinstance(value, float | int) for name, value in figures.items()
    )
