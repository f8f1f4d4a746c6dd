"""Commands `report-overview` and `report-highlights`: what the page of a run shows beside tables and figures."""

import argparse
from pathlib import Path

from pipeline.options import settings_of, stage_parser


def add_report_page(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `report-overview` and `report-highlights`."""
    overview = stage_parser(commands, "report-overview", "what was run, on what, at what cost, as HTML", workers=False)
    overview.add_argument("--results", type=Path, required=True, help="results/<dataset>")
    overview.add_argument("--costs", type=Path, required=True, help="table of report-costs (CSV)")
    overview.set_defaults(run=_overview)
    shown = stage_parser(commands, "report-highlights", "highlights as one page of HTML", settings=False, workers=False)
    shown.add_argument("video", type=Path, help="highlights; the JSON of their clips lies beside them")
    shown.set_defaults(run=_highlights)


def _overview(options: argparse.Namespace) -> None:
    from pipeline.report.overview import write_overview

    write_overview(options.results, options.costs, options.output, settings_of(options))


def _highlights(options: argparse.Namespace) -> None:
    from pipeline.report.highlights_page import write_highlights_page

    write_highlights_page(options.video, options.output)
