"""Task `obfuscate`: hide what was detected in a frame shard. It fails closed.

A frame without detections keeps its bytes. A frame whose detection failed is hidden whole. A video without detections,
or whose detections are at other time stamps, is quarantined: it is never passed on.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.config.privacy import ObfuscateSettings
from pipeline.config.tasks.privacy import Obfuscate
from pipeline.media.jpeg import decode_stored
from pipeline.privacy.filters import hide
from pipeline.privacy.instances import DetectionShard, Instances
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output, check_room, spool
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.store import FrameShard, StoredVideo, write_frames
from pipeline.runtime.workers import map_videos, split_results


@dataclass(frozen=True)
class _Job:
    id: str
    label: str
    split: str
    source: str
    spool: Path


def obfuscate(
    frames: Path,
    detections: Path,
    output: Output,
    settings: Obfuscate,
    *,
    workers: int = 1,
    max_bad_fraction: float = 1.0,
) -> None:
    """Write the anonymised frame shard, in the same format.

    Args:
        frames: Frame shard.
        detections: Detection shard of the same videos at the same time stamps.
        output: The frame shard to write.
        settings: Filter and its size.
        workers: Processes; the result does not depend on it.
        max_bad_fraction: More bad videos than this fraction of the shard are an error.

    Raises:
        ActaError: a shard is damaged, the two are of different files of a video, or too many videos are bad.
    """
    source, detected = FrameShard(frames), DetectionShard(detections)
    _check_sources(source, detected)
    size = frames.stat().st_size
    check_room(output.parent, 2 * size, f"a frame shard of the size of {frames.name}, {size / 1e9:.2f} GB, twice")
    with spool(output) as folder:
        jobs = [
            _Job(video, label, split, source.source(video), folder / f"{i}.jpegs")
            for i, (video, label, split) in enumerate(zip(source.ids, source.labels, source.splits, strict=True))
        ]
        function = partial(_obfuscate, frames=source, detections=detected, settings=settings.obfuscate)
        results = map_videos(function, jobs, workers=workers, task="obfuscate")
        videos, bad = split_results(results, max_bad_fraction, len(jobs), "obfuscate")
        provenance = provenance_of(
            __name__,
            settings,
            inputs={"frames": source.digest, "detections": detected.digest},
            packages=("opencv-python-headless", "h5py"),
        )
        write_frames(output, videos, bad, provenance)


def _check_sources(frames: FrameShard, detections: DetectionShard) -> None:
    searched = set(detections.ids)
    replaced = [video for video in frames.ids if video in searched and frames.source(video) != detections.source(video)]
    if replaced:
        others = f" ({len(replaced)} were)" if len(replaced) > 1 else ""
        raise ActaError(
            f"{replaced[0]} was replaced between the tasks{others}: it is another file in {frames.path} than in "
            f"{detections.path}; make both again (in a workflow: snakemake --force {frames.path} "
            f"{detections.path})"
        )


def _obfuscate(job: _Job, frames: FrameShard, detections: DetectionShard, settings: ObfuscateSettings) -> StoredVideo:
    times = frames.times(job.id)
    try:
        found = detections.frames(job.id)
    except KeyError as error:
        raise VideoError(f"no detections: {error.args[0]}") from None
    if not np.array_equal(detections.times(job.id), times):
        raise VideoError(f"its {len(times)} frames and its detections are at different time stamps")
    sizes = np.empty(len(times), np.uint64)
    with job.spool.open("wb") as out:
        for i, (jpeg, instances) in enumerate(zip(frames.jpegs(job.id), found, strict=True)):
            changed = hide_in_jpeg(jpeg, instances, settings)
            out.write(changed.data)
            sizes[i] = changed.size
    return StoredVideo(job.id, job.label, job.split, *frames.size(job.id), times, sizes, job.spool, job.source)


def hide_in_jpeg(jpeg: np.ndarray, instances: Instances, settings: ObfuscateSettings) -> np.ndarray:
    """Hide instances in one JPEG image; an image in which nothing is to be hidden comes back as it is."""
    if not len(instances) and not instances.failed and settings.filter != "frame":
        return jpeg
    image = decode_stored(jpeg, cv2.IMREAD_COLOR)
    hide([image], image.shape[:2], instances, settings, black=[0])
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality])
    return encoded
