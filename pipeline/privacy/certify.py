"""Stage `certify`: one certificate (JSON) and one table (TSV) for a dataset's anonymised variant."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import ActaError
from pipeline.files import atomic, write_json
from pipeline.stages import code_digest

COLUMNS = ("video", "label", "auditor", "frames", "before", "after", "residual_rate", "frames_with_residual")


def certify(audits: Sequence[Path], certificate: Path, table: Path) -> None:
    """Add up the audits of all shards.

    ``residual_rate`` is detections after over detections before; it is empty where there were none before.

    Raises:
        ActaError: no audits, or audits of different settings, code or weights, which no single certificate can cover.
    """
    if not audits:
        raise ActaError("no audits to certify")
    shards = [json.loads(path.read_text()) for path in audits]
    made = [_what_decides(shard) for shard in shards]
    for path, other in zip(audits, made, strict=True):
        if other != made[0]:
            raise ActaError(f"{path} was made with other settings, code or weights than {audits[0]}")
    videos = sorted((row for shard in shards for row in shard["videos"]), key=lambda row: row["id"])
    quarantine = sorted((row for shard in shards for row in shard["quarantine"]), key=lambda row: row["id"])
    auditors = list(shards[0]["provenance"]["settings"]["auditors"])
    overall = [_overall(videos, auditor) for auditor in auditors]
    content = {
        "certifies": "what independent detectors still find on the anonymised frames",
        "videos": len(videos),
        "frames": sum(row["frames"] for row in videos),
        "quarantined": quarantine,
        "overall": {row["auditor"]: {k: row[k] for k in COLUMNS[4:]} for row in overall},
        "made_by": made[0] | {"certify": {"code": code_digest("certify")}},
    }
    write_json(certificate, content)
    rows = [_row(video, auditor) for auditor in auditors for video in videos]
    with atomic(table) as temporary, temporary.open("w", newline="", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, *overall])


def _what_decides(shard: dict[str, Any]) -> dict[str, Any]:
    parts = {"detect": shard["detect"], "obfuscate": shard["obfuscate"], "audit": shard["provenance"]}
    return {name: {k: v for k, v in part.items() if k != "inputs"} for name, part in parts.items()}


def _row(video: dict[str, Any], auditor: str) -> dict[str, Any]:
    counts = video["auditors"][auditor]
    row = {"video": video["id"], "label": video["label"], "auditor": auditor, "frames": video["frames"], **counts}
    return row | {"residual_rate": _rate(counts)}


def _overall(videos: Sequence[dict[str, Any]], auditor: str) -> dict[str, Any]:
    names = ("before", "after", "frames_with_residual")
    counts = {name: sum(video["auditors"][auditor][name] for video in videos) for name in names}
    frames = sum(video["frames"] for video in videos)
    return {
        "video": "(all)",
        "label": "",
        "auditor": auditor,
        "frames": frames,
        **counts,
        "residual_rate": _rate(counts),
    }


def _rate(counts: dict[str, int]) -> float | None:
    return round(counts["after"] / counts["before"], 6) if counts["before"] else None
