"""Tables 5.1 to 5.3: the thesis's numbers beside those that were measured here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.tasks.report import DrawClassification
from pipeline.report.catalogue import other_data
from pipeline.report.differs import joined, recipe_differences, strategy_differences
from pipeline.report.numbered import write_numbered_table
from pipeline.report.tables import Row
from pipeline.report.thesis import TABLES, THESIS, Evaluation, evaluation_path, rows
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made


def rows_of(name: str, settings: DrawClassification) -> list[Evaluation]:
    """The evaluations of a table or figure."""
    return rows(name, settings.recipe, settings.compare, settings.variants)


def files_of(row: Evaluation, evaluations: Path, settings: DrawClassification) -> list[Path]:
    """Where they lie, one a split."""
    return [evaluations / evaluation_path(split, row) for split in settings.splits]


def write_classification_table(name: str, evaluations: Path, settings: DrawClassification, output: Path) -> None:
    """Write one table (CSV, and Markdown and HTML beside it).

    Columns that begin with ``thesis`` are the thesis's; ``differs`` says what is not as there. A change is relative to
    the first row of the same recipe, as in Table 5.1.

    Args:
        name: One of `pipeline.report.thesis.TABLES`.
        evaluations: Folder of all of them (`pipeline.classify.evaluate_classifier`).
        settings: The dataset and what was trained on it.
        output: The table. Accuracies in per cent, the mean over the splits; ``low`` and ``high`` are the 95 % bootstrap
            interval, given where there is one split.

    Raises:
        ActaError: there is no such table, or an evaluation is missing or damaged.
    """
    if name not in TABLES:
        raise ActaError(f"there is no table {name!r} of Ch. 5; there are {', '.join(TABLES)}")
    first: dict[str, float] = {}
    written = []
    for row in rows_of(name, settings):
        read = [read_made(path, "the evaluation") for path in files_of(row, evaluations, settings)]
        top1 = float(np.mean([evaluation["top1"] for evaluation in read]))
        written.append(_row(name, row, read, first.setdefault(row.recipe, top1), settings))
    write_numbered_table(name, written, output, other_data=other_data(name, settings.dataset))


def _row(
    table: str, row: Evaluation, evaluations: Sequence[dict[str, Any]], reference: float, settings: DrawClassification
) -> Row:
    top1 = float(np.mean([evaluation["top1"] for evaluation in evaluations]))
    low, high = evaluations[0]["top1_interval"] if len(evaluations) == 1 else (None, None)
    printed = THESIS.get(row, (None, None))
    return {
        "recipe": row.recipe,
        "trained_on": row.variant,
        "tested_on": row.tested,
        "strategy": row.strategy,
        "thesis_top1": printed[0],
        "thesis_top5": printed[1],
        "top1": top1,
        "top1_low": low,
        "top1_high": high,
        "top5": float(np.mean([evaluation["top5"] for evaluation in evaluations])),
        "change_percent": f"{100 * (top1 - reference) / reference:+.1f}" if reference else None,
        "splits": len(evaluations),
        "evaluated": sum(evaluation["coverage"]["evaluated"] for evaluation in evaluations),
        "expected": sum(evaluation["coverage"]["expected"] for evaluation in evaluations),
        "differs": joined(
            [
                other_data(table, settings.dataset),
                None if row in THESIS else "the thesis has no such row",
                *recipe_differences(settings.recipes[row.recipe], settings.epochs, settings.test_clips),
                *strategy_differences(row.strategy, settings.strategies[row.strategy]),
            ]
        ),
    }
