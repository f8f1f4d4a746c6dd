"""How many values there are where some stand in several places."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.runtime.unfolded import parts_of_containers, unfolded

INNER = [1, 2]  # 3 values
ARRAY = np.zeros(8)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (7, 1),
        ([], 1),
        (np.zeros((3, 4)), 12),
        ([SimpleNamespace(size="large")], 2),
        ([ARRAY, ARRAY], 1 + 2 * 8),
        ([1], 2),
        (INNER, 3),
        ({"a": 1, "b": 2}, 5),
        ([INNER, INNER], 7),
        ({"a": [INNER, INNER], "b": (INNER, 5)}, 1 + 2 + 7 + 5),
        ([{1}, frozenset({2, 3}), "text"], 1 + 2 + 3 + 1),
        ([[[[INNER]]], INNER], 1 + 6 + 3),
    ],
)
def test_each_place_counts(value, size):
    unfolded(value, parts_of_containers, size)
    with pytest.raises(ValueError, match=f"more than {size - 1} values"):
        unfolded(value, parts_of_containers, size - 1)


def test_what_is_short_in_its_file_only():
    value: list = [1]
    for _ in range(1000):
        value = [value, value]
    with pytest.raises(ValueError, match="it holds more than 1,000,000 values, as some stand in many places"):
        unfolded(value, parts_of_containers, 1_000_000)


def test_what_is_deep():
    value: list = []
    for _ in range(10_000):
        value = [value]
    unfolded(value, parts_of_containers, 10_001)


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_what_holds_itself(depth):
    inner: list = [1]
    value: list = inner
    for _ in range(depth):
        value = [value]
    inner.append(value)
    with pytest.raises(ValueError, match="a value holds itself"):
        unfolded(value, parts_of_containers, 1000)
