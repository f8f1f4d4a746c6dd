"""Task `detect_objects`: people and objects on the keyframes of a shard's videos, with features (Sec. 3.2.2)."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from pipeline.config.tasks.detect import DetectObjects
from pipeline.detect.features.keyframes import KeyframeTable, TimedFrames, digests_of
from pipeline.detect.features.objects import Detected, SearchedVideo, write_objects
from pipeline.models.object_detector import PERSON, find, load_detector
from pipeline.models.opened import Opened, opened
from pipeline.models.weights import open_weights
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.errors import VideoError
from pipeline.runtime.files import Output
from pipeline.runtime.progress import Progress
from pipeline.runtime.provenance import Quarantined, provenance_of
from pipeline.runtime.workers import good_results

_PICTURES = 8  # searched at once


def detect_objects(
    frames: Path,
    output: Output,
    settings: DetectObjects,
    label_map: Path,
    boxes: Mapping[str, Path],
    proposals: Mapping[str, Path],
    *,
    detector: Path | Opened | None = None,
    max_bad_fraction: float = 1.0,
) -> None:
    """Write the object shard of a frame shard.

    Args:
        frames: The frame shard.
        output: The object shard.
        settings: Keyframes and thresholds.
        label_map: Every action (pbtxt).
        boxes, proposals: Annotated boxes and detected people by split, which name keyframes.
        detector: Model file; None: the registered one (COCO).
        max_bad_fraction: More bad videos than this fraction of the shard are an error.

    Raises:
        ActaError: a file cannot be read, or too many videos are bad.
    """
    check_device(settings.objects.device)
    table = KeyframeTable(settings.keyframes, label_map, boxes, proposals)
    shard = TimedFrames(frames, settings.keyframes.start)
    file = opened(detector or open_weights("fasterrcnn"), "the detector")
    model, about = load_detector(file)
    model = model.to(settings.objects.device)
    person = about.classes.index(PERSON)

    def search(video: str, label: str, split: str, searched: Callable[[float], None]) -> SearchedVideo | Quarantined:
        try:
            times = table.times(video, split, shard.times(video))
        except VideoError as error:
            return Quarantined(video, "detect_objects", str(error))
        objects, found = settings.objects, []
        for first in range(0, len(times), _PICTURES):
            pictures = shard.clip_at(video, times[first : first + _PICTURES]).to(objects.device)
            lowest = min(objects.score, objects.person_score)
            for each in find(model, list(pictures), lowest, objects.max_detections):
                detected = Detected(
                    each.feature.half().cpu().numpy(),
                    each.box.float().cpu().numpy(),
                    each.score.float().cpu().numpy(),
                    each.kind.int().cpu().numpy(),
                )
                wanted = np.where(detected.kind == person, objects.person_score, objects.score)
                found.append(detected.where(detected.score >= wanted))
            searched(len(found) / len(times))
        return SearchedVideo(video, label, split, times, found)

    def searched() -> Iterator[SearchedVideo | Quarantined]:
        columns = zip(shard.ids, shard.labels, shard.splits, strict=True)
        with Progress(total=len(shard.ids), unit="videos", desc="detect_objects") as bar:
            for number, column in enumerate(columns):
                yield search(*column, lambda share, number=number: bar.to(number + share))  # type: ignore[misc]
                bar.to(number + 1)

    provenance = provenance_of(
        __name__,
        settings,
        inputs={"frames": shard.digest} | digests_of(label_map, boxes, proposals),
        weights={"detector": file.stated},
        packages=("torch", "torchvision"),
    )
    quarantine = list(shard.quarantine)
    with pinned_threads(settings.objects.threads):
        videos = good_results(searched(), quarantine, max_bad_fraction, len(shard.ids), "detect_objects")
        write_objects(output, videos, about.classes, quarantine, provenance)
