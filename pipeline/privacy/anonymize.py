"""`acta anonymize`: one video file in, the same video without faces or bodies out, in constant memory.

The picture is decoded, searched, filtered and encoded as a stream; audio is copied as it is, and subtitles where the
container can hold them. Frame count, time stamps, rotation, pixel format and colour description stay. Cover art,
further video streams, data streams and metadata (place, author, device) are left out: each can tell who is there.
"""

import io
import sys
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
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from pipeline.config.privacy import DetectSettings, ObfuscateSettings
from pipeline.errors import ActaError, VideoError, is_storage_failure
from pipeline.files import atomic
from pipeline.media.decode import FrameClock, describe, open_video, quarter_turns
from pipeline.privacy.detect import detect_frame
from pipeline.privacy.detectors import Detector, make_detector
from pipeline.privacy.filters import hide
from pipeline.privacy.gaps import Pacer, bridge, fill_gaps
from pipeline.privacy.instances import DetectedVideo, Instances
from pipeline.workers import available_cores

# Formats whose planes are one channel each, so that a filter can work on them as they are.
_PLANAR = ("yuv4", "yuvj4", "gray")
_ENCODERS = {".webm": ("libvpx-vp9", {"crf": "30", "b": "0", "row-mt": "1", "deadline": "realtime", "cpu-used": "6"})}
_MAX_THREADS = 16  # each holds two decoded frames
_COPIED = ("audio", "subtitle")
_COLOUR = ("color_range", "color_primaries", "color_trc", "colorspace")
# Containers that keep the time stamps of H.264 (of VP9, WebM); AVI has none and would shift them.
CONTAINERS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts")


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
    if output.suffix.lower() not in CONTAINERS:
        raise ActaError(f"cannot write {output.name}: choose one of {' '.join(CONTAINERS)}")
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
            searched = _search(
                writer.copy_others(container), clock, detector, detect, threads or min(available_cores(), _MAX_THREADS)
            )
            for done, (frame, time, instances) in enumerate(_filled(searched, detect.fill_gap), 1):
                if keep_detections:
                    times.append(time)
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
            frame = _like(frame.reformat(format=self._video.pix_fmt), frame)
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
    copy = _like(copy, frame)
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


def _search(
    frames: Iterable[VideoFrame],
    clock: FrameClock,
    detector: Detector | None,
    settings: DetectSettings,
    threads: int,
) -> Iterator[tuple[VideoFrame, float, Instances | None]]:
    """Frames, their times and what was found in them, in order; None for those that `Pacer` lets pass."""
    if detector is None:
        for frame in frames:
            yield frame, clock(frame), Instances()
        return
    due = Pacer(settings.interval)
    pending: deque[tuple[VideoFrame, float, Future[Instances] | None]] = deque()
    running = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for frame in frames:
                time = clock(frame)
                future = pool.submit(detect_frame, detector, frame, settings) if due(time) else None
                pending.append((frame, time, future))
                running += future is not None
                while running > threads + 1:
                    frame, time, future = pending.popleft()
                    running -= future is not None
                    yield frame, time, future.result() if future else None
            for frame, time, future in pending:
                yield frame, time, future.result() if future else None
        finally:
            pool.shutdown(cancel_futures=True)


def _filled(
    searched: Iterable[tuple[VideoFrame, float, Instances | None]], max_gap: int
) -> Iterator[tuple[VideoFrame, float, Instances]]:
    """Fill in what was not searched or missed; a few frames are held back for it."""
    frames: deque[tuple[VideoFrame, float]] = deque()

    def instances() -> Iterator[Instances | None]:
        for frame, time, found in searched:
            frames.append((frame, time))
            yield found

    for found in fill_gaps(bridge(instances()), max_gap):
        yield *frames.popleft(), found


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
    for attribute in _COLOUR:
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
    full = frame.format.name.startswith("yuvj") or frame.color_range == 2
    luma = 0 if full else 16 << (bits - 8)
    return [luma, 128 << (bits - 8), 128 << (bits - 8), 0][:count]
