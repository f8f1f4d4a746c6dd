"""``acta evaluate``: how good other people's files of detections or spots are, by the official protocols."""

import argparse
import json
from pathlib import Path

from pipeline.runtime.errors import ActaError

ABOUT_GAMES = "file of the games, as the development kit's SoccerNetGamesTest.json"


def add_options(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    detections = kinds.add_parser(
        "detections",
        description="frame-mAP of AVA's own files, equal to ActivityNet's evaluator, as JSON; precisions in [0, 1].",
    )
    detections.add_argument("--labelmap", type=Path, required=True, help="actions to evaluate (pbtxt)")
    detections.add_argument("--groundtruth", type=Path, required=True, help="annotated boxes (CSV)")
    detections.add_argument("--detections", type=Path, required=True, help="detected boxes with scores (CSV)")
    detections.add_argument(
        "--exclusions",
        type=Path,
        help="frames to leave out (CSV); without it only frames that the annotations name are evaluated",
    )
    detections.add_argument("--iou", type=float, default=0.5, help="overlap of a right box (default: %(default)s)")
    detections.add_argument(
        "--capacity",
        type=int,
        default=50,
        help="most confident detections of a frame that count (default: %(default)s, as the evaluator's); 0: all",
    )
    detections.add_argument(
        "--video-map",
        action="store_true",
        help="also video-mAP at 0.2, 0.5 and 0.5:0.95; the annotations' eighth column must number the people",
    )
    detections.set_defaults(run=_detections)
    spots = kinds.add_parser(
        "spots",
        description="Average-mAP of SoccerNet's own files, equal to the official evaluator, as JSON; in [0, 1].",
    )
    spots.add_argument(
        "--labels",
        type=Path,
        required=True,
        help="folder or zip archive with <league>/<season>/<game>/Labels-v2.json (version 1: Labels.json)",
    )
    spots.add_argument(
        "--predictions",
        type=Path,
        required=True,
        help="folder or zip archive with <league>/<season>/<game>/results_spotting.json",
    )
    spots.add_argument("--version", type=int, choices=(1, 2), required=True, help="1: 3 classes. 2: 17 classes")
    spots.add_argument(
        "--metric",
        choices=("loose", "tight", "at1", "at2", "at3", "at4", "at5"),
        default="loose",
        help="tolerances: 5 to 60 s, 1 to 5 s, or one (default: %(default)s)",
    )
    spots.add_argument("--games", type=Path, metavar="FILE", help=f"{ABOUT_GAMES} (default: all with labels)")
    add_largest(spots)
    spots.set_defaults(run=_spots)


def add_largest(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-megabytes``."""
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


def _detections(options: argparse.Namespace) -> None:
    from pipeline.detect.evaluate_files import evaluate_files

    if not 0 < options.iou <= 1:
        raise ActaError(f"--iou {options.iou} is not in (0, 1]")
    if options.capacity < 0:
        raise ActaError(f"--capacity {options.capacity} is below 0")
    evaluation = evaluate_files(
        options.labelmap,
        options.groundtruth,
        options.detections,
        options.exclusions,
        iou=options.iou,
        capacity=options.capacity,
        video_map=options.video_map,
    )
    print(json.dumps(evaluation, indent=1))


def _spots(options: argparse.Namespace) -> None:
    from pipeline.spot.evaluation import evaluate_folders

    largest = options.max_megabytes << 20
    evaluation = evaluate_folders(
        options.labels, options.predictions, options.version, options.metric, options.games, largest
    )
    print(json.dumps(evaluation, indent=1))
