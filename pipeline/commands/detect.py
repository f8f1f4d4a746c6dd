"""``acta detect``: who does what in a video."""

import argparse
from pathlib import Path

from pipeline.runtime.errors import ActaError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Who does what in a video, once a second. Sizes, rates and thresholds come from the configuration "
        "that the network was trained with; the detector and the backbone are those next to it, unless given."
    )
    parser.add_argument("input", type=Path, metavar="VIDEO")
    parser.add_argument("-o", "--output", type=Path, required=True, help="table to write (CSV)")
    parser.add_argument("--video", type=Path, help="also write a copy with boxes and actions drawn in")
    parser.add_argument("--model", type=Path, required=True, help="STAGE's model file")
    parser.add_argument("--backbone", type=Path, help="model file (default: next to the networks)")
    parser.add_argument("--detector", type=Path, help="model file (default: next to them, or registered)")
    parser.add_argument("--features", help="name in the configuration (default: the folder's that holds the network)")
    parser.add_argument("--score", type=float, default=0.5, help="lowest score of an action (default: %(default)s)")
    about = "files over the shipped config.yaml, as Snakemake's --configfile"
    parser.add_argument("--config", type=Path, nargs="+", default=[], help=about)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.set_defaults(run=_detect, writes=("output", "video"))


def _detect(options: argparse.Namespace) -> None:
    from pipeline.config.whole import load_over
    from pipeline.detect.video import Models, annotate_video, detect_video, write_table
    from pipeline.models.opened import Opened
    from pipeline.models.weights import open_weights
    from pipeline.runtime.files import check_outputs
    from pipeline.runtime.progress import Progress

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
    trained = place.parents[4] if is_placed else None
    source = settings.features[features].backbone
    backbone = options.backbone or (Path(source.weights) if source and source.weights else None)
    if backbone is None and trained is not None:
        backbone = trained / f"backbones/{features}/model.safetensors"
    detector: Path | Opened | None = options.detector
    if detector is None and settings.detector and trained is not None:
        detector = trained / "detector/model.safetensors"
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
        with Progress(unit="frames", desc=options.video.name) as bar:
            step, replace = settings.keyframes.step, options.overwrite
            annotate_video(options.input, options.video, people, step, options.score, bar.update, overwrite=replace)
        print(f"wrote {options.video}")
