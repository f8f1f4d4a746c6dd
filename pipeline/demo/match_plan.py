"""What happens when in the demo's games. Invented clubs play short halves.

Names and times need no drawing, so that the workflow knows every file beforehand.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.spot.events import HALVES, Event

GAMES = {"train": 9, "valid": 5, "test": 7}
LENGTH = (225.0, 265.0)  # seconds: shortest and longest half
LEAGUE, SEASON = "demo_league", "2026-2027"
CLUBS: dict[str, tuple[int, int, int]] = {  # name and shirt (RGB); shirts that look alike never meet
    "Red Otters": (205, 35, 40),
    "Blue Herons": (40, 80, 205),
    "White Hares": (240, 240, 240),
    "Yellow Newts": (240, 205, 40),
    "Orange Martens": (240, 125, 25),
    "Purple Snails": (120, 50, 160),
    "Black Beetles": (35, 35, 40),
    "Sky Lapwings": (120, 190, 240),
}
_ALIKE = ({"Red Otters", "Orange Martens"}, {"Yellow Newts", "Orange Martens"}, {"White Hares", "Sky Lapwings"})
_KINDS = ("Goal", "Yellow card", "Red card", "Substitution")
_SHARES = (0.32, 0.28, 0.06, 0.34)
_UNSEEN = 0.08  # of the events: the broadcast shows something else when they happen
_START_TIMES = (0.0, 0.0, 0.52, 1.4)  # seconds: some files' time stamps do not begin with zero


@dataclass(frozen=True)
class Moment:
    """An event of SoccerNet-v2 and the team (0: home, 1: away) it belongs to."""

    event: Event
    team: int


@dataclass(frozen=True)
class PlayedHalf:
    """One half and its file.

    Args:
        number: 1 or 2.
        length: Seconds from kick-off to the final whistle.
        before: Seconds of the file before kick-off.
        after: Seconds of the file after the half.
        start_time: The file's first time stamp in seconds; ``before`` counts from there, as players and ffmpeg do.
        moments: In the order of time, kick-off first.
    """

    number: int
    length: float
    before: float
    after: float
    start_time: float
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class Game:
    """A game: its seed, both clubs (home first), when it is played, and its halves."""

    seed: tuple[int, int]
    clubs: tuple[str, str]
    date: datetime.datetime
    halves: tuple[PlayedHalf, ...]

    @property
    def goals(self) -> tuple[int, int]:
        """Of the home and of the away team."""
        scorers = [m.team for half in self.halves for m in half.moments if m.event.label == "Goal"]
        return scorers.count(0), scorers.count(1)

    @property
    def name(self) -> str:
        """<league>/<season>/<game>, as SoccerNet names games."""
        (home, away), (one, other) = self.clubs, self.goals
        return f"{LEAGUE}/{SEASON}/{self.date:%Y-%m-%d - %H-%M} {home} {one} - {other} {away}"


@dataclass(frozen=True)
class HalfJob:
    """A half to be written to ``path``."""

    id: str
    path: Path
    game: Game
    half: PlayedHalf


def splits() -> dict[str, list[str]]:
    """The games of each split, <league>/<season>/<game>."""
    return {split: [game.name for game in games(split)] for split in GAMES}


def games(split: str) -> list[Game]:
    """What happens in the games of a split."""
    return [plan((list(GAMES).index(split), number)) for number in range(GAMES[split])]


@lru_cache(maxsize=256)
def plan(seed: tuple[int, int]) -> Game:
    """What happens in a game, given (split, number)."""
    random = np.random.default_rng([35, *seed])
    while True:
        home, away = random.permutation(list(CLUBS))[:2].tolist()
        if {home, away} not in _ALIKE:
            break
    # Every game has a day of its own, so no two names are the same.
    day = datetime.datetime(2026, 8, 22) + datetime.timedelta(days=7 * seed[1] + 2 * seed[0])
    date = day.replace(hour=int(random.choice([12, 15, 18, 20])), minute=int(random.choice([0, 30, 45])))
    changes_at_half_time = bool(random.random() < 0.25)
    halves = tuple(_plan_half(random, number, number == 2 and changes_at_half_time) for number in HALVES)
    return Game(seed, (home, away), date, halves)


def _plan_half(random: np.random.Generator, number: int, change: bool) -> PlayedHalf:
    """``change``: a substitution at its very beginning, which nothing shows."""
    length = round(float(random.uniform(*LENGTH)), 1)
    moments = [Moment(Event(number, 0.0, "Kick-off"), number - 1)]
    if change:
        moments.append(Moment(Event(number, 0.0, "Substitution", visible=False), int(random.integers(2))))
    for time in _times(random, length):
        label = str(random.choice(_KINDS, p=_SHARES))
        event = Event(number, float(time), label, visible=bool(random.random() > _UNSEEN))
        moments.append(Moment(event, int(random.integers(2))))
    return PlayedHalf(
        number,
        length,
        before=round(float(random.uniform(4, 9)), 2),
        after=round(float(random.uniform(3, 6)), 1),
        start_time=float(random.choice(_START_TIMES)),
        moments=tuple(moments),
    )


def _times(random: np.random.Generator, length: float) -> Iterator[int]:
    """Whole seconds of a half's events: some soon after kick-off, some in pairs, some at the very end."""
    time = int(random.integers(2, 6) if random.random() < 0.15 else random.integers(12, 30))
    last = int(length) - int(random.integers(1, 4)) if random.random() < 0.25 else None
    while time < (int(length) - 8 if last is None else last - 12):
        yield time
        time += int(random.integers(8, 15) if random.random() < 0.12 else random.integers(26, 46))
    if last is not None and last > 0:
        yield last
