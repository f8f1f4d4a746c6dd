"""Training clips: where they lie, which of them an epoch has, and masking (Secs. 4.1.2, 4.1.3 and 4.3).

Randomness has no state: an epoch's clips are drawn from (seed, epoch, class), a clip's masking from (seed, epoch,
number). So a clip is the same in whatever order and process it is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor

import numpy as np
import torch
from torch import Tensor

from pipeline.config.spot import ClipSamplingSettings, SpotNetworkSettings
from pipeline.runtime.errors import ActaError
from pipeline.spot.halves import Half, Source

# The purpose of a random number, which is part of what it is drawn from.
_ORDER, _WINDOWS, _MASKING = 1, 2, 3


def starts_of(frame: float, frames: int, clip: int) -> range:
    """First frames of all windows inside a half of ``frames`` that hold an event (stride 1, Sec. 4.1.3).

    A window from s on holds the frames s … s + clip - 1, and an event at ``frame`` (need not be an integer) if
    s ≤ ``frame`` < s + clip. There are none for an event beyond the last frame, or in a half shorter than a clip.
    """
    last = floor(frame)
    return range(max(0, last - clip + 1), min(last, frames - clip) + 1)


def background_starts(half: Half, clip: int, margin: int | None = None) -> list[int]:
    """First frames of the background chunks of a half.

    Frames within ``margin`` of an event are no background; None: within clip - 1, so that no window could hold both.
    The gaps in between are cut, each from its beginning, into chunks of ``clip`` frames that do not overlap.
    """
    margin = clip - 1 if margin is None else margin
    starts: list[int] = []
    begin = 0
    for last in [*sorted(floor(anchor.frame) for anchor in half.anchors), half.frames + margin]:
        starts += range(begin, min(last - margin, half.frames) - clip + 1, clip)
        begin = max(begin, last + margin + 1)
    return starts


def numbers_of_clips(events: list[int], sampling: ClipSamplingSettings) -> list[int]:
    """How many clips of each class an epoch has, background last.

    Args:
        events: How many events of each class there are. A class without events has no clips, and others do not get its
            share.
        sampling: If it goes by events, a class that is divided keeps at least one clip, and background has the mean
            number of events.
    """
    classes = len(events)
    if sampling.foreground is not None:
        per_class, more = divmod(sampling.foreground, classes)
        wanted = [per_class + (number < more) for number in range(classes)]
        mean = per_class
    else:
        wanted = [_balanced(count, sampling) for count in events]
        mean = max(1, round(sum(events) / classes))
    numbers = [number if count else 0 for number, count in zip(wanted, events, strict=True)]
    return [*numbers, mean if sampling.background is None else sampling.background]


def _balanced(events: int, sampling: ClipSamplingSettings) -> int:
    if events > sampling.frequent_above:
        return max(1, events // sampling.frequent_divisor)
    return events * sampling.rare_factor if events < sampling.rare_below else events


@dataclass(frozen=True)
class _Window:
    """A clip: the position of its half, its first frame, and the frame of its event, if it has one."""

    half: int
    start: int
    event: float | None = None


class _Windows:
    """All windows of a class, numbered; each row holds those of one event or one background chunk."""

    def __init__(self, rows: Iterable[tuple[int, range, float | None]]):
        self._rows = [row for row in rows if row[1]]
        self._ends = np.cumsum([len(starts) for _, starts, _ in self._rows])

    @property
    def rows(self) -> int:
        return len(self._rows)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._rows else 0

    def __getitem__(self, number: int) -> _Window:
        row = int(np.searchsorted(self._ends, number, side="right"))
        half, starts, event = self._rows[row]
        return _Window(half, starts[number - int(self._ends[row])], event)  # counted from the row's end


class TrainingClips:
    """The training set for the loop: by (epoch, number) a clip and its targets.

    An epoch draws the clips of a class from all its windows without repetition, and starts again when they are used up.
    The numbers of an epoch mix the classes.

    Args:
        source: The halves with their frames or features and events.
        network: Length of clips, where events lie in them, masking, sampling.
        classes: C, without background.
        seed: With epoch and number it decides everything.

    Raises:
        ActaError: there are no events, or there is no background.
    """

    def __init__(self, source: Source, network: SpotNetworkSettings, classes: int, seed: int):
        self._source, self._network, self._seed = source, network, seed
        self._background = classes
        clip, halves = network.clip, list(source.halves)
        events = [
            (anchor.label, place, self._starts(anchor.frame, half.frames), anchor.frame)
            for place, half in enumerate(halves)
            for anchor in half.anchors
        ]
        self._pools = [_Windows(event[1:] for event in events if event[0] == label) for label in range(classes)]
        chunks = (
            (place, range(s, s + 1), None)
            for place, half in enumerate(halves)
            for s in background_starts(half, clip, network.sampling.margin)
        )
        self._pools.append(_Windows(chunks))
        if not any(self._pools[:-1]):
            raise ActaError(f"the training games have no event that {clip} frames (`clip`) can be cut around")
        if not self._pools[-1]:
            raise ActaError(
                f"the training games have no background: no {clip} frames (`clip`) in a row that keep away "
                "from every event (`sampling.margin`)"
            )
        numbers = numbers_of_clips([pool.rows for pool in self._pools[:-1]], network.sampling)
        kinds = np.repeat(np.arange(classes + 1), numbers)
        ranks = np.concatenate([np.arange(number) for number in numbers])
        order = self._random(0, 0, _ORDER).permutation(len(kinds))
        self._numbers, self._kinds, self._ranks = numbers, kinds[order], ranks[order]
        self._drawn: tuple[int, list[np.ndarray]] | None = None

    def __len__(self) -> int:
        return len(self._kinds)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """A clip of an epoch.

        Returns:
            ``clip``: (T, ...), frames as in the source; ``label``: int64, background is C; ``offset``: float32 in
            [0, 1), of the event from the clip's beginning as a fraction of its length (0.5 with ``offsets: centre``, 0
            for background); ``event``: bool, whether there is one.
        """
        epoch, number = key
        kind = int(self._kinds[number])
        drawn = self._draw(epoch)[kind]
        window = self._pools[kind][int(drawn[self._ranks[number] % len(drawn)])]
        offset = 0.0
        if window.event is None:
            clip = self._read(window)
        else:
            clip = self._masked(window, epoch, number)
            centre = self._network.offsets == "centre"
            offset = 0.5 if centre else (window.event - window.start) / self._network.clip
        return {
            "clip": clip,
            "label": torch.tensor(kind),
            "offset": torch.tensor(offset, dtype=torch.float32),
            "event": torch.tensor(kind != self._background),
        }

    def _starts(self, frame: float, frames: int) -> range:
        starts = starts_of(frame, frames, self._network.clip)
        if self._network.offsets == "uniform":
            return starts
        middle = floor(frame) - self._network.clip // 2
        return range(middle, middle + 1) if middle in starts else range(0)

    def _random(self, epoch: int, number: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, epoch, number, purpose])

    def _draw(self, epoch: int) -> list[np.ndarray]:
        """The windows of an epoch by class, in their order and without repetition."""
        if self._drawn is None or self._drawn[0] != epoch:
            orders = []
            for kind, (pool, number) in enumerate(zip(self._pools, self._numbers, strict=True)):
                orders.append(self._random(epoch, kind, _WINDOWS).permutation(len(pool))[:number].copy())
            self._drawn = epoch, orders
        return self._drawn[1]

    def _read(self, window: _Window, skip: int = 0, count: int | None = None) -> Tensor:
        """The frames of a window from its ``skip``-th on: ``count``, or all that are left."""
        stop = self._network.clip if count is None else skip + count
        return self._source.read(window.half, window.start + skip, window.start + stop)

    def _masked(self, window: _Window, epoch: int, number: int) -> Tensor:
        """M(p, q) of Eq. 4.4: at random, frames of a background chunk replace those before, or after, the event."""
        masking, clip = self._network.masking, self._network.clip
        assert window.event is not None
        if masking is None:
            return self._read(window)
        random = self._random(epoch, number, _MASKING)
        place = floor(window.event) - window.start  # the event's frame, which stays
        # A centred event counts as its frame: all have the same offset, 20 / 41, and may be masked.
        offset = (place if self._network.offsets == "centre" else window.event - window.start) / clip
        before = masking.side == "before"
        fits = offset <= masking.max_offset if before else offset >= 1 - masking.max_offset
        count = place if before else clip - 1 - place
        if random.random() >= masking.probability or not fits or not count:
            return self._read(window)
        chunk = self._pools[-1][int(random.integers(len(self._pools[-1])))]
        instead = self._read(chunk, int(random.integers(clip - count + 1)), count)
        if before:
            return torch.cat([instead, self._read(window, place)])
        return torch.cat([self._read(window, 0, place + 1), instead])
