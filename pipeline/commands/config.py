"""The command ``acta config``: checks a configuration file, prints the schema and what every key is for."""

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="validate configuration files, as Snakemake's --configfile takes them")
    about = "one over the other, all over their base; default: config.yaml"
    check.add_argument("files", nargs="*", type=Path, help=about)
    check.set_defaults(run=_check)
    explained = actions.add_parser("reference", help="print what every key is for, as Markdown")
    explained.set_defaults(run=_reference)
    actions.add_parser("schema", help="print the JSON schema of config.yaml").set_defaults(run=_schema)


def _check(options: argparse.Namespace) -> None:
    from pipeline.config.whole import load_over

    config = load_over(options.files)
    named = " and ".join(map(str, options.files)) or "config.yaml"
    print(f"{named} is valid: dataset {config.dataset}, base {config.base}")


def _reference(options: argparse.Namespace) -> None:
    from pipeline.config.reference import reference

    print(reference(), end="")


def _schema(options: argparse.Namespace) -> None:
    from pipeline.config.whole import schema

    print(schema(), end="")
