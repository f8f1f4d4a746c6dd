"""Frames of halves at a fixed rate, and the task `extract_game_frames`, which stores them.

Times count from the start of the container, as in `pipeline.spot.games`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.config.spot import SpotFrameSettings
from pipeline.config.tasks.spot import ExtractGameFrames
from pipeline.media.decode import decode, open_video, pixel_aspect, scaled_size, to_jpeg
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output, make_private, spool
from pipeline.runtime.provenance import Quarantined, provenance_of
from pipeline.runtime.store import StoredVideo, write_frames
from pipeline.runtime.workers import map_videos
from pipeline.spot.games import GameHalf, read_game

TASK = "extract_game_frames"
MISSING = 1.0  # seconds by which a video may end before its half: video.ini and headers are rounded
_MARGIN = 2.0  # seconds before the start from which frames must be whole after seeking
_TIE = 1e-6  # seconds, or converted frames: half-way between two frames the later one is taken


def container_start(container: InputContainer) -> float:
    """The time stamp, in seconds, at which a player shows 0:00: that of the first picture or sound."""
    return (container.start_time or 0) / av.time_base


def frames_at(
    path: Path, *, start: float, count: int, rate: float, convert: float | None, threads: int = 0
) -> Iterator[VideoFrame]:
    """Decoded frames at ``start + k / rate`` seconds after the container's start, for k from 0 to ``count - 1``.

    Args:
        path: The video.
        start: Second of the first tick, at least 0.
        count: How many frames to give.
        rate: Ticks per second.
        convert: Frames per second of an intermediate video: its frame j is the source's frame nearest to j / convert
            seconds, and each tick takes its nearest frame (Sec. 4.3). None: ticks take the source's nearest frame.
        threads: Decoder threads; 0 lets the decoder choose.

    Yields:
        Exactly ``count`` frames, repeated where the video has a gap or has ended. Before its first frame the video
        shows its first frame.

    Raises:
        VideoError: the video is damaged, or ends more than a second before the last tick.
    """
    ticks = _Ticks(start, count, rate, convert)
    if start > _MARGIN:
        with open_video(path, threads=threads) as (container, stream):
            begin = container_start(container)
            frames = _after_seeking(container, stream, begin + start - _MARGIN)
            if frames is not None:
                yield from _nearest(frames, begin, stream, ticks)
                return
    with open_video(path, threads=threads) as (container, stream):
        yield from _nearest(decode(container, stream), container_start(container), stream, ticks)


@dataclass(frozen=True)
class _Ticks:
    start: float
    count: int
    rate: float
    convert: float | None

    def __getitem__(self, k: int) -> float:
        """The second whose nearest frame of the source is taken at tick k."""
        time = self.start + k / self.rate
        return time if self.convert is None else math.floor(time * self.convert + 0.5 + _TIE) / self.convert

    @property
    def last(self) -> float:
        return self.start + (self.count - 1) / self.rate


def _after_seeking(
    container: InputContainer, stream: VideoStream, time: float
) -> Iterator[tuple[float, VideoFrame]] | None:
    """The frames from the keyframe before ``time`` on; None if seeking fails (no index, no time stamps)."""
    if stream.time_base is None:
        return None
    try:
        container.seek(math.floor(time / stream.time_base), stream=stream)
        frames = decode(container, stream, sought=True)
        first = next(frames, None)
    except (av.error.FFmpegError, OSError, VideoError):
        return None
    if first is None or first[0] > time:
        return None
    return chain([first], frames)


def _nearest(
    frames: Iterator[tuple[float, VideoFrame]], begin: float, stream: VideoStream, ticks: _Ticks
) -> Iterator[VideoFrame]:
    """The frame nearest to each tick; the frames come in display order and begin before the first tick."""
    k = 0
    held: tuple[float, VideoFrame] | None = None
    for stamp, frame in frames:
        time = stamp - begin
        if held is not None:
            half_way = (held[0] + time) / 2 - _TIE
            while k < ticks.count and ticks[k] < half_way:
                yield held[1]
                k += 1
            if k == ticks.count:
                return
        held = (time, frame)
    if held is None:
        raise VideoError("no frame can be decoded")
    last = held[1]
    rated = last.duration * last.time_base if last.duration and last.time_base else 1 / (stream.average_rate or 25)
    end = held[0] + float(rated)
    if ticks.last > end + MISSING:
        raise VideoError(f"truncated: it ends at {end:.2f} s, but its last frame is due at {ticks.last:.2f} s")
    for _ in range(k, ticks.count):
        yield held[1]


def jpegs_at(
    path: Path, *, start: float, count: int, settings: SpotFrameSettings, threads: int
) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """`frames_at` as they are stored: JPEG, height and width; a repeated frame is the same object.

    Raises:
        VideoError: as for `frames_at`, or the frames change their size.
    """
    with open_video(path) as (_, stream):
        aspect = pixel_aspect(stream)
    frames = frames_at(path, start=start, count=count, rate=settings.rate, convert=settings.convert, threads=threads)
    shape: tuple[int, int] | None = None
    previous: VideoFrame | None = None
    jpeg = b""
    for number, frame in enumerate(frames):
        if frame is not previous:
            size = scaled_size(frame, settings.stored.size, aspect)
            if shape is not None and size != shape:
                raise VideoError(f"changes its size from {shape[::-1]} to {size[::-1]} at frame {number}")
            shape, previous = size, frame
            jpeg = to_jpeg(frame, *size, settings.stored.jpeg_quality)
        assert shape is not None  # the first frame is no previous one
        yield jpeg, shape


@dataclass(frozen=True)
class _Job:
    id: str
    half: GameHalf
    video: Path
    split: str
    spool: Path


def extract_game_frames(
    manifest: Path, root: Path, output: Output, settings: ExtractGameFrames, *, workers: int = 1
) -> None:
    """Write a game's frame shard: its halves, ``<game>/1`` and ``<game>/2``, frame k at k / rate seconds.

    Its folder becomes private (mode 0700): the frames are raw. A bad game, or one whose decoding fails, gives a shard
    without videos and with the quarantine entry.

    Args:
        manifest: The game's manifest (`pipeline.spot.games`).
        root: Folder of the videos.
        output: The frame shard to write (HDF5).
        settings: Rates, size, JPEG quality.
        workers: Processes, one a half; the result does not depend on it.

    Raises:
        ActaError: the game has no videos.
    """
    game = read_game(manifest)
    make_private(output.parent)
    with spool(output) as folder:
        jobs = []
        for half in game.halves:
            if half.video is None:
                raise ActaError(f"{manifest}: half {half.number} has features only, no video to take frames of")
            spooled = folder / f"{half.number}.jpegs"
            jobs.append(_Job(f"{game.name}/{half.number}", half, root / half.video, " ".join(game.splits), spooled))
        results = list(map_videos(partial(_store, settings=settings.frames), jobs, workers=workers, task=TASK))
        quarantine = list(game.quarantine)
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Quarantined):
                quarantine.append(Quarantined(game.name, TASK, f"{job.video.name}: {result.reason}"))
        videos = [] if quarantine else [result for result in results if isinstance(result, StoredVideo)]
        provenance = provenance_of(
            __name__, settings, inputs={"game": game.digest}, packages=("av", "simplejpeg", "h5py")
        )
        write_frames(output, videos, quarantine, provenance)


def _store(job: _Job, settings: SpotFrameSettings) -> StoredVideo:
    """Compress a half's frames into its spool file, a frame of several ticks only once."""
    times = np.arange(job.half.frames) / settings.rate
    sizes, shape = [], (0, 0)
    with job.spool.open("wb") as out:
        for jpeg, size in jpegs_at(job.video, start=job.half.start, count=len(times), settings=settings, threads=1):
            out.write(jpeg)
            sizes.append(len(jpeg))
            shape = size
    return StoredVideo(job.id, "", job.split, *shape, times, np.array(sizes, np.uint64), job.spool)
