"""Sizes of values that hold others several times: short in their file, endless once each is written out."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.runtime.errors import ActaError

_MOST_VALUES = 50_000_000  # in a pickle; UCF101-24 as lists of numbers has some 4,000,000


def unfolded(value: Any, parts: Callable[[Any], Iterable[Any] | int], most: int) -> None:
    """Count a value's parts, their parts and so on; one that stands in several places counts in each.

    Args:
        value: What to count.
        parts: The parts of a value; or a number, if it has none: how many it stands for.
        most: How many there may be.

    Raises:
        ValueError: there are more, or a value holds itself.
    """
    sizes: dict[int, int] = {}
    counting: set[int] = set()
    waiting: list[tuple[Any, Iterator[Any], int]] = [([value], iter([value]), 0)]
    while waiting:
        above, rest, count = waiting.pop()
        for part in rest:
            below = parts(part)
            if isinstance(below, int):
                count += below
            elif id(part) in counting:
                raise ValueError("a value holds itself")
            elif id(part) in sizes:
                count += sizes[id(part)]
            else:
                counting.add(id(part))
                waiting += [(above, rest, count), (part, iter(below), 1)]
                break
            if count > most:
                break
        else:
            counting.discard(id(above))
            sizes[id(above)] = count
            if waiting:
                outer, others, before = waiting.pop()
                waiting.append((outer, others, before + count))
        if count > most:
            raise ValueError(f"it holds more than {most:,} values, as some stand in many places")


def parts_of_containers(value: Any) -> Iterable[Any] | int:
    """The parts of dicts, lists, tuples and sets; an array stands for as many values as it has."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return value
    size = getattr(value, "size", 1)
    return size if isinstance(size, int) else 1


def check_content(content: Any, path: Path) -> None:
    """Refuse a pickle whose arrays are repeated so often that copies of them would not fit.

    Raises:
        ActaError: there are more values, those of arrays among them, than any data set of the field has.
    """
    try:
        unfolded(content, parts_of_containers, _MOST_VALUES)
    except ValueError as error:
        raise ActaError(f"{path} is no annotation: {error}") from None
