"""Stage `quarantine`: every video that some stage left out, with the reason, in one table."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.data.manifest import read_manifest
from pipeline.features.entities import FeatureShard
from pipeline.privacy.instances import DetectionShard
from pipeline.shown import write_table
from pipeline.store import FrameShard, Quarantined

COLUMNS = ("video", "stage", "reason")


def collect_quarantine(
    manifests: Sequence[Path],
    frames: Sequence[Path],
    detections: Sequence[Path],
    output: Path,
    features: Sequence[Path] = (),
) -> None:
    """Write a table (TSV: video, stage, reason) of all that the given shards left out."""
    entries: set[Quarantined] = set()
    for path in manifests:
        entries.update(read_manifest(path).quarantine)
    for path in frames:
        entries.update(FrameShard(path).quarantine)
    for path in detections:
        entries.update(DetectionShard(path).quarantine)
    for path in features:
        entries.update(FeatureShard(path).quarantine)
    write_table(output, COLUMNS, sorted((each.id, each.stage, each.reason) for each in entries), delimiter="\t")
