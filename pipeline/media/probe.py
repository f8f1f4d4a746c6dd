"""What a video file is: size, rate, duration, rotation, read from its packets without decoding more than one frame."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.media.decode import decode, describe, open_video, orientation, pixel_aspect, shown_size
from pipeline.media.limits import check_frames
from pipeline.media.manifest import VideoInfo
from pipeline.media.structure import UNFINISHED, damage
from pipeline.media.timeline import ESTIMATING, Timeline
from pipeline.runtime.errors import VideoError

_MISSING_SECONDS = 0.5  # a header may round its duration; more than this and this part missing is a truncated file
_MISSING_FRACTION = 0.03
# Containers whose durations promise nothing: read off the stamps themselves or, in Matroska, including how long the
# last picture is shown, which its packets do not tell.
_UNPROMISING = (*ESTIMATING, "matroska")
_WITH_DURATION = ("flv", "asf")  # containers whose header promises when the last stream ends
_PENDING = 2  # packets that a parser holds back when a loss is noticed


@dataclass(frozen=True)
class _Packets:
    """What was counted: stored and shown pictures, the seconds that they last, and the end of the last stream."""

    stored: int
    shown: int
    duration: float
    end: float


def probe(path: Path | str) -> VideoInfo:
    """Look at a video: every packet is counted, only the first frame is decoded.

    Raises:
        VideoError: missing, empty, no video, truncated, or not decodable; the message is the reason.
    """
    with open_video(path) as (container, stream):
        _, first = next(decode(container, stream), (0.0, None))
        if first is None:
            raise VideoError("no frame can be decoded")
        height, width = shown_size(first, None, pixel_aspect(stream))
        shown = orientation(first)
        codec = stream.codec_context.name
    with open_video(path) as (container, stream):
        packets = _count_packets(container, stream)
        _check_whole(path, container, stream, packets)
    return VideoInfo(
        duration=round(packets.duration, 6),
        frame_rate=round(packets.shown / packets.duration, 6) if packets.duration > 0 else 0.0,
        frames=packets.shown,
        height=height,
        width=width,
        rotation=shown.quarters * 90,
        codec=codec,
        pixel_format=first.format.name,
        mirrored=shown.mirrored,
    )


def _check_whole(path: Path | str, container: InputContainer, stream: VideoStream, packets: _Packets) -> None:
    """Refuse, by a `VideoError`, a file with less in it than its headers promise."""
    name, expected, stored = container.format.name, stream.frames, packets.stored
    # An index says more than the size of an MP4 file, which some writers get wrong; one in fragments has none.
    reason = None if expected and "mp4" in name else damage(path)
    if reason is not None:
        known = f" of {expected}" if stored < expected < UNFINISHED else ""
        raise VideoError(f"{reason}, {stored}{known} frames")
    if name == "avi":  # which announces slots of its constant rate, empty ones too, that were counted
        return
    if stored < expected:
        raise VideoError(f"truncated: {stored} of {expected} frames are there")
    end, promised = 0.0, 0.0
    if name.startswith(_UNPROMISING):
        return
    if stream.duration:
        end, promised = packets.duration, float(stream.duration * (stream.time_base or 0))
    elif name.startswith(_WITH_DURATION) and container.duration:
        end, promised = packets.end, container.duration / av.time_base
    if end < promised - max(_MISSING_SECONDS, _MISSING_FRACTION * promised):
        raise VideoError(f"truncated: {end:.2f} of {promised:.2f} seconds are there")


def _count_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    timeline = Timeline(container)
    incomplete: int | None = None  # the last packet, if it is not whole
    count, shown, first, last, longest, end = 0, 0, None, None, 0, 0.0
    try:
        for packet in container.demux():
            if packet.size == 0:
                continue
            timeline.place(packet)
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None and packet.time_base is not None:
                end = max(end, float((stamp + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index != stream.index:
                continue
            # Where recordings were joined the counters of MPEG-TS jump, which looks like a loss; a keyframe follows.
            if container.format.name == "mpegts" and packet.is_keyframe and count - (incomplete or 0) <= _PENDING:
                incomplete = None
            if incomplete is None and packet.is_corrupt:
                incomplete = count
            count += 1
            check_frames(count)
            if packet.is_discard:
                continue
            shown += 1
            if stamp is not None:
                first = stamp if first is None else min(first, stamp)
                last = stamp if last is None else max(last, stamp)
                longest = packet.duration or longest
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"truncated or damaged after {count} packets: {describe(error)}") from None
    if incomplete is not None:
        raise VideoError(f"truncated or damaged: packet {incomplete} is incomplete")
    if first is None or last is None or stream.time_base is None:
        rate = stream.average_rate or Fraction(25)
        return _Packets(count, shown, float(shown / rate), end)
    if not longest and stream.average_rate:
        longest = round(1 / stream.average_rate / stream.time_base)
    return _Packets(count, shown, float((last - first + longest) * stream.time_base), end)
