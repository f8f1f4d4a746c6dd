"""The commands around files of spots: ``acta evaluate-spotting`` and ``acta validate-submission``."""

import argparse
import json
from pathlib import Path


def add_evaluate_spotting(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    about_games = "file of the games, as the development kit's SoccerNetGamesTest.json"
    evaluate = commands.add_parser(
        "evaluate-spotting",
        description="Average-mAP of SoccerNet's own files, equal to the official evaluator, as JSON; in [0, 1].",
    )
    evaluate.add_argument(
        "--labels",
        type=Path,
        required=True,
        help="folder or zip archive with <league>/<season>/<game>/Labels-v2.json (version 1: Labels.json)",
    )
    evaluate.add_argument(
        "--predictions",
        type=Path,
        required=True,
        help="folder or zip archive with <league>/<season>/<game>/results_spotting.json",
    )
    evaluate.add_argument("--version", type=int, choices=(1, 2), required=True, help="1: 3 classes. 2: 17 classes")
    evaluate.add_argument(
        "--metric",
        choices=("loose", "tight", "at1", "at2", "at3", "at4", "at5"),
        default="loose",
        help="tolerances: 5 to 60 s, 1 to 5 s, or one (default: %(default)s)",
    )
    evaluate.add_argument("--games", type=Path, metavar="FILE", help=f"{about_games} (default: all with labels)")
    _add_largest(evaluate)
    evaluate.set_defaults(run=_evaluate)
    validate = commands.add_parser(
        "validate-submission",
        description="Read an archive as the official evaluator does. What it cannot read is printed, and the status "
        "is 1, as it is where none of the predictions would count. Else the status is 0; notes say what it would not "
        "count, or count otherwise than it says.",
    )
    validate.add_argument("archive", type=Path, metavar="ARCHIVE")
    validate.add_argument("--version", type=int, choices=(1, 2), default=2, help="labels (default: %(default)s)")
    validate.add_argument("--games", type=Path, metavar="FILE", help=f"{about_games}: all of them must be there")
    _add_largest(validate)
    validate.set_defaults(run=_validate)


def _add_largest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-megabytes",
        type=_megabytes,
        default=64,
        metavar="MB",
        help="most of one file, unpacked; it may take ten times as much memory (default: %(default)s)",
    )


def _megabytes(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 1 << 20:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of megabytes from 1 to {1 << 20}")
    return number


def _evaluate(options: argparse.Namespace) -> None:
    from pipeline.spot.evaluation import evaluate_folders

    largest = options.max_megabytes << 20
    found = evaluate_folders(
        options.labels, options.predictions, options.version, options.metric, options.games, largest
    )
    print(json.dumps(found, indent=1))


def _validate(options: argparse.Namespace) -> int:
    from pipeline.spot.evaluation import read_games_file
    from pipeline.spot.submission import check_submission

    games = read_games_file(options.games) if options.games else None
    found = check_submission(options.archive, games, options.version, options.max_megabytes << 20)
    for line in found.problems:
        print(line)
    for line in found.notes:
        print(f"note: {line}")
    if found.problems:
        return 1
    its = "game" if found.games == 1 else "games"
    but = "" if found.counted == found.predictions else f", of which {found.counted} count"
    print(f"{options.archive}: {found.games} {its}, {found.predictions} predictions{but}, version {options.version}")
    return 0
