"""``acta validate-submission``: check an archive for SoccerNet's evaluation server."""

import argparse
from pathlib import Path

from pipeline.commands.evaluate import ABOUT_GAMES, add_largest


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read an archive as the official evaluator does. What it cannot read is printed, and the status "
        "is 1, as it is where none of the predictions would count. Else the status is 0; notes say what it would not "
        "count, or count otherwise than it says."
    )
    parser.add_argument("archive", type=Path, metavar="ARCHIVE")
    parser.add_argument("--version", type=int, choices=(1, 2), default=2, help="labels (default: %(default)s)")
    parser.add_argument("--games", type=Path, metavar="FILE", help=f"{ABOUT_GAMES}: all of them must be there")
    add_largest(parser)
    parser.set_defaults(run=_validate)


def _validate(options: argparse.Namespace) -> int:
    from pipeline.spot.evaluation import read_games_file
    from pipeline.spot.pack_submission import check_submission

    games = read_games_file(options.games) if options.games else None
    submission = check_submission(options.archive, games, options.version, options.max_megabytes << 20)
    for line in submission.problems:
        print(line)
    for line in submission.notes:
        print(f"note: {line}")
    if submission.problems:
        return 1
    its = "game" if submission.games == 1 else "games"
    but = "" if submission.counted == submission.predictions else f", of which {submission.counted} count"
    counts = f"{submission.games} {its}, {submission.predictions} predictions{but}"
    print(f"{options.archive}: {counts}, version {options.version}")
    return 0
