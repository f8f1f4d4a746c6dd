"""The commands around action detection: ``acta detect``, ``evaluate-detections`` and ``convert-annotations``."""

import argparse
import json
from pathlib import Path

from pipeline.errors import ActaError


def add_detect(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    detect = commands.add_parser(
        "detect",
        description="Who does what in a video, once a second. Sizes, rates and thresholds come from the configuration "
        "that the network was trained with; the detector and the backbone are those beside it, unless given.",
    )
    detect.add_argument("input", type=Path, metavar="VIDEO")
    detect.add_argument("-o", "--output", type=Path, required=True, help="table to write (CSV)")
    detect.add_argument("--video", type=Path, help="also write a copy with boxes and actions drawn in")
    detect.add_argument("--model", type=Path, required=True, help="STAGE's model file")
    detect.add_argument("--backbone", type=Path, help="model file (default: beside the networks)")
    detect.add_argument("--detector", type=Path, help="model file (default: beside them, or registered)")
    detect.add_argument("--features", help="name in the configuration (default: the folder's that holds the network)")
    detect.add_argument("--score", type=float, default=0.5, help="lowest score of an action (default: %(default)s)")
    about = "files over the shipped config.yaml, as Snakemake's --configfile"
    detect.add_argument("--config", type=Path, nargs="+", default=[], help=about)
    detect.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    detect.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    detect.set_defaults(run=_detect, writes=("output", "video"))
    evaluate = commands.add_parser(
        "evaluate-detections",
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


def _detect(options: argparse.Namespace) -> None:
    from pipeline.config.whole import load_over
    from pipeline.detect.video import Models, annotate_video, detect_video, write_table
    from pipeline.files import check_outputs
    from pipeline.models.opened import Opened
    from pipeline.models.weights import open_weights
    from pipeline.progress import progress

    if not 0 <= options.score <= 1:
        raise ActaError(f"--score {options.score} is not in [0, 1]")
    outputs = [path for path in (options.output, options.video) if path is not None]
    inputs = [options.input, options.model, options.backbone, options.detector, *options.config]
    check_outputs(outputs, [path for path in inputs if path is not None], overwrite=options.overwrite)
    settings = load_over(options.config).detect
    # …/detect/networks/<features>/<network>/seed_<n>/model.safetensors
    place = options.model.resolve()
    is_placed = len(place.parts) > 6 and place.parts[-6:-4] == ("detect", "networks")
    features = options.features or (place.parts[-4] if is_placed else "")
    if features not in settings.features:
        known = ", ".join(settings.features)
        raise ActaError(f"the configuration has no features {features!r}; known: {known} (--features names them)")
    beside = place.parents[4] if is_placed else None
    source = settings.features[features].backbone
    backbone = options.backbone or (Path(source.weights) if source and source.weights else None)
    if backbone is None and beside is not None:
        backbone = beside / f"backbones/{features}/model.safetensors"
    detector: Path | Opened | None = options.detector
    if detector is None and settings.detector and beside is not None:
        detector = beside / "detector/model.safetensors"
    if detector is None and not settings.detector:
        given = settings.objects.weights if settings.objects else None
        detector = Path(given) if given else open_weights("fasterrcnn")
    if backbone is None or detector is None:
        raise ActaError(f"{options.model} is not where the workflow puts it: give --backbone and --detector too")
    models = Models(options.model, backbone, detector)
    people = detect_video(options.input, models, settings, features, options.device)
    write_table(options.output, people, options.score)
    print(f"wrote {options.output}: {len(people)} people on {len({person.time for person in people})} keyframes")
    if options.video is not None:
        with progress(unit="frames", desc=options.video.name) as bar:
            step, replace = settings.keyframes.step, options.overwrite
            annotate_video(options.input, options.video, people, step, options.score, bar.update, overwrite=replace)
        print(f"wrote {options.video}")


def _evaluate(options: argparse.Namespace) -> None:
    from pipeline.detect.evaluate_files import evaluate_files

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
