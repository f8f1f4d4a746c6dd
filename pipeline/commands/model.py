"""``acta model``: model files of published checkpoints."""

import argparse
from pathlib import Path
from typing import get_args

from pipeline.config.names import ActorBackboneName, BackboneName
from pipeline.runtime.errors import ActaError


def add_options(parser: argparse.ArgumentParser) -> None:
    convert = parser.add_subparsers(required=True, metavar="ACTION").add_parser(
        "convert", help="published weights (.pth, .pyth, .pkl) to a model file"
    )
    convert.add_argument("checkpoint", type=Path, help="file to read")
    convert.add_argument("--backbone", required=True, choices=(*get_args(BackboneName), *get_args(ActorBackboneName)))
    about = "text file, one class a line, in the outputs' order; or a label map (.pbtxt)"
    convert.add_argument("--classes", type=Path, required=True, help=about)
    convert.add_argument("-o", "--output", type=Path, required=True, help="model file to write (.safetensors)")
    convert.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    convert.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> None:
    from pipeline.commands.convert_checkpoint import convert_checkpoint
    from pipeline.runtime.files import check_outputs

    if options.output.suffix != ".safetensors":
        raise ActaError(f"the output {options.output} must end in .safetensors")
    outputs = [options.output, options.output.with_suffix(".json")]
    check_outputs(outputs, [options.checkpoint, options.classes], overwrite=options.overwrite)
    convert_checkpoint(options.checkpoint, options.output, options.backbone, options.classes)
    print(f"wrote {options.output} and {options.output.with_suffix('.json').name}")
