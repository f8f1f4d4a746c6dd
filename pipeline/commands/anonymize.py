"""The command ``acta anonymize``: files or folders in, anonymised copies out, with a progress bar."""

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.runtime.errors import ActaError

if TYPE_CHECKING:
    from pipeline.config.base import Settings
    from pipeline.config.privacy import ObfuscateSettings
    from pipeline.config.tasks.privacy import DetectPeople
    from pipeline.config.whole import Config
    from pipeline.privacy.recordings_plan import Plan

# As pipeline.media.encode has it, whose import would take longer than the help may; a test compares them.
KEEPABLE = ("subtitles", "chapters", "metadata", "attachments")
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Hide faces or bodies in videos and photographs. Options that are not given come from config.yaml."
    )
    parser.epilog = (
        "One input: OUTPUT is a file, or a folder. Several inputs or a folder: OUTPUT is a folder. "
        "Nothing is overwritten unless --overwrite says so, and an input never."
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="videos, photographs or folders of them")
    parser.add_argument("output", type=Path, metavar="OUTPUT")
    parser.add_argument("--config", type=Path, help="another configuration to take defaults from")

    searched = parser.add_argument_group("what is found")
    searched.add_argument("--what", choices=("faces", "bodies"), default="faces", help="default: %(default)s")
    searched.add_argument("--detector", help="retinaface, centerface, onnx; for bodies maskrcnn, ssdlite, selfie, onnx")
    searched.add_argument("--weights", type=Path, help="a local weights file for the detector")
    searched.add_argument("--threshold", type=float, help="lowest score that counts (default: the detector's own)")
    searched.add_argument("--long-side", type=int, help="pixels at which the detector looks; 0: the video's own size")
    about = "longest time between two searched frames, in seconds; 0: search every frame"
    searched.add_argument("--interval", type=float, help=about)
    about = "search turned pictures too, for people lying down or upside down; four times the work"
    searched.add_argument("--turned", dest="search_rotated", action=argparse.BooleanOptionalAction, help=about)
    searched.add_argument("--fill-gap", type=int, help="frames; hide a face that is missed for so long")
    searched.add_argument("--device", choices=("cpu", "cuda"))
    searched.add_argument(
        "--keep-detections", type=Path, metavar="FILE.h5", help="write what was found (one input only)"
    )

    hidden = parser.add_argument_group("how it is hidden")
    hidden.add_argument("--filter", choices=("blur", "pixelate", "solid", "frame"))
    hidden.add_argument("--shape", choices=("box", "ellipse"), help="the ellipse holds the box and has a soft edge")
    hidden.add_argument("--enlarge", type=float, help="factor on the boxes' sides")
    about = "hide nothing, but draw what would be hidden; outputs are called NAME.preview.SUFFIX, readable only by you"
    hidden.add_argument("--preview", action="store_true", help=about)

    written = parser.add_argument_group("what is written")
    written.add_argument("--crf", type=int, default=20, help="x264 quality, lower is better (default: %(default)s)")
    written.add_argument("--preset", choices=_PRESETS, default="veryfast", help="x264 speed (default: %(default)s)")
    written.add_argument("--audio", choices=("keep", "drop"), default="keep", help="default: %(default)s")
    about = f"what else of a video to keep, which may tell who or where it is: {', '.join(KEEPABLE)} (repeatable)"
    written.add_argument("--keep", choices=KEEPABLE, action="append", default=[], metavar="WHAT", help=about)
    about = "of a damaged video, write what can be read instead of refusing it"
    written.add_argument("--keep-what-is-whole", action="store_true", help=about)

    many = parser.add_argument_group("many files")
    many.add_argument("--jobs", type=int, default=1, metavar="N", help="files at the same time (default: %(default)s)")
    existing = many.add_mutually_exclusive_group()
    existing.add_argument("--skip-existing", action="store_true", help="pass over files whose output is there already")
    existing.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.set_defaults(run=anonymize, writes=("output", "keep_detections"))


def anonymize(options: argparse.Namespace) -> int:
    """Anonymise every input; a bad one does not stop the others. Returns 1 if any failed."""
    from pipeline.runtime.quiet import quiet_libraries

    if options.jobs < 1:
        raise ActaError(f"--jobs {options.jobs}: at least 1 is needed")
    if not 0 <= options.crf <= 51:
        raise ActaError(f"--crf {options.crf} is not in 0 to 51")
    with nullcontext() if options.debug else quiet_libraries():
        from pipeline.config.whole import load
        from pipeline.media.encode import Encoding
        from pipeline.privacy.probe import check_hiding, check_search
        from pipeline.privacy.recordings_plan import make_plan
        from pipeline.privacy.recordings_report import Report
        from pipeline.privacy.recordings_run import Treatment, run
        from pipeline.runtime.files import remove_leftovers
        from pipeline.runtime.progress import Progress

        search, obfuscate = _settings(options, load(options.config) if options.config else load())
        if options.preview and obfuscate.filter == "frame":
            raise ActaError("--preview shows boxes, and --filter frame draws none: every frame would be hidden whole")
        plan = make_plan(
            options.inputs,
            options.output,
            overwrite=options.overwrite,
            skip_existing=options.skip_existing,
            preview=options.preview,
        )
        _check_detections(options, plan)
        encoding = Encoding(
            crf=options.crf,
            preset=options.preset,
            audio=options.audio,
            keep=frozenset(options.keep),
            keep_what_is_whole=options.keep_what_is_whole,
        )
        for job in plan.skipped:
            remove_leftovers(job.output)
        if plan.jobs:  # missing weights, too, are one error, not one a file
            if options.preview:
                check_search(search.what, search.detect)
            else:
                check_hiding(search.what, search.detect, obfuscate)
        treatment = Treatment(search, obfuscate, encoding, options.overwrite, options.preview)
        with Progress(unit="frames", desc="", shown=bool(plan.jobs)) as bar:
            report = Report(plan, treatment, bar, debug=options.debug)
            run(plan.jobs, treatment, options.jobs, report.take, options.keep_detections)
    return report.summary()


def _settings(options: argparse.Namespace, config: "Config") -> "tuple[DetectPeople, ObfuscateSettings]":
    """The configuration's settings with the command line's on top, validated together."""
    from pipeline.config.base import parse
    from pipeline.config.privacy import ObfuscateSettings
    from pipeline.config.tasks.privacy import DetectPeople

    def over(settings: "Settings", *names: str) -> dict[str, Any]:
        given = {name: value for name in names if (value := getattr(options, name)) is not None}
        return settings.model_dump() | given

    names = ("detector", "weights", "threshold", "interval", "search_rotated", "fill_gap", "device")
    detect = over(config.privacy.detect.search(options.what), *names)
    if options.long_side is not None:
        detect["long_side"] = options.long_side or None
    obfuscate = over(getattr(config.privacy.obfuscate, options.what), "filter", "shape", "enlarge")
    search = {"what": options.what, "sampling": {"rate": None}, "detect": detect}
    return parse(DetectPeople, search, "options"), parse(ObfuscateSettings, obfuscate, "options")


def _check_detections(options: argparse.Namespace, plan: "Plan") -> None:
    """Refuse a file for detections that is not named like one, or would replace something."""
    from pipeline.runtime.files import check_outputs

    path = options.keep_detections
    if path is None:
        return
    if path.suffix.lower() != ".h5":
        raise ActaError(f"--keep-detections {path} must end in .h5")
    if len(plan.jobs) + len(plan.left_out) + len(plan.skipped) > 1:
        raise ActaError("--keep-detections takes one input")
    check_outputs([path], options.inputs, overwrite=options.overwrite)
