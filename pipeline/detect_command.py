"""The commands around action detection: ``acta evaluate-detections``."""

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
    evaluate.set_defaults(run=_evaluate)


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
    )
    print(json.dumps(found, indent=1))
