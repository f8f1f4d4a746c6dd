"""Arrays whose rows come in runs: rows that belong together follow one another."""

import numpy as np


def spread(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """For each of n runs the numbers from ``first`` (n,) on, ``counts`` (n,) of them, run after run."""
    return np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)


def places_in(counts: np.ndarray) -> np.ndarray:
    """The place of each row in its run, from 0; ``counts`` (n,) are the lengths of the runs."""
    return spread(np.zeros(len(counts), np.int64), counts)


def best_of(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n,) index of the highest value of each run, the first of equals; ``counts`` (n,) are at least 1."""
    best = np.flatnonzero(values == np.repeat(np.maximum.reduceat(values, np.cumsum(counts) - counts), counts))
    owner = np.repeat(np.arange(len(counts)), counts)[best]
    return best[np.flatnonzero(np.diff(owner, prepend=-1))]
