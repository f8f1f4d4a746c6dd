"""What is compared with what a file promises, number by number, on stand-ins for a file."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.media import probe as module
from pipeline.media.probe import _check_whole, _count_packets, _Packets
from pipeline.runtime.errors import VideoError


def check(
    packets: _Packets,
    *,
    name: str = "mov,mp4",
    frames: int = 0,
    seconds: float | None = None,
    of_all: float | None = None,
) -> None:
    stream: Any = SimpleNamespace(
        frames=frames,
        duration=None if seconds is None else round(seconds * 1000),
        time_base=Fraction(1, 1000),
    )
    container: Any = SimpleNamespace(
        format=SimpleNamespace(name=name), duration=None if of_all is None else round(of_all * 1e6)
    )
    _check_whole("file", container, stream, packets)


@pytest.fixture(autouse=True)
def _sound_structure(monkeypatch):
    monkeypatch.setattr(module, "damage", lambda path: None)


def counted(frames: int = 10, duration: float = 1.0, end: float = 1.0) -> _Packets:
    return _Packets(frames, frames, duration, end)


@pytest.mark.parametrize("name", ["mov,mp4", "matroska,webm", "flv", "gif"])
def test_every_frame_that_is_announced_must_be_there(name):
    check(counted(10), name=name, frames=10)
    check(counted(11), name=name, frames=10)
    with pytest.raises(VideoError, match=r"^truncated: 9 of 10 frames are there$"):
        check(counted(9), name=name, frames=10)


def test_avi_announces_slots_which_its_structure_counts():
    check(counted(9), name="avi", frames=10, seconds=100)


@pytest.mark.parametrize(("there", "whole"), [(9.5, True), (9.49, False)])
def test_half_a_second_may_be_missing_of_a_short_file(there, whole):
    for options in ({"seconds": 10}, {"name": "flv", "of_all": 10}):
        packets = counted(duration=there, end=there)
        if whole:
            check(packets, **options)
        else:
            with pytest.raises(VideoError, match=r"^truncated: 9\.49 of 10\.00 seconds are there$"):
                check(packets, **options)


@pytest.mark.parametrize(("there", "whole"), [(970, True), (969.9, False)])
def test_three_hundredths_may_be_missing_of_a_long_one(there, whole):
    if whole:
        check(counted(duration=there), seconds=1000)
    else:
        with pytest.raises(VideoError, match=r"^truncated: 969\.90 of 1000\.00 seconds are there$"):
            check(counted(duration=there), seconds=1000)


@pytest.mark.parametrize("name", ["mpegts", "mpeg", "matroska,webm"])
def test_what_was_read_off_the_stamps_is_no_promise(name):
    check(counted(), name=name, seconds=100, of_all=100)


@pytest.mark.parametrize(("name", "promises"), [("matroska,webm", False), ("flv", True), ("asf", True), ("ogg", False)])
def test_a_header_promises_when_the_last_stream_ends(name, promises):
    check(counted(duration=0.1, end=100), name=name, of_all=100)
    if promises:
        with pytest.raises(VideoError, match=r"^truncated: 1\.00 of 100\.00 seconds are there$"):
            check(counted(), name=name, of_all=100)
    else:
        check(counted(), name=name, of_all=100)


@pytest.mark.parametrize(
    ("frames", "message"), [(0, "broken, 10 frames"), (10, "broken, 10 frames"), (11, "broken, 10 of 11 frames")]
)
def test_a_broken_structure_says_what_is_there(monkeypatch, frames, message):
    monkeypatch.setattr(module, "damage", lambda path: "broken")
    with pytest.raises(VideoError, match=f"^{message}$"):
        check(counted(), name="matroska,webm", frames=frames)
    if frames == 10:
        check(counted(), frames=frames)  # an index of MP4 says more


class Packet(SimpleNamespace):
    def __init__(self, pts: int | None, **changes: Any):
        values = {"dts": pts, "duration": 40, "size": 1, "stream_index": 0, "time_base": Fraction(1, 1000)}
        flags = dict.fromkeys(("is_discard", "is_corrupt", "is_keyframe"), False)
        super().__init__(pts=pts, **(values | flags | changes))


def count(packets: list[Packet], name: str = "mov,mp4", rate: Fraction | None = Fraction(25)) -> _Packets:
    container: Any = SimpleNamespace(format=SimpleNamespace(name=name), start_time=0, demux=lambda: iter(packets))
    stream: Any = SimpleNamespace(index=0, average_rate=rate, time_base=Fraction(1, 1000))
    return _count_packets(container, stream)


def test_pictures_their_duration_and_the_end_of_all_streams_are_counted():
    packets = [Packet(0), Packet(80), Packet(40), Packet(500, stream_index=1, duration=20), Packet(600, size=0)]
    assert count(packets) == _Packets(3, 3, 0.12, 0.52)


def test_what_an_edit_list_leaves_out_is_stored_but_not_shown():
    assert count([Packet(-40, is_discard=True), Packet(0), Packet(40)]) == _Packets(3, 2, 0.08, 0.08)


def test_the_rate_stands_in_for_durations_and_stamps():
    assert count([Packet(0, duration=None), Packet(40, duration=0)]) == _Packets(2, 2, 0.08, 0.04)
    assert count([Packet(None), Packet(None)]) == _Packets(2, 2, 0.08, 0.0)
    assert count([Packet(None), Packet(None)], rate=None) == _Packets(2, 2, 0.08, 0.0)
    assert count([Packet(0, duration=None), Packet(40, duration=None)], rate=None).duration == 0.04


def test_a_file_of_one_instant_begins_at_zero():
    assert count([Packet(0, duration=0)], rate=None) == _Packets(1, 1, 0.0, 0.0)


@pytest.mark.parametrize("name", ["mov,mp4", "mpegts"])
def test_an_incomplete_packet_is_named(name):
    with pytest.raises(VideoError, match=r"^truncated or damaged: packet 1 is incomplete$"):
        count([Packet(0), Packet(40, is_corrupt=True), Packet(80), Packet(120)], name)
    with pytest.raises(VideoError, match=r"packet 0 is incomplete"):
        count([Packet(0, is_corrupt=True)], name)


@pytest.mark.parametrize(("between", "is_joint"), [(0, True), (1, True), (2, False)])
def test_where_recordings_were_joined_a_keyframe_follows(between, is_joint):
    packets = [Packet(0), Packet(40, is_corrupt=True)]
    packets += [Packet(80 + 40 * k) for k in range(between)] + [Packet(200, is_keyframe=True), Packet(240)]
    if is_joint:
        assert count(packets, "mpegts").stored == 4 + between
    else:
        with pytest.raises(VideoError, match="packet 1 is incomplete"):
            count(packets, "mpegts")
    with pytest.raises(VideoError, match="packet 1 is incomplete"):
        count(packets, "mov,mp4")
