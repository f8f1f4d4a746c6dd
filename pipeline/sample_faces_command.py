"""The command of Figure 5.4: a video's frames with the faces that were found."""

import argparse
from pathlib import Path

from pipeline.options import lists_option, paths_of, settings_of, stage_parser


def add_sample_faces(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    sample = stage_parser(commands, "sample-faces", workers=False)
    sample.add_argument("--frames", nargs="+", type=Path, required=True, help="frame shards of the original frames")
    sample.add_argument(
        "--detections", nargs="+", type=Path, required=True, help="detection shards of faces, in the same order"
    )
    lists_option(sample)
    sample.set_defaults(run=_sample_faces)


def _sample_faces(options: argparse.Namespace) -> None:
    from pipeline.report.sample_faces import draw_face_sample

    draw_face_sample(
        paths_of(options.frames, options.lists),
        paths_of(options.detections, options.lists),
        options.output,
        settings_of(options).contact_sheet,
    )
