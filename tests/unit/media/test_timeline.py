"""One clock for joined recordings, and stamps that rise; by hand, without a file."""

from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.media.timeline import Timeline, steady

STREAM: Any = SimpleNamespace(average_rate=Fraction(25), guessed_rate=None)


@dataclass
class Packet:
    pts: int | None
    dts: int | None
    stream_index: int = 0
    duration: int | None = 40
    size: int = 1
    time_base: Fraction | None = Fraction(1, 1000)


@dataclass
class Frame:
    pts: int | None
    time_base: Fraction | None = Fraction(1, 1000)


def container(name: str = "matroska,webm", start_time: int | None = 0) -> Any:
    return SimpleNamespace(format=SimpleNamespace(name=name), start_time=start_time)


def placed(packets: list[Packet], name: str = "matroska,webm") -> list[tuple[int | None, int | None]]:
    timeline = Timeline(container(name))
    for packet in packets:
        timeline.place(packet)  # type: ignore[arg-type]
    return [(packet.pts, packet.dts) for packet in packets]


def stamps(pts: list[int | None]) -> list[int | None]:
    return [frame.pts for frame in steady([Frame(stamp) for stamp in pts], STREAM)]  # type: ignore[misc]


@pytest.mark.parametrize(("start", "zero"), [(None, 0), (0, 0), (1_500_000, Fraction(3, 2)), (-23_000, 0)])
def test_zero_is_where_the_file_begins_but_never_before_zero(start, zero):
    assert Timeline(container(start_time=start)).zero == zero


def test_stamps_that_go_on_stay():
    packets = [Packet(0, -80), Packet(80, -40), Packet(40, 0), Packet(9_040, 9_000)]
    assert placed(packets) == [(0, -80), (80, -40), (40, 0), (9_040, 9_000)]


@pytest.mark.parametrize(("back", "joined"), [(1000, False), (1001, True)])
def test_a_recording_ends_where_stamps_go_back_by_more_than_a_second(back, joined):
    first, second = Packet(5000, 5000), Packet(5000 - back, 5000 - back)
    assert placed([first, second])[1] == ((5040, 5040) if joined else (4000, 4000))


@pytest.mark.parametrize(("forward", "joined"), [(10_000, False), (10_001, True)])
def test_forward_too_where_clocks_may_be_reset(forward, joined):
    for name in ("mpegts", "mpeg"):
        packets = [Packet(0, 0), Packet(forward, forward)]
        assert placed(packets, name)[1] == ((40, 40) if joined else (forward, forward))
    assert placed([Packet(0, 0), Packet(forward, forward)])[1] == (forward, forward)


def test_the_next_recording_begins_with_its_picture_not_with_its_decoding():
    packets = [Packet(5000, 5000), Packet(200, 0), Packet(240, 40)]
    assert placed(packets)[1:] == [(5040, 4840), (5080, 4880)]


def test_a_recording_ends_with_its_last_picture_not_with_the_last_that_is_decoded():
    packets = [Packet(4840, 4800), Packet(5000, 4880), Packet(4920, 4920), Packet(200, 0)]
    assert placed(packets)[3] == (5040, 4840)


def test_other_streams_follow_into_the_same_recording_when_they_jump_themselves():
    video = [Packet(5000, 5000), Packet(0, 0)]
    sound = [Packet(5010, 5010, 1), Packet(10, 10, 1)]
    packets = [video[0], video[1], sound[0], sound[1]]
    assert placed(packets) == [(5000, 5000), (5040, 5040), (5010, 5010), (5050, 5050)]


def test_the_end_counts_all_streams_and_what_was_moved():
    packets = [
        Packet(5000, 5000),
        Packet(5100, 5100, 1),
        Packet(0, 0),
        Packet(100, 100, 1),
        Packet(1000, 1000),
        Packet(-500, -500),
    ]
    placed_stamps = placed(packets)
    assert placed_stamps[2] == (5140, 5140)
    assert placed_stamps[4] == (6140, 6140)
    assert placed_stamps[5] == (6180, 6180)


def test_what_has_no_stamp_or_is_empty_is_left_alone():
    timeline = Timeline(container())
    for packet in (Packet(None, None), Packet(7, 7, size=0), Packet(7, 7, time_base=None)):
        before = (packet.pts, packet.dts)
        timeline.place(packet)  # type: ignore[arg-type]
        assert (packet.pts, packet.dts) == before


def test_packets_without_decoding_stamps_move_with_their_recording():
    assert placed([Packet(5000, 5000), Packet(0, 0), Packet(80, None)])[2] == (5120, None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([7], [7]),
        ([None], [0]),
        ([-40, 0, 40], [-40, 0, 40]),
        ([0, 40, 80], [0, 40, 80]),
        ([0, 30, 130], [0, 30, 130]),  # a variable rate stays
        ([0, 40, 40, 120], [0, 40, 80, 120]),  # repeats
        ([0, 40, 40, 80], [0, 40, 60, 80]),  # half-way where there is no more room
        ([0, 40, 40], [0, 40, 80]),  # at the end
        ([0, 40, 20, 120], [0, 40, 80, 120]),  # goes back
        ([0, 900, 80, 120], [0, 40, 80, 120]),  # runs ahead
        ([0, None, 80], [0, 40, 80]),
        ([None, None, None], [0, 40, 80]),
        ([0, 100, None, None], [0, 100, 200, 300]),  # as the last two frames
        ([5, 5, 5, 6], [5, 45, 85, 125]),
        ([0, 1, 1, 2], [0, 1, 2, 3]),
        ([900, 40, 80], [0, 40, 80]),
        ([0, 40, 80, 20, 60, 100, 140], [0, 40, 80, 86, 92, 100, 140]),  # they catch up with stamps that went back
        ([0, 40, 40, 40, 160], [0, 40, 80, 120, 160]),
        ([0, 40, 40, 43], [0, 40, 41, 43]),
        ([0, 40, 40, 42], [0, 40, 41, 42]),
        ([0, 40, 40, 41], [0, 40, 80, 120]),  # no room
        ([0, 40, None, 1000], [0, 40, 80, 1000]),
    ],
)
def test_stamps_rise(given, expected):
    assert stamps(given) == expected


def test_frames_without_a_time_base_are_counted_in_microseconds():
    frames = list(steady([Frame(None, None), Frame(None, None)], STREAM))  # type: ignore[list-item]
    assert [(frame.pts, frame.time_base) for frame in frames] == [
        (0, Fraction(1, 1_000_000)),
        (40_000, Fraction(1, 1_000_000)),
    ]


def test_the_rate_is_guessed_where_none_is_known():
    stream: Any = SimpleNamespace(average_rate=None, guessed_rate=Fraction(10))
    assert [frame.pts for frame in steady([Frame(0), Frame(None)], stream)] == [0, 100]  # type: ignore[list-item]
    stream = SimpleNamespace(average_rate=None, guessed_rate=None)
    assert [frame.pts for frame in steady([Frame(0), Frame(None)], stream)] == [0, 40]  # type: ignore[list-item]


def test_frames_are_read_ahead_only_where_a_stamp_has_to_be_made_up():
    read = []

    def frames(pts):
        for stamp in pts:
            read.append(stamp)
            yield Frame(stamp)

    rising = steady(frames(range(0, 4000, 40)), STREAM)  # type: ignore[arg-type]
    next(rising)
    assert len(read) == 2
    read.clear()
    lost = steady(frames([0, 40, *[7] * 100]), STREAM)  # type: ignore[arg-type]
    assert [next(lost).pts for _ in range(3)] == [0, 40, 80]
    assert len(read) == 2 + 32
