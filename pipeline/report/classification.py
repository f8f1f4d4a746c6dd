"""Tables 5.1 to 5.3: the thesis's numbers beside those that were measured here."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ActaError
from pipeline.files import atomic
from pipeline.report.thesis import THESIS, Evaluation

COLUMNS = ("recipe", "trained_on", "tested_on", "strategy", "thesis_top1", "thesis_top5") + (
    "top1",
    "top1_low",
    "top1_high",
    "top5",
    "change_percent",
    "splits",
    "evaluated",
    "expected",
)
_MISSING = "–"


def write_table(rows: Sequence[Evaluation], files: Sequence[Sequence[Path]], output: Path) -> None:
    """Write one table (TSV).

    Args:
        rows: Its rows; a change is relative to the first row of the same recipe, as in Table 5.1.
        files: For each row its evaluations (`pipeline.classify.evaluate`), one a split.
        output: The table. Accuracies in per cent, the mean over the splits; ``low`` and ``high`` are the 95 % bootstrap
            interval, given where there is one split.
    """
    first: dict[str, float] = {}
    with atomic(output) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, paths in zip(rows, files, strict=True):
            found = [read_evaluation(path) for path in paths]
            top1 = float(np.mean([one["top1"] for one in found]))
            reference = first.setdefault(row.recipe, top1)
            low, high = found[0]["top1_interval"] if len(found) == 1 else (None, None)
            writer.writerow(
                [
                    row.recipe,
                    row.variant,
                    row.tested,
                    row.strategy,
                    *THESIS.get(row, (_MISSING, _MISSING)),
                    *(_MISSING if value is None else f"{value:.1f}" for value in (top1, low, high)),
                    f"{np.mean([one['top5'] for one in found]):.1f}",
                    f"{100 * (top1 - reference) / reference:+.1f}" if reference else _MISSING,
                    len(found),
                    sum(one["coverage"]["evaluated"] for one in found),
                    sum(one["coverage"]["expected"] for one in found),
                ]
            )


def read_evaluation(path: Path) -> dict[str, Any]:
    """An evaluation (`pipeline.classify.evaluate`).

    Raises:
        ActaError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ActaError(f"cannot read the evaluation {path}: {error}") from None
