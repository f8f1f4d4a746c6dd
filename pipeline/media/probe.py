"""What a video file is: size, rate, duration, rotation, read from its packets without decoding more than one frame."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error

from pipeline.errors import VideoError
from pipeline.media.decode import decode, describe, open_video, orientation, pixel_aspect, scaled_size
from pipeline.media.extent import announced_size
from pipeline.media.timeline import ESTIMATING, Timeline

_MISSING_SECONDS = 0.5  # a header may round its duration; more than this and a tenth missing is a truncated file
_MISSING_FRACTION = 0.1
_PENDING = 2  # packets that a parser holds back when a loss is noticed


@dataclass(frozen=True)
class VideoInfo:
    """What the manifest says of a video.

    ``height`` and ``width`` are those of the upright picture in pixels; ``duration`` is in seconds; ``frame_rate`` is
    the mean rate in frames per second; ``rotation`` is in degrees, counter-clockwise, as stored in the file, after the
    stored picture was ``mirrored`` left to right. Frames that an edit list leaves out do not count.
    """

    duration: float
    frame_rate: float
    frames: int
    height: int
    width: int
    rotation: int
    codec: str
    pixel_format: str
    mirrored: bool = False


def probe(path: Path | str) -> VideoInfo:
    """Look at a video without decoding it: every packet is counted, the first frame decoded.

    Raises:
        VideoError: missing, empty, no video, truncated, or not decodable; the message is the reason.
    """
    with open_video(path) as (container, stream):
        _, first = next(decode(container, stream), (0.0, None))
        if first is None:
            raise VideoError("no frame can be decoded")
        height, width = scaled_size(first, None, pixel_aspect(stream))
        shown = orientation(first)
        codec = stream.codec_context.name
        pixel_format = first.format.name
        is_promise = container.format.name not in ESTIMATING  # else it was read off the stamps themselves
        declared = float(stream.duration * (stream.time_base or 0)) if stream.duration and is_promise else 0.0
        whole = _declared_seconds(container)
    with open_video(path) as (container, stream):
        stored, frames, duration, end = _count_packets(container, stream)
        expected, format_name = stream.frames, container.format.name
    size, announced = Path(path).stat().st_size, announced_size(path)
    # An index says more than the size of an MP4 file, which some writers get wrong; one in fragments has none.
    if announced is not None and size < announced and not (expected and "mp4" in format_name):
        raise VideoError(f"truncated: {size} of {announced} bytes are there, {stored} frames")
    # AVI counts the slots of its constant rate, of which some may be empty; the durations below tell the same.
    if expected and stored < expected and format_name != "avi":
        raise VideoError(f"truncated: {stored} of {expected} frames are there")
    for there, promised in ((duration, declared), (end, 0.0 if declared else whole)):
        if promised and there < promised - max(_MISSING_SECONDS, _MISSING_FRACTION * promised):
            raise VideoError(f"truncated: {there:.2f} of {promised:.2f} seconds are there")
    return VideoInfo(
        duration=round(duration, 6),
        frame_rate=round(frames / duration, 6) if duration > 0 else 0.0,
        frames=frames,
        height=height,
        width=width,
        rotation=shown.quarters * 90,
        codec=codec,
        pixel_format=pixel_format,
        mirrored=shown.mirrored,
    )


def _declared_seconds(container: av.container.InputContainer) -> float:
    """Time at which the last of the file's streams ends, by a header that is written for the whole file; else 0."""
    if container.format.name.startswith(("matroska", "flv", "asf")) and container.duration:
        return container.duration / av.time_base
    return 0.0


def _count_packets(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> tuple[int, int, float, float]:
    """Stored pictures, shown pictures, their duration, and the time at which the last of all streams ends (seconds)."""
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
        return count, shown, float(shown / rate), end
    if not longest and stream.average_rate:
        longest = round(1 / stream.average_rate / stream.time_base)
    return count, shown, float((last - first + longest) * stream.time_base), end
