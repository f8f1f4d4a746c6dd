"""Task `draw_classification`: the tables and figures of Chapter 5."""

from pathlib import Path

from pipeline.config.tasks.report import DrawClassification
from pipeline.report.catalogue import check_name
from pipeline.report.classification import write_classification_table
from pipeline.report.classification_figures import draw_drops
from pipeline.report.thesis import FIGURES, TABLES, evaluation_path, rows
from pipeline.runtime.files import Output


def draw_classification(name: str, evaluations: Path, output: Output, settings: DrawClassification) -> None:
    """Write a table, or draw a figure, of Chapter 5 from evaluations.

    Args:
        name: table_5_1, table_5_2, table_5_3, figure_5_6 or figure_5_7.
        evaluations: ``results/<dataset>/evaluations``.
        output: A table ends in ``.csv`` (``.md`` and ``.html`` are written next to it), a figure in ``.png``.
        settings: What there is, and what it was made with.

    Raises:
        ActaError: there is no such table or figure, or an evaluation cannot be read.
    """
    check_name(name, (*TABLES, *FIGURES))
    shown = rows(name, settings.recipe, settings.compare, settings.variants)
    files = [[evaluations / evaluation_path(split, row) for split in settings.splits] for row in shown]
    if name in TABLES:
        write_classification_table(name, shown, files, settings, output)
    else:
        draw_drops(shown, files, output)
