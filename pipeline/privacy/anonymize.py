"""`acta anonymize`: one video file in, the same video without faces or bodies out, in constant memory.

The picture is decoded, searched, filtered and encoded as a stream; audio and subtitles are copied as they are. Frame
count, time stamps, rotation, pixel format and colour description stay. Cover art, further video streams, data streams
and metadata (place, author, device) are left out: each can tell who is in the picture.
"""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.config import DetectSettings, ObfuscateSettings
from pipeline.errors import ActaError, VideoError, is_storage_failure
from pipeline.files import atomic
from pipeline.media.decode import FrameClock, describe, open_video, quarter_turns
from pipeline.privacy.detect import detect_frame
from pipeline.privacy.detectors import Detector, make_detector
from pipeline.privacy.filters import hide
from pipeline.privacy.gaps import fill_gaps
from pipeline.privacy.instances import DetectedVideo, Instances
from pipeline.workers import available_cores

# Formats whose planes are one channel each, so that a filter can work on them as they are.
_PLANAR = ("yuv4", "yuvj4", "gray", "gbrp")
_ENCODERS = {".webm": ("libvpx-vp9", {"crf": "30", "b": "0", "row-mt": "1", "deadline": "realtime", "cpu-used": "6"})}
_COPIED = ("audio", "subtitle")


@dataclass(frozen=True)
class Encoding:
    """How the output is encoded: libx264's constant rate factor (lower is better and larger) and its preset."""

    crf: int = 20
    preset: str = "veryfast"


def anonymize_video(
    source: Path,
    output: Path,
    detect: DetectSettings,
    obfuscate: ObfuscateSettings,
    *,
    encoding: Encoding = Encoding(),
    threads: int | None = None,
    progress: Callable[[int], object] = lambda frames: None,
    keep_detections: bool = False,
) -> DetectedVideo:
    """Write ``output``, an anonymised copy of ``source``.

    Args:
        source: The video. It is only read.
        output: The copy; its suffix chooses the container. It appears when it is whole.
        detect: Detector, resolution, gap filling.
        obfuscate: Filter and its size. ``frame`` hides every frame whole and runs no detector.
        encoding: Quality and speed of the encoder.
        threads: Frames searched at the same time; the result does not depend on it. None: one a core.
        progress: Called after each frame with the number of frames done.
        keep_detections: Return what was found in every frame; otherwise the result holds no frames.

    Raises:
        ActaError: ``output`` is ``source``, or its container is unknown, or the disk is full.
        VideoError: ``source`` is damaged; nothing is written then.
    """
    if output.exists() and output.samefile(source):
        raise ActaError(f"{output} is the input itself; choose another output")
    kept = DetectedVideo(source.name, "", "", np.zeros(0), [])
    times: list[float] = []
    detector = None if obfuscate.filter == "frame" else make_detector(detect)
    try:
        with (
            open_video(source, threads=0) as (container, stream),
            atomic(output) as temporary,
            _Checked(temporary) as file,
            av.open(file, "w") as out,
        ):
            clock = FrameClock(stream)
            writer = _Writer(container, stream, out, output.suffix, encoding)
            searched = _search(writer.copy_others(container), detector, detect, threads or available_cores())
            for done, (frame, instances) in enumerate(_filled(searched, detect.fill_gap), 1):
                if keep_detections:
                    times.append(clock(frame))
                    kept.frames.append(instances)
                writer.write(_hidden(frame, instances, obfuscate))
                progress(done)
            writer.finish()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if is_storage_failure(error):
            raise ActaError(f"{output} could not be written: {describe(error)}") from None
        raise ActaError(f"{source} -> {output}: {describe(error)}") from None
    kept.times = np.array(times)
    return kept


class _Checked(io.FileIO):
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


class _Writer:
    """The output file: one encoded video stream like the source's, and copies of its audio and subtitles."""

    def __init__(
        self, source: InputContainer, stream: VideoStream, out: OutputContainer, suffix: str, encoding: Encoding
    ):
        self._out = out
        self._source = stream
        self._suffix = suffix
        self._encoding = encoding
        self._video: Any = None
        self._rotation = 0
        self._copies = {}
        for other in source.streams:
            context = other.codec_context
            if other.type not in _COPIED or context is None:
                continue
            if context.name in out.supported_codecs:
                self._copies[other.index] = out.add_stream_from_template(other)
            elif other.type == "audio":
                raise ActaError(f"{suffix or 'this container'} cannot hold {context.name} audio; choose .mkv")
        self._waiting: list[av.Packet] = []

    def copy_others(self, container: InputContainer) -> Iterator[VideoFrame]:
        """Decode the video; pass packets of the copied streams on as they come."""
        wanted = [self._source, *(s for s in container.streams if s.index in self._copies)]
        count = 0
        try:
            for packet in container.demux(wanted):
                if packet.stream.index in self._copies:
                    if packet.dts is not None:
                        packet.stream = self._copies[packet.stream.index]
                        self._waiting.append(packet)
                    continue
                for frame in packet.decode():
                    assert isinstance(frame, VideoFrame)
                    if frame.is_corrupt:
                        raise VideoError(f"damaged: frame {count} is incomplete")
                    self._rotation = frame.rotation
                    count += 1
                    yield frame
        except av.error.FFmpegError as error:
            raise VideoError(f"decoding failed after {count} frames: {describe(error)}") from None

    def write(self, frame: VideoFrame) -> None:
        if self._video is None:
            self._video = self._open_encoder(frame)
        if frame.format.name != self._video.pix_fmt:
            frame = frame.reformat(format=self._video.pix_fmt)
        frame.pict_type = 0
        self._out.mux(self._video.encode(frame))
        self._flush()

    def finish(self) -> None:
        if self._video is None:
            raise VideoError("no frame can be decoded")
        self._out.mux(self._video.encode(None))
        self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._out.mux(self._waiting)
            self._waiting.clear()

    def _open_encoder(self, frame: VideoFrame) -> Any:
        source = self._source.codec_context
        name, options = _ENCODERS.get(
            self._suffix.lower(), ("libx264", {"crf": str(self._encoding.crf), "preset": self._encoding.preset})
        )
        rate = self._source.average_rate or self._source.guessed_rate or Fraction(25)
        video: Any = self._out.add_stream(name, rate=rate, options=options)
        video.width, video.height = frame.width, frame.height
        video.pix_fmt = _encodable(frame.format.name, name, frame.width, frame.height)
        video.codec_context.time_base = self._source.time_base
        video.codec_context.flags |= Flags.frame_duration  # else the last frame would last as long as the one before
        video.time_base = self._source.time_base
        if self._source.sample_aspect_ratio:
            video.codec_context.sample_aspect_ratio = self._source.sample_aspect_ratio
        for attribute in ("color_range", "color_primaries", "color_trc", "colorspace"):
            setattr(video.codec_context, attribute, getattr(source, attribute))
        if self._rotation:
            video.set_display_rotation(self._rotation)
        return video


def _encodable(pixel_format: str, encoder: str, width: int, height: int) -> str:
    """The pixel format to encode: the source's own where the encoder has it, else the nearest that loses nothing."""
    offered = [fmt.name for fmt in av.Codec(encoder, "w").video_formats or ()]
    odd = ("420" in pixel_format and (width % 2 or height % 2)) or ("422" in pixel_format and width % 2)
    if pixel_format in offered and not odd:
        return pixel_format
    deep = "10" in pixel_format or "12" in pixel_format or "16" in pixel_format
    return next(name for name in (("yuv444p10le",) if deep else ()) + ("yuv444p", "yuv420p") if name in offered)


def _search(
    frames: Iterable[VideoFrame],
    detector: Detector | None,
    settings: DetectSettings,
    threads: int,
) -> Iterator[tuple[VideoFrame, Instances]]:
    """Frames with what was found in them, in order, a few ahead in ``threads`` threads."""
    if detector is None:
        for frame in frames:
            yield frame, Instances()
        return
    pending: deque[tuple[VideoFrame, Future[Instances]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for frame in frames:
                pending.append((frame, pool.submit(detect_frame, detector, frame, settings)))
                if len(pending) > 2 * threads:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _filled(searched: Iterable[tuple[VideoFrame, Instances]], max_gap: int) -> Iterator[tuple[VideoFrame, Instances]]:
    """Fill gaps; as many frames are held back as a gap may be long."""
    frames: deque[VideoFrame] = deque()

    def instances() -> Iterator[Instances]:
        for frame, found in searched:
            frames.append(frame)
            yield found

    for found in fill_gaps(instances(), max_gap):
        yield frames.popleft(), found


def _hidden(frame: VideoFrame, instances: Instances, settings: ObfuscateSettings) -> VideoFrame:
    """The frame with its instances hidden; the frame itself when there is nothing to hide."""
    if not len(instances) and not instances.failed and settings.filter != "frame":
        return frame
    name = frame.format.name
    if not name.startswith(_PLANAR) or name.endswith("be"):
        frame = _like(frame.reformat(format="yuv444p"), frame)
    turned = instances.turned(-quarter_turns(frame))
    copy = _like(VideoFrame(frame.width, frame.height, frame.format.name), frame)
    planes = []
    for ours, theirs in zip(copy.planes, frame.planes, strict=True):
        source, target = _pixels(theirs, frame), _pixels(ours, copy)
        np.copyto(target, source)
        planes.append(target)
    hide(planes, (frame.height, frame.width), turned, settings, _black(copy))
    return copy


def _like(copy: VideoFrame, frame: VideoFrame) -> VideoFrame:
    copy.pts, copy.dts, copy.time_base, copy.duration = frame.pts, frame.dts, frame.time_base, frame.duration
    for attribute in ("color_range", "color_primaries", "color_trc", "colorspace"):
        setattr(copy, attribute, getattr(frame, attribute))
    return copy


def _pixels(plane: Any, frame: VideoFrame) -> np.ndarray:
    """A plane's memory as an array (height, width) without its padding."""
    dtype = np.dtype("<u2" if frame.format.components[0].bits > 8 else "u1")
    rows = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    return rows[:, : plane.width]


def _black(frame: VideoFrame) -> list[int]:
    """Black in each plane, for the frame's colour space, range and depth."""
    count, bits = len(frame.planes), frame.format.components[0].bits
    if frame.format.name.startswith("gbrp"):
        return [0] * count
    full = frame.format.name.startswith("yuvj") or frame.color_range == 2
    luma = 0 if full else 16 << (bits - 8)
    return [luma, 128 << (bits - 8), 128 << (bits - 8), 0][:count]
