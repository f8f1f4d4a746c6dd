"""Directs the demo's broadcasts: which shot is on air when, and which caption.

An event itself is hardly visible, from afar. Its cues come about `DELAYS` later, and their lengths vary. What is on air
before has little to do with it, and everything around events also happens without them: attacks that miss the goal,
fouls without a card, throw-ins, slow motions of old goals.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.demo.match_plan import Game, Moment, PlayedHalf

Random = np.random.Generator

DELAYS = {"Goal": 2.5, "Yellow card": 2.0, "Red card": 2.0, "Substitution": 2.0}  # seconds from an event to its cue
_JITTER = 0.3
_SHORTEST = 1.0  # seconds of a shot
_USUAL = {  # what is on air while nothing happens, by how often
    "play": 0.36,
    "miss": 0.12,
    "player": 0.13,
    "foul": 0.09,
    "throw-in": 0.08,
    "bench": 0.06,
    "crowd": 0.06,
    "greeting": 0.05,
    "replay": 0.05,
}
_LENGTHS = {"play": (4.0, 10.0)}  # seconds; all others:
_USUAL_LENGTH = (2.0, 4.0)

_FOLLOWERS = {  # what comes after, and how often: as after events, less their cues
    "miss": (("player", 0.4), ("crowd", 0.4), ("replay", 0.15)),
    "foul": (("referee", 0.75), ("player", 0.4)),
    "throw-in": (("warm-up", 0.35), ("bench", 0.25)),
}


@dataclass(frozen=True)
class Shot:
    """What a camera shows; times are in seconds from kick-off.

    Args:
        kind: Known to `pipeline.demo.match_scenes` or `pipeline.demo.match_pitch.Wide`.
        start: Its first moment; the shot before ends there.
        stop: Its end.
        seed: Of everything in it.
        team: Whose players, 0 or 1.
        at: When what it shows happens, if it does at a time.
    """

    kind: str
    start: float
    stop: float
    seed: int
    team: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class Caption:
    """A strip over the lower part of the picture; ``kind`` is an event's label or "statistics"."""

    kind: str
    start: float
    stop: float
    team: int
    seed: int


@dataclass(frozen=True)
class Broadcast:
    """Shots without gaps from the file's beginning to its end, and captions."""

    shots: tuple[Shot, ...]
    captions: tuple[Caption, ...]


def direct(game: Game, half: PlayedHalf) -> Broadcast:
    """The broadcast of one half."""
    random = np.random.default_rng([5, *game.seed, half.number])
    captions: list[Caption] = []
    shots = [_shot(random, "kick-off", -2.5, float(random.uniform(2, 6)))]
    moments = [moment for moment in half.moments if moment.event.time > 0]
    for moment in moments:
        block = list(_event(random, moment, captions))
        begin = max(block[0].start, shots[-1].start + _SHORTEST)
        begin = min(begin, moment.event.time - 0.5)
        shots = [replace(shot, stop=min(shot.stop, begin)) for shot in shots if shot.start < begin]
        shots += [replace(block[0], start=begin), *block[1:]]
    whole = _filled(random, shots, -half.before, half.length + half.after)
    captions += _statistics(random, whole)
    return Broadcast(tuple(whole), tuple(captions))


def _shot(random: Random, kind: str, start: float, stop: float, team: int = 0, at: float = 0.0) -> Shot:
    return Shot(kind, start, stop, int(random.integers(2**31)), team, at)


def _event(random: Random, moment: Moment, captions: list[Caption]) -> Iterator[Shot]:
    """The shot in which an event happens, and those that follow from it."""
    label, team, time = moment.event.label, moment.team, moment.event.time
    now = time + DELAYS[label] + float(np.clip(random.normal(0, _JITTER), -0.7, 0.7))
    wide = {"Goal": "goal", "Substitution": "change"}.get(label, "foul")
    kind = wide if moment.event.visible else str(random.choice(["play", "player", "bench"]))
    yield _shot(random, kind, time - float(random.uniform(1, 6)), now, team, time)
    start = now
    for cue, (shortest, longest), chance in _cues(label):
        if random.random() < chance:
            stop = now + float(random.uniform(shortest, longest))
            yield _shot(random, cue, now, stop, team)
            now = stop
    if random.random() < 0.6:
        begin = start + float(random.uniform(0.5, 2.5))
        captions.append(Caption(label, begin, begin + float(random.uniform(2.5, 4.5)), team, int(random.integers(99))))


def _cues(label: str) -> list[tuple[str, tuple[float, float], float]]:
    """Shots after an event: kind, shortest and longest in seconds, and how probable each is."""
    match label:
        case "Goal":
            return [("celebration", (2.0, 5.0), 0.85), ("flags", (1.5, 4.0), 0.7), ("replay", (2.5, 4.0), 0.5)]
        case "Substitution":
            return [("board", (1.5, 3.5), 0.85), ("running on", (2.0, 4.0), 0.7), ("bench", (1.5, 3.0), 0.3)]
    return [(label.lower(), (1.2, 3.0), 0.9), ("player", (1.5, 3.5), 0.8)]


def _filled(random: Random, shots: list[Shot], start: float, stop: float) -> list[Shot]:
    """The shots, and usual ones wherever there is none."""
    whole: list[Shot] = []
    now = start
    for shot in [*shots, Shot("", stop, stop, 0)]:
        whole += _usual(random, now, shot.start)
        whole.append(shot)
        now = shot.stop
    ends = [shot.start for shot in whole[1:]]
    return [replace(shot, stop=min(end, stop)) for shot, end in zip(whole, ends, strict=False) if shot.start < stop]


def _usual(random: Random, now: float, end: float) -> Iterator[Shot]:
    """Usual shots until ``end``; the last one may last longer."""
    while now < end:
        kind = str(random.choice(list(_USUAL), p=list(_USUAL.values())))
        team = int(random.integers(2))
        stop = now + float(random.uniform(*_LENGTHS.get(kind, _USUAL_LENGTH)))
        yield _shot(random, kind, now, stop, team, at=stop - float(random.uniform(1, 2)))
        for follower, chance in _FOLLOWERS.get(kind, ()):
            if random.random() < chance and stop < end - _SHORTEST:
                now, stop = stop, stop + float(random.uniform(1.2, 3.5))
                yield _shot(random, follower, now, stop, team)
        now = stop if stop < end - _SHORTEST else end


def _statistics(random: Random, shots: list[Shot]) -> Iterator[Caption]:
    """Captions that belong to no event."""
    for shot in shots:
        if shot.kind in ("play", "player", "referee", "bench") and random.random() < 0.12:
            start = shot.start + float(random.uniform(0, 1))
            stop = start + float(random.uniform(2.5, 4))
            yield Caption("statistics", start, stop, int(random.integers(2)), int(random.integers(99)))
