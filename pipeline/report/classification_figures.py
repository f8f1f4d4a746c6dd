"""Figures 5.6 and 5.7: the classes that lose most by anonymisation."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import binomtest

from pipeline.report import style
from pipeline.report.thesis import THESIS, Evaluation
from pipeline.runtime.text import read_made

_WORST = 10


class _Class(NamedTuple):
    """Top-1 accuracy in per cent, and its 95 % interval."""

    top1: float
    low: float
    high: float


def draw_drops(rows: Sequence[Evaluation], files: Sequence[Sequence[Path]], output: Path) -> None:
    """Draw the ten classes with the largest drop in top-1 accuracy (Figures 5.6 and 5.7), PNG.

    Args:
        rows: The reference, then each evaluation to compare with it: one plot each.
        files: The files of each, one per split; the mean over the splits is drawn, with Wilson's 95 % interval of the
            videos of all splits together.
        output: The picture.
    """
    before = _per_class(files[0])
    shown = min(_WORST, len(before))
    with style.figure(output, 9, (0.72 * shown + 1.1) * (len(rows) - 1) + 1.8) as figure:
        axes = figure.subplots(len(rows) - 1, squeeze=False)[:, 0]
        for axis, row, paths in zip(axes, rows[1:], files[1:], strict=True):
            _bars(axis, before, _per_class(paths), rows[0].tested, row.tested)
            top1 = [np.mean([read_made(path, "the evaluation")["top1"] for path in some]) for some in (files[0], paths)]
            axis.set_title(f"{style.VARIANTS[row.tested]}; all classes: {top1[0]:.1f} → {top1[1]:.1f} %")
        axes[-1].set_xlabel("Top-1 accuracy in %")
        style.legend(figure)
        printed = [
            f"{style.VARIANTS[row.tested]} {THESIS[rows[0]][0]} → {THESIS[row][0]} %"
            for row in rows[1:]
            if rows[0] in THESIS and row in THESIS
        ]
        style.note(
            figure,
            "Bars in black: 95 % interval (Wilson) of a class's test videos.",
            f"Thesis, all classes: {'; '.join(printed)}. {style.KINETICS}" if printed else None,
        )


def _bars(axis: Axes, before: dict[str, _Class], after: dict[str, _Class], reference: str, tested: str) -> None:
    both = before.keys() & after.keys()  # all test videos of a class may be quarantined in one variant only
    worst = sorted(both, key=lambda label: (after[label].top1 - before[label].top1, label))[:_WORST]
    own = style.LOOKS[2 if tested == "bodies" else 1]  # a variant looks the same in each figure
    for offset, values, name, look in ((-0.2, before, reference, style.LOOKS[0]), (0.2, after, tested, own)):
        places = np.arange(len(worst)) + offset
        axis.barh(places, [values[label].top1 for label in worst], 0.38, label=style.VARIANTS[name], **look.filled)
        for place, label in zip(places.tolist(), worst, strict=True):
            style.interval(axis, place, values[label].low, values[label].high, across=True)
    axis.set_yticks(np.arange(len(worst)), [style.wrapped(label, 24) for label in worst])
    axis.set_ylim(len(worst) - 0.45, -0.55)
    axis.grid(visible=False, axis="y")
    axis.set_xlim(0, 100)


def _per_class(paths: Sequence[Path]) -> dict[str, _Class]:
    """Mean accuracy over the splits by class; classes without a test video are left out."""
    values: dict[str, list[tuple[float, int]]] = {}
    for path in paths:
        for label, entry in read_made(path, "the evaluation")["per_class"].items():
            if entry["top1"] is not None:
                values.setdefault(label, []).append((entry["top1"], entry["videos"]))
    return {label: _mean(found) for label, found in values.items()}


def _mean(counted: Sequence[tuple[float, int]]) -> _Class:
    videos = sum(count for _, count in counted)
    hits = round(sum(top1 / 100 * count for top1, count in counted))
    low, high = binomtest(hits, videos).proportion_ci(method="wilson")
    return _Class(float(np.mean([top1 for top1, _ in counted])), 100 * low, 100 * high)
