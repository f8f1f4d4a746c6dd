"""Task `detect_people`: find faces or bodies in videos at their own resolution, at the frame store's time stamps."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame

from pipeline.config.privacy import SearchSettings
from pipeline.config.tasks.privacy import DetectPeople
from pipeline.media.decode import capped_size, decode, open_video, pixel_aspect, sample, to_rgb
from pipeline.media.manifest import Video, read_manifest
from pipeline.media.source import unchanged
from pipeline.models.weights import detector_digests
from pipeline.privacy.detectors import make_detector, runtimes
from pipeline.privacy.instances import DetectedVideo, Detector, Failures, Instances, write_detections
from pipeline.privacy.probe import check_search
from pipeline.privacy.search import search
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output
from pipeline.runtime.gpus import take_gpu
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.workers import map_videos, split_results


def detect_people(
    manifest: Path,
    root: Path,
    output: Output,
    settings: DetectPeople,
    *,
    workers: int = 1,
    max_bad_fraction: float = 1.0,
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
    if settings.detect.uses_gpu:
        take_gpu()  # for all workers: detectors of faces have no check of the device
        workers = min(workers, _PER_GPU)
    weights = detector_digests(settings)
    make_detector(settings.detect, weights)  # missing weights are one error, not one a video
    check_search(settings.what, settings.detect)
    shard = read_manifest(manifest)
    function = partial(_detect, root=root, settings=settings, weights=weights)
    results = map_videos(function, shard.videos, workers=workers, task="detect_people")
    videos, bad = split_results(results, max_bad_fraction, len(shard.videos), "detect_people")
    for video in videos:
        failures = Failures()
        for time, frame in zip(video.times, video.frames, strict=True):
            failures.add(time, frame)
        for note in failures.notes():
            print(f"{video.id}: {note}", file=sys.stderr)
    provenance = provenance_of(
        __name__,
        settings,
        inputs={"manifest": shard.digest},
        weights=weights,
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


def _detect(video: Video, root: Path, settings: DetectPeople, weights: Mapping[str, str]) -> DetectedVideo:
    detector, path = make_detector(settings.detect, weights), root / video.path
    with unchanged(path) as source, open_video(path) as (container, stream):
        find = partial(detect_frame, detector, settings=settings.detect, aspect=pixel_aspect(stream))
        frames = sample(decode(container, stream), settings.sampling.rate)
        searched = [(time, instances) for time, _, instances in search(frames, find, settings.detect, threads=1)]
    if not searched:
        raise VideoError("no frame can be decoded")
    times = np.array([time for time, _ in searched])
    instances = [instances for _, instances in searched]
    return DetectedVideo(video.id, video.label, video.split, times, instances, source)


def detect_frame(
    detector: Detector,
    frame: VideoFrame,
    settings: SearchSettings,
    aspect: Fraction | None = None,
    *,
    region: np.ndarray | None = None,
) -> Instances:
    """Instances of one decoded frame, relative to its upright picture; a detector's failure marks the frame failed.

    Args:
        detector: What finds them.
        frame: The frame as stored.
        settings: Resolution, and whether turned pictures are searched too.
        aspect: Width over height of a stored pixel; None: square.
        region: The relative box of the upright picture that the search may be limited to; None: all of it. A local
            detector is shown the region and its surroundings, any other the whole.
    """
    try:
        height, width = capped_size(frame, settings.picture_side, aspect)
        whole = (0, 0, width, height)
        part = _around(region, height, width) if region is not None and detector.local else whole
        turns = range(4 if settings.search_rotated else 1)
        instances = _look_all_ways(detector, frame, height, width, part, turns)
        if _is_cut_off(instances, part, height, width):
            instances = _look_all_ways(detector, frame, height, width, whole, turns)
        return instances
    except (ActaError, MemoryError):
        raise
    except Exception as error:  # whatever a runtime raises: the frame is then hidden whole
        return Instances(failed=True, reason=" ".join(str(error).split()) or type(error).__name__)


# Surroundings of a region, for the detector to judge by and for what moves: this share of the picture's longer side,
# and half the region's own, to each side.
_MARGIN = 0.1
_GRID = 32  # pixels: the networks' coarsest stride; on it they see a part as they see the whole
_WORTHWHILE = 0.6  # of the picture: a larger part is hardly cheaper than the whole
_NEAR = 1.5  # pixels: an instance this near to the edge of a part may extend beyond it

_Part = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def _around(region: np.ndarray, height: int, width: int) -> _Part:
    """A region with its surroundings; the whole picture where that is most of it."""
    sides = np.array([width, height])
    low, high = region[:2] * sides, region[2:] * sides
    margin = _MARGIN * sides.max() + (high - low).max() / 2
    low = np.maximum((low - margin) // _GRID * _GRID, 0).astype(int)
    high = np.minimum(-(-(high + margin) // _GRID) * _GRID, sides).astype(int)
    if np.prod(high - low) > _WORTHWHILE * np.prod(sides):
        return 0, 0, width, height
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _is_cut_off(instances: Instances, part: _Part, height: int, width: int) -> bool:
    """Whether an instance reaches the edge of a part where the picture goes on beyond it."""
    goes_on = np.array([part[0] > 0, part[1] > 0, part[2] < width, part[3] < height])
    reaches = np.abs(instances.boxes * [width, height, width, height] - part) < _NEAR
    return bool((reaches & goes_on).any())


def _look_all_ways(
    detector: Detector, frame: VideoFrame, height: int, width: int, part: _Part, turns: Iterable[int]
) -> Instances:
    """What is found in a part of the upright picture of that size and in the turned part, relative to the picture."""
    instances = Instances()
    for quarters in turns:
        instances = instances.joined(_look(detector, frame, height, width, part, quarters))
    if part == (0, 0, width, height):
        return instances
    left, top, right, bottom = part
    boxes = instances.boxes * [right - left, bottom - top, right - left, bottom - top] + [left, top, left, top]
    return replace(instances, boxes=(boxes / [width, height, width, height]).astype(np.float32))


def _look(detector: Detector, frame: VideoFrame, height: int, width: int, part: _Part, quarters: int) -> Instances:
    """What is found in the part after it was turned counter-clockwise by quarter turns, relative to the part."""
    left, top, right, bottom = part
    order = -1 if quarters % 2 else 1
    shape = (bottom - top, right - left)[::order]
    wanted = detector.input_size(*shape)
    # A network that only rounds its input up gets that by interpolation; a smaller input is scaled at once.
    if wanted[0] < shape[0] or wanted[1] < shape[1]:
        image = np.rot90(to_rgb(frame, *wanted[::order]), quarters)
    else:
        image = np.rot90(to_rgb(frame, height, width)[top:bottom, left:right], quarters)
        if wanted != shape:
            image = cv2.resize(image, wanted[::-1], interpolation=cv2.INTER_LINEAR)
    return detector(np.ascontiguousarray(image)).turned(-quarters)
