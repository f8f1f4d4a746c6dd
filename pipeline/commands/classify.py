"""``acta classify``: name the action in video files."""

import argparse
import json
import sys
from pathlib import Path

from pipeline.runtime.errors import ActaError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="video files")
    parser.add_argument("--model", type=Path, required=True, help="a model file (.safetensors)")
    parser.add_argument("--top", type=int, default=5, help="how many classes to print (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=10, help="clips that are averaged (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_classify)


def _classify(options: argparse.Namespace) -> int:
    from pipeline.classify.predict import predict
    from pipeline.models.classifier_file import load_model
    from pipeline.runtime.errors import VideoError

    if options.clips < 1 or options.top < 1:
        raise ActaError("--clips and --top must be at least 1")
    network, description = load_model(options.model)
    network.eval()
    if description.variant != "none":
        print(
            f"note: this network was trained on videos with {description.variant} hidden; show it such videos "
            f"(acta anonymize … --what {description.variant})",
            file=sys.stderr,
        )
    failed, classified = 0, []
    for video in options.videos:
        try:
            scores = predict(network, description, video, options.clips)
        except VideoError as error:
            print(f"error: {video}: {error}", file=sys.stderr)
            failed = 1
            continue
        best = [(description.classes[i], float(scores[i])) for i in (-scores).argsort(kind="stable")[: options.top]]
        classified.append({"video": str(video), "classes": [{"label": label, "score": score} for label, score in best]})
        if not options.json:
            print(video)
            for label, score in best:
                print(f"  {100 * score:5.1f} %  {label}")
    if options.json:
        print(json.dumps(classified, indent=1))
    return failed
