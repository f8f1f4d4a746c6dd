"""Halves of games as a network sees them: numbered frames, and events at some of them.

Frame k of a half is at k / rate seconds. An event at t seconds lies at frame t · rate, which need not be whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Anchor:
    """An event on the time axis of a half: ``frame`` ≥ 0, ``label`` its class's number."""

    frame: float
    label: int


@dataclass(frozen=True)
class Half:
    """One half.

    Args:
        game: ``<league>/<season>/<game>``.
        number: 1 or 2.
        frames: How many frames there are.
        anchors: Its events; those beyond its last frame are there too.
    """

    game: str
    number: int
    frames: int
    anchors: tuple[Anchor, ...] = ()


class Source(Protocol):
    """What the frames of halves hold: features, float32 (t, channels), or pictures, uint8 (t, 3, height, width)."""

    def read(self, half: int, start: int, stop: int) -> Tensor:
        """Frames ``start:stop`` of a half, all of them inside it; ``half`` is its position in ``halves``."""

    @property
    def halves(self) -> Sequence[Half]: ...

    @property
    def channels(self) -> int: ...
