"""Task `draw_spotting`: the tables and figures of Chapter 4."""

from pathlib import Path

from pipeline.config.tasks.report import DrawSpotting
from pipeline.report.catalogue import check_name
from pipeline.report.spotting import write_spotting_table
from pipeline.report.spotting_figures import draw_spotting_figure
from pipeline.report.thesis_spotting import FIGURES, TABLES
from pipeline.runtime.files import Output


def draw_spotting(name: str, results: Path, output: Output, settings: DrawSpotting) -> None:
    """Write a table, or draw a figure, of Chapter 4.

    Args:
        name: table_4_2 … table_4_6, figure_4_4 … figure_4_7.
        results: ``results/<dataset>/spot``.
        output: A table ends in ``.csv`` (``.md`` and ``.html`` are written next to it), a figure in ``.png``.
        settings: The networks, and what they were trained with.

    Raises:
        ActaError: there is no such table or figure, or a result cannot be read.
    """
    check_name(name, (*TABLES, *FIGURES))
    if name in TABLES:
        write_spotting_table(name, results, settings, output)
    else:
        draw_spotting_figure(name, results, settings, output)
