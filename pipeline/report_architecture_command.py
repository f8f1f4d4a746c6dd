"""The command of the tables that show what networks are made of."""

import argparse
from pathlib import Path

from pipeline.options import settings_of, stage_parser


def add_report_architecture(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    report = stage_parser(commands, "report-architecture", "show what networks are made of", workers=False)
    report.add_argument("name", help="table_3_1, table_4_1 or table_6_10")
    report.add_argument("--results", type=Path, required=True, help="results/<dataset>, for table_6_10")
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from pipeline.report.architectures import write_architecture_table

    write_architecture_table(options.name, settings_of(options), options.results, options.output)
