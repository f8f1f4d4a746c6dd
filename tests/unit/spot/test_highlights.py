"""Which clips highlights have: worked out by hand, and for random games by counting milliseconds."""

import numpy as np
import pytest

from pipeline.config.spot import HighlightSettings
from pipeline.runtime.errors import ActaError
from pipeline.spot.events import Spot
from pipeline.spot.highlights import Clip, choose_clips

HALVES = {1: 2700.0, 2: 2800.0}


def settings(**changes: object) -> HighlightSettings:
    about: dict[str, object] = {
        "length": None,
        "padding": {"Goal": {"before": 10, "after": 20}, "Foul": {"before": 2, "after": 3}},
        "default_padding": {"before": 4, "after": 6},
        "weights": {"Goal": 3.0, "Throw-in": 0.0},
        "min_confidence": 0.3,
        "overlay": True,
    }
    return HighlightSettings.model_validate(about | changes)


def spans(clips: list[Clip]) -> list[tuple[int, float, float]]:
    return [(clip.half, clip.start, clip.end) for clip in clips]


def total(clips: list[Clip]) -> float:
    return sum(clip.end - clip.start for clip in clips)


def test_an_event_brings_the_padding_of_its_class_in_the_order_of_the_game():
    goal, foul, corner = Spot(2, 100, "Goal", 0.9), Spot(1, 500, "Foul", 0.4), Spot(1, 200, "Corner", 0.5)
    assert choose_clips([goal, foul, corner], HALVES, settings()) == [
        Clip(1, 196, 206, (corner,)),
        Clip(1, 498, 503, (foul,)),
        Clip(2, 90, 120, (goal,)),
    ]


def test_clips_that_overlap_or_touch_are_one():
    corner, foul, goal, late = (
        Spot(1, 100, "Corner", 0.5),  # [96, 106]
        Spot(1, 108, "Foul", 0.5),  # [106, 111]
        Spot(1, 115, "Goal", 0.5),  # [105, 135]
        Spot(1, 139.001, "Corner", 0.5),  # [135.001, …]
    )
    other = Spot(2, 100, "Corner", 0.5)  # the same time in the other half
    clips = choose_clips([late, goal, other, foul, corner], HALVES, settings())
    assert spans(clips) == [(1, 96, 135), (1, pytest.approx(135.001), pytest.approx(145.001)), (2, 96, 106)]
    assert clips[0].events == (corner, foul, goal)


def test_a_clip_inside_another_does_not_shorten_it():
    goal, foul = Spot(1, 100, "Goal", 0.5), Spot(1, 95, "Foul", 0.5)
    assert choose_clips([goal, foul], HALVES, settings()) == [Clip(1, 90, 120, (foul, goal))]


def test_clips_end_where_the_half_does():
    clips = choose_clips(
        [Spot(1, 3, "Goal", 1), Spot(1, 2690, "Goal", 1), Spot(2, 2800, "Foul", 1)], HALVES, settings()
    )
    assert spans(clips) == [(1, 0, 23), (1, 2680, 2700), (2, 2798, 2800)]


def test_a_spot_on_the_frame_after_the_last_belongs_to_the_end():
    assert spans(choose_clips([Spot(1, 2700.9, "Foul", 1)], HALVES, settings())) == [(1, 2698, 2700)]


@pytest.mark.parametrize(
    ("spot", "message"),
    [
        (Spot(1, 2701.5, "Goal", 1), r"'Goal' at 2701\.5 s of half 1 lies outside the half, which lasts 2700\.0 s"),
        (Spot(2, -0.5, "Foul", 1), r"'Foul' at -0\.5 s of half 2 lies outside"),
        (Spot(1, float("nan"), "Foul", 1), r"'Foul' at nan s"),
        (Spot(3, 10, "Goal", 1), r"'Goal' at 10\.0 s of half 3: there is no video of half 3"),
    ],
)
def test_an_event_outside_the_game_is_named(spot, message):
    with pytest.raises(ActaError, match=message):
        choose_clips([Spot(1, 10, "Goal", 1), spot], HALVES, settings())


def test_unsure_events_and_weightless_classes_are_left_out_wherever_they_lie():
    kept = Spot(1, 100, "Foul", 0.3)
    left = [Spot(1, 200, "Foul", 0.299), Spot(1, 300, "Throw-in", 0.99), Spot(1, 99_999, "Throw-in", 0.99)]
    assert choose_clips([*left, kept], HALVES, settings()) == [Clip(1, 98, 103, (kept,))]


def test_no_event_is_an_error_that_says_why():
    with pytest.raises(ActaError, match="no event was predicted"):
        choose_clips([], HALVES, settings())
    spots = [Spot(1, 1, "Goal", 0.2), Spot(1, 5, "Throw-in", 0.9), Spot(1, 6, "Throw-in", 0.1), Spot(1, 9, "Foul", 0.9)]
    none = settings(padding={"Foul": {"before": 0, "after": 0}})
    with pytest.raises(
        ActaError, match=r"of 4 events 2 are below `min_confidence` 0\.3, 1 of a class .* 0, and 1 of one without"
    ):
        choose_clips(spots, HALVES, none)


def test_the_best_ranks_fill_the_length_and_one_more_makes_it_exact():
    """Ranks: goal 0.5 · 3 = 1.5, card 0.9, corner 0.8, foul 0.7. 30 + 10 fit into 45, and 10 more do not."""
    goal, card = Spot(2, 1000, "Goal", 0.5), Spot(1, 500, "Yellow card", 0.9)
    corner, foul = Spot(1, 1500, "Corner", 0.8), Spot(1, 2000, "Foul", 0.7)
    clips = choose_clips([foul, corner, card, goal], HALVES, settings(length=45))
    assert [clip.events for clip in clips] == [(card,), (corner,), (goal,)]
    assert total(clips) == pytest.approx(45, abs=1e-9)
    factor = 45 / 50
    assert spans(clips) == [
        (1, pytest.approx(500 - 4 * factor), pytest.approx(500 + 6 * factor)),
        (1, pytest.approx(1500 - 4 * factor), pytest.approx(1500 + 6 * factor)),
        (2, pytest.approx(1000 - 10 * factor), pytest.approx(1000 + 20 * factor)),
    ]


def test_a_first_event_that_is_too_long_is_shrunk():
    clips = choose_clips([Spot(1, 100, "Goal", 1), Spot(1, 500, "Foul", 1)], HALVES, settings(length=6))
    assert spans(clips) == [(1, pytest.approx(98), pytest.approx(104))]


def test_events_that_are_shorter_than_the_length_stay_as_they_are():
    spots = [Spot(1, 100, "Goal", 1), Spot(1, 500, "Foul", 1)]
    for length in (35.0, 36.0, 1e6):
        assert spans(choose_clips(spots, HALVES, settings(length=length))) == [(1, 90, 120), (1, 498, 503)]


def test_equal_ranks_go_by_the_order_of_the_game():
    spots = [Spot(half, time, "Foul", 0.5) for half in (1, 2) for time in (100, 200, 300)]
    for order in (spots, spots[::-1]):
        clips = choose_clips(order, HALVES, settings(length=9))
        assert [clip.events for clip in clips] == [(spots[0],), (spots[1],)]


@pytest.mark.parametrize("seed", range(6))
def test_random_games_last_exactly_as_long_as_asked(seed):
    """The union is measured on a grid; the chosen events are those of the highest ranks, and as few as can be."""
    rng = np.random.default_rng(seed)
    labels = ["Goal", "Foul", "Corner", "Offside"]
    spots = [
        Spot(int(rng.integers(1, 3)), float(rng.uniform(0, 300)), str(rng.choice(labels)), float(rng.uniform(0.3, 1)))
        for _ in range(40)
    ]
    halves = {1: 300.0, 2: 300.0}
    for length in (1.0, 37.5, 100.0, 200.0):
        clips = choose_clips(spots, halves, settings(length=length))
        grid = np.zeros((3, 300_000), bool)
        for clip in clips:
            assert 0 <= clip.start < clip.end <= 300
            assert not grid[clip.half, round(clip.start * 1000) : round(clip.end * 1000)].any()
            grid[clip.half, round(clip.start * 1000) : round(clip.end * 1000)] = True
            assert all(clip.start <= event.time <= clip.end for event in clip.events)
        assert total(clips) == pytest.approx(length, abs=1e-6)
        assert grid.sum() / 1000 == pytest.approx(length, abs=0.001 * len(clips))
        assert clips == sorted(clips, key=lambda clip: (clip.half, clip.start))

        def rank(spot: Spot) -> float:
            return spot.confidence * (3 if spot.label == "Goal" else 1)

        chosen = {event for clip in clips for event in clip.events}
        assert min(map(rank, chosen)) > max(rank(spot) for spot in spots if spot not in chosen)
        fewer = sorted(chosen, key=rank)[1:]
        assert not fewer or total(choose_clips(fewer, halves, settings())) <= length


def test_titles_say_when_and_what():
    clip = Clip(2, 600, 700, (Spot(2, 659.9, "Foul", 0.812), Spot(2, 661, "Yellow->red card", 0.5)))
    assert clip.title == "2 - 10:59 Foul 81 %, Yellow->red card 50 %"
