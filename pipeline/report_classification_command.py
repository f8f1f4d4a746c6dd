"""The command of Chapter 5's tables and figures."""

import argparse
from pathlib import Path

from pipeline.errors import ActaError
from pipeline.options import settings_of, stage_parser


def add_report_classification(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    report = stage_parser(commands, "report-classification", "draw a table or figure of Ch. 5", workers=False)
    report.add_argument("name", help="table_5_1, table_5_2, table_5_3, figure_5_6 or figure_5_7")
    report.add_argument("--evaluations", type=Path, required=True, help="results/<dataset>/evaluations")
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from pipeline.report.thesis import FIGURES, TABLES

    settings = settings_of(options)
    if options.name in TABLES:
        from pipeline.report.classification import write_classification_table

        write_classification_table(options.name, options.evaluations, settings, options.output)
    elif options.name in FIGURES:
        from pipeline.report.classification import files_of, rows_of
        from pipeline.report.classification_figures import draw_drops

        rows = rows_of(options.name, settings)
        draw_drops(rows, [files_of(row, options.evaluations, settings) for row in rows], options.output)
    else:
        raise ActaError(f"there is no table or figure {options.name!r}; there are {', '.join((*TABLES, *FIGURES))}")
