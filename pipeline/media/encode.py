"""Encoding with PyAV: a video file like another one, with other pictures.

Frames, time stamps (from 0 on), orientation, pixel shape, pixel format, colour description and the sound stay. Whatever
else a file carries is left out unless it is asked for; what is lost, left out or converted is noted in a line.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.media.decode import FrameDecoder, Orientation, describe, open_video, orientation, pixel_aspect
from pipeline.media.picture import Picture, as_yuv
from pipeline.media.probe import probe
from pipeline.media.timeline import Timeline, move, steady
from pipeline.media.tracks import SUFFIXES, counted, make_tracks
from pipeline.runtime.errors import ActaError, VideoError, is_storage_failure
from pipeline.runtime.files import atomic, check_no_input

# Containers that keep the time stamps of H.264 (of VP9, WebM); AVI has none and would shift them.
FORMATS = {suffix: name for name, suffix in SUFFIXES.items()} | {".m4v": "mp4"}
CONTAINERS = tuple(FORMATS)
KEEPABLE = ("subtitles", "chapters", "metadata", "attachments")


@dataclass(frozen=True)
class Encoding:
    """How the copy is written.

    Args:
        crf: libx264's constant rate factor; lower is better and larger. VP9 (WebM) takes ten more.
        preset: libx264's preset.
        audio: ``keep`` the sound or ``drop`` it.
        keep: What else to keep, of `KEEPABLE`. All of it can tell who or where somebody is.
        keep_what_is_whole: Write what can be read of a damaged file instead of refusing it.
    """

    crf: int = 20
    preset: str = "veryfast"
    audio: Literal["keep", "drop"] = "keep"
    keep: frozenset[str] = frozenset()
    keep_what_is_whole: bool = False


@contextmanager
def rewritten(
    source: Path, output: Path, encoding: Encoding = Encoding(), *, overwrite: bool = False
) -> Iterator[tuple[Iterator[VideoFrame], "VideoWriter"]]:
    """A copy of a video to be written picture by picture; it appears when it is whole.

    Args:
        source: The video. It is only read.
        output: The copy; its suffix chooses the container.
        encoding: How it is written, and what is kept.
        overwrite: Replace an existing file; never ``source``.

    Yields:
        The decoded pictures (YUV), each with a time stamp after its predecessor's, and the writer that takes pictures.

    Raises:
        ActaError: ``output`` is ``source``, its container is unknown or cannot keep everything, or the disk is full.
        VideoError: ``source`` is damaged; nothing is written then.
    """
    check_no_input([output], [source])
    if output.suffix.lower() not in FORMATS:
        raise ActaError(f"cannot write {output.name}: choose one of {' '.join(CONTAINERS)}")
    damage = ""
    try:
        probe(source)
    except VideoError as error:
        if not encoding.keep_what_is_whole:
            raise
        damage = str(error)
    try:
        with (
            # With a damaged packet everything is lost that other decoding threads hold.
            open_video(source, threads=1 if encoding.keep_what_is_whole else 0) as (container, stream),
            atomic(output, overwrite=overwrite) as temporary,
            WholeFile(temporary) as file,
            av.open(file, "w", format=FORMATS[output.suffix.lower()]) as out,
        ):
            writer = VideoWriter(container, stream, out, encoding)
            yield steady(writer.read(), stream), writer
            writer.finish(damage)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if is_storage_failure(error):
            raise ActaError(f"{output} could not be written: {describe(error)}") from None
        raise ActaError(f"cannot be written as {output.suffix}: {describe(error)}") from None


class WholeFile(io.FileIO):
    """A file that remembers a failed write, which the muxer would pass over, leaving a file that is not whole."""

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


@dataclass(frozen=True)
class _Shape:
    width: int
    height: int
    shown: Orientation

    def __str__(self) -> str:
        turned = f", turned by {90 * self.shown.quarters} degrees" if self.shown.quarters else ""
        return f"{self.width}x{self.height}{', mirrored' if self.shown.mirrored else ''}{turned}"


class VideoWriter:
    """The output file: one encoded video stream like the source's, and the tracks that accompany it.

    Attributes:
        notes: A line on each thing that is lost, left out or converted; complete at the end.
        aspect: Width over height of the source's pixels; None: square.
    """

    def __init__(self, source: InputContainer, stream: VideoStream, out: OutputContainer, encoding: Encoding):
        self.notes: list[str] = []
        self.aspect = pixel_aspect(stream)
        self._container, self._source, self._out, self._encoding = source, stream, out, encoding
        self._picture = Picture(stream, out, encoding.crf, encoding.preset, self.notes.append)
        self._tracks = make_tracks(
            source, out, audio=encoding.audio == "keep", keep=encoding.keep, note=self.notes.append
        )
        self._timeline = Timeline(source)
        self._decoder = FrameDecoder(stream, lenient=encoding.keep_what_is_whole)
        self._shape: _Shape | None = None
        self._written = self._lost_packets = 0  # frames; packets of tracks
        self._stopped = ""  # why reading ended before the file's end
        self._zero = Fraction(0)  # the stamp, in seconds, that becomes 0
        self._waiting: list[Packet] = []  # of tracks, that came before the first picture was written
        self._keep_what_is_asked_for()

    def read(self) -> Iterator[VideoFrame]:
        """Decode the video; pass packets of the tracks on as they come.

        Raises:
            VideoError: the stream is damaged, or changes its size or rotation half-way.
        """
        for packet in self._packets():
            if packet.stream.index in self._tracks:
                self._pass_on(packet)
                continue
            try:
                frames = list(self._decoder.decode(packet))
            except av.error.FFmpegError as error:
                raise self._failed(error) from None
            for frame in frames:
                if self._shape is None:
                    self._picture.look_at(frame)
                self._check(frame)
                yield as_yuv(frame)
        self._decoder.finish()

    def _packets(self) -> Iterator[Packet]:
        wanted = [self._source, *(s for s in self._container.streams if s.index in self._tracks)]
        packets = self._container.demux(wanted)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as error:
                if not self._encoding.keep_what_is_whole:
                    raise self._failed(error) from None
                self._stopped = f"it cannot be read on after {self._decoder.frames} frames: {describe(error)}"
                return
            self._timeline.place(packet)
            yield packet

    def _failed(self, error: Exception) -> VideoError:
        return VideoError(f"decoding failed after {self._decoder.frames} frames: {describe(error)}")

    def write(self, frame: VideoFrame) -> None:
        """Encode one frame; its stamp must be after its predecessor's."""
        assert frame.pts is not None
        assert frame.time_base is not None
        if not self._written:
            self._zero = min(self._timeline.zero, frame.pts * frame.time_base)
        frame.pts -= round(self._zero / frame.time_base)
        self._out.mux(self._picture.encode(frame))
        self._written += 1
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            self._pass_on(packet)

    def finish(self, damage: str = "") -> None:
        """Write what the encoders still hold; ``damage`` is what was found before reading.

        Raises:
            VideoError: there was no picture.
        """
        if not self._written:
            raise VideoError("no frame can be decoded")
        self._out.mux(self._picture.encode(None))
        self._out.mux([packet for track in self._tracks.values() for packet in track.end()])
        self._say_what_is_missing(damage)

    def _say_what_is_missing(self, damage: str) -> None:
        reasons = [damage.removeprefix("damaged: ")] if damage else []
        if self._stopped:
            reasons.append(self._stopped)
        if self._decoder.missing:
            reasons.append(f"{counted(self._decoder.missing, 'frame')} cannot be decoded")
        if self._lost_packets:
            reasons.append(f"{counted(self._lost_packets, 'packet')} of sound or subtitles cannot be read")
        if reasons:
            expected = self._source.frames
            of_all = f" of {expected}" if expected > self._written else ""
            self.notes.append(f"damaged ({'; '.join(reasons)}): {self._written}{of_all} frames are written")

    def _check(self, frame: VideoFrame) -> None:
        shape = _Shape(frame.width, frame.height, orientation(frame))
        if self._shape is not None and shape != self._shape:
            raise VideoError(
                f"its size or rotation changes at frame {self._decoder.frames - 1}: {self._shape} to {shape}"
            )
        self._shape = shape

    def _pass_on(self, packet: Packet) -> None:
        if not self._written:
            self._waiting.append(packet)
            return
        track, seconds = self._tracks[packet.stream.index], float((packet.dts or 0) * packet.time_base)
        move(packet, -self._zero)
        try:
            # Where recordings were joined the counters of MPEG-TS jump, which looks like a loss.
            if packet.is_corrupt and self._container.format.name != "mpegts":
                raise av.error.InvalidDataError(0, "incomplete")
            packets = track.take(packet)
        except av.error.FFmpegError:
            if not self._encoding.keep_what_is_whole:
                raise VideoError(f"damaged: its sound is incomplete at {seconds:.2f} s") from None
            self._lost_packets += 1
            return
        try:
            self._out.mux(packets)
        except av.error.FFmpegError as error:
            if is_storage_failure(error):
                raise
            reason = f"what accompanies the picture cannot be written at {seconds:.2f} s: {describe(error)}"
            raise VideoError(f"{reason}; --audio drop leaves sound out") from None

    def _keep_what_is_asked_for(self) -> None:
        """Chapters, tags and attachments; note what is left out."""
        source, keep = self._container, self._encoding.keep
        chapters, container = source.chapters(), self._out.format.name
        if chapters and "chapters" in keep:
            if container == "mpegts":
                raise ActaError(".ts cannot hold chapters: choose .mp4, .mov, .mkv or .webm")
            for chapter in chapters:
                offset = round(self._timeline.zero / (chapter["time_base"] or 1))
                chapter["start"] = max(0, chapter["start"] - offset)
                chapter["end"] = max(chapter["start"], chapter["end"] - offset)
            self._out.set_chapters(chapters)
        elif chapters:
            self.notes.append(f"left out: {counted(len(chapters), 'chapter')}")
        if "metadata" in keep:
            self._out.metadata.update(source.metadata)
        attachments: Any = source.streams.attachments if "attachments" in keep else ()
        for attachment in attachments:
            if container != "matroska":
                raise ActaError(f"{SUFFIXES[container]} cannot hold attachments: choose .mkv")
            self._out.add_attachment(attachment.name, attachment.mimetype, attachment.data)
        others = sum(stream.index != self._source.index for stream in source.streams.video)
        if others:
            self.notes.append(f"left out: {counted(others, 'further video stream')} (cover art or another angle)")
