"""Means over seeds and their intervals, as the tables show them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from pipeline.report.tables import Row


class Mean(NamedTuple):
    """A mean and its 95 % interval (Student's t); one value has no interval, and no values have no mean either."""

    value: float | None
    low: float | None
    high: float | None


def mean_of(values: Sequence[float]) -> Mean:
    """The mean over seeds."""
    if not values:
        return Mean(None, None, None)
    mean, count = float(np.mean(values)), len(values)
    if count == 1:
        return Mean(mean, None, None)
    half = float(stdtrit(count - 1, 0.975)) * float(np.std(values, ddof=1)) / count**0.5
    return Mean(mean, mean - half, mean + half)


def mean_cells(name: str, values: Sequence[float], form: str = "{:.2f}") -> Row:
    """Three cells of a row: the mean under ``name``, and its interval under ``name_low`` and ``name_high``."""
    cells = [None if value is None else form.format(value) for value in mean_of(values)]
    return dict(zip((name, f"{name}_low", f"{name}_high"), cells, strict=True))
