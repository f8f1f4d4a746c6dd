"""Cutting with PyAV: clips of a game's halves as one video, each picture at its own time, the sound in step with it.

A clip is the span [start, end) of its half. Its pictures have a time stamp in the span. In the output each keeps its
distance from the span's beginning (but the first shows from there on), and spans follow one another without a gap. Time
stamps are counted in ticks of 1/240000 second.
"""

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.video.frame import PictureType, VideoFrame

from pipeline.media.canvas import Canvas
from pipeline.media.decode import decode, describe, open_video, pixel_aspect, scaled_size
from pipeline.media.encode import Encoding, WholeFile
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import atomic, check_no_input
from pipeline.spot.highlights import Clip, named

TICKS = 240_000  # per second; a multiple of _RATE and of 24, 25, 30, 50 and 60 pictures per second, also over 1.001
_RATE = 48_000  # samples per second
_JITTER = 960  # samples; sound is only moved if its time stamps, which some containers round, are off by more
_BACK = (1.0, 10.0, 60.0, math.inf)  # seconds before a clip at which a keyframe is looked for
_NEAR = 2.0  # seconds around an event in which its caption shows, even if another event is nearer


@dataclass(frozen=True)
class Part:
    """A half of ``duration`` seconds in a video; ``start`` counts from what a player shows as 0:00."""

    path: Path
    start: float
    duration: float


@dataclass(frozen=True)
class Written:
    """A clip and its span in the output, in seconds."""

    clip: Clip
    start: float
    end: float


def part_of(path: Path, start: float = 0.0, duration: float = math.inf) -> Part:
    """The half in a file that begins at ``start`` and lasts ``duration`` seconds, or to the last picture's end.

    Raises:
        VideoError: the file cannot be read, or ends before ``start``.
    """
    try:
        with open_video(path) as (container, stream):
            zero = container.start_time or 0
            if container.duration:
                container.seek(zero + container.duration)  # to the last keyframe
            last = None
            for packet in container.demux(stream):
                if packet.pts is not None:
                    end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - zero / av.time_base
                    last = end if last is None else max(last, end)
    except VideoError as error:
        raise VideoError(f"{path}: {error}") from None
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: its end cannot be found: {describe(error)}") from None
    if last is None:
        raise VideoError(f"{path}: its end cannot be found: truncated, or without time stamps")
    if last <= start:
        raise VideoError(f"{path} ends after {last:.1f} s, before the half begins at {start:.1f} s")
    return Part(path, start, min(duration, last - start))


def cut_video(
    parts: Mapping[int, Part],
    clips: Sequence[Clip],
    output: Path,
    *,
    caption: bool,
    progress: Callable[[float], object] | None = None,
) -> list[Written]:
    """Write clips one after the other: MP4 with H.264 (4:2:0, a keyframe at each clip) and AAC, one chapter a clip.

    Pictures are turned upright and have the size of the first half's; pictures of another shape get black bars. Where
    sound is missing there is silence; if no half has sound, the output has none.

    Args:
        parts: The halves.
        clips: What to write, in this order; at least one.
        output: The file; it appears when it is whole.
        caption: Write the classes and confidences of the events into the picture.
        progress: Called with the seconds of the output that are written.

    Raises:
        ActaError: ``output`` is an input or does not end in .mp4, or the disk is full.
        VideoError: a half is damaged, or has no picture in a clip.
    """
    if output.suffix.lower() != ".mp4":
        raise ActaError(f"cannot write {output.name}: only .mp4")
    used = [parts[half] for half in sorted({clip.half for clip in clips})]
    check_no_input([output], [part.path for part in used])
    sound = any(_has_sound(part) for part in used)
    written = _places(clips)
    try:
        with (
            atomic(output) as temporary,
            WholeFile(temporary) as file,
            av.open(file, "w", format="mp4", options={"movflags": "faststart"}) as out,
        ):
            writer = _Writer(out, used[0], written, sound)
            for place in written:
                writer.write(parts[place.clip.half], place, caption, progress or (lambda done: None))
            writer.finish()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ActaError(f"{output} could not be written: {describe(error)}") from None
    return written


def _places(clips: Sequence[Clip]) -> list[Written]:
    written, begin = [], 0
    for clip in clips:
        end = begin + _ticks(clip.end) - _ticks(clip.start)
        written.append(Written(clip, begin / TICKS, end / TICKS))
        begin = end
    return written


def _ticks(seconds: float) -> int:
    return round(seconds * TICKS)


class _Writer:
    """The output file."""

    def __init__(self, out: OutputContainer, first: Part, written: Sequence[Written], sound: bool):
        encoding = Encoding()
        x264 = {"crf": str(encoding.crf), "preset": encoding.preset, "forced-idr": "1"}
        with _reporting(first), open_video(first.path) as (container, stream):
            _, frame = next(decode(container, stream), (0.0, None))
            if frame is None:
                raise VideoError("no frame can be decoded")
            self._canvas = Canvas(*scaled_size(frame, None, pixel_aspect(stream)))
            picture = self._canvas.paint(frame, pixel_aspect(stream), ())
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self._out = out
        self._video: Any = out.add_stream("libx264", rate=rate, options=x264)
        self._video.width, self._video.height = self._canvas.width, self._canvas.height
        self._video.pix_fmt = "yuv420p"
        self._video.time_base = self._video.codec_context.time_base = Fraction(1, TICKS)
        self._video.codec_context.flags |= Flags.closed_gop | Flags.frame_duration
        for attribute in ("color_range", "color_primaries", "color_trc", "colorspace"):
            setattr(self._video.codec_context, attribute, getattr(picture, attribute))
        self._sound: Any = out.add_stream("aac", rate=_RATE, layout="stereo", bit_rate=160_000) if sound else None
        self._samples = 0
        out.set_chapters(
            [
                {
                    "id": number,
                    "start": round(1000 * place.start),
                    "end": round(1000 * place.end),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": place.clip.title},
                }
                for number, place in enumerate(written, 1)
            ]
        )

    def write(self, part: Part, place: Written, caption: bool, progress: Callable[[float], object]) -> None:
        """Write the pictures and the sound of one clip, interleaved."""
        clip = place.clip
        begin, shift = _ticks(clip.start), _ticks(place.start) - _ticks(clip.start)
        count = _ticks(place.end) * _RATE // TICKS - self._samples
        with closing(_pictures(part, clip)) as pictures, closing(_sound(part, begin, count)) as sound:
            for tick, end, frame, aspect in pictures:
                lines = _captions(clip, tick / TICKS) if caption else ()
                picture = self._canvas.paint(frame, aspect, lines)
                picture.pts, picture.duration, picture.time_base = tick + shift, end - tick, Fraction(1, TICKS)
                picture.pict_type = PictureType.I if tick == begin else PictureType.NONE
                self._out.mux(self._video.encode(picture))
                while self._sound and self._samples * TICKS < (tick + shift) * _RATE:
                    self._write_sound(next(sound))
                progress((end + shift) / TICKS)
            for block in sound if self._sound else ():
                self._write_sound(block)

    def finish(self) -> None:
        """Flush the encoders."""
        self._out.mux(self._video.encode(None))
        if self._sound:
            self._out.mux(self._sound.encode(None))

    def _write_sound(self, block: np.ndarray) -> None:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, self._samples, Fraction(1, _RATE)
        self._out.mux(self._sound.encode(frame))
        self._samples += block.shape[1]


def _captions(clip: Clip, time: float) -> tuple[str, ...]:
    """The names of the events near a time, or of the nearest."""
    reach = max(_NEAR, min(abs(event.time - time) for event in clip.events))
    return tuple(named(event) for event in clip.events if abs(event.time - time) <= reach)


def _pictures(part: Part, clip: Clip) -> Generator[tuple[int, int, VideoFrame, Fraction | None], None, None]:
    """When a picture begins and ends to show, in ticks of the half; the picture; its pixels' width over height."""
    begin, end = _ticks(clip.start), _ticks(clip.end)
    shown: tuple[int, VideoFrame, Fraction | None] | None = None
    with closing(_frames(part, "video", begin)) as frames:
        for tick, frame, stream in frames:
            if tick < begin:
                continue
            if tick >= end:
                break
            if shown is None:
                tick = begin
            elif tick <= shown[0]:
                raise VideoError(f"{part.path}: its time stamps repeat or go back at {tick / TICKS:.3f} s of the half")
            else:
                yield shown[0], tick, *shown[1:]
            shown = (tick, frame, pixel_aspect(stream))
    if shown is None:
        raise VideoError(f"{part.path}: no picture between {clip.start:.2f} and {clip.end:.2f} s of half {clip.half}")
    yield shown[0], end, *shown[1:]


def _sound(part: Part, begin: int, count: int) -> Generator[np.ndarray, None, None]:
    """The sound from tick ``begin`` of the half on, ``count`` samples in blocks of float32 (2, n)."""
    done = 0
    follows: int | None = None  # where the next block begins if there is no gap
    with closing(_resampled(part, begin)) as blocks:
        for start, block in blocks:
            if follows is not None and abs(start - follows) <= _JITTER:
                start = follows
            follows = start + block.shape[1]
            if start >= count:
                break
            if start > done:
                yield from _silence(start - done)
                done = start
            block = block[:, max(0, done - start) : count - start]
            if block.size:
                yield block
                done += block.shape[1]
    yield from _silence(count - done)


def _silence(count: int) -> Iterator[np.ndarray]:
    for start in range(0, count, _RATE):
        yield np.zeros((2, min(_RATE, count - start)), np.float32)


def _resampled(part: Part, begin: int) -> Generator[tuple[int, np.ndarray], None, None]:
    """Blocks of sound, float32 (2, n) at 48 kHz, and at which sample after tick ``begin`` each starts."""
    shape = resampler = None
    first = round(begin * _RATE / TICKS)
    with closing(_frames(part, "audio", begin)) as frames:
        for tick, frame, _ in frames:
            if shape != (frame.format.name, frame.layout.name, frame.sample_rate) or resampler is None:
                shape = (frame.format.name, frame.layout.name, frame.sample_rate)
                resampler = AudioResampler("fltp", "stereo", _RATE)
            frame.pts, frame.time_base = round(tick * frame.sample_rate / TICKS), Fraction(1, frame.sample_rate)
            for block in resampler.resample(frame):
                yield (block.pts or 0) - first, block.to_ndarray()


def _frames(part: Part, kind: Literal["video", "audio"], begin: int) -> Generator[tuple[int, Any, Any], None, None]:
    """Decoded frames from ``begin`` or, if possible, from before it, with their ticks in the half and their stream."""
    for back in _BACK:
        with _reporting(part), open_video(part.path, threads=0) as (container, video):
            stream: Any = video if kind == "video" else container.streams.best("audio")
            if stream is None or stream.codec_context is None:
                return
            zero = (container.start_time or 0) / av.time_base + part.start
            place = begin / TICKS + zero - back
            if place > (container.start_time or 0) / av.time_base:
                container.seek(int(place / stream.time_base), stream=stream)
            else:
                back = math.inf  # nothing lies before
            is_found = False
            for frame in _decoded(container, stream):
                tick = _ticks(float(frame.pts * frame.time_base) - zero)
                if not is_found and tick > begin and back < math.inf:
                    break  # some formats seek to a later frame: look further back
                is_found = True
                yield tick, frame, stream
        if is_found or back == math.inf:
            return


def _decoded(container: InputContainer, stream: Any) -> Iterator[Any]:
    """Frames after a seek; whatever cannot be decoded before the first whole frame is skipped."""
    is_whole = False
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            if is_whole:
                raise
            continue
        for frame in frames:
            if frame.is_corrupt:
                if is_whole:
                    raise VideoError("damaged: a frame is incomplete")
                continue
            if frame.pts is None:
                raise VideoError("it has no time stamps; convert it to .mkv or .mp4")
            is_whole = True
            yield frame


def _has_sound(part: Part) -> bool:
    with _reporting(part), open_video(part.path) as (container, _):
        stream = container.streams.best("audio")
        return stream is not None and stream.codec_context is not None


@contextmanager
def _reporting(part: Part) -> Iterator[None]:
    """Name the file in errors."""
    try:
        yield
    except VideoError as error:
        raise VideoError(f"{part.path}: {error}") from None
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{part.path}: damaged: {describe(error)}") from None
