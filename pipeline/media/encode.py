"""Encoding with PyAV: a video file like another one, with other pictures.

Frame count, time stamps, rotation, pixel format and colour description stay; audio is copied as it is, and subtitles
where the container can hold them. Cover art, further video streams, data streams and metadata are left out.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from pipeline.errors import ActaError, VideoError, is_storage_failure
from pipeline.files import atomic
from pipeline.media.decode import FrameClock, describe, open_video

_ENCODERS = {".webm": ("libvpx-vp9", {"crf": "30", "b": "0", "row-mt": "1", "deadline": "realtime", "cpu-used": "6"})}
_COPIED = ("audio", "subtitle")
_COLOUR = ("color_range", "color_primaries", "color_trc", "colorspace")
# Containers that keep the time stamps of H.264 (of VP9, WebM); AVI has none and would shift them.
CONTAINERS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts")


@dataclass(frozen=True)
class Encoding:
    """How the output is encoded: libx264's constant rate factor (lower is better and larger) and its preset."""

    crf: int = 20
    preset: str = "veryfast"


@contextmanager
def rewritten(
    source: Path, output: Path, encoding: Encoding = Encoding()
) -> Iterator[tuple[Iterator[VideoFrame], FrameClock, "VideoWriter"]]:
    """A copy of a video to be written picture by picture; it appears when it is whole.

    Args:
        source: The video. It is only read.
        output: The copy; its suffix chooses the container.
        encoding: Quality and speed of the encoder.

    Yields:
        The decoded pictures (YUV), the clock that tells their times, and the writer that takes pictures.

    Raises:
        ActaError: ``output`` is ``source``, or its container is unknown, or the disk is full.
        VideoError: ``source`` is damaged; nothing is written then.
    """
    if output.exists() and output.samefile(source):
        raise ActaError(f"{output} is the input itself; choose another output")
    if output.suffix.lower() not in CONTAINERS:
        raise ActaError(f"cannot write {output.name}: choose one of {' '.join(CONTAINERS)}")
    try:
        with (
            open_video(source, threads=0) as (container, stream),
            atomic(output) as temporary,
            WholeFile(temporary) as file,
            av.open(file, "w") as out,
        ):
            writer = VideoWriter(container, stream, out, output.suffix, encoding)
            yield writer.copy_others(container), FrameClock(stream), writer
            writer.finish()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if is_storage_failure(error):
            raise ActaError(f"{output} could not be written: {describe(error)}") from None
        raise ActaError(f"{source} -> {output}: {describe(error)}") from None


class WholeFile(io.FileIO):
    """A file that remembers a failed write: the muxer would pass over it and end with a file that is not whole."""

    def __init__(self, path: Path):
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        done = 0
        try:
            while done < len(data):
                done += super().write(data[done:])
        except OSError as error:
            self.error = self.error or error
            raise
        return done

    def __exit__(self, *details: Any) -> None:
        super().__exit__(*details)
        if self.error is not None:
            raise self.error


class VideoWriter:
    """The output file: one encoded video stream like the source's, and copies of its audio and subtitles."""

    def __init__(
        self, source: InputContainer, stream: VideoStream, out: OutputContainer, suffix: str, encoding: Encoding
    ):
        self._out = out
        self._source = stream
        self._suffix = suffix.lower()
        self._encoding = encoding
        self._clock = FrameClock(stream)
        self._video: Any = None
        self._shape: tuple[int, int, int] | None = None
        self._last_pts: int | None = None
        self._copies = {}
        for other in source.streams:
            context = other.codec_context
            if other.type not in _COPIED or context is None:
                continue
            if context.name in out.supported_codecs:
                self._copies[other.index] = out.add_stream_from_template(other)
            elif other.type == "audio":
                raise ActaError(f"{suffix or 'this container'} cannot hold {context.name} audio; choose .mkv")
            else:
                print(f"{suffix} cannot hold {context.name} subtitles: they are left out", file=sys.stderr)
        self._waiting: list[av.Packet] = []  # packets to copy that came before the first picture was written

    def copy_others(self, container: InputContainer) -> Iterator[VideoFrame]:
        """Decode the video; pass packets of the copied streams on as they come.

        Raises:
            VideoError: the stream is damaged, or changes its size or rotation half-way.
        """
        wanted = [self._source, *(s for s in container.streams if s.index in self._copies)]
        count = 0
        try:
            for packet in container.demux(wanted):
                if packet.stream.index in self._copies:
                    self._copy(packet)
                    continue
                for frame in packet.decode():
                    assert isinstance(frame, VideoFrame)
                    if frame.is_corrupt:
                        raise VideoError(f"damaged: frame {count} is incomplete")
                    shape = (frame.width, frame.height, frame.rotation)
                    if self._shape is not None and shape != self._shape:
                        raise VideoError(f"its size or rotation changes at frame {count}: {self._shape} to {shape}")
                    self._shape = shape
                    yield _as_yuv(frame)
                    count += 1
        except av.error.FFmpegError as error:
            raise VideoError(f"decoding failed after {count} frames: {describe(error)}") from None

    def write(self, frame: VideoFrame) -> None:
        """Encode one frame.

        Raises:
            VideoError: its time stamp is not after its predecessor's, which no player shows as it is meant.
        """
        if self._video is None:
            self._video = self._open_encoder(frame)
        if frame.format.name != self._video.pix_fmt:
            frame = like(frame.reformat(format=self._video.pix_fmt), frame)
        time = self._clock(frame)
        if frame.pts is None:
            frame.time_base = frame.time_base or self._source.time_base
            frame.pts = round(Fraction(time) / Fraction(frame.time_base or 1))
        if self._last_pts is not None and frame.pts <= self._last_pts:
            raise VideoError(f"its time stamps repeat or go back at {time:.3f} s")
        self._last_pts = frame.pts
        frame.pict_type = 0
        self._out.mux(self._video.encode(frame))
        if self._waiting:
            self._out.mux(self._waiting)
            self._waiting.clear()

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._video is None:
            raise VideoError("no frame can be decoded")
        self._out.mux(self._video.encode(None))

    def _copy(self, packet: av.Packet) -> None:
        if packet.dts is None:
            return
        packet.stream = self._copies[packet.stream.index]
        if self._video is None:
            self._waiting.append(packet)
        else:
            self._out.mux(packet)

    def _open_encoder(self, frame: VideoFrame) -> Any:
        x264 = {"crf": str(self._encoding.crf), "preset": self._encoding.preset}
        name, options = _ENCODERS.get(self._suffix, ("libx264", x264))
        rate = self._source.average_rate or self._source.guessed_rate or Fraction(25)
        video: Any = self._out.add_stream(name, rate=rate, options=options)
        video.width, video.height = frame.width, frame.height
        video.pix_fmt = _encodable(frame.format.name, name, frame.width, frame.height)
        video.codec_context.time_base = self._source.time_base
        video.codec_context.flags |= Flags.frame_duration  # else the last frame would last as long as the one before
        video.time_base = self._source.time_base
        if self._source.sample_aspect_ratio:
            video.codec_context.sample_aspect_ratio = self._source.sample_aspect_ratio
        for attribute in _COLOUR:
            setattr(video.codec_context, attribute, getattr(frame, attribute))
        if self._shape and self._shape[2]:
            video.set_display_rotation(self._shape[2])
        return video


def _as_yuv(frame: VideoFrame) -> VideoFrame:
    """An RGB or palette frame as YUV 4:4:4 (BT.709, limited range), which the encoders take; others as they are."""
    if not (frame.format.is_rgb or frame.format.has_palette):
        return frame
    deep = frame.format.components[0].bits > 8
    copy = frame.reformat(format="yuv444p10le" if deep else "yuv444p", dst_colorspace="ITU709", dst_color_range="MPEG")
    copy = like(copy, frame)
    copy.colorspace, copy.color_range = Colorspace.ITU709, ColorRange.MPEG
    return copy


def _encodable(pixel_format: str, encoder: str, width: int, height: int) -> str:
    """The pixel format to encode: the source's own where the encoder has it, else the nearest that loses nothing."""
    offered = [fmt.name for fmt in av.Codec(encoder, "w").video_formats or ()]
    odd = ("420" in pixel_format and (width % 2 or height % 2)) or ("422" in pixel_format and width % 2)
    if pixel_format in offered and not odd:
        return pixel_format
    deep = "10" in pixel_format or "12" in pixel_format or "16" in pixel_format
    return next(name for name in (("yuv444p10le",) if deep else ()) + ("yuv444p", "yuv420p") if name in offered)


def like(copy: VideoFrame, frame: VideoFrame) -> VideoFrame:
    copy.pts, copy.dts, copy.time_base, copy.duration = frame.pts, frame.dts, frame.time_base, frame.duration
    for attribute in _COLOUR:
        setattr(copy, attribute, getattr(frame, attribute))
    return copy
