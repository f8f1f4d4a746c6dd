"""Task `audit`: what an independent detector still finds on anonymised frames, per video.

The output is JSON: for each auditor and video the number of frames, detections before and after, and frames with any
detection after. `certify` adds the shards up.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from pipeline.config.base import parse
from pipeline.config.tasks.privacy import Audit, DetectPeople, Obfuscate
from pipeline.media.jpeg import decode_stored
from pipeline.models.weights import detector_digests
from pipeline.privacy.detectors import make_auditor, runtimes
from pipeline.privacy.instances import DetectionShard
from pipeline.privacy.probe import check_auditors, check_hiding
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.seals import make_again
from pipeline.runtime.store import FrameShard
from pipeline.runtime.workers import map_videos, split_results


@dataclass(frozen=True)
class _Job:
    id: str
    label: str


def audit(before: Path, after: Path, detections: Path, output: Output, settings: Audit, *, workers: int = 1) -> None:
    """Run every auditor on the original and on the anonymised frames of a shard.

    Args:
        before: Frame shard with the original frames.
        after: Anonymised frame shard.
        detections: Detection shard from which ``after`` was made; the certificate quotes its provenance.
        output: JSON to write.
        settings: Auditors with their thresholds.
        workers: Processes; the result does not depend on it.

    Raises:
        ActaError: an auditor's weights are missing, the anonymised shard was not made from ``before``, or the settings
            of the search, of hiding or of an auditor fail on a clear photograph (`pipeline.privacy.probe`).
    """
    check_auditors(settings.auditors)
    original, hidden = FrameShard(before), FrameShard(after)
    detected = DetectionShard(detections)
    for role, shard in (("frames", original), ("detections", detected)):
        if hidden.provenance["inputs"].get(role) != shard.digest:
            raise ActaError(f"{after} was not made from {shard.path}; {make_again(after)}")
    for video in hidden.ids:
        if hidden.source(video) != original.source(video):
            raise ActaError(f"{after} has {video} of another file than {before}; {make_again(after)}")
    searched = parse(DetectPeople, detected.provenance["settings"], str(detections))
    hiding = parse(Obfuscate, hidden.provenance["settings"], str(after))
    check_hiding(searched.what, searched.detect.on_cpu(), hiding.obfuscate)
    jobs = [_Job(video, label) for video, label in zip(hidden.ids, hidden.labels, strict=True)]
    function = partial(_audit, before=original, after=hidden, settings=settings)
    rows, bad = split_results(map_videos(function, jobs, workers=workers, task="audit"), 0.0, len(jobs), "audit")
    if bad:
        raise ActaError(f"{after}: the audit of {bad[0].id} failed: {bad[0].reason}")
    provenance = provenance_of(
        __name__,
        settings,
        inputs={"before": original.digest, "after": hidden.digest, "detections": detected.digest},
        weights=detector_digests(settings),
        packages=("opencv-python-headless", *runtimes(settings.auditors)),
    )
    content = {"provenance": provenance.content, "detect": detected.provenance, "obfuscate": hidden.provenance}
    write_json(output, content | {"videos": rows, "quarantine": [asdict(entry) for entry in hidden.quarantine]})


def _audit(job: _Job, before: FrameShard, after: FrameShard, settings: Audit) -> dict[str, Any]:
    row: dict[str, Any] = {"id": job.id, "label": job.label, "sha256": after.source(job.id)}
    row |= {"frames": len(after.times(job.id)), "auditors": {}}
    for name, threshold in settings.auditors.items():
        counts = [_count(shard, job.id, name, threshold) for shard in (before, after)]
        row["auditors"][name] = {
            "before": sum(counts[0]),
            "after": sum(counts[1]),
            "frames_with_residual": sum(count > 0 for count in counts[1]),
        }
    return row


def _count(shard: FrameShard, video: str, auditor: str, threshold: float) -> list[int]:
    """Detections in each frame, at the auditor's own input size."""
    detector = make_auditor(auditor, threshold)
    counts = []
    for jpeg in shard.jpegs(video):
        image = decode_stored(jpeg, cv2.IMREAD_COLOR_RGB)
        height, width = detector.input_size(*image.shape[:2])
        if (height, width) != image.shape[:2]:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        counts.append(len(detector(image)))
    return counts
