"""Learning rates as functions of time and scores alone, so that a resumed training has nothing to restore."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import Parameter
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau


def learning_rate(
    epoch: float,
    *,
    base: float,
    epochs: float,
    warmup: float,
    schedule: Literal["step", "cosine"],
    step_epochs: float,
) -> float:
    """The learning rate of an optimiser step (Sec. 5.3.1).

    Args:
        epoch: Time at the end of the step, in epochs: the first of ten steps in an epoch is at 0.1.
        base: The rate at the end of the warm-up.
        epochs: Length of the training.
        warmup: Length of the linear warm-up.
        schedule: ``step`` divides by 10 every ``step_epochs`` after the warm-up; ``cosine`` falls to 0 at the end.
        step_epochs: Only for ``step``.
    """
    if epoch < warmup:
        return base * epoch / warmup
    since = epoch - warmup
    if schedule == "step":
        return base * 0.1 ** int(since / step_epochs + 1e-9)
    return base * 0.5 * (1 + math.cos(math.pi * min(1.0, since / max(epochs - warmup, 1e-9))))


def plateau_rate(scores: Sequence[float], *, base: float, patience: int) -> float:
    """The learning rate after these epochs: divided by 10 after ``patience`` epochs in a row without a better score.

    Source: Sec. 3.2.2. PyTorch's own scheduler is told all scores again, so that there is no state to restore.
    """
    nothing = SGD([Parameter(torch.zeros(1))], lr=base)
    scheduler = ReduceLROnPlateau(nothing, mode="max", factor=0.1, patience=patience - 1, threshold=0.0, eps=0.0)
    for score in scores:
        scheduler.step(score)
    return float(scheduler.optimizer.param_groups[0]["lr"])


def is_enough(scores: Sequence[float], *, drop_patience: int, stop_patience: int) -> bool:
    """Whether a training ends: ``stop_patience`` epochs in a row without a better score, once the rate has dropped.

    Source: Sec. 3.2.2. If epochs counted from the start, stopping after 5 would never let the rate drop after 10.
    """
    rates = (plateau_rate(scores[:n], base=1.0, patience=drop_patience) for n in range(1, len(scores)))
    dropped = next((n for n, rate in enumerate(rates, 1) if rate < 1), 0)
    if not dropped:
        return False
    best = max(range(len(scores)), key=scores.__getitem__)
    return len(scores) - max(best + 1, dropped) >= stop_patience
