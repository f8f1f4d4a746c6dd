"""Tables 5.1 to 5.3: the thesis's numbers next to those that were measured here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.config.tasks.report import DrawClassification
from pipeline.report import catalogue
from pipeline.report.differs import (
    declared,
    joined,
    privacy_differences,
    recipe_differences,
    strategy_differences,
)
from pipeline.report.numbered import write_numbered_table
from pipeline.report.tables import Row
from pipeline.report.thesis import THESIS, Evaluation
from pipeline.runtime.text import read_made


def write_classification_table(
    name: str, rows: Sequence[Evaluation], files: Sequence[Sequence[Path]], settings: DrawClassification, output: Path
) -> None:
    """Write one table (CSV, and Markdown and HTML next to it) of these evaluations, each with a file per split.

    Accuracies are in per cent, the mean over the splits; ``top1_low`` and ``top1_high`` are the 95 % bootstrap
    interval, given where there is one split. Columns that begin with ``thesis`` are the thesis's; ``differs`` lists the
    differences from it. A change is relative to the first row of the same recipe, as in Table 5.1.

    Raises:
        ActaError: an evaluation is missing or damaged.
    """
    other_data = catalogue.other_data(name, settings.dataset)
    first: dict[str, float] = {}
    written: list[Row] = []
    for row, paths in zip(rows, files, strict=True):
        evaluations = [read_made(path, "the evaluation") for path in paths]
        top1, top5 = (float(np.mean([evaluation[top] for evaluation in evaluations])) for top in ("top1", "top5"))
        reference = first.setdefault(row.recipe, top1)
        low, high = evaluations[0]["top1_interval"] if len(evaluations) == 1 else (None, None)
        printed = THESIS.get(row, (None, None))
        differs = [
            other_data,
            None if row in THESIS else "the thesis has no such row",
            *recipe_differences(settings, settings.recipes[row.recipe], settings.thesis),
            *strategy_differences(settings, settings.thesis, row.strategy),
            *privacy_differences(settings, settings.thesis, dict.fromkeys((row.variant, row.tested))),
        ]
        written.append(
            {
                "recipe": row.recipe,
                "trained_on": row.variant,
                "tested_on": row.tested,
                "strategy": row.strategy,
                "thesis_top1": printed[0],
                "thesis_top5": printed[1],
                "top1": top1,
                "top1_low": low,
                "top1_high": high,
                "top5": top5,
                "change_percent": f"{100 * (top1 - reference) / reference:+.1f}" if reference else None,
                "splits": len(evaluations),
                "evaluated": sum(evaluation["coverage"]["evaluated"] for evaluation in evaluations),
                "expected": sum(evaluation["coverage"]["expected"] for evaluation in evaluations),
                "differs": joined(differs),
            }
        )
    write_numbered_table(name, written, output, other_data=other_data, departures=declared(settings.departures))
