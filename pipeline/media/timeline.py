"""Time stamps: one clock for all streams of a file, and frames whose stamps rise."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

ESTIMATING = ("mpegts", "mpeg")  # containers without a header, whose clocks may be reset
# Seconds by which stamps jump where recordings were joined: back in any container, forward in those.
_BACK = 1
_FORWARD = 10
_AHEAD = 32  # frames among which the next good stamp is looked for


class Timeline:
    """Moves the stamps of packets, given in the order of the file, so that time goes on where recordings were joined.

    ``zero`` is the stamp, in seconds, that players show as 0.
    """

    def __init__(self, container: InputContainer):
        self.zero = max(Fraction(0), Fraction(container.start_time or 0, av.time_base))
        self._offsets = [Fraction(0)]  # of each recording, in seconds
        self._recording: dict[int, int] = {}  # of each stream
        self._last: dict[int, Fraction] = {}  # its last stamp, as read
        self._end = Fraction(0)  # of what was placed
        self._resets = container.format.name in ESTIMATING

    def place(self, packet: Packet) -> None:
        """Move a packet's stamps."""
        if packet.time_base is None or packet.size == 0:
            return
        stream = packet.stream_index
        if packet.dts is not None:
            self._continue(stream, packet)
            self._last[stream] = packet.dts * packet.time_base
        move(packet, self._offsets[self._recording.get(stream, 0)])
        shown = packet.dts if packet.pts is None else packet.pts
        if shown is not None:
            self._end = max(self._end, (shown + (packet.duration or 0)) * packet.time_base)

    def _continue(self, stream: int, packet: Packet) -> None:
        """Go over to the next recording where the stream's stamps jump."""
        assert packet.dts is not None
        jump = packet.dts * packet.time_base - self._last.get(stream, packet.dts * packet.time_base)
        if jump >= -_BACK and not (self._resets and jump > _FORWARD):
            return
        recording = self._recording[stream] = self._recording.get(stream, 0) + 1
        if recording == len(self._offsets):
            shown = packet.dts if packet.pts is None else packet.pts
            self._offsets.append(self._end - shown * packet.time_base)


def move(packet: Packet, seconds: Fraction) -> None:
    """Move a packet's stamps."""
    offset = round(seconds / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + offset
    packet.dts = None if packet.dts is None else packet.dts + offset


def steady(frames: Iterable[VideoFrame], stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames whose stamps rise: one whose stamp is missing, repeats, goes back or runs ahead gets another.

    It then follows its predecessor as that followed its own, or sooner where the next good stamp leaves less room.
    """
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    source, ahead = iter(frames), deque[VideoFrame]()
    last: int | None = None
    step: int | None = None  # between the last two frames
    while _fill(ahead, source, 2):
        frame = ahead[0]
        frame.time_base = frame.time_base or Fraction(1, av.time_base)
        usual = step or max(1, round(1 / rate / frame.time_base))
        if not _is_good(frame.pts, last, ahead[1].pts if len(ahead) > 1 else None, usual):
            frame.pts = _made_up(ahead, source, last, usual)
        assert frame.pts is not None
        step = None if last is None else frame.pts - last
        last = frame.pts
        yield ahead.popleft()


def _fill(ahead: deque[VideoFrame], source: Iterator[VideoFrame], count: int) -> int:
    """Read until ``count`` frames wait or there are no more; returns how many wait."""
    while len(ahead) < count and (frame := next(source, None)) is not None:
        ahead.append(frame)
    return len(ahead)


def _is_good(stamp: int | None, last: int | None, following: int | None, step: int) -> bool:
    """Whether a frame can keep its stamp after ``last``: of two that do not rise the less expected one cannot."""
    if stamp is None or (last is not None and stamp <= last):
        return False
    lowest, expected = (0, 0) if last is None else (last + 1, last + step)
    runs_ahead = following is not None and lowest < following < stamp
    return not runs_ahead or abs(stamp - expected) <= abs((following or 0) - expected)


def _made_up(ahead: deque[VideoFrame], source: Iterator[VideoFrame], last: int | None, step: int) -> int:
    """A stamp for the first frame that waits; between ``last`` and the next good one the frames are spread evenly."""
    if last is None:
        return 0
    for count in range(1, _AHEAD):
        if _fill(ahead, source, count + 1) <= count:
            break
        stamp = ahead[count].pts
        if stamp is not None and stamp > last + count:
            return last + min(step, (stamp - last) // (count + 1))
    return last + step
