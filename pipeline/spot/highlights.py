"""Which parts of a game become its highlights: spots ranked, padded, merged and fitted to a length.

Seconds are those of the half.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.config.spot import HighlightSettings
from pipeline.runtime.errors import ActaError
from pipeline.spot.events import Spot

_BEYOND = 1.0  # seconds; spots lie on frames of half a second or more, and the last may reach beyond the video's end
_HALVINGS = 60


@dataclass(frozen=True)
class Clip:
    """A part of a half, [start, end) in seconds, and the events for which it was chosen, ordered by time."""

    half: int
    start: float
    end: float
    events: tuple[Spot, ...]

    @property
    def title(self) -> str:
        """The time of its first event, as SoccerNet writes it, and the names of its events."""
        seconds = int(self.events[0].time)
        events = ", ".join(named(event) for event in self.events)
        return f"{self.half} - {seconds // 60:02}:{seconds % 60:02} {events}"


def named(spot: Spot) -> str:
    """A spot's class and confidence, for people to read."""
    return f"{spot.label} {100 * spot.confidence:.0f} %"


def choose_clips(spots: Sequence[Spot], durations: Mapping[int, float], settings: HighlightSettings) -> list[Clip]:
    """The clips of a game's highlights, in the order of the game.

    An event's rank is its confidence times the weight of its class. Each event is padded as ``settings`` say, within
    the half; padded events that overlap or touch become one clip. For a ``length`` the events of the highest ranks are
    taken, one more than fit, and all their paddings are shrunk by one factor, so that the clips together last exactly
    that long. If all events together are shorter, they stay as they are. ``durations`` are the halves' seconds.

    Raises:
        ActaError: an event lies outside its half or in one without a duration, or no event is left.
    """
    ranked = sorted(_wanted(spots, durations, settings), key=lambda spot: _order(spot, settings))
    if not ranked:
        raise ActaError(_why_none(spots, settings))

    def length(count: int, factor: float = 1.0) -> float:
        return sum(end - start for _, start, end, _ in _merged(ranked[:count], durations, settings, factor))

    factor = 1.0
    if settings.length is not None and length(len(ranked)) > settings.length:
        fitting = bisect_right(range(1, len(ranked) + 1), settings.length, key=length)
        ranked = ranked[: fitting + 1]
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if length(len(ranked), middle) <= settings.length else (low, middle)
        factor = low
    return [Clip(half, start, end, events) for half, start, end, events in _merged(ranked, durations, settings, factor)]


def _wanted(spots: Sequence[Spot], durations: Mapping[int, float], settings: HighlightSettings) -> Iterator[Spot]:
    for spot in spots:
        if spot.confidence < settings.min_confidence or _weight(spot, settings) == 0:
            continue
        if spot.half not in durations:
            raise ActaError(f"{_place(spot)}: there is no video of half {spot.half}")
        if not 0 <= spot.time <= durations[spot.half] + _BEYOND:
            raise ActaError(f"{_place(spot)} lies outside the half, which lasts {durations[spot.half]:.1f} s")
        start, end = _span(spot, durations, settings, 1.0)
        if start < end:
            yield spot


def _order(spot: Spot, settings: HighlightSettings) -> tuple[float, int, float, str]:
    return -spot.confidence * _weight(spot, settings), spot.half, spot.time, spot.label


def _weight(spot: Spot, settings: HighlightSettings) -> float:
    return settings.weights.get(spot.label, 1.0)


def _span(
    spot: Spot, durations: Mapping[int, float], settings: HighlightSettings, factor: float
) -> tuple[float, float]:
    padding = settings.padding.get(spot.label, settings.default_padding)
    last = durations[spot.half]
    time = min(spot.time, last)
    return max(0.0, time - factor * padding.before), min(last, time + factor * padding.after)


def _merged(
    spots: Sequence[Spot], durations: Mapping[int, float], settings: HighlightSettings, factor: float
) -> list[tuple[int, float, float, tuple[Spot, ...]]]:
    """Half, start, end and events of the clips around the spots, in the order of the game."""
    merged: list[tuple[int, float, float, tuple[Spot, ...]]] = []
    spans = ((spot.half, *_span(spot, durations, settings, factor), spot) for spot in spots)
    for half, start, end, spot in sorted(spans, key=lambda span: (*span[:3], span[3].time, span[3].label)):
        if merged and merged[-1][0] == half and start <= merged[-1][2]:
            _, begin, last, events = merged.pop()
            events = tuple(sorted((*events, spot), key=lambda event: (event.time, event.label)))
            merged.append((half, begin, max(last, end), events))
        else:
            merged.append((half, start, end, (spot,)))
    return merged


def _place(spot: Spot) -> str:
    return f"event {spot.label!r} at {spot.time:.1f} s of half {spot.half}"


def _why_none(spots: Sequence[Spot], settings: HighlightSettings) -> str:
    if not spots:
        return "there are no highlights: no event was predicted"
    unsure = sum(spot.confidence < settings.min_confidence for spot in spots)
    weightless = sum(spot.confidence >= settings.min_confidence and _weight(spot, settings) == 0 for spot in spots)
    return (
        f"there are no highlights: of {len(spots)} events {unsure} are below `min_confidence` "
        f"{settings.min_confidence:g}, {weightless} of a class with the weight 0, and "
        f"{len(spots) - unsure - weightless} of one without padding"
    )
