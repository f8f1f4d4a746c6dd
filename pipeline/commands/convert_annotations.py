"""``acta convert-annotations``: annotations of other data sets as files like AVA's."""

import argparse
import json
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write the annotations of J-HMDB-21 or UCF101-24, from their own files, as files like AVA's: "
        "<part><split>.csv and label_map.pbtxt. Prints a summary of each part as JSON."
    )
    parser.add_argument("kind", choices=["jhmdb21", "ucf101_24"], help="which data set")
    parser.add_argument(
        "folder",
        type=Path,
        help="puppet_mask/ and splits/, or JHMDB-GT.pkl; pyannot.pkl and [train|test]list01.txt, or UCF101v2-GT.pkl",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--rate", type=float, metavar="FPS", help="frames per second (default: 30 J-HMDB, 25 UCF101)")
    parser.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> None:
    from pipeline.detect.annotation.single_label import convert_annotations

    print(json.dumps(convert_annotations(options.kind, options.folder, options.output, options.rate), indent=1))
