"""Figures 5.6 and 5.7: the classes that lose most by anonymisation."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from pipeline.files import atomic
from pipeline.report.classification import read_evaluation
from pipeline.report.thesis import THESIS, Evaluation

_WORST = 10
_NAMES = {"none": "original", "faces": "faces hidden", "bodies": "bodies hidden"}


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
        measured = [np.mean([read_evaluation(path)["top1"] for path in paths]) for paths in (files[0], paths)]
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
        for label, entry in read_evaluation(path)["per_class"].items():
            if entry["top1"] is not None:
                values.setdefault(label, []).append(entry["top1"])
    return {label: float(np.mean(found)) for label, found in values.items()}
