"""The commands around action detection: ``acta evaluate-detections`` and ``acta convert-annotations``."""

import argparse
import json
from pathlib import Path


def add_detect(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    evaluate = commands.add_parser(
        "evaluate-detections",
        help="frame-mAP of a file of action detections",
        description="frame-mAP of AVA's own files, equal to ActivityNet's evaluator, as JSON; precisions in [0, 1].",
    )
    evaluate.add_argument("--labelmap", type=Path, required=True, help="actions to evaluate (pbtxt)")
    evaluate.add_argument("--groundtruth", type=Path, required=True, help="annotated boxes (CSV)")
    evaluate.add_argument("--detections", type=Path, required=True, help="detected boxes with scores (CSV)")
    evaluate.add_argument(
        "--exclusions",
        type=Path,
        help="frames to leave out (CSV); without it only frames that the annotations name are evaluated",
    )
    evaluate.add_argument("--iou", type=float, default=0.5, help="overlap of a right box (default: %(default)s)")
    evaluate.add_argument(
        "--capacity",
        type=int,
        default=50,
        help="surest detections of a frame that count (default: %(default)s, as the evaluator's); 0: all",
    )
    evaluate.add_argument(
        "--video-map",
        action="store_true",
        help="also video-mAP at 0.2, 0.5 and 0.5:0.95; the annotations' eighth column must number the people",
    )
    evaluate.set_defaults(run=_evaluate)
    convert = commands.add_parser(
        "convert-annotations",
        help="annotations of J-HMDB-21 or UCF101-24 as files like AVA's",
        description="Write the annotations of J-HMDB-21 or UCF101-24, from their own files, as files like AVA's: "
        "<part><split>.csv and label_map.pbtxt. Prints what there is of each part, as JSON.",
    )
    convert.add_argument("kind", choices=["jhmdb21", "ucf101_24"], help="which data set")
    convert.add_argument(
        "folder",
        type=Path,
        help="puppet_mask/ and splits/, or JHMDB-GT.pkl; pyannot.pkl and [train|test]list01.txt, or UCF101v2-GT.pkl",
    )
    convert.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    convert.add_argument("--rate", type=float, metavar="FPS", help="frames per second (default: 30 J-HMDB, 25 UCF101)")
    convert.set_defaults(run=_convert)


def _evaluate(options: argparse.Namespace) -> None:
    from pipeline.detect.evaluate_files import evaluate_files
    from pipeline.errors import ActaError

    if not 0 < options.iou <= 1:
        raise ActaError(f"--iou {options.iou} is not in (0, 1]")
    if options.capacity < 0:
        raise ActaError(f"--capacity {options.capacity} is below 0")
    found = evaluate_files(
        options.labelmap,
        options.groundtruth,
        options.detections,
        options.exclusions,
        iou=options.iou,
        capacity=options.capacity,
        video_map=options.video_map,
    )
    print(json.dumps(found, indent=1))


def _convert(options: argparse.Namespace) -> None:
    from pipeline.data.single_label import convert_annotations

    print(json.dumps(convert_annotations(options.kind, options.folder, options.output, options.rate), indent=1))
