"""The command ``acta anonymize``: files or folders in, anonymised copies out, with a progress bar."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ActaError

if TYPE_CHECKING:
    from pipeline.config.privacy import ObfuscateSettings
    from pipeline.config.stages import DetectStage
    from pipeline.config.whole import Config
    from pipeline.privacy.instances import DetectedVideo


def add_anonymize(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "anonymize",
        description="Hide faces or bodies in video files. Options that are not given come from config.yaml.",
        epilog="One input: OUTPUT is a file, or a folder. Several inputs or a folder: OUTPUT is a folder.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="video files or folders")
    parser.add_argument("output", type=Path, metavar="OUTPUT")
    parser.add_argument("--what", choices=("faces", "bodies"), default="faces")
    parser.add_argument("--filter", choices=("blur", "pixelate", "solid", "frame"))
    parser.add_argument("--enlarge", type=float, help="factor on the boxes' sides")
    parser.add_argument("--detector", help="retinaface, centerface, onnx; for bodies maskrcnn, ssdlite, selfie, onnx")
    parser.add_argument("--weights", help="a local weights file for the detector")
    parser.add_argument("--threshold", type=float, help="lowest score that counts (default: the detector's own)")
    parser.add_argument("--long-side", type=int, help="pixels at which the detector looks; 0: the video's own size")
    parser.add_argument("--interval", type=float, help="seconds between searched frames; 0: every frame is searched")
    parser.add_argument("--fill-gap", type=int, help="frames; hide a face that is missed for so long")
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--crf", type=int, default=20, help="x264 quality, lower is better (default: %(default)s)")
    parser.add_argument("--preset", default="veryfast", help="x264 speed (default: %(default)s)")
    parser.add_argument("--keep-detections", type=Path, metavar="FILE.h5", help="write what was found (one input only)")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument("--config", type=Path, help="another configuration to take defaults from")
    parser.set_defaults(run=anonymize)


def anonymize(options: argparse.Namespace) -> int:
    """Anonymise every input; a bad one does not stop the others. Returns 1 if any failed."""
    from pipeline.config.whole import load
    from pipeline.media.encode import Encoding
    from pipeline.privacy.anonymize import anonymize_video
    from pipeline.progress import progress

    stage, obfuscate = _settings(options, load(options.config) if options.config else load())
    jobs = _jobs(options.inputs, options.output)
    if options.keep_detections and len(jobs) > 1:
        raise ActaError(f"--keep-detections takes one input, not {len(jobs)}")
    failed = 0
    for source, output in jobs:
        if output.exists() and not options.overwrite and not output.samefile(source):
            print(f"error: {output} exists; give --overwrite to replace it", file=sys.stderr)
            failed += 1
            continue
        try:
            with progress(total=_frame_count(source), unit="frames", desc=source.name) as bar:
                found = anonymize_video(
                    source,
                    output,
                    stage.detect,
                    obfuscate,
                    encoding=Encoding(options.crf, options.preset),
                    progress=bar.to,
                    keep_detections=options.keep_detections is not None,
                )
        except ActaError as error:
            print(f"error: {source}: {error}", file=sys.stderr)
            failed += 1
            continue
        if options.keep_detections:
            _keep(found, stage, options.keep_detections)
    if failed and len(jobs) > 1:
        print(f"{failed} of {len(jobs)} files failed", file=sys.stderr)
    return 1 if failed else 0


def _settings(options: argparse.Namespace, config: "Config") -> "tuple[DetectStage, ObfuscateSettings]":
    """The configuration's settings with the command line's on top, validated together."""
    from pipeline.config.base import parse
    from pipeline.config.privacy import ObfuscateSettings
    from pipeline.config.stages import DetectStage

    detect = config.privacy.detect.search(options.what)
    obfuscate = getattr(config.privacy.obfuscate, options.what)
    names = ("detector", "weights", "threshold", "interval", "fill_gap", "device")
    changes = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.long_side is not None:
        changes["long_side"] = options.long_side or None
    filters = {name: getattr(options, name) for name in ("filter", "enlarge") if getattr(options, name) is not None}
    stage = {"what": options.what, "sampling": {"rate": None}, "detect": detect.model_dump() | changes}
    return (
        parse(DetectStage, stage, "options"),
        parse(ObfuscateSettings, obfuscate.model_dump() | filters, "options"),
    )


def _jobs(inputs: list[Path], output: Path) -> list[tuple[Path, Path]]:
    """Pairs of input and output file.

    Raises:
        ActaError: an input is missing, an output would be an input, or two outputs would be the same file.
    """
    from pipeline.data.adapters import SUFFIXES

    into_folder = len(inputs) > 1 or inputs[0].is_dir() or output.is_dir()
    jobs: list[tuple[Path, Path]] = []
    for path in inputs:
        if path.is_dir():
            files = sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
            if not files:
                raise ActaError(f"no video files in {path}; known suffixes: {' '.join(sorted(SUFFIXES))}")
            jobs += [(file, _writable(output / file.relative_to(path))) for file in files]
        elif path.exists():
            jobs.append((path, _writable(output / path.name) if into_folder else output))
        else:
            raise ActaError(f"there is no {path}")
    sources = {source.resolve() for source, _ in jobs}
    for _, target in jobs:
        if target.resolve() in sources:
            raise ActaError(f"the output {target} is an input; choose another output")
    if len({target for _, target in jobs}) < len(jobs):
        raise ActaError("two inputs have the same name, so their outputs would be the same file")
    return jobs


def _writable(path: Path) -> Path:
    """The path with a suffix that can be written; .mkv stands in for the others."""
    from pipeline.media.encode import CONTAINERS

    return path if path.suffix.lower() in CONTAINERS else path.with_suffix(".mkv")


def _frame_count(path: Path) -> int | None:
    """Frames that the container announces, for the progress bar; None where it does not."""
    from pipeline.errors import VideoError
    from pipeline.media.decode import open_video

    try:
        with open_video(path) as (_, stream):
            if stream.frames:
                return stream.frames
            if stream.duration and stream.average_rate and stream.time_base:
                return round(stream.duration * stream.time_base * stream.average_rate)
    except VideoError:
        pass  # the anonymisation itself says what is wrong
    return None


def _keep(found: "DetectedVideo", stage: "DetectStage", path: Path) -> None:
    from pipeline.config.base import canonical
    from pipeline.models.weights import detector_digests
    from pipeline.privacy.instances import write_detections
    from pipeline.stages import code_digest
    from pipeline.store import Provenance

    provenance = Provenance(
        "anonymize", canonical(stage), code_digest("detect-people"), weights=detector_digests(stage)
    )
    write_detections(path, [found], [], provenance)
