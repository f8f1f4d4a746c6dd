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
    evaluate.set_defaults(run=_evaluate)
    validate = commands.add_parser(
        "validate-submission",
        description="Print what the evaluation server would reject or silently misread, and end with status 1 where "
        "there is any; otherwise print what is in the archive.",
    )
    validate.add_argument("archive", type=Path, metavar="ARCHIVE")
    validate.add_argument("--version", type=int, choices=(1, 2), default=2, help="labels (default: %(default)s)")
    validate.add_argument("--games", type=Path, metavar="FILE", help=f"{about_games}: all of them must be there")
    validate.set_defaults(run=_validate)


def _evaluate(options: argparse.Namespace) -> None:
    from pipeline.spot.evaluation import evaluate_folders

    found = evaluate_folders(options.labels, options.predictions, options.version, options.metric, options.games)
    print(json.dumps(found, indent=1))


def _validate(options: argparse.Namespace) -> int:
    from pipeline.spot.evaluation import read_games_file
    from pipeline.spot.submission import check_submission, describe_submission

    games = read_games_file(options.games) if options.games else None
    problems = check_submission(options.archive, games, options.version)
    print("\n".join(problems) if problems else describe_submission(options.archive, options.version))
    return 1 if problems else 0
