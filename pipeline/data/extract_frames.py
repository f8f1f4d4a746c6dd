"""Task `extract_frames`: decode a shard's videos once and store their frames as JPEG at the training size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.config.tasks.privacy import ExtractFrames
from pipeline.media.frames import extract_video
from pipeline.media.manifest import Video, read_manifest
from pipeline.runtime.files import Output, check_room, make_private, spool
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.store import StoredVideo, write_frames
from pipeline.runtime.workers import map_videos, split_results

# Measured on the demo at quality 90; halves about every 15 steps of quality.
_BYTES_PER_PIXEL = 0.27


@dataclass(frozen=True)
class _Job:
    id: str
    video: Video
    path: Path
    spool: Path


def extract_frames(
    manifest: Path,
    root: Path,
    output: Output,
    settings: ExtractFrames,
    *,
    workers: int = 1,
    max_bad_fraction: float = 1.0,
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
        results = map_videos(partial(_extract, settings=settings), jobs, workers=workers, task="extract_frames")
        videos, bad = split_results(results, max_bad_fraction, len(jobs), "extract_frames")
        provenance = provenance_of(
            __name__, settings, inputs={"manifest": shard.digest}, packages=("av", "simplejpeg", "h5py")
        )
        write_frames(output, videos, bad, provenance)


def _estimate(videos: Sequence[Video], settings: ExtractFrames) -> tuple[float, str]:
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
    per_pixel = _BYTES_PER_PIXEL * 2 ** ((settings.frames.jpeg_quality - 90) / 15)
    return (
        2 * pixels * per_pixel,
        f"{frames:.0f} frames of {pixels / max(1, frames):.0f} pixels at {per_pixel:.2f} bytes, twice",
    )


def _extract(job: _Job, settings: ExtractFrames) -> StoredVideo:
    return extract_video(job.video, job.path, job.spool, settings.sampling, settings.frames)
