"""Task `collect_quarantine`: every video that some task left out, with the reason, in one table."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.media.manifest import read_manifest
from pipeline.runtime.files import Output
from pipeline.runtime.provenance import Quarantined
from pipeline.runtime.shown import write_table
from pipeline.runtime.store import Shard

COLUMNS = ("video", "task", "reason")


def collect_quarantine(manifests: Sequence[Path], shards: Sequence[Path], output: Output) -> None:
    """Write a table (TSV: video, task, reason) of all that the given files left out.

    Args:
        manifests: Of the shards.
        shards: Frames, detections or features.
        output: The table to write.
    """
    entries: set[Quarantined] = set()
    for path in manifests:
        entries.update(read_manifest(path).quarantine)
    for path in shards:
        entries.update(Shard(path).quarantine)
    write_table(output, COLUMNS, sorted((entry.id, entry.task, entry.reason) for entry in entries), delimiter="\t")
