"""Accuracy of a classifier: top-k, per class, confusion matrix and a confidence interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_RESAMPLES = 2000


def accuracy(scores: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """How accurate a classifier is, JSON-ready; accuracies in per cent.

    Args:
        scores: (n, c), higher is better; among equal scores the class with the lower number comes first.
        labels: (n,) class numbers.
        classes: c labels.

    Returns:
        ``top1``, ``top5`` (with fewer than five classes: all of them count), ``top1_interval`` (95 %, percentile
        bootstrap over videos), ``per_class`` (label → ``videos``, ``top1``; None for a class without test videos),
        ``confusion`` (rows: truth, columns: prediction).
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    hit = order[:, 0] == labels
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    return {
        "top1": 100 * float(hit.mean()),
        "top5": 100 * float((order[:, :5] == labels[:, None]).any(1).mean()),
        "top1_interval": bootstrap_interval(hit),
        "per_class": {
            label: {
                "videos": int((labels == number).sum()),
                "top1": 100 * float(hit[labels == number].mean()) if (labels == number).any() else None,
            }
            for number, label in enumerate(classes)
        },
        "confusion": confusion.tolist(),
    }


def bootstrap_interval(hit: np.ndarray, level: float = 0.95) -> list[float]:
    """Percentile bootstrap interval of a mean of hits, in per cent; drawn with a fixed seed.

    The number of hits in a resample of n videos is binomial, so it is drawn as such.
    """
    draws = np.random.default_rng(0).binomial(len(hit), hit.mean(), _RESAMPLES) / len(hit)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return [100 * float(low), 100 * float(high)]
