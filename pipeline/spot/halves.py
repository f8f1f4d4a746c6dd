"""Halves of games as a network sees them: numbered frames, with events at some of them.

Frame k of a half is at k / rate seconds. An event at t seconds lies at frame t · rate, which need not be an integer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pipeline.spot.events import CLASSES, SUBSTITUTIONS, Event, Version
from pipeline.spot.games import Game

_HALF_TIME = 1.0  # seconds; substitutions before it in the second half were made at half time, so nothing shows them


@dataclass(frozen=True)
class Anchor:
    """An event on the time axis of a half: ``frame`` ≥ 0, ``label`` its class's number."""

    frame: float
    label: int


@dataclass(frozen=True)
class Half:
    """A half, 1 or 2 by ``number``, of ``<league>/<season>/<game>``; ``anchors`` may lie beyond its last frame."""

    game: str
    number: int
    frames: int
    anchors: tuple[Anchor, ...] = ()


def halves_of(
    games: Sequence[Game], version: Version, rate: float, *, halftime_substitutions: bool = True
) -> list[Half]:
    """The halves of games with their events, game by game; ``rate``: frames per second.

    ``halftime_substitutions``: whether to keep substitutions before second 1 of the second half (Sec. 4.2.2).
    """
    numbers = {label: number for number, label in enumerate(CLASSES[version])}

    def is_kept(event: Event) -> bool:
        at_half_time = event.half == 2 and event.time < _HALF_TIME and event.label == SUBSTITUTIONS[version]
        return halftime_substitutions or not at_half_time

    return [
        Half(
            game.name,
            half.number,
            half.frames,
            tuple(
                Anchor(event.time * rate, numbers[event.label])
                for event in game.events
                if event.half == half.number and is_kept(event)
            ),
        )
        for game in games
        for half in game.halves
    ]


class Source(Protocol):
    """Frames of halves: features, float32 (t, channels), or pictures, uint8 (t, 3, height, width)."""

    def read(self, half: int, start: int, stop: int) -> Tensor:
        """Frames ``start:stop`` of the half at this position in ``halves``; an IndexError if it lacks some."""

    @property
    def halves(self) -> Sequence[Half]: ...

    @property
    def channels(self) -> int: ...
