"""The command of Chapter 3's tables and figures."""

import argparse
from pathlib import Path

from pipeline.errors import ActaError
from pipeline.options import lists_option, paths_of, settings_of, stage_parser


def add_report_detection(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    report = stage_parser(commands, "report-detection", "draw a table or figure of Ch. 3", workers=False)
    report.add_argument("name", help="table_3_2 … table_3_10, figure_3_4, figure_3_5 or figure_3_6")
    report.add_argument("--results", type=Path, required=True, help="results/<dataset>/detect")
    report.add_argument("--label-map", type=Path, help="of the figures: actions that count (pbtxt)")
    report.add_argument("--truth", type=Path, help="of Figures 3.5 and 3.6: annotated boxes (CSV)")
    report.add_argument("--frames", nargs="+", type=Path, default=[], help="of those: shards of original frames")
    report.add_argument(
        "--features", nargs="+", type=Path, default=[], help="of those: feature shards of the first features"
    )
    lists_option(report)
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    from pipeline.report.thesis_detection import FIGURES, TABLES

    settings = settings_of(options)
    if options.name in TABLES:
        from pipeline.report.detection import write_detection_table

        write_detection_table(options.name, options.results, settings, options.output)
        return
    if options.name not in FIGURES:
        raise ActaError(f"there is no table or figure {options.name!r}; there are {', '.join((*TABLES, *FIGURES))}")
    needed = ["label_map"] if options.name == "figure_3_4" else ["label_map", "truth", "frames", "features"]
    for option in needed:
        if not getattr(options, option):
            raise ActaError(f"{options.name} needs --{option.replace('_', '-')}")

    from pipeline.report.detection_figures import draw_examples, draw_gains

    if options.name == "figure_3_4":
        draw_gains(options.results, settings, options.label_map, options.output)
        return
    first = next(iter(settings.features))
    detected = options.results / f"evaluations/{first}/stage/seed_{settings.seeds[0]}/detected/detections.csv"
    draw_examples(
        options.name,
        detected,
        options.truth,
        options.label_map,
        paths_of(options.frames, options.lists),
        paths_of(options.features, options.lists),
        options.output,
        settings.start,
    )
