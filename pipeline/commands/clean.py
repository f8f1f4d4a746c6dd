"""``acta clean``: list and remove what no plan of the configuration needs any more."""

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_text

if TYPE_CHECKING:
    from pipeline.data.clean import Unneeded


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Remove from results/ the shards and games that the configuration does not have: of videos that "
        "were deleted from the data set, of another number of shards; and what killed processes left. Only files that "
        "the workflow has made and that are yours are removed; of a cache only the links into it. Call it where "
        "you call snakemake, with the same --configfile. What another configuration of the same `dataset` needs goes."
    )
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], metavar="FILE", help="as for snakemake")
    parser.add_argument("--dry-run", action="store_true", help="list it, and remove nothing")
    parser.set_defaults(run=_clean)


def _clean(options: argparse.Namespace) -> None:
    from pipeline.config.whole import load_over
    from pipeline.data.clean import find_unneeded
    from pipeline.media.lists import PlansLists, record_path

    config = load_over(options.configfile)
    results = Path("results", config.dataset)
    if not results.is_dir():
        raise ActaError(f"there is no {results} here; call acta clean where you call snakemake")
    record = record_path(config.dataset)
    if not record.is_file() or json.loads(read_text(record)) != json.loads(config.model_dump_json()):
        raise ActaError(
            f"the last plan of {config.dataset!r} here had another configuration, or there was none; give the same "
            "--configfile as to snakemake, or, if the configuration was changed, call snakemake -n first"
        )
    folder = Path(f".snakemake/acta.lists.{config.dataset}")
    with closing(PlansLists(results, folder, looking=options.dry_run)) as plans:
        if not (plans.alone or options.dry_run):
            raise ActaError(f"a Snakemake works on {results}; clean it when that one has ended")
        _remove(find_unneeded(config, results), dry=options.dry_run)


def _remove(unneeded: "list[Unneeded]", *, dry: bool) -> None:
    from pipeline.runtime.temporary import remove_own

    gone: list[int] = []
    for entry in unneeded:
        goes = entry.removable and (dry or remove_own(entry.path))
        gone += [entry.size] * goes
        print(f"{_readable(entry.size):>9}  {entry.path}: {entry.reason}{'' if goes else '; KEPT'}")
    more = "to remove; acta clean without --dry-run does it" if dry else "removed"
    print(f"{_readable(sum(gone)):>9}  in {len(gone)} files and folders {more}")


def _readable(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
