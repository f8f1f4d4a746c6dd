"""The command ``acta highlights``: from a game's videos and its predicted events to a video of the best moments."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.errors import ActaError

if TYPE_CHECKING:
    from pipeline.config.spot import HighlightSettings
    from pipeline.spot.cut import Part
    from pipeline.spot.events import Spot, Version


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Cut a video of a soccer game's events: the most confident and important ones, with the time "
        "around them, captions and chapters. Next to OUTPUT.mp4 it writes OUTPUT.json and "
        "OUTPUT.vtt, which say what is where."
    )
    parser.add_argument("first", type=Path, metavar="FIRST_HALF", help="video of the first half")
    parser.add_argument("second", type=Path, nargs="?", metavar="SECOND_HALF", help="video of the second half")
    parser.add_argument("--events", type=Path, required=True, help="predicted events: results_spotting.json")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUTPUT.mp4")
    parser.add_argument("--length", type=float, metavar="SECONDS", help="default: the configuration's; 0: all events")
    parser.add_argument("--version", type=int, choices=(1, 2), help="of SoccerNet's classes (default: the events')")
    parser.add_argument("--ini", type=Path, help="SoccerNet's video.ini: where the halves lie in the videos")
    about = "write classes and confidences into the picture (default: the configuration's)"
    parser.add_argument("--caption", action=argparse.BooleanOptionalAction, help=about)
    about = "files over the shipped config.yaml, as Snakemake's --configfile"
    parser.add_argument("--config", type=Path, nargs="+", default=[], help=about)
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.set_defaults(run=_highlights)


def _highlights(options: argparse.Namespace) -> None:
    from pipeline.config.whole import load_over
    from pipeline.runtime.files import check_outputs
    from pipeline.runtime.progress import Progress
    from pipeline.spot.cut_highlights import make_highlights

    outputs = [options.output.with_suffix(suffix) for suffix in (options.output.suffix, ".json", ".vtt")]
    inputs = [options.first, options.second, options.events, options.ini, *options.config]
    check_outputs(outputs, [path for path in inputs if path is not None], overwrite=options.overwrite)
    settings = _settings(options, load_over(options.config).spot.highlights)
    parts = _parts(options)
    spots = _spots(options.events, options.version, parts)
    with Progress(unit="seconds", desc=options.output.name) as bar:
        written = make_highlights(parts, spots, options.output, settings, bar.to)
    length, events = written[-1].end, sum(len(place.clip.events) for place in written)
    line = f"wrote {options.output}: {len(written)} clips, {events} events, {length:.1f} s"
    if settings.length is not None and length < settings.length - 0.05:
        line += f"; shorter than the {settings.length:g} s asked for, as these are all events that count"
    print(line)


def _settings(options: argparse.Namespace, settings: "HighlightSettings") -> "HighlightSettings":
    """The configuration's settings with the command line's on top."""
    changes: dict[str, object] = {}
    if options.length is not None:
        if not 0 <= options.length < float("inf"):
            raise ActaError(f"--length {options.length} is below 0 or endless")
        changes["length"] = options.length or None
    if options.caption is not None:
        changes["overlay"] = options.caption
    return settings.model_copy(update=changes)


def _parts(options: argparse.Namespace) -> dict[int, "Part"]:
    from pipeline.spot.cut import part_of
    from pipeline.spot.game_lists import read_ini

    spans = read_ini(options.ini) if options.ini else {}
    videos = {1: options.first, 2: options.second}
    return {half: part_of(path, *spans.get(half, ())) for half, path in videos.items() if path is not None}


def _spots(path: Path, version: "Version | None", parts: dict[int, "Part"]) -> list["Spot"]:
    """The events of the given halves; a message names what is left out."""
    from pipeline.spot.events import CLASSES
    from pipeline.spot.soccernet_files import read_predictions

    predictions = read_predictions(path, version or 2)
    if version is None and not predictions.spots and predictions.unknown.keys() & set(CLASSES[1]):
        predictions = read_predictions(path, 1)
    for name, count in predictions.unknown.items():
        print(f"{path}: {count} events of {name!r} are left out", file=sys.stderr)
    spots = [spot for spot in predictions.spots if spot.half in parts]
    if len(spots) < len(predictions.spots):
        print(
            f"{path}: {len(predictions.spots) - len(spots)} events of the half without a video are left out",
            file=sys.stderr,
        )
    return spots
