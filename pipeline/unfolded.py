"""How large a value is that holds others several times: short in its file, endless where each is written out."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any


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
