"""Stage `detect-people`: find faces or bodies in videos at their own resolution, at the frame store's time stamps."""

import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame

from pipeline.config.base import canonical
from pipeline.config.privacy import SearchSettings
from pipeline.config.stages import DetectStage
from pipeline.data.manifest import Video, read_manifest
from pipeline.errors import ActaError, VideoError
from pipeline.media.decode import capped_size, decode, open_video, pixel_aspect, sample, to_rgb
from pipeline.models.weights import detector_digests
from pipeline.privacy.detectors import make_detector, runtimes
from pipeline.privacy.instances import DetectedVideo, Detector, Failures, Instances, write_detections
from pipeline.privacy.probe import check_search
from pipeline.privacy.search import search
from pipeline.stages import code_digest
from pipeline.store import Provenance
from pipeline.workers import map_videos, split_results


@dataclass(frozen=True)
class _Job:
    id: str
    video: Video
    path: Path


def detect_shard(
    manifest: Path, root: Path, output: Path, settings: DetectStage, *, workers: int = 1, max_bad_fraction: float = 1.0
) -> None:
    """Write the detection shard of a manifest shard.

    Args:
        manifest: Manifest shard (JSON).
        root: Folder of the videos.
        output: The detection shard to write (HDF5).
        settings: Sampling rate and detector.
        workers: Processes, on a GPU at most four; the result does not depend on it.
        max_bad_fraction: More bad videos than this fraction of the shard are an error.

    Raises:
        ActaError: the detector's weights are missing, it finds nothing with these settings, or too many bad videos.
    """
    check_search(settings.what, settings.detect)  # missing weights, too, are one error, not one a video
    shard = read_manifest(manifest)
    jobs = [_Job(video.id, video, root / video.path) for video in shard.videos]
    if settings.detect.uses_gpu:
        workers = min(workers, _PER_GPU)
    results = map_videos(partial(_detect, settings=settings), jobs, workers=workers, stage="detect-people")
    videos, bad = split_results(results, max_bad_fraction, len(jobs), "detect-people")
    for video in videos:
        for note in _failures(video).notes():
            print(f"{video.id}: {note}", file=sys.stderr)
    provenance = Provenance(
        stage="detect-people",
        settings=canonical(settings),
        code=code_digest("detect-people"),
        inputs={"manifest": shard.digest},
        weights=detector_digests(settings),
        packages=(
            "av",
            "opencv-python-headless",
            "h5py",
            *runtimes(network.detector for network in settings.detect.networks),
        ),
    )
    write_detections(output, videos, bad, provenance)


# Processes on one GPU: each holds a network of its own there, and pictures of up to 1333 pixels.
_PER_GPU = 4


def _detect(job: _Job, settings: DetectStage) -> DetectedVideo:
    detector = make_detector(settings.detect)
    with open_video(job.path) as (container, stream):
        find = partial(detect_frame, detector, settings=settings.detect, aspect=pixel_aspect(stream))
        frames = sample(decode(container, stream), settings.sampling.rate)
        found = [(time, instances) for time, _, instances in search(frames, find, settings.detect, threads=1)]
    if not found:
        raise VideoError("no frame can be decoded")
    times = np.array([time for time, _ in found])
    return DetectedVideo(job.video.id, job.video.label, job.video.split, times, [instances for _, instances in found])


def _failures(video: DetectedVideo) -> Failures:
    failures = Failures()
    for time, frame in zip(video.times, video.frames, strict=True):
        failures.add(time, frame)
    return failures


def detect_frame(
    detector: Detector, frame: VideoFrame, settings: SearchSettings, aspect: Fraction | None = None
) -> Instances:
    """Instances of one decoded frame, relative to its upright picture; a detector's failure marks the frame failed.

    Args:
        detector: What finds them.
        frame: The frame as stored.
        settings: Resolution, and whether turned pictures are searched too.
        aspect: Width over height of a stored pixel; None: square.
    """
    try:
        height, width = capped_size(frame, settings.picture_side, aspect)
        found = _detect_turned(detector, frame, height, width, 0)
        for quarters in (1, 2, 3) if settings.turned else ():
            found = found.joined(_detect_turned(detector, frame, height, width, quarters))
        return found
    except (ActaError, MemoryError):
        raise
    except Exception as error:  # whatever a runtime raises: the frame is then hidden whole
        return Instances(failed=True, reason=" ".join(str(error).split()) or type(error).__name__)


def _detect_turned(detector: Detector, frame: VideoFrame, height: int, width: int, quarters: int) -> Instances:
    """What is found in the upright picture of that size after it was turned counter-clockwise by quarter turns."""
    if quarters % 2:
        height, width = width, height
    wanted = detector.input_size(height, width)
    # A network that only rounds its input up gets that by interpolation; a smaller input is scaled at once.
    size = wanted if wanted[0] < height or wanted[1] < width else (height, width)
    image = np.rot90(to_rgb(frame, *(size[::-1] if quarters % 2 else size)), quarters)
    if wanted != size:
        image = cv2.resize(image, wanted[::-1], interpolation=cv2.INTER_LINEAR)
    return detector(np.ascontiguousarray(image)).turned(-quarters)
