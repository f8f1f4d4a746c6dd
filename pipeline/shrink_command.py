"""The stages of Ch. 6: ``acta hypothesis``, ``select``, ``halve``, ``teacher-logits``, ``export`` and the report."""

import argparse
from pathlib import Path

from pipeline.errors import ActaError
from pipeline.options import lists_option, paths_of, save_every_option, settings_of, stage_parser


def add_shrink(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    hypothesis = stage_parser(commands, "hypothesis")
    hypothesis.add_argument("previous", type=Path, help="model file to reduce")
    hypothesis.add_argument("frames", nargs="+", type=Path, help="frame shards to train on")
    lists_option(hypothesis)
    hypothesis.add_argument("--base", type=Path, required=True, help="model file of the base network, which teaches")
    hypothesis.add_argument("--stored", type=Path, help="its logits, stored, in place of it")
    hypothesis.add_argument("--until", type=int, help="stop at the end of this epoch and leave state.ckpt")
    hypothesis.add_argument("--started", type=Path, help="a state to go on from")
    hypothesis.add_argument("--survivors", type=Path, help="JSON that says which hypotheses go on")
    save_every_option(hypothesis)
    hypothesis.set_defaults(run=_hypothesis, workers=0)

    logits = stage_parser(commands, "teacher-logits")
    logits.add_argument("teacher", type=Path, help="model file")
    logits.add_argument("frames", nargs="+", type=Path, help="frame shards that it sees")
    lists_option(logits)
    logits.set_defaults(run=_teacher_logits, workers=0)

    select = stage_parser(commands, "select", workers=False)
    select.add_argument("folders", nargs="+", type=Path, help="of each hypothesis, in the order of the operators")
    select.add_argument("--base", type=Path, required=True, help="model file of the base network")
    select.add_argument("--base-evaluation", type=Path, required=True, help="its evaluation (JSON)")
    select.set_defaults(run=_select)

    halve = stage_parser(commands, "halve", workers=False)
    halve.add_argument("folders", nargs="+", type=Path, help="of each hypothesis, in the order of the operators")
    halve.set_defaults(run=_halve)

    export = stage_parser(commands, "export", workers=False)
    export.add_argument("model", type=Path, help="model file")
    export.add_argument("--base", type=Path, required=True, help="model file to compare its cost with")
    export.set_defaults(run=_export)

    report = stage_parser(commands, "report-shrinking", workers=False)
    report.add_argument("name", help="table_6_1 …, shrink_costs, shrink_beyond, or a recipe for its figure")
    report.add_argument("--results", type=Path, required=True, help="results/<dataset>")
    report.set_defaults(run=_report)


def _hypothesis(options: argparse.Namespace) -> None:
    from pipeline.shrink.hypothesis import try_hypothesis

    try_hypothesis(
        options.base,
        options.previous,
        paths_of(options.frames, options.lists),
        options.output,
        settings_of(options),
        stored=options.stored,
        until=options.until,
        started=options.started,
        survivors=options.survivors,
        workers=options.workers,
        save_every=options.save_every,
    )


def _teacher_logits(options: argparse.Namespace) -> None:
    from pipeline.shrink.teacher_logits import store_logits

    store_logits(
        options.teacher,
        paths_of(options.frames, options.lists),
        options.output,
        settings_of(options),
        workers=options.workers,
    )


def _select(options: argparse.Namespace) -> None:
    from pipeline.shrink.select import select

    select(options.base, options.base_evaluation, options.folders, options.output, settings_of(options))


def _export(options: argparse.Namespace) -> None:
    from pipeline.shrink.export import export_network

    export_network(options.model, options.base, options.output, settings_of(options))


def _halve(options: argparse.Namespace) -> None:
    from pipeline.shrink.halving import halve

    halve(options.folders, options.output, settings_of(options))


def _report(options: argparse.Namespace) -> None:
    from pipeline.report.shrinking import TABLES, Shrinkage, write_shrink_table
    from pipeline.report.shrinking_figures import draw_shrinkage

    settings = settings_of(options)

    def of(recipe: str) -> Shrinkage:
        folder = options.results / "shrink" / recipe
        return Shrinkage(folder, settings.iterations, settings.operators, options.results / "transfer", settings.splits)

    if options.name in TABLES:
        write_shrink_table(options.name, [of(recipe) for recipe in settings.recipes], settings, options.output)
    elif options.name in settings.recipes:
        draw_shrinkage(of(options.name), options.output)
    else:
        known = ", ".join((*TABLES, *settings.recipes))
        raise ActaError(f"there is no table or recipe {options.name!r}; there are {known}")
