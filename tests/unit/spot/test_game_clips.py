"""Training clips by value: frames that hold their own numbers, and events at the edges."""

import multiprocessing
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.config.spot import ClipSamplingSettings, SpotNetworkSettings
from pipeline.runtime.errors import ActaError
from pipeline.spot.game_clips import TrainingClips, background_starts, numbers_of_clips, starts_of
from pipeline.spot.halves import Anchor, Half
from pipeline.training.loop import Samples

T = 5
SAMPLING = {
    "foreground": 60,
    "background": 20,
    "frequent_above": 1000,
    "frequent_divisor": 5,
    "rare_below": 0,
    "rare_factor": 10,
    "margin": None,
    "halftime_substitutions": True,
}


class Numbered:
    """A source whose frames are [position of the half, number of the frame]; it refuses frames that are not there."""

    def __init__(self, halves: Sequence[Half]):
        self.halves = halves

    def read(self, half: int, start: int, stop: int) -> Tensor:
        assert 0 <= start < stop <= self.halves[half].frames
        return torch.tensor([[half, frame] for frame in range(start, stop)], dtype=torch.float32)


def half(frames: int, *anchors: tuple[float, int], game: str = "l/s/g", number: int = 1) -> Half:
    return Half(game, number, frames, tuple(Anchor(*anchor) for anchor in anchors))


def settings(**changes: Any) -> SpotNetworkSettings:
    sampling = ClipSamplingSettings(**(SAMPLING | changes.pop("sampling", {})))
    training = {
        "batch": 8,
        "micro_batch": 8,
        "epochs": 1,
        "patience": None,
        "learning_rate": 0.1,
        "warmup_epochs": 0,
        "momentum": 0.9,
        "weight_decay": 0,
        "precision": "float32",
        "deterministic": False,
        "recompute_activations": False,
        "device": "cpu",
        "threads": 1,
    }
    fields = {
        "input": "numbers",
        "backbone": None,
        "projection": None,
        "convolutions": (2, 2),
        "kernel": 3,
        "dropout": 0,
        "hidden": 2,
        "clip": T,
        "offsets": "uniform",
        "regression": True,
        "regression_weight": 10,
        "masking": None,
        "training": training,
        "inference": {"stride": None, "nms": None},
        "seeds": None,
    }
    return SpotNetworkSettings(**(fields | {"sampling": sampling} | changes))


def masked(probability: float, max_offset: float, side: str = "before") -> SpotNetworkSettings:
    masking = {"probability": probability, "max_offset": max_offset, "side": side}
    return settings(masking=masking, sampling={"foreground": 600, "background": 1})


# ---- which windows hold an event


@pytest.mark.parametrize(
    ("frame", "frames", "wanted"),
    [
        (10.0, 100, range(6, 11)),
        (10.9, 100, range(6, 11)),
        (0.0, 100, range(0, 1)),
        (0.5, 100, range(0, 1)),
        (3.0, 100, range(0, 4)),
        (4.0, 100, range(0, 5)),
        (95.0, 100, range(91, 96)),
        (96.0, 100, range(92, 96)),
        (99.0, 100, range(95, 96)),
        (99.9, 100, range(95, 96)),
        (100.0, 100, range(0)),
        (250.0, 100, range(0)),
        (2.0, T, range(0, 1)),
        (2.0, T - 1, range(0)),
        (0.0, 0, range(0)),
    ],
)
def test_windows_that_hold_an_event(frame: float, frames: int, wanted: range) -> None:
    assert list(starts_of(frame, frames, T)) == list(wanted)
    inside = [s for s in range(frames - T + 1) if s <= frame < s + T and frame < frames]
    assert list(starts_of(frame, frames, T)) == inside


# ---- background


def touched(of: Half) -> set[int]:
    """Frames that lie within T - 1 of an event."""
    return {f for anchor in of.anchors for f in range(int(anchor.frame) - T + 1, int(anchor.frame) + T)}


@pytest.mark.parametrize(
    ("of", "wanted"),
    [
        (half(23), [0, 5, 10, 15]),
        (half(30, (12.5, 0)), [0, 17, 22]),  # untouched: 0 … 7 and 17 … 29
        (half(30, (14.0, 0), (10.0, 1)), [0, 19, 24]),
        (half(40, (5.0, 0), (34.0, 1)), [10, 15, 20, 25]),  # 10 … 29
        (half(40, (0.0, 0), (39.0, 1)), [5, 10, 15, 20, 25, 30]),  # 5 … 34
        (half(20, (4.0, 0), (10.0, 0)), [15]),
        (half(20, (20.5, 0)), [0, 5, 10]),  # beyond the end, but its last seconds may show it
        (half(20, (400.0, 0)), [0, 5, 10, 15]),
        (half(T), [0]),
        (half(T - 1), []),
        (half(T, (2.0, 0)), []),
    ],
)
def test_background_is_what_no_window_with_an_event_touches(of: Half, wanted: list[int]) -> None:
    starts = background_starts(of, T)
    assert starts == wanted
    assert all(touched(of).isdisjoint(range(s, s + T)) and s + T <= of.frames for s in starts)


@pytest.mark.parametrize(("margin", "wanted"), [(0, [0, 10, 15]), (2, [0, 12]), (4, [0, 14]), (8, [])])
def test_background_keeps_a_margin(margin: int, wanted: list[int]) -> None:
    assert background_starts(half(20, (9.5, 0)), T, margin) == wanted


def test_background_is_as_dense_as_it_can_be() -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        frames = int(draw.integers(0, 60))
        of = half(frames, *((float(draw.uniform(0, 70)), 0) for _ in range(draw.integers(0, 4))))
        free, wanted, place = [f not in touched(of) for f in range(frames)], [], 0
        while place + T <= frames:
            if all(free[place : place + T]):
                wanted.append(place)
                place += T
            else:
                place += 1
        assert background_starts(of, T) == wanted


# ---- how many of which class


def sampling(**changes: Any) -> ClipSamplingSettings:
    return ClipSamplingSettings(**(SAMPLING | changes))


def test_classes_have_equal_shares() -> None:
    assert numbers_of_clips([500, 3, 70], sampling(foreground=30_000, background=10_000)) == [10_000] * 4
    assert numbers_of_clips([1, 1, 1], sampling(foreground=11, background=None)) == [4, 4, 3, 3]
    assert numbers_of_clips([1, 0, 1], sampling(foreground=11, background=None)) == [4, 0, 3, 3]


def test_challenge_samples_by_events() -> None:
    by_events = sampling(
        foreground=None, background=None, frequent_above=10_000, frequent_divisor=5, rare_below=100, rare_factor=10
    )
    events = [10_001, 10_000, 100, 99, 0]
    assert numbers_of_clips(events, by_events) == [2000, 10_000, 100, 990, 0, 4040]
    assert numbers_of_clips([2, 1], sampling(foreground=None, background=7, frequent_above=1)) == [1, 1, 7]


HALVES = [
    half(60, (20.0, 0), (40.5, 1)),
    half(50, (0.0, 1), (49.0, 0), (70.0, 1), number=2),
    half(T - 1, (1.0, 0), game="l/s/short"),
    half(37, game="l/s/quiet"),
]


def test_an_epoch_has_its_numbers_of_each_class_well_mixed() -> None:
    clips = TrainingClips(Numbered(HALVES), settings(), 3, seed=1)
    labels = [int(clips[0, number]["label"]) for number in range(len(clips))]
    assert Counter(labels) == {0: 20, 1: 20, 3: 20}  # there is nothing of class 2
    assert all(set(part) == {0, 1, 3} for part in np.array_split(labels, 4))
    samples: Samples = clips
    assert len(samples) == 60


def test_events_without_windows_do_not_count() -> None:
    halves = [*HALVES, half(60, (60.0, 2), (61.5, 2))]
    by_events = settings(sampling={"foreground": None, "background": None, "rare_below": 100, "rare_factor": 4})
    clips = TrainingClips(Numbered(halves), by_events, 3, seed=1)
    labels = Counter(int(clips[0, number]["label"]) for number in range(len(clips)))
    assert labels == {0: 8, 1: 8, 3: 1}


def test_clips_are_consecutive_frames_that_hold_what_they_say() -> None:
    clips = TrainingClips(Numbered(HALVES), settings(), 3, seed=1)
    for number in range(len(clips)):
        item = clips[2, number]
        place, start = (int(value) for value in item["clip"][0])
        assert torch.equal(item["clip"], Numbered(HALVES).read(place, start, start + T))
        assert item["label"].dtype == torch.int64
        assert item["offset"].dtype == torch.float32
        assert bool(item["event"]) == (int(item["label"]) < 3)
        if item["event"]:
            frame = start + T * float(item["offset"])
            assert any(frame == pytest.approx(a.frame) and a.label == item["label"] for a in HALVES[place].anchors)
            assert 0 <= item["offset"] < 1
        else:
            assert float(item["offset"]) == 0
            assert start in background_starts(HALVES[place], T)


def windows_of(clips: TrainingClips, epoch: int) -> dict[int, list[tuple[int, int, float]]]:
    """Of each class (half, first frame, offset)."""
    found = defaultdict(list)
    for number in range(len(clips)):
        item = clips[epoch, number]
        place, start = (int(value) for value in item["clip"][0])
        found[int(item["label"])].append((place, start, round(float(item["offset"]), 6)))
    return found


def test_all_windows_come_before_one_comes_again() -> None:
    one = [half(100, (30.0, 0), (32.0, 0))]  # 10 windows, and 18 - 5 chunks of background
    clips = TrainingClips(Numbered(one), settings(sampling={"foreground": 25, "background": 12}), 1, seed=1)
    epochs = [windows_of(clips, epoch) for epoch in range(2)]
    wanted = {(0, frame - k, round(k / T, 6)) for frame in (30, 32) for k in range(T)}
    for found in epochs:
        assert set(found[0]) == wanted
        assert sorted(Counter(found[0]).values()) == [2] * 5 + [3] * 5
        assert len(set(found[1])) == 12
    assert epochs[0] != epochs[1]


def test_two_events_in_one_clip_are_two_clips() -> None:
    one = [half(60, (30.0, 0), (32.0, 1))]
    clips = TrainingClips(Numbered(one), settings(sampling={"foreground": 20, "background": 1}), 2, seed=1)
    found = windows_of(clips, 0)
    assert (0, 28, 0.4) in found[0]
    assert (0, 28, 0.8) in found[1]


def test_offsets_of_fractional_times() -> None:
    clips = TrainingClips(Numbered([half(60, (30.5, 0))]), settings(), 1, seed=1)
    offsets = sorted({offset for *_, offset in windows_of(clips, 0)[0]})
    assert offsets == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])


def test_events_in_the_middle_only() -> None:
    central = settings(offsets="centre", regression=False)
    clips = TrainingClips(Numbered(HALVES), central, 3, seed=1)
    found = windows_of(clips, 0)
    assert set(found[0]) == {(0, 18, 0.5)}  # the one at 49 would need frames beyond the end
    assert set(found[1]) == {(0, 38, 0.5)}


# ---- masking, Eq. 4.4

LONE = [half(100, (30.0, 0)), half(40, game="l/s/quiet")]


def shown(network: SpotNetworkSettings) -> dict[int, list[list[tuple[int, int]]]]:
    """By the place of the event in the clip, what the clips show: (half, frame) each."""
    clips = TrainingClips(Numbered(LONE), network, 1, seed=1)
    found = defaultdict(list)
    for number in range(len(clips)):
        item = clips[0, number]
        if item["event"]:
            rows = [(int(place), int(frame)) for place, frame in item["clip"]]
            found[round(float(item["offset"]) * T)].append(rows)
    return found


def true(place: int) -> list[tuple[int, int]]:
    return [(0, 30 - place + k) for k in range(T)]


def is_background(rows: list[tuple[int, int]]) -> bool:
    """Whether frames are consecutive and of one chunk."""
    (place, first), chunks = rows[0], [range(s, s + T) for s in background_starts(LONE[rows[0][0]], T)]
    return rows == [(place, first + k) for k in range(len(rows))] and any(
        first in chunk and rows[-1][1] in chunk for chunk in chunks
    )


@pytest.mark.parametrize(("latest", "places"), [(0.0, []), (0.5, [1, 2]), (0.6, [1, 2, 3]), (1.0, [1, 2, 3, 4])])
def test_frames_before_the_event_are_background(latest: float, places: list[int]) -> None:
    for place, clips in shown(masked(1.0, latest)).items():
        for rows in clips:
            if place in places:
                assert rows[place:] == true(place)[place:]  # from the event's frame on
                assert is_background(rows[:place])
            else:
                assert rows == true(place)


@pytest.mark.parametrize(("latest", "places"), [(0.0, []), (0.5, [3]), (0.6, [2, 3]), (1.0, [0, 1, 2, 3])])
def test_frames_after_the_event_are_background(latest: float, places: list[int]) -> None:
    for place, clips in shown(masked(1.0, latest, "after")).items():
        for rows in clips:
            if place in places:
                assert rows[: place + 1] == true(place)[: place + 1]
                assert is_background(rows[place + 1 :])
            else:
                assert rows == true(place)


def test_masking_comes_from_any_place_of_any_background() -> None:
    rows = [clip[0] for clip in shown(masked(1.0, 0.2))[1]]
    chunks = [(place, s + k) for place, of in enumerate(LONE) for s in background_starts(of, T) for k in range(T)]
    assert len(set(rows)) > len(chunks) / 2
    assert set(rows) <= set(chunks)
    assert {frame % T for _, frame in rows} == set(range(T))  # each chunk begins at a multiple of T


@pytest.mark.parametrize("side", ["before", "after"])
def test_masking_is_as_likely_as_it_should_be(side: str) -> None:
    def changed(probability: float) -> float:
        clips = [(place, rows) for place, some in shown(masked(probability, 1.0, side)).items() for rows in some]
        inner = [(place, rows) for place, rows in clips if 0 < place < T - 1]
        return sum(rows != true(place) for place, rows in inner) / len(inner)

    assert changed(0.0) == 0
    assert changed(1.0) == 1
    assert 0.25 < changed(1 / 3) < 0.42


@pytest.mark.parametrize("event", [30.0, 30.4, 30.9])
def test_a_centred_event_is_masked_as_its_frame_says(event: float) -> None:
    """2 of 5 frames are before the middle one: an offset of 0.4, wherever in the frame the event is."""
    network = masked(1.0, 0.5).model_copy(update={"offsets": "centre", "regression": False})
    clips = TrainingClips(Numbered([half(100, (event, 0)), half(40, game="l/s/quiet")]), network, 1, seed=1)
    shown = [item["clip"] for item in (clips[0, number] for number in range(len(clips))) if item["event"]]
    assert len(shown) == 600
    for clip in shown:
        rows = [(int(place), int(frame)) for place, frame in clip]
        assert rows[2:] == [(0, 30), (0, 31), (0, 32)]
        assert is_background(rows[:2])


def test_background_is_not_masked() -> None:
    network = settings(masking={"probability": 1.0, "max_offset": 1.0, "side": "before"})
    clips = TrainingClips(Numbered(LONE), network, 1, seed=1)
    items = [clips[0, number] for number in range(len(clips))]
    chunks = [item["clip"] for item in items if not item["event"]]
    assert len(chunks) == 20
    assert all(is_background([(int(a), int(b)) for a, b in chunk]) and len(chunk) == T for chunk in chunks)


# ---- the same clips always


def items_of(keys: list[tuple[int, int]], seed: int = 4) -> list[dict[str, Tensor]]:
    clips = TrainingClips(Numbered(LONE), masked(0.5, 1.0), 1, seed=seed)
    return [clips[key] for key in keys]


def numpy_items(keys: list[tuple[int, int]]) -> list[dict[str, np.ndarray]]:
    return [{name: value.numpy() for name, value in item.items()} for item in items_of(keys)]


KEYS = [(epoch, number) for epoch in range(3) for number in range(0, 600, 23)]


def same(one: Sequence[dict], other: Sequence[dict]) -> bool:
    return all(np.array_equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a)


def test_clips_do_not_depend_on_the_order() -> None:
    order = np.random.default_rng(0).permutation(len(KEYS))
    mixed = items_of([KEYS[place] for place in order])
    plain = items_of(KEYS)
    assert same(mixed, [plain[place] for place in order])
    assert not same(plain, items_of(KEYS, seed=5))


def test_clips_do_not_depend_on_the_process() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert same(pool.apply(numpy_items, (KEYS,)), numpy_items(KEYS))


# ---- what cannot be


def test_games_without_events_or_background_are_refused() -> None:
    with pytest.raises(ActaError, match=r"no event that 5 frames"):
        TrainingClips(Numbered([half(60), half(10, (12.0, 0))]), settings(), 1, seed=1)
    with pytest.raises(ActaError, match=r"no background: no 5 frames"):
        TrainingClips(Numbered([half(10, (5.0, 0))]), settings(), 1, seed=1)
