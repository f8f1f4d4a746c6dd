"""The command ``acta spot``: the events of one match."""

import argparse
from pathlib import Path

from pipeline.runtime.errors import ActaError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The events of a match as SoccerNet's JSON: class, half, position in milliseconds, confidence. "
        "Rates and sizes come from the configuration that the network was trained with; its backbone and projection "
        "are those next to it, unless given."
    )
    parser.add_argument("halves", type=Path, nargs="+", metavar="HALF", help="videos or features (.npy), in order")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON to write")
    parser.add_argument("--model", type=Path, required=True, help="the network's model file")
    parser.add_argument("--ini", type=Path, help="SoccerNet's video.ini: where the halves lie in the videos")
    parser.add_argument("--stride", type=int, help="frames from one window to the next (default: the network's)")
    parser.add_argument("--nms", type=float, help="seconds within which one spot of a class stays (the network's)")
    parser.add_argument("--backbone", type=Path, help="weights (.pth) that make the features (default: the registered)")
    parser.add_argument("--projection", type=Path, help="of the features (default: next to the networks)")
    about = "files over the shipped config.yaml, as Snakemake's --configfile"
    parser.add_argument("--config", type=Path, nargs="+", default=[], help=about)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.set_defaults(run=_spot)


def _spot(options: argparse.Namespace) -> None:
    from pipeline.config.whole import load_over
    from pipeline.runtime.files import check_outputs
    from pipeline.spot.events import HALVES
    from pipeline.spot.game_lists import read_ini
    from pipeline.spot.soccernet_files import write_prediction_file
    from pipeline.spot.video import Models, spot_match

    inputs = [*options.halves, options.model, options.ini, options.backbone, options.projection, *options.config]
    check_outputs([options.output], [path for path in inputs if path is not None], overwrite=options.overwrite)
    if len(options.halves) > len(HALVES):
        raise ActaError(f"{len(options.halves)} files are given; a match has two halves at most")
    for name in ("stride", "nms"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ActaError(f"--{name} {value} is not above 0")
    spots = spot_match(
        dict(zip(HALVES, options.halves, strict=False)),
        Models(options.model, options.backbone, options.projection),
        load_over(options.config).spot,
        spans=read_ini(options.ini) if options.ini else {},
        stride=options.stride,
        nms=options.nms,
        device=options.device,
    )
    write_prediction_file(options.output, options.halves[0].resolve().parent.name, spots)
    print(f"wrote {options.output}: {len(spots)} events")
