"""Tables 5.1 to 5.3 and Figures 5.6 and 5.7: the thesis's numbers beside those that were measured here."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
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
_WORST = 10
_NAMES = {"none": "original", "faces": "faces hidden", "bodies": "bodies hidden"}


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
            found = [_read(path) for path in paths]
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


def draw_drops(rows: Sequence[Evaluation], files: Sequence[Sequence[Path]], output: Path) -> None:
    """Draw the ten classes with the largest drop in top-1 accuracy (Figures 5.6 and 5.7), PNG.

    Args:
        rows: The reference, then each evaluation to compare with it: one plot each.
        files: For each its evaluations, one a split; the mean over the splits is drawn.
        output: The picture.
    """
    before = _per_class(files[0])
    figure, axes = plt.subplots(
        1, len(rows) - 1, figsize=(5.2 * (len(rows) - 1), 4.4), squeeze=False, layout="constrained"
    )
    for axis, row, paths in zip(axes[0], rows[1:], files[1:], strict=True):
        after = _per_class(paths)
        worst = sorted(before, key=lambda label: (after[label] - before[label], label))[:_WORST]
        places = np.arange(len(worst))
        axis.barh(places - 0.2, [before[c] for c in worst], 0.4, label=_NAMES[rows[0].tested], color="tab:blue")
        axis.barh(places + 0.2, [after[c] for c in worst], 0.4, label=_NAMES[row.tested], color="tab:orange")
        axis.set_yticks(places, worst)
        axis.invert_yaxis()
        axis.set(xlim=(0, 100), xlabel="Top-1 accuracy in %")
        measured = [np.mean([_read(path)["top1"] for path in paths]) for paths in (files[0], paths)]
        title = f"{_NAMES[row.tested]}: {measured[0]:.1f} → {measured[1]:.1f}"
        if rows[0] in THESIS and row in THESIS:
            title += f"\n(thesis, Kinetics-400: {THESIS[rows[0]][0]} → {THESIS[row][0]})"
        axis.set_title(title, fontsize=10)
        axis.grid(axis="x", alpha=0.3)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
    with atomic(output) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    plt.close(figure)


def _per_class(paths: Sequence[Path]) -> dict[str, float]:
    """Mean accuracy over the splits by class; classes without a test video are left out."""
    values: dict[str, list[float]] = {}
    for path in paths:
        for label, entry in _read(path)["per_class"].items():
            if entry["top1"] is not None:
                values.setdefault(label, []).append(entry["top1"])
    return {label: float(np.mean(found)) for label, found in values.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ActaError(f"cannot read the evaluation {path}: {error}") from None
