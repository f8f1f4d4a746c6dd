"""``acta report-costs``: what a run has cost, beside what was expected."""

import argparse
from pathlib import Path

from pipeline.options import output_option


def add_costs(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    costs = commands.add_parser(
        "report-costs",
        description="Write a table of what a run has cost, by rule, out of the cost files beside its logs: time, "
        "memory, energy, storage. With the plan that `acta plan` has kept, also what was expected.",
    )
    costs.add_argument("--logs", type=Path, required=True, help="logs/<dataset>")
    costs.add_argument("--plan", type=Path, help="logs/<dataset>/plan.json")
    output_option(costs, "--figure", about="also draw it (PNG)", required=False)
    output_option(costs, "-o", "--output", about="ends in .csv; .md and .html come beside it")
    costs.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from pipeline.report.costs import draw_costs, write_costs

    write_costs(options.logs, options.output, options.plan)
    if options.figure:
        draw_costs(options.logs, options.figure, options.plan)
