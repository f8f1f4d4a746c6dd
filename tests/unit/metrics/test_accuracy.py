"""Accuracies by hand."""

import numpy as np
import pytest

from pipeline.metrics.accuracy import accuracy, bootstrap_interval

CLASSES = ["a", "b", "c", "d", "e", "f", "g"]


def test_by_hand() -> None:
    scores = np.array(
        [
            [0.9, 0.1, 0, 0, 0, 0, 0],  # a, right
            [0.2, 0.5, 0.3, 0, 0, 0, 0],  # c, second
            [0.3, 0.25, 0.2, 0.15, 0.1, 0, 0],  # g, not among five
            [0.5, 0.5, 0, 0, 0, 0, 0],  # b, a tie: the first class is taken
        ]
    )
    found = accuracy(scores, np.array([0, 2, 6, 1]), CLASSES)
    assert found["top1"] == 25
    assert found["top5"] == 75
    assert found["per_class"]["a"] == {"videos": 1, "top1": 100}
    assert found["per_class"]["c"] == {"videos": 1, "top1": 0}
    assert found["per_class"]["d"] == {"videos": 0, "top1": None}
    assert found["confusion"][0] == [1, 0, 0, 0, 0, 0, 0]
    assert found["confusion"][1] == [1, 0, 0, 0, 0, 0, 0]
    assert found["confusion"][2] == [0, 1, 0, 0, 0, 0, 0]
    assert found["confusion"][6] == [1, 0, 0, 0, 0, 0, 0]


def test_fewer_classes_than_five() -> None:
    assert accuracy(np.eye(2), np.array([1, 0]), ["a", "b"])["top5"] == 100


def test_interval() -> None:
    low, high = bootstrap_interval(np.arange(100) < 80)
    assert low == pytest.approx(72, abs=1)  # 80 ± 1.96 · sqrt(80 · 20 / 100)
    assert high == pytest.approx(88, abs=1)
    assert bootstrap_interval(np.ones(5, bool)) == [100, 100]
    assert bootstrap_interval(np.arange(100) < 80) == [low, high]
