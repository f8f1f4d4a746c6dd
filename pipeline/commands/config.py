"""The command ``acta config``: checks a configuration file, prints the schema and what every key is for."""

import argparse
import sys
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="validate configuration files, as Snakemake's --configfile takes them")
    about = "one over the other, all over their base; default: config.yaml"
    check.add_argument("files", nargs="*", type=Path, help=about)
    check.description = (
        "Validate configuration files, and say what of the run would not end well: splits without videos, features "
        "without objects, tables without their networks. Without --targets, what is not there yet is only noted."
    )
    about = "chapters, tables and figures that are meant, as for snakemake; default: those whose data are your own"
    check.add_argument("--targets", nargs="+", default=[], metavar="TARGET", help=about)
    check.set_defaults(run=_check)
    explained = actions.add_parser("reference", help="print what every key is for, as Markdown")
    explained.set_defaults(run=_reference)
    actions.add_parser("schema", help="print the JSON schema of config.yaml").set_defaults(run=_schema)


def _check(options: argparse.Namespace) -> int:
    from pipeline.config.whole import load_over
    from pipeline.dag.asked import examine

    config = load_over(options.files)
    named = " and ".join(map(str, options.files)) or "config.yaml"
    print(f"{named} is valid: dataset {config.dataset}, base {config.base}")
    findings = examine(config, options.targets)
    for note in findings.notes:
        print(f"note: {note}")
    for problem in findings.refused:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if findings.refused else 0


def _reference(options: argparse.Namespace) -> None:
    from pipeline.config.reference import reference

    print(reference(), end="")


def _schema(options: argparse.Namespace) -> None:
    from pipeline.config.whole import schema

    print(schema(), end="")
