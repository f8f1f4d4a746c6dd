"""Stage `frames`: decode a shard's videos once and store their frames as JPEG at the training size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.config.base import canonical
from pipeline.config.data import FrameSettings, SamplingSettings
from pipeline.config.stages import FramesStage
from pipeline.data.manifest import Video, read_manifest
from pipeline.errors import VideoError
from pipeline.files import check_room, make_private, spool
from pipeline.media.decode import decode, open_video, pixel_aspect, sample, scaled_size, to_jpeg
from pipeline.media.source import unchanged
from pipeline.stages import code_digest
from pipeline.store import Provenance, StoredVideo, write_frames
from pipeline.workers import map_videos, split_results

# Measured on the demo at quality 90; halves about every 15 steps of quality.
_BYTES_PER_PIXEL = 0.27


@dataclass(frozen=True)
class _Job:
    id: str
    video: Video
    path: Path
    spool: Path


def extract_frames(
    manifest: Path, root: Path, output: Path, settings: FramesStage, *, workers: int = 1, max_bad_fraction: float = 1.0
) -> None:
    """Write the frame shard of a manifest shard. Its folder becomes private (mode 0700): the frames are raw.

    Args:
        manifest: Manifest shard (JSON).
        root: Folder of the videos.
        output: The frame shard to write (HDF5).
        settings: Sampling rate, size, JPEG quality.
        workers: Processes; the result does not depend on it.
        max_bad_fraction: More bad videos than this fraction of the shard are an error.

    Raises:
        ActaError: too many bad videos.
    """
    shard = read_manifest(manifest)
    check_room(output.parent, *_estimate(shard.videos, settings))
    make_private(output.parent)
    with spool(output) as folder:
        jobs = [_Job(v.id, v, root / v.path, folder / f"{i}.jpegs") for i, v in enumerate(shard.videos)]
        results = map_videos(partial(_extract, settings=settings), jobs, workers=workers, stage="frames")
        videos, bad = split_results(results, max_bad_fraction, len(jobs), "frames")
        provenance = Provenance(
            stage="frames",
            settings=canonical(settings),
            code=code_digest("frames"),
            inputs={"manifest": shard.digest},
            packages=("av", "simplejpeg", "h5py"),
        )
        write_frames(output, videos, bad, provenance)


def _estimate(videos: Sequence[Video], settings: FramesStage) -> tuple[float, str]:
    """Bytes that a shard will take while it is written, spooled frames and shard, and what they are."""
    rate, size = settings.sampling.rate, settings.frames.size
    frames = pixels = 0.0
    for info in (video.info for video in videos):
        count = info.frames if rate is None else min(info.frames, math.ceil(info.duration * rate))
        height, width = info.height, info.width
        if isinstance(size, tuple):
            height, width = size
        elif size is not None:
            height, width = (round(side * size / min(info.height, info.width)) for side in (height, width))
        frames += count
        pixels += count * height * width
    each = _BYTES_PER_PIXEL * 2 ** ((settings.frames.jpeg_quality - 90) / 15)
    return 2 * pixels * each, f"{frames:.0f} frames of {pixels / max(1, frames):.0f} pixels at {each:.2f} bytes, twice"


def _extract(job: _Job, settings: FramesStage) -> StoredVideo:
    return extract_video(job.video, job.path, job.spool, settings.sampling, settings.frames)


def extract_video(
    video: Video, path: Path, spooled: Path, sampling: SamplingSettings, frames: FrameSettings
) -> StoredVideo:
    """Decode, sample, scale, turn upright and compress one video into ``spooled``.

    Raises:
        VideoError: the video is damaged, changes its size half-way, or is replaced meanwhile.
    """
    times: list[float] = []
    sizes: list[int] = []
    shape: tuple[int, int] | None = None
    with unchanged(path) as source, open_video(path) as (container, stream), spooled.open("wb") as out:
        aspect = pixel_aspect(stream)
        for time, frame in sample(decode(container, stream), sampling.rate):
            size = scaled_size(frame, frames.size, aspect)
            if shape is not None and size != shape:
                raise VideoError(f"changes its size from {shape[::-1]} to {size[::-1]} at frame {len(times)}")
            shape = size
            jpeg = to_jpeg(frame, *size, frames.jpeg_quality)
            out.write(jpeg)
            times.append(time)
            sizes.append(len(jpeg))
    if shape is None:
        raise VideoError("no frame can be decoded")
    return StoredVideo(
        video.id,
        video.label,
        video.split,
        *shape,
        times=np.array(times),
        sizes=np.array(sizes, np.uint64),
        data=spooled,
        source=source,
    )
