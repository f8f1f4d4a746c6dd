"""``acta plan``: what a run will cost, before it is submitted."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.errors import ActaError

if TYPE_CHECKING:
    from pipeline.plan.site import Site


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.allow_abbrev = False
    parser.description = (
        "Print what a run of the workflow is expected to cost, by rule: hours, storage (without the "
        "checkpoints of trainings), the longest chain of jobs. Hours rest on what jobs of the rule cost before in this "
        "dataset (their mean), else in another or in the demo, scaled by the work; bytes, where possible, on a sample "
        "of the videos, the annotation and the networks. Nothing is run. Call it where you call snakemake, with the "
        "same targets, --configfile and --profile."
    )
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="rules or files, as for snakemake; none: its default"
    )
    parser.add_argument(
        "--configfile", nargs="+", type=Path, default=[], metavar="FILE", help="as for snakemake; targets go before it"
    )
    parser.add_argument("--profile", help="as for snakemake")
    parser.add_argument(
        "--jobs", type=_positive_number, metavar="N", help="print the wall time with this many jobs at once"
    )
    parser.add_argument(
        "--tflops",
        type=_positive,
        default=20.0,  # with bfloat16 a current GPU can do several hundred, a V100 in float32 15.7
        metavar="RATE",
        help="assumed for networks on a GPU without a known job: this many 10¹² operations a second, two in a "
        "multiply-add (default: %(default)g)",
    )
    parser.add_argument("-o", "--output", type=Path, help="where to keep the plan (default: logs/<dataset>/plan.json)")
    # For whoever measures the demo: put this dataset's costs into the package, in place of what it ships.
    parser.add_argument("--write-reference", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=_plan)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _positive_number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _plan(options: argparse.Namespace) -> int:
    from pipeline.config.whole import load_over
    from pipeline.plan.assemble import make_plan
    from pipeline.plan.description import describe
    from pipeline.plan.expectation import Experience
    from pipeline.plan.graph import SnakemakeError, ask_snakemake
    from pipeline.plan.outlook import read_plan
    from pipeline.plan.site import Site
    from pipeline.runtime.files import write_json
    from pipeline.tasks import weight_of

    try:
        graph = ask_snakemake(options.targets, options.configfile, options.profile)
    except SnakemakeError as error:
        print(error, file=sys.stderr)
        return 1
    config = load_over(options.configfile)
    logs = Path("logs", config.dataset)
    site = Site(config, graph, Path(), weight_of)
    if options.write_reference:
        _write_reference(site, logs)
        return 0
    known = Experience(logs, weight_of, options.tflops, demo=config.is_demo)
    plan = make_plan(site, known, options.targets, options.tflops, options.jobs)
    print(describe(plan))
    output = options.output or logs / "plan.json"
    if not plan.totals.to_run:
        print(f"Nothing is to run; {output} is left as it is.")
        return 0
    if output.is_file():
        try:
            plan = plan.over(read_plan(output))
        except ActaError as error:
            print(f"warning: {error}", file=sys.stderr)
    write_json(output, plan.model_dump(mode="json"), seal=False)
    print(f"The plan is kept in {output}, for comparison with what the run then costs.")
    return 0


def _write_reference(site: "Site", logs: Path) -> None:
    import yaml

    from pipeline.plan.assemble import mean_work
    from pipeline.plan.expectation import REFERENCE, measured
    from pipeline.runtime.costs import read_costs
    from pipeline.runtime.files import atomic

    costs = read_costs(logs)
    rules = {rule: costs_of.model_dump() for rule, costs_of in measured(costs, mean_work(site), site.weigh).items()}
    if not rules:
        raise ActaError(f"{logs} has no cost files of jobs that finished on a processor: run the workflow first")
    missing = sorted({job.rule for job in site.graph.jobs.values()} & costs.keys() - rules.keys())
    with atomic(REFERENCE) as temporary:
        head = "# What the demo's jobs cost on two cores, by rule. Made by `acta plan --write-reference`.\n"
        temporary.write_text(head + yaml.safe_dump({"rules": rules}, sort_keys=False), encoding="utf-8")
    print(f"wrote {len(rules)} rules to {REFERENCE.name}" + (f"; left out: {', '.join(missing)}" if missing else ""))
