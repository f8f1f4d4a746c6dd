"""A game's manifest, which `pipeline.spot.build_game` writes and all later tasks read: JSON with the fields of `Game`.

Second 0 of a half is second 0 of its video as a player shows it (the start of the container), plus the start that
video.ini gives. Frame k of a half is at k / rate seconds.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Quarantined
from pipeline.runtime.seals import digest_of
from pipeline.runtime.text import read_made
from pipeline.spot.events import Event


@dataclass(frozen=True)
class GameFeatures:
    """A half's file of features, relative to the root: ``rows`` frames of ``columns`` numbers."""

    path: str
    rows: int
    columns: int


@dataclass(frozen=True)
class GameHalf:
    """One half.

    Args:
        number: 1 or 2.
        video: Relative to the root; None where there are only features.
        start: Second of the video at which the half begins.
        duration: Seconds.
        frames: As `ticks_in` counts them.
        features: By kind (`ResNET_PCA512.npy`).
    """

    number: int
    video: str | None
    start: float
    duration: float
    frames: int
    features: dict[str, GameFeatures]


@dataclass(frozen=True)
class Game:
    """A game as its manifest describes it; a bad one has no halves and no events.

    Args:
        name: ``<league>/<season>/<game>``.
        splits: The splits that it is in.
        halves: Both.
        events: All annotated events of known classes, including events after the end of their half.
        annotated: Whether there is a file of labels.
        unknown: How often each label occurs that is none of the classes (version 1).
        beyond: How many events lie after the end of their half.
        quarantine: Why it cannot be used; empty for a good game.
        digest: Stands for the manifest in the provenance of later tasks.
    """

    name: str
    splits: tuple[str, ...]
    halves: tuple[GameHalf, ...]
    events: tuple[Event, ...]
    annotated: bool
    unknown: dict[str, int]
    beyond: int
    quarantine: tuple[Quarantined, ...]
    digest: str


def ticks_in(duration: float, rate: float) -> int:
    """How many frames a half of ``duration`` seconds has: all k ≥ 0 with k / rate < duration, at least one."""
    return max(1, math.ceil(duration * rate - 1e-6))


def read_game(path: Path) -> Game:
    """Read a game's manifest.

    Raises:
        ActaError: the file is missing or is no manifest of a game.
    """
    try:
        content = read_made(path, "the game")
        halves = [
            row | {"features": {kind: GameFeatures(**features) for kind, features in row["features"].items()}}
            for row in content["halves"]
        ]
        return Game(
            name=content["name"],
            splits=tuple(content["splits"]),
            halves=tuple(GameHalf(**row) for row in halves),
            events=tuple(Event(**row) for row in content["events"]),
            annotated=content["annotated"],
            unknown=content["unknown"],
            beyond=content["beyond"],
            quarantine=tuple(Quarantined(**row) for row in content["quarantine"]),
            digest=digest_of(content),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ActaError(f"{path} is not the manifest of a game: {error!r}") from None


def allowed_bad(games: int, fraction: float) -> int:
    """How many of the games may be bad: this fraction, but at least one."""
    return max(1, math.floor(fraction * games + 1e-9))


def read_games(paths: Sequence[Path], splits: Sequence[str], max_bad_fraction: float) -> list[Game]:
    """The good games of these splits, in the order of ``paths``; the bad ones are listed on stderr.

    Raises:
        ActaError: a split has no good game, or more than ``max_bad_fraction`` of the games, and more than one, are bad.
    """
    games = [game for game in map(read_game, paths) if not set(splits).isdisjoint(game.splits)]
    bad = [f"{entry.id}: {entry.reason}" for game in games for entry in game.quarantine]
    if len(bad) > allowed_bad(len(games), max_bad_fraction):
        some = "\n".join(f"  {line}" for line in bad[:10])
        raise ActaError(
            f"{len(bad)} of the {len(games)} games of {', '.join(splits)} are bad, more than "
            f"spot.data.max_bad_fraction = {max_bad_fraction} allows:\n{some}"
        )
    for line in bad:
        print(f"left out: {line}", file=sys.stderr)
    good = [game for game in games if not game.quarantine]
    for split in splits:
        if not any(split in game.splits for game in good):
            raise ActaError(f"the split {split!r} has no game" + (" that is not bad" if bad else ""))
    return good
