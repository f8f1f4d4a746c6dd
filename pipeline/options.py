"""Options that the commands of all stages share."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.errors import ActaError


def stage_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str | None = None,
    *,
    settings: bool = True,
    workers: bool = True,
) -> argparse.ArgumentParser:
    """Add a stage: ``-o``, and where it has them ``--settings`` and ``--workers``.

    Args:
        commands: What ``add_subparsers`` returned.
        name: The stage's.
        about: What the help says of it; None: what the table of commands says.
        settings: Whether the stage reads settings.
        workers: Whether it can use several processes.
    """
    parser = commands.add_parser(name, description=about)
    output_option(parser, "-o", "--output", about="what to write")
    if settings:
        about_settings = "the stage's settings as JSON, or @file (snakemake --dry-run --printshellcmds prints them)"
        parser.add_argument("--settings", required=True, help=about_settings)
        parser.set_defaults(stage=name)
    if workers:
        parser.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on it")
    return parser


def output_option(parser: argparse.ArgumentParser, *names: str, about: str, required: bool = True) -> None:
    """Add an option that names a file to write; it may be none that another option names."""
    option = parser.add_argument(*names, type=Path, required=required, help=about)
    parser.set_defaults(writes=(*(parser.get_default("writes") or ()), option.dest))


def max_bad_option(parser: argparse.ArgumentParser, what: str = "videos") -> None:
    """Add ``--max-bad``."""
    parser.add_argument("--max-bad", type=float, default=1.0, help=f"fraction of bad {what} at which to fail")


def save_every_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--save-every``."""
    parser.add_argument("--save-every", type=float, default=300.0, help="seconds between checkpoints")


def lists_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--lists``."""
    parser.add_argument(
        "--lists", type=Path, help="folder of the list files; a path with {shard} then stands for every shard's"
    )


def paths_of(paths: list[Path], lists: Path | None) -> list[Path]:
    """Paths as given, those with ``{shard}`` once for every shard."""
    from pipeline.data.lists import shard_names

    shards = shard_names(lists) if lists else []
    if not shards and any("{shard}" in str(path) for path in paths):
        raise ActaError("a path with {shard} needs --lists with the folder of the list files")
    named: list[Path] = []
    for path in paths:
        text = str(path)
        named += [Path(text.replace("{shard}", shard)) for shard in shards] if "{shard}" in text else [path]
    return named


def settings_of(options: argparse.Namespace) -> Any:
    """The stage's settings, out of ``--settings``."""
    from pipeline.config.base import parse
    from pipeline.stages import STAGES
    from pipeline.text import read_text

    text = options.settings
    if text.startswith("@"):
        text = read_text(text[1:], "the settings")
    return parse(STAGES[options.stage].settings, text, "--settings")
