"""Task `draw_shrinkage`: the tables and figures of Chapter 6."""

from pathlib import Path

from pipeline.config.tasks.report import DrawShrinkage
from pipeline.report.catalogue import check_name
from pipeline.report.shrinking import TABLES, Shrinkage, write_shrink_table
from pipeline.report.shrinking_figures import draw_iterations
from pipeline.runtime.files import Output


def draw_shrinkage(name: str, results: Path, output: Output, settings: DrawShrinkage) -> None:
    """Write a table of Chapter 6, or draw the iterations of one recipe (Figures 6.3 and 6.4).

    Args:
        name: table_6_1 …, shrink_costs, shrink_beyond, or a recipe for its figure.
        results: ``results/<dataset>``.
        output: A table ends in ``.csv`` (``.md`` and ``.html`` are written next to it), a figure in ``.png``.
        settings: What there is, and what it was made with.

    Raises:
        ActaError: there is no such table or recipe, or a result cannot be read.
    """
    check_name(name, (*TABLES, *settings.recipes))

    def shrinkage_of(recipe: str) -> Shrinkage:
        folder = results / "shrink" / recipe
        return Shrinkage(folder, settings.iterations, settings.operators, results / "transfer", settings.splits)

    if name in TABLES:
        write_shrink_table(name, [shrinkage_of(recipe) for recipe in settings.recipes], settings, output)
    else:
        draw_iterations(shrinkage_of(name), output)
