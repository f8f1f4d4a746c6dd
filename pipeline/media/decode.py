"""Decoding with PyAV: hostile files kept in, rotation applied, time stamps kept, nothing dropped in silence.

Coordinates: images are uint8 (height, width, 3), RGB, upright (as a player shows them).
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import av.error
import numpy as np
import simplejpeg
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline.errors import VideoError

# Containers that hold their own media. Playlists and scripts (HLS, DASH, concat, SDP, image patterns …), through which
# a "video" could make the decoder open other files or addresses, are not among them.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,h264,hevc,m4v,mpegvideo,mxf,nut,gif,ivf"
_OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", "enable_drefs": "0"}
_MAX_SIDE = 16384


@contextmanager
def open_video(path: Path | str, *, threads: int = 1) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local video file and choose its first real video stream (cover art does not count).

    Args:
        path: The file. Only this file is read, whatever it names inside.
        threads: Decoder threads; 0 lets the decoder choose.

    Raises:
        VideoError: the file is missing, empty, unreadable, in no supported container, or holds no video stream.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise VideoError("missing" if not path.exists() else "not a file")
        if path.stat().st_size == 0:
            raise VideoError("empty (0 bytes)")
        container = av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
    except VideoError:
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"cannot be opened: {describe(error)}") from None
    with container:
        assert isinstance(container, InputContainer)
        streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
        if not streams:
            kinds = sorted({stream.type for stream in container.streams})
            raise VideoError(f"no video stream (only {', '.join(kinds) or 'no streams at all'})")
        stream = streams[0]
        context = stream.codec_context
        if context is None:
            raise VideoError(f"no decoder for its video stream ({stream.name or 'unknown codec'})")
        if max(context.width, context.height) > _MAX_SIDE:
            raise VideoError(f"{context.width}x{context.height} pixels; at most {_MAX_SIDE} a side are read")
        context.thread_count = threads
        if threads != 1:
            context.thread_type = "AUTO"
        yield container, stream


def decode(container: InputContainer, stream: VideoStream) -> Iterator[tuple[float, VideoFrame]]:
    """Every frame of a stream with its time in seconds, in the order of showing.

    Raises:
        VideoError: the stream is damaged; the message says at which frame.
    """
    clock = FrameClock(stream)
    count = 0
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise VideoError(f"damaged: frame {count} is incomplete")
            yield clock(frame), frame
            count += 1
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"decoding failed after {count} frames: {describe(error)}") from None


class FrameClock:
    """Times of successive frames; one without a time stamp follows its predecessor by the stream's frame duration."""

    def __init__(self, stream: VideoStream):
        self._step = float(1 / (stream.average_rate or stream.guessed_rate or Fraction(25)))
        self._last: float | None = None

    def __call__(self, frame: VideoFrame) -> float:
        if frame.time is not None:
            self._last = frame.time
        else:
            self._last = 0.0 if self._last is None else self._last + self._step
        return self._last


def sample(frames: Iterator[tuple[float, VideoFrame]], rate: float | None) -> Iterator[tuple[float, VideoFrame]]:
    """Thin frames out to ``rate`` per second: for each tick the frame nearest to it, none twice.

    Ticks start at the first frame. Time stamps stay the frames' own. ``None`` keeps every frame.
    """
    if rate is None:
        yield from frames
        return

    def has_tick(begin: float, end: float) -> bool:
        return math.ceil((begin - start) * rate - 1e-9) < (end - start) * rate - 1e-9

    held: tuple[float, VideoFrame] | None = None
    start = begin = 0.0  # `held` is the nearest frame to every tick from `begin` to half-way to its successor
    for time, frame in frames:
        if held is None:
            start = begin = time
        else:
            end = (held[0] + time) / 2
            if has_tick(begin, end):
                yield held
            begin = end
        held = (time, frame)
    if held is not None and (held[0] == start or has_tick(begin, 2 * held[0] - begin)):
        yield held


def scaled_size(
    frame: VideoFrame, size: int | tuple[int, int] | None, aspect: Fraction | None = None
) -> tuple[int, int]:
    """Height and width of the upright image, in pixels.

    Args:
        frame: A decoded frame, as stored (not yet rotated).
        size: Shorter side, (height, width), or None for the video's own size.
        aspect: Width over height of one stored pixel; None means square.
    """
    return _scaled_size(frame.width, frame.height, quarter_turns(frame) % 2 == 1, size, aspect)


@lru_cache
def _scaled_size(
    stored_width: int, stored_height: int, turned: bool, size: int | tuple[int, int] | None, aspect: Fraction | None
) -> tuple[int, int]:
    if isinstance(size, tuple):
        return size
    width, height = Fraction(stored_width) * (aspect or 1), Fraction(stored_height)
    if turned:
        width, height = height, width
    factor = 1 if size is None else Fraction(size) / min(width, height)
    return max(1, round(height * factor)), max(1, round(width * factor))


def capped_size(frame: VideoFrame, long_side: int | None) -> tuple[int, int]:
    """Height and width of the upright image when its longer side may be at most ``long_side`` pixels."""
    height, width = scaled_size(frame, None)
    factor = min(1.0, long_side / max(height, width)) if long_side else 1.0
    return max(1, round(height * factor)), max(1, round(width * factor))


def to_rgb(frame: VideoFrame, height: int, width: int) -> np.ndarray:
    """Scale a frame (bilinear, antialiased) and turn it upright: uint8 (height, width, 3)."""
    quarters = quarter_turns(frame)
    return turn(_scale(frame, height, width, quarters, "rgb24").to_ndarray(), quarters)


def to_jpeg(frame: VideoFrame, height: int, width: int, quality: int) -> bytes:
    """Scale a frame (bilinear, antialiased), turn it upright, compress it: 4:2:0, full range, BT.601, as JFIF has it.

    The planes go from the scaler to libjpeg-turbo as they are, without a detour through RGB.
    """
    quarters = quarter_turns(frame)
    scaled = _scale(frame, height, width, quarters, "yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG")
    y, u, v = (
        turn(np.frombuffer(memoryview(p), np.uint8).reshape(p.height, p.line_size)[:, : p.width], quarters)
        for p in scaled.planes
    )
    # libjpeg-turbo reads the luma of an odd frame up to the next even side, beyond a tight array's end.
    even = np.pad(y, [(0, side % 2) for side in y.shape], mode="edge")[: y.shape[0], : y.shape[1]]
    return bytes(simplejpeg.encode_jpeg_yuv_planes(even, u, v, quality))


_scalers = threading.local()


def _scale(frame: VideoFrame, height: int, width: int, quarters: int, pixel_format: str, **colour: str) -> VideoFrame:
    """Scale by the thread's own scaler, which keeps its tables from frame to frame (three times as fast)."""
    if not hasattr(_scalers, "scaler"):
        _scalers.scaler = VideoReformatter()
    if quarters % 2:
        height, width = width, height
    return _scalers.scaler.reformat(frame, width, height, pixel_format, interpolation="BILINEAR", **colour)


def quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns that make the stored frame upright (0 to 3)."""
    return round(frame.rotation / 90) % 4


def turn(image: np.ndarray, quarters: int) -> np.ndarray:
    """Rotate counter-clockwise by quarter turns; contiguous."""
    return np.ascontiguousarray(np.rot90(image, quarters))


def describe(error: BaseException) -> str:
    """A decoder's error in words, without paths or numbers of this machine."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
