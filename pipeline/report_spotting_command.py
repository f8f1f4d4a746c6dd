"""The command of Chapter 4's tables and figures."""

import argparse
from pathlib import Path

from pipeline.errors import ActaError
from pipeline.options import settings_of, stage_parser


def add_report_spotting(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    report = stage_parser(commands, "report-spotting", "draw a table or figure of Ch. 4", workers=False)
    report.add_argument("name", help="table_4_2 … table_4_6, figure_4_4 … figure_4_7")
    report.add_argument("--results", type=Path, required=True, help="results/<dataset>/spot")
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from pipeline.report.thesis_spotting import FIGURES, TABLES

    settings = settings_of(options)
    if options.name in TABLES:
        from pipeline.report.spotting import write_spotting_table

        write_spotting_table(options.name, options.results, settings, options.output)
    elif options.name in FIGURES:
        from pipeline.report.spotting_figures import draw_spotting_figure

        draw_spotting_figure(options.name, options.results, settings, options.output)
    else:
        raise ActaError(f"there is no table or figure {options.name!r}; there are {', '.join((*TABLES, *FIGURES))}")
