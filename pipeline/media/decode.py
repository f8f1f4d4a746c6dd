"""Decoding with PyAV: hostile files kept in, pictures upright, nothing dropped silently.

Coordinates: images are uint8 (height, width, 3), RGB, upright (as a player shows them).
"""

import errno
import math
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import simplejpeg
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline.media.limits import check_frame, check_frames, max_frame_pixels
from pipeline.media.timeline import Timeline, steady
from pipeline.runtime.errors import VideoError

# Containers that hold their own media. Playlists and scripts (HLS, DASH, concat, SDP, image patterns …), through which
# a "video" could make the decoder open other files or addresses, are not among them.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,h264,hevc,m4v,mpegvideo,mxf,nut,gif,ivf"
_OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", "enable_drefs": "0"}
# Names and titles that are not UTF-8 must not stop a file. PyAV has to be told so until 18; from 19 on it never stops.
_TEXT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
_MAX_SIDE = 16384
_MAX_ASPECT = 16  # width over height of a pixel, or the other way round; more is a damaged header
_STILLS = {"mjpeg", "png", "bmp", "gif", "tiff", "webp"}  # codecs of cover art


@contextmanager
def open_video(path: Path | str, *, threads: int = 1) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local video file and choose its video stream (cover art does not count).

    Args:
        path: The file. Only this file is read, whatever it names inside.
        threads: Decoder threads; 0 lets the decoder choose.

    Raises:
        VideoError: the file is missing, empty, unreadable, in no supported container, or holds no video stream.
    """
    path = Path(path)
    limit = {"max_pixels": str(max_frame_pixels())}
    try:
        if not path.is_file():
            raise VideoError("missing" if not path.exists() else "not a file")
        if path.stat().st_size == 0:
            raise VideoError("empty (0 bytes)")
        # FFmpeg decodes a first frame here, whose size must be limited, too.
        container = av.open(f"file:{path}", options=_OPTIONS | limit, **_TEXT)
    except VideoError:
        raise
    except av.error.ArgumentError:  # what the whitelist answers
        names = CONTAINERS.replace(",", ", ")
        raise VideoError(f"cannot be opened: not a supported container; supported are {names}") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        damaged = isinstance(error, av.error.InvalidDataError) or getattr(error, "errno", None) == errno.EIO
        reason = "damaged, truncated, or no video" if damaged else describe(error)
        raise VideoError(f"cannot be opened: {reason}") from None
    with container:
        assert isinstance(container, InputContainer)
        stream = _video_stream(container)
        context = stream.codec_context
        if context is None:
            raise VideoError("no decoder for its video stream")
        if max(context.width, context.height) > _MAX_SIDE:
            raise VideoError(f"{context.width}x{context.height} pixels; at most {_MAX_SIDE} a side are read")
        check_frame(context.width, context.height)
        context.options = limit  # frames can be larger than the header says
        context.thread_count = threads
        if threads != 1:
            context.thread_type = "AUTO"
        yield container, stream


def _video_stream(container: InputContainer) -> VideoStream:
    """The first stream that moves: cover art may come first, with or without the flag that says so."""
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise VideoError(f"no video stream (only {', '.join(kinds) or 'no streams at all'})")
    context = streams[0].codec_context
    best = container.streams.best("video")
    if len(streams) > 1 and context is not None and context.name in _STILLS and best in streams:
        assert isinstance(best, VideoStream)
        return best
    return streams[0]


def decode(
    container: InputContainer, stream: VideoStream, *, sought: bool = False
) -> Iterator[tuple[float, VideoFrame]]:
    """Every frame of a stream with its time in seconds, in the order of showing.

    After a seek in the container (``sought``) the first frame must have a time stamp of its own.

    Raises:
        VideoError: the stream is damaged; the message says at which frame.
    """
    timeline, decoder = Timeline(container), FrameDecoder(stream)

    def frames() -> Iterator[VideoFrame]:
        try:
            for packet in container.demux(stream):
                timeline.place(packet)
                for frame in decoder.decode(packet):
                    if sought and decoder.frames == 1 and frame.pts is None:
                        raise VideoError("no time stamp where it was sought for")
                    yield frame
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"decoding failed after {decoder.frames} frames: {describe(error)}") from None
        decoder.finish()

    for frame in steady(frames(), stream):
        assert frame.pts is not None
        assert frame.time_base is not None
        yield float(frame.pts * frame.time_base), frame


class FrameDecoder:
    """Decodes the packets of a stream and counts, so that nothing is lost unnoticed.

    Every packet that is to be shown must give a frame. Those before the first frame may be pictures that refer to
    others outside the recording, which no player shows.

    Args:
        stream: The video stream.
        lenient: Pass over what is damaged instead of raising.

    Attributes:
        frames: Whole frames so far.
    """

    def __init__(self, stream: VideoStream, *, lenient: bool = False):
        self.frames = 0
        self._lenient = lenient
        self._packets = 0
        self._early: list[int] | None = []  # stamps of packets until the first frame is there
        self._first = 0
        self._is_interlaced = False
        self._hides_frames = stream.codec_context.name == "vp8"

    def decode(self, packet: Packet) -> Iterator[VideoFrame]:
        """The frames that a packet completes.

        Raises:
            VideoError: one is incomplete.
            FFmpegError: the packet cannot be decoded.
        """
        if packet.size and not packet.is_discard and not (self._hides_frames and _is_hidden(packet)):
            self._count(packet)
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            if not self._lenient:
                raise
            return
        for frame in frames:
            assert isinstance(frame, VideoFrame)
            if frame.is_corrupt:
                if not self._lenient:
                    raise VideoError(f"damaged: frame {self.frames} is incomplete")
                continue
            self._begin(frame)
            self._is_interlaced |= frame.interlaced_frame
            self.frames += 1
            check_frames(self.frames)
            yield frame

    def _count(self, packet: Packet) -> None:
        if self._early is not None and packet.pts is not None:
            self._early.append(packet.pts)
        elif packet.pts is None or packet.pts >= self._first:
            self._packets += 1

    def _begin(self, frame: VideoFrame) -> None:
        if self._early is None:
            return
        self._first = frame.pts if frame.pts is not None else -(2**63)
        self._packets += sum(pts >= self._first for pts in self._early)
        self._early = None

    @property
    def missing(self) -> int:
        """Frames that packets announced and that never came; two packets may be the fields of one frame."""
        packets = self._packets if self._early is None else len(self._early)
        return max(0, (-(-packets // 2) if self._is_interlaced else packets) - self.frames)

    def finish(self) -> None:
        """At the end of the stream refuse, by a `VideoError`, one of which frames are missing."""
        if self.missing and not self._lenient:
            raise VideoError(f"damaged: {self.missing} of {self.frames + self.missing} frames cannot be decoded")


def _is_hidden(packet: Packet) -> bool:
    """Whether a VP8 packet holds a picture that is only referred to (RFC 6386, Sec. 9.1: show_frame is bit 4)."""
    return not bytes(packet)[0] >> 4 & 1


def sample(frames: Iterator[tuple[float, VideoFrame]], rate: float | None) -> Iterator[tuple[float, VideoFrame]]:
    """Thin frames out to ``rate`` per second: the frame nearest to each tick, none twice; None keeps every frame.

    Ticks start at the first frame. Frames keep their own time stamps.
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


@dataclass(frozen=True)
class Orientation:
    """How a stored picture is shown: mirrored left to right first, then turned counter-clockwise by quarter turns."""

    quarters: int = 0
    mirrored: bool = False

    def upright(self, image: np.ndarray) -> np.ndarray:
        """A stored image as it is shown; contiguous."""
        return np.ascontiguousarray(np.rot90(image[:, ::-1] if self.mirrored else image, self.quarters))

    def stored(self, image: np.ndarray) -> np.ndarray:
        """A shown image as it is stored; contiguous."""
        turned = np.rot90(image, -self.quarters)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)


def side_data(frame: VideoFrame, kind: Type) -> bytes | None:
    """What the file says along with a frame, as FFmpeg's structure of that kind."""
    data: Any = frame.side_data.get(kind)  # type: ignore[call-overload]  # PyAV's stub knows indices only
    return None if data is None else bytes(data)


def display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """The nine numbers of FFmpeg's display matrix, None where the file has none."""
    data = side_data(frame, Type.DISPLAYMATRIX)
    return struct.unpack("=9i", data) if data is not None else None


def orientation(frame: VideoFrame) -> Orientation:
    """How a frame is to be shown; an angle in between counts as the nearest quarter turn."""
    matrix = display_matrix(frame)
    return Orientation() if matrix is None else _orientation(matrix)


@lru_cache
def _orientation(matrix: tuple[int, ...]) -> Orientation:
    a, b, _, c, d = matrix[:5]  # a stored place (x, y) is shown at (a x + c y, b x + d y)
    mirrored = a * d - b * c < 0
    return Orientation(round(math.atan2(c, -a if mirrored else a) / (math.pi / 2)) % 4, mirrored)


def pixel_aspect(stream: VideoStream) -> Fraction | None:
    """Width over height of one stored pixel; None: square, or an incredible value."""
    aspect = stream.sample_aspect_ratio
    return aspect if aspect and 1 <= max(aspect, 1 / aspect) <= _MAX_ASPECT else None


def scaled_size(
    frame: VideoFrame, size: int | tuple[int, int] | None, aspect: Fraction | None = None
) -> tuple[int, int]:
    """Height and width of the upright image, in pixels.

    Args:
        frame: A decoded frame, as stored (not yet rotated).
        size: Shorter side, (height, width), or None for the video's own size.
        aspect: Width over height of one stored pixel; None means square.

    Raises:
        VideoError: it would be larger than any that is read.
    """
    height, width = shown_size(frame, size, aspect)
    if max(height, width) > _MAX_SIDE:
        enlarged = f"{frame.width}x{frame.height} pixels would be scaled to {width}x{height}"
        raise VideoError(f"{enlarged}; at most {_MAX_SIDE} a side are made")
    check_frame(width, height)
    return height, width


def shown_size(
    frame: VideoFrame, size: int | tuple[int, int] | None, aspect: Fraction | None = None
) -> tuple[int, int]:
    """`scaled_size` without a limit, where no picture of that size is made."""
    return _scaled_size(frame.width, frame.height, orientation(frame).quarters % 2 == 1, size, aspect)


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


def capped_size(frame: VideoFrame, long_side: int | None, aspect: Fraction | None = None) -> tuple[int, int]:
    """Height and width of the upright image when its longer side may be at most ``long_side`` pixels."""
    height, width = shown_size(frame, None, aspect)
    factor = min(1.0, (long_side or _MAX_SIDE) / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def to_rgb(frame: VideoFrame, height: int, width: int) -> np.ndarray:
    """Scale a frame (bilinear, antialiased) and turn it upright: uint8 (height, width, 3)."""
    shown = orientation(frame)
    return shown.upright(_scale(frame, height, width, shown.quarters, "rgb24").to_ndarray())


def to_jpeg(frame: VideoFrame, height: int, width: int, quality: int) -> bytes:
    """Scale a frame (bilinear, antialiased), turn it upright, compress it: 4:2:0, full range, BT.601, as JFIF has it.

    The planes go from the scaler to libjpeg-turbo as they are, without a detour through RGB.
    """
    shown = orientation(frame)
    scaled = _scale(frame, height, width, shown.quarters, "yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG")
    y, u, v = (
        shown.upright(np.frombuffer(memoryview(p), np.uint8).reshape(p.height, p.line_size)[:, : p.width])
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
    try:
        return _scalers.scaler.reformat(frame, width, height, pixel_format, interpolation="BILINEAR", **colour)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        kind = f"{frame.format.name}, colour matrix {int(frame.colorspace)}"
        raise VideoError(f"its pictures ({kind}) cannot be converted: {describe(error)}") from None


def describe(error: BaseException) -> str:
    """A decoder's error in words, without paths or numbers of this machine."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
