"""Learning rates as a function of time alone, so that a resumed training has nothing to restore."""

import math
from typing import Literal


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
        step_epochs: See there.
    """
    if epoch < warmup:
        return base * epoch / warmup
    since = epoch - warmup
    if schedule == "step":
        return base * 0.1 ** int(since / step_epochs + 1e-9)
    return base * 0.5 * (1 + math.cos(math.pi * min(1.0, since / max(epochs - warmup, 1e-9))))
