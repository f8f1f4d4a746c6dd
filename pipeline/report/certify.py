"""Task `certify`: one certificate (JSON and HTML) and one table for a dataset's anonymised variant."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.privacy.unusual import unusual
from pipeline.report.certificate_page import certificate_page
from pipeline.report.tables import write_table, write_text
from pipeline.runtime.digest import code_digest
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.text import read_made

_READING = """\
Before and after are the detections of an auditor on the original and on the anonymised frames; the residual rate is
after over before, and missing where there were none before. The rows (all) add up all videos. An auditor can be wrong,
so a residual detection may be a false alarm; look at the frames.
"""
COLUMNS = ("video", "label", "auditor", "frames", "before", "after", "residual_rate", "frames_with_residual")


def certify(audits: Sequence[Path], certificate: Output, table: Output) -> None:
    """Add up the audits of all shards.

    The certificate names the sha256 of each video's file (``sources``) and the digests of the shards of its frames
    before and after and of the detections (``shards``). ``residual_rate`` is detections after over detections before;
    it is missing where there were none before.

    Args:
        audits: Of all shards (JSON).
        certificate: JSON to write; a page for people is written next to it (``.html``).
        table: Table to write, a row for each video and auditor (``.csv``; ``.md`` and ``.html`` next to it).

    Raises:
        ActaError: no audits, or audits of different settings, code or weights, which no single certificate can cover.
    """
    if not audits:
        raise ActaError("no audits to certify")
    shards = [read_made(path, "the audit") for path in audits]
    made = [_what_decides(shard) for shard in shards]
    for path, other in zip(audits, made, strict=True):
        if other != made[0]:
            raise ActaError(f"{path} was made with other settings, code or weights than {audits[0]}")
    videos = sorted((row for shard in shards for row in shard["videos"]), key=lambda row: row["id"])
    quarantine = sorted((row for shard in shards for row in shard["quarantine"]), key=lambda row: row["id"])
    auditors = list(shards[0]["provenance"]["settings"]["auditors"])
    rows = [_row(video["id"], video["label"], auditor, [video]) for auditor in auditors for video in videos]
    overall = [_row("(all)", "", auditor, videos) for auditor in auditors]
    detect, obfuscate = made[0]["detect"]["settings"]["detect"], made[0]["obfuscate"]["settings"]["obfuscate"]
    content = {
        "what": made[0]["detect"]["settings"]["what"],
        "certifies": "what independent detectors still find on the anonymised frames",
        "videos": len(videos),
        "frames": sum(row["frames"] for row in videos),
        "quarantined": quarantine,
        "unusual": unusual(detect, obfuscate, made[0]["audit"]["settings"]["auditors"]),
        "overall": {row["auditor"]: {k: row[k] for k in COLUMNS[4:]} for row in overall},
        "sources": {row["id"]: row["sha256"] for row in videos},
        "shards": [shard["provenance"]["inputs"] for shard in shards],
        "made_by": made[0] | {"certify": {"code": code_digest(__name__)}},
    }
    texts = [
        row | {"residual_rate": None if (rate := row["residual_rate"]) is None else f"{rate:.4f}"}
        for row in (*rows, *overall)
    ]
    title = f"Audit: what is still found of {content['what']} after anonymisation"
    write_table(texts, table, title=title, reading=_READING, columns=COLUMNS)
    write_text(certificate.with_suffix(".html"), certificate_page(content, rows))
    write_json(certificate, content)


def _what_decides(shard: dict[str, Any]) -> dict[str, Any]:
    parts = {"detect": shard["detect"], "obfuscate": shard["obfuscate"], "audit": shard["provenance"]}
    return {name: {k: v for k, v in part.items() if k != "inputs"} for name, part in parts.items()}


def _row(name: str, label: str, auditor: str, videos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What an auditor found in these videos, added up."""
    found = ("before", "after", "frames_with_residual")
    counts = {count: sum(video["auditors"][auditor][count] for video in videos) for count in found}
    return {
        "video": name,
        "label": label,
        "auditor": auditor,
        "frames": sum(video["frames"] for video in videos),
        **counts,
        "residual_rate": round(counts["after"] / counts["before"], 6) if counts["before"] else None,
    }
