"""`acta anonymize`: one video file in, the same video without faces or bodies out, in constant memory.

The picture is decoded, searched, filtered and encoded as a stream; audio is copied as it is, and subtitles where the
container can hold them. Frame count, time stamps, rotation, pixel format and colour description stay. Cover art,
further video streams, data streams and metadata (place, author, device) are left out: each can tell who is there.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from pipeline.config.privacy import DetectSettings, ObfuscateSettings
from pipeline.files import private_files
from pipeline.media.decode import orientation
from pipeline.media.encode import Encoding, rewritten
from pipeline.media.picture import as_planes, like, plane_pixels
from pipeline.privacy.detect import detect_frame
from pipeline.privacy.detectors import Detector, make_detector
from pipeline.privacy.filters import hide
from pipeline.privacy.gaps import Pacer, bridge, fill_gaps
from pipeline.privacy.instances import DetectedVideo, Instances
from pipeline.privacy.preview import draw
from pipeline.workers import available_cores

_MAX_THREADS = 16  # each holds two decoded frames


@dataclass(frozen=True)
class Anonymized:
    """What was done to one file.

    Attributes:
        frames: How many the output has; a photograph is one.
        instances: Faces or bodies that were hidden, each counted in every frame.
        failed: Frames that were hidden whole because the detector failed on them.
        notes: What was lost, converted or dropped, a line each.
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
    detect: DetectSettings,
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
        detect: Detector, resolution, gap filling.
        obfuscate: Filter and its size. ``frame`` hides every frame whole and runs no detector.
        encoding: Quality and speed of the encoder, and what beside pictures is kept.
        overwrite: Replace a file that is there already; never ``source``.
        preview: Hide nothing, but draw what would be hidden; only the owner can read the output (mode 0600).
        threads: Frames searched at the same time; the result does not depend on it. None: one a core.
        progress: Called after each frame with the number of frames done.
        keep_detections: Return what was found in every frame.

    Raises:
        ActaError: ``output`` is ``source`` or is there, or its container is unknown, or the disk is full.
        VideoError: ``source`` is damaged; nothing is written then.
    """
    done = hidden = failed = 0
    times: list[float] = []
    found: list[Instances] = []
    detector = None if obfuscate.filter == "frame" else make_detector(detect)
    with (
        private_files() if preview else nullcontext(),
        rewritten(source, output, encoding, overwrite=overwrite) as (pictures, writer),
    ):
        searched = _search(pictures, detector, detect, threads or min(available_cores(), _MAX_THREADS))
        for frame, time, instances in _filled(searched, detect.fill_gap):
            if keep_detections:
                times.append(time)
                found.append(instances)
            writer.write(_drawn(frame, instances) if preview else _hidden(frame, instances, obfuscate))
            done, hidden, failed = done + 1, hidden + len(instances), failed + instances.failed
            progress(done)
    kept = DetectedVideo(source.name, "", "", np.array(times), found) if keep_detections else None
    return Anonymized(done, hidden, failed, tuple(writer.notes), kept)


def _search(
    frames: Iterable[VideoFrame],
    detector: Detector | None,
    settings: DetectSettings,
    threads: int,
) -> Iterator[tuple[VideoFrame, float, Instances | None]]:
    """Frames, their times and what was found in them, in order; None for those that `Pacer` lets pass."""
    if detector is None:
        for frame in frames:
            yield frame, frame.time or 0.0, Instances()
        return
    due = Pacer(settings.interval)
    pending: deque[tuple[VideoFrame, float, Future[Instances] | None]] = deque()
    running = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for frame in frames:
                time = frame.time or 0.0
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
