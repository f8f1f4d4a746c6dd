"""The command ``acta anonymize``: files or folders in, anonymised copies out, with a progress bar."""

import argparse
import statistics
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ActaError

if TYPE_CHECKING:
    from pipeline.anonymize_plan import Job, Plan
    from pipeline.anonymize_run import Event, Treatment
    from pipeline.config.privacy import ObfuscateSettings
    from pipeline.config.stages import DetectStage
    from pipeline.config.whole import Config
    from pipeline.privacy.anonymize import Anonymized
    from pipeline.progress import Progress

# As pipeline.media.encode has it, whose import would take longer than the help may; a test compares them.
KEEPABLE = ("subtitles", "chapters", "metadata", "attachments")
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_WIDEST = 40  # characters of a name beside the bar


def add_anonymize(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "anonymize",
        description="Hide faces or bodies in videos and photographs. Options that are not given come from config.yaml.",
        epilog="One input: OUTPUT is a file, or a folder. Several inputs or a folder: OUTPUT is a folder. "
        "Nothing is overwritten unless --overwrite says so, and an input never.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="videos, photographs or folders of them")
    parser.add_argument("output", type=Path, metavar="OUTPUT")
    parser.add_argument("--config", type=Path, help="another configuration to take defaults from")

    found = parser.add_argument_group("what is found")
    found.add_argument("--what", choices=("faces", "bodies"), default="faces", help="default: %(default)s")
    found.add_argument("--detector", help="retinaface, centerface, onnx; for bodies maskrcnn, ssdlite, selfie, onnx")
    found.add_argument("--weights", type=Path, help="a local weights file for the detector")
    found.add_argument("--threshold", type=float, help="lowest score that counts (default: the detector's own)")
    found.add_argument("--long-side", type=int, help="pixels at which the detector looks; 0: the video's own size")
    found.add_argument("--interval", type=float, help="seconds between searched frames; 0: every frame is searched")
    about = "search turned pictures too, for people who lie or hang upside down; four times the work"
    found.add_argument("--turned", action=argparse.BooleanOptionalAction, help=about)
    found.add_argument("--fill-gap", type=int, help="frames; hide a face that is missed for so long")
    found.add_argument("--device", choices=("cpu", "cuda"))
    found.add_argument("--keep-detections", type=Path, metavar="FILE.h5", help="write what was found (one input only)")

    hidden = parser.add_argument_group("how it is hidden")
    hidden.add_argument("--filter", choices=("blur", "pixelate", "solid", "frame"))
    hidden.add_argument("--shape", choices=("box", "ellipse"), help="the ellipse holds the box and has a soft edge")
    hidden.add_argument("--enlarge", type=float, help="factor on the boxes' sides")
    about = "hide nothing, but draw what would be hidden; outputs are called NAME.preview.SUFFIX and are yours alone"
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
    there = many.add_mutually_exclusive_group()
    there.add_argument("--skip-existing", action="store_true", help="pass over files whose output is there already")
    there.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.set_defaults(run=anonymize, writes=("output", "keep_detections"))


def anonymize(options: argparse.Namespace) -> int:
    """Anonymise every input; a bad one does not stop the others. Returns 1 if any failed."""
    from pipeline.quiet import quiet_libraries

    if options.jobs < 1:
        raise ActaError(f"--jobs {options.jobs} is below 1")
    if not 0 <= options.crf <= 51:
        raise ActaError(f"--crf {options.crf} is not in 0 to 51")
    with nullcontext() if options.debug else quiet_libraries():
        from pipeline.anonymize_plan import make_plan
        from pipeline.anonymize_run import Treatment, run
        from pipeline.config.whole import load
        from pipeline.files import remove_leftovers
        from pipeline.media.encode import Encoding
        from pipeline.privacy.detectors import make_detector

        stage, obfuscate = _settings(options, load(options.config) if options.config else load())
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
        for job in plan.there:
            remove_leftovers(job.output)
        if plan.jobs and obfuscate.filter != "frame":
            make_detector(stage.detect)  # missing weights are one error, not one a file
        treatment = Treatment(stage, obfuscate, encoding, options.overwrite, options.preview)
        with _Report(plan, treatment, debug=options.debug) as report:
            run(plan.jobs, treatment, options.jobs, report, options.keep_detections)
    return report.summary()


def _settings(options: argparse.Namespace, config: "Config") -> "tuple[DetectStage, ObfuscateSettings]":
    """The configuration's settings with the command line's on top, validated together."""
    from pipeline.config.base import parse
    from pipeline.config.privacy import ObfuscateSettings
    from pipeline.config.stages import DetectStage

    detect = config.privacy.detect.search(options.what)
    obfuscate = getattr(config.privacy.obfuscate, options.what)
    names = ("detector", "threshold", "interval", "turned", "fill_gap", "device")
    changes = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.weights is not None:
        changes["weights"] = str(options.weights)
    if options.long_side is not None:
        changes["long_side"] = options.long_side or None
    filters = {
        name: getattr(options, name) for name in ("filter", "shape", "enlarge") if getattr(options, name) is not None
    }
    stage = {"what": options.what, "sampling": {"rate": None}, "detect": detect.model_dump() | changes}
    return (
        parse(DetectStage, stage, "options"),
        parse(ObfuscateSettings, obfuscate.model_dump() | filters, "options"),
    )


def _check_detections(options: argparse.Namespace, plan: "Plan") -> None:
    """Refuse a file for detections that is not named like one, or would replace something."""
    from pipeline.files import check_outputs

    path = options.keep_detections
    if path is None:
        return
    if path.suffix.lower() != ".h5":
        raise ActaError(f"--keep-detections {path} must end in .h5")
    if len(plan.jobs) + len(plan.left_out) + len(plan.there) > 1:
        raise ActaError("--keep-detections takes one input")
    check_outputs([path], options.inputs, overwrite=options.overwrite)


class _Report:
    """How far all files are, what was said of them, and at the end what became of them."""

    def __init__(self, plan: "Plan", treatment: "Treatment", *, debug: bool):
        self._plan, self._treatment, self._debug = plan, treatment, debug
        self._failed = list(plan.left_out)
        self._done: list[tuple[Job, Anonymized]] = []
        self._frames = [_frame_count(job) for job in plan.jobs]
        known = [count for count in self._frames if count is not None]
        self._mean = max(1.0, statistics.mean(known)) if known else None
        self._moved = [0.0] * len(plan.jobs)
        self._begun = 0
        self._bar: Progress[object] | None = None

    def __enter__(self) -> "_Report":
        from pipeline.progress import progress

        total = sum(map(self._weight, range(len(self._moved)))) if self._mean is not None else None
        self._bar = progress(total=total, unit="frames", desc="", shown=bool(self._plan.jobs)).__enter__()
        for source, reason in self._plan.left_out:
            self._bar.note(f"error: {source}: {reason}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        assert self._bar is not None
        self._bar.__exit__(kind if self._done else ActaError, *details)  # which says no speed where nothing was done

    def __call__(self, index: int, event: "Event") -> None:
        """Take in what is new of a job."""
        from pipeline.anonymize_run import LeftOut, Moved, Said

        assert self._bar is not None
        job = self._plan.jobs[index]
        if isinstance(event, Moved):
            if event.frames == 0:
                self._begun += 1
                self._bar.describe(self._name(job))
            self._move(index, min(event.frames, self._weight(index)) if self._mean is not None else event.frames)
            return
        if isinstance(event, Said):
            self._bar.note(f"{job.source}: {event.line}")
            return
        if isinstance(event, LeftOut):
            self._failed.append((job.source, event.reason))
            self._bar.note(f"error: {job.source}: {event.reason}")
            if event.trace and self._debug:
                self._bar.note(event.trace)
        else:
            self._done.append((job, event))
            for note in event.notes:
                self._bar.note(f"note: {job.source}: {note}")
        self._move(index, self._weight(index) if self._mean is not None else self._moved[index])

    def summary(self) -> int:
        """Print what became of the files; returns the exit status."""
        done, plan = self._done, self._plan
        shown = [anonymized for _, anonymized in done]
        if len(plan.jobs) + len(plan.there) + len(plan.left_out) == 1 and not plan.there and not plan.unknown:
            for job, anonymized in done:
                print(f"wrote {job.output}: {self._figures([anonymized])}")
        else:
            photographs = sum(job.is_photograph for job, _ in done)
            counts = ((len(done) - photographs, "video"), (photographs, "photograph"))
            kinds = " and ".join(_count(count, what) for count, what in counts if count)
            print(f"{kinds} done: {self._figures(shown)}" if done else "nothing done")
            if plan.there:
                print(f"{len(plan.there)} passed over, as the output was there")
            if plan.unknown:
                suffixes = ", ".join(f"{count} {suffix}" for suffix, count in sorted(plan.unknown.items()))
                print(f"not looked at, as neither videos nor photographs by name: {suffixes}")
            if self._failed:
                print(f"{len(self._failed)} left out:")
            for source, reason in self._failed:
                print(f"  {source}: {reason}")
        if done and self._treatment.preview:
            print("Previews show faces; they are for your eyes, and only you can read them.")
        sys.stdout.flush()
        return 1 if self._failed else 0

    def _figures(self, done: "list[Anonymized]") -> str:
        frames = sum(one.frames for one in done)
        instances, failed = sum(one.instances for one in done), sum(one.failed for one in done)
        words = {"faces": ("face", "faces"), "bodies": ("body", "bodies")}[self._treatment.stage.what]
        if self._treatment.preview:
            verb = "drawn"
        elif self._treatment.obfuscate.filter == "frame":
            return f"{_count(frames, 'frame')}, each hidden whole"
        else:
            verb = "hidden"
        text = f"{instances:,} {words[instances != 1]} {verb} in {_count(frames, 'frame')}"
        return text + (f"; {_count(failed, 'frame')} hidden whole, as the detector failed" if failed else "")

    def _name(self, job: "Job") -> str:
        name = job.source.name
        name = name if len(name) <= _WIDEST else f"{name[: _WIDEST - 1]}…"
        return f"{self._begun}/{len(self._moved)} {name}" if len(self._moved) > 1 else name

    def _weight(self, index: int) -> float:
        count = self._frames[index]
        return float(count if count is not None else self._mean or 0)

    def _move(self, index: int, moved: float) -> None:
        assert self._bar is not None
        self._bar.update(moved - self._moved[index])
        self._moved[index] = moved


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def _frame_count(job: "Job") -> int | None:
    """Frames that the container announces, for the progress bar; None where it does not."""
    import av

    from pipeline.errors import VideoError
    from pipeline.media.decode import open_video

    if job.is_photograph:
        return 1
    try:
        with open_video(job.source) as (container, stream):
            if stream.frames:
                return stream.frames
            rate = stream.average_rate or stream.guessed_rate
            if stream.duration and stream.time_base and rate:
                return round(stream.duration * stream.time_base * rate)
            if container.duration and rate:
                return round(container.duration / av.time_base * rate)
    except VideoError:
        pass  # the anonymisation itself says what is wrong
    return None
