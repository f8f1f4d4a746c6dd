"""`acta anonymize`: one video file in, the same video without faces or bodies out, in constant memory.

The pictures are decoded, searched, filtered and encoded as a stream. `pipeline.media.encode` says what else of the file
is kept.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from pipeline.config.privacy import ObfuscateSettings, SearchSettings
from pipeline.media.decode import orientation
from pipeline.media.encode import Encoding, rewritten
from pipeline.media.picture import as_planes, like, plane_pixels
from pipeline.privacy.detect_people import detect_frame
from pipeline.privacy.detectors import make_detector
from pipeline.privacy.filters import hide
from pipeline.privacy.instances import DetectedVideo, Failures, Instances
from pipeline.privacy.preview import draw
from pipeline.privacy.search import search
from pipeline.runtime.files import private_files
from pipeline.runtime.workers import available_cores

_MAX_THREADS = 16  # each holds two decoded frames


@dataclass(frozen=True)
class Anonymized:
    """What was done to one file.

    Attributes:
        frames: How many the output has; a photograph is one.
        instances: Faces or bodies that were hidden, each counted in every frame.
        failed: Frames that were hidden whole because the detector failed on them.
        notes: What was lost, converted or dropped, and why the detector failed, a line each.
        detections: What was found in every frame, if it was asked for.
    """

    frames: int
    instances: int
    failed: int
    notes: tuple[str, ...] = ()
    detections: DetectedVideo | None = None


def anonymize_video(
    source: Path,
    output: Path,
    detect: SearchSettings,
    obfuscate: ObfuscateSettings,
    *,
    encoding: Encoding = Encoding(),
    overwrite: bool = False,
    preview: bool = False,
    threads: int | None = None,
    progress: Callable[[int], object] = lambda frames: None,
    keep_detections: bool = False,
) -> Anonymized:
    """Write ``output``, an anonymised copy of ``source``.

    Args:
        source: The video. It is only read.
        output: The copy; its suffix chooses the container. It appears when it is whole.
        detect: How instances are found; for bodies including ``faces``.
        obfuscate: Filter and its size. ``frame`` hides every frame whole and runs no detector.
        encoding: Quality and speed of the encoder, and what is kept besides pictures.
        overwrite: Replace a file that is there already; never ``source``.
        preview: Hide nothing, but draw what would be hidden; only the owner can read the output (mode 0600).
        threads: Frames searched at the same time; the result does not depend on it. None: one a core.
        progress: Called after each frame with the number of frames done.
        keep_detections: Return what was found in every frame.

    Raises:
        ActaError: ``output`` is ``source`` or is there, or its container is unknown, or the disk is full.
        VideoError: ``source`` is damaged; nothing is written then.
    """
    done = hidden = 0
    failures = Failures()
    times: list[float] = []
    found: list[Instances] = []
    detector = None if obfuscate.filter == "frame" else make_detector(detect)
    with (
        private_files() if preview else nullcontext(),
        rewritten(source, output, encoding, overwrite=overwrite) as (pictures, writer),
    ):
        find = None if detector is None else partial(detect_frame, detector, settings=detect, aspect=writer.aspect)
        frames = ((frame.time or 0.0, frame) for frame in pictures)
        searched = search(frames, find, detect, threads or min(available_cores(), _MAX_THREADS))
        for time, frame, instances in searched:
            if keep_detections:
                times.append(time)
                found.append(instances)
            writer.write(_drawn(frame, instances) if preview else _hidden(frame, instances, obfuscate))
            done, hidden = done + 1, hidden + len(instances)
            failures.add(time, instances)
            progress(done)
    kept = DetectedVideo(source.name, "", "", np.array(times), found) if keep_detections else None
    return Anonymized(done, hidden, failures.count, (*writer.notes, *failures.notes()), kept)


def _drawn(frame: VideoFrame, instances: Instances) -> VideoFrame:
    """The frame with what was found in it drawn, upright as a player shows it."""
    shown = orientation(frame)
    image = shown.upright(frame.to_ndarray(format="rgb24"))
    draw(image, instances)
    drawn = VideoFrame.from_ndarray(shown.stored(image), "rgb24")
    return like(drawn.reformat(format=frame.format.name, dst_colorspace=frame.colorspace), frame)


def _hidden(frame: VideoFrame, instances: Instances, settings: ObfuscateSettings) -> VideoFrame:
    """The frame with its instances hidden; the frame itself when there is nothing to hide."""
    if not len(instances) and not instances.failed and settings.filter != "frame":
        return frame
    shown = orientation(frame)
    stored = instances.turned(-shown.quarters)
    if shown.mirrored:
        stored = stored.mirrored()
    frame = as_planes(frame)
    copy = like(VideoFrame(frame.width, frame.height, frame.format.name), frame)
    planes = [plane_pixels(plane, copy) for plane in copy.planes]
    for plane, pixels in zip(frame.planes, planes, strict=True):
        np.copyto(pixels, plane_pixels(plane, frame))
    hide(planes, (frame.height, frame.width), stored, settings, _black(copy))
    return copy


def _black(frame: VideoFrame) -> list[int]:
    """Black in each plane, for the frame's colour space, range and depth."""
    count, bits = len(frame.planes), frame.format.components[0].bits
    full = frame.format.name.startswith("yuvj") or frame.color_range == 2
    luma = 0 if full else 16 << (bits - 8)
    return [luma, 128 << (bits - 8), 128 << (bits - 8), 0][:count]
