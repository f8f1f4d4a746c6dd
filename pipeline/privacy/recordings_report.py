"""What `acta anonymize` reports: progress over all files, notes on them, and in the end what became of each."""

import sys
from collections.abc import Sequence

import av

from pipeline.media.decode import open_video
from pipeline.privacy.anonymize import Anonymized
from pipeline.privacy.recordings_plan import Job, Plan
from pipeline.privacy.recordings_run import Event, LeftOut, Moved, Said, Treatment
from pipeline.runtime.errors import VideoError
from pipeline.runtime.progress import Progress

_WIDEST = 40  # characters of a name next to the bar


class Report:
    """What the user is told of a run. The bar counts frames; ``debug`` shows where in the code a bug is."""

    def __init__(self, plan: Plan, treatment: Treatment, bar: Progress, *, debug: bool = False):
        self._plan, self._treatment, self._bar, self._debug = plan, treatment, bar, debug
        self._failed = list(plan.left_out)
        self._done: list[tuple[Job, Anonymized]] = []
        self._outlook = Outlook(plan.jobs)
        self._begun = 0
        for source, reason in plan.left_out:
            bar.note(f"error: {source}: {reason}")

    def take(self, index: int, event: Event) -> None:
        """Take in the next event of a job; they come as `pipeline.privacy.recordings_run.run` tells them."""
        job, bar, outlook = self._plan.jobs[index], self._bar, self._outlook
        match event:
            case Said(line):
                bar.note(f"{job.source}: {line}")
            case Moved(0):
                self._begun += 1
                bar.describe(self._name(job))
                outlook.begin(index, count_frames(job))
            case Moved(frames):
                outlook.move(index, frames)
            case LeftOut(reason, trace):
                self._failed.append((job.source, reason))
                bar.note(f"error: {job.source}: {reason}")
                if trace and self._debug:
                    bar.note(trace)
                outlook.end(index, None)
            case Anonymized():
                self._done.append((job, event))
                for note in event.notes:
                    bar.note(f"note: {job.source}: {note}")
                outlook.end(index, event.frames)
        bar.expect(outlook.total)
        bar.to(outlook.done)

    def summary(self) -> int:
        """Print what became of the files; returns the exit status."""
        done, plan = self._done, self._plan
        if len(plan.jobs) + len(plan.skipped) + len(plan.left_out) == 1 and not plan.skipped and not plan.unknown:
            for job, anonymized in done:
                print(f"wrote {job.output}: {self._figures([anonymized])}")
        else:
            photographs = sum(job.is_photograph for job, _ in done)
            counts = ((len(done) - photographs, "video"), (photographs, "photograph"))
            kinds = " and ".join(_count(count, what) for count, what in counts if count)
            print(f"{kinds} done: {self._figures([anonymized for _, anonymized in done])}" if done else "nothing done")
            if plan.skipped:
                print(f"{len(plan.skipped)} passed over, as the output was there")
            if plan.unknown:
                suffixes = ", ".join(f"{count} {suffix}" for suffix, count in sorted(plan.unknown.items()))
                print(f"not looked at, as neither videos nor photographs by name: {suffixes}")
            if self._failed:
                print(f"{len(self._failed)} left out:")
            for source, reason in self._failed:
                print(f"  {source}: {reason}")
        if done and self._treatment.preview:
            print("Previews show faces; only you can read them (mode 0600).")
        sys.stdout.flush()
        return 1 if self._failed else 0

    def _figures(self, done: Sequence[Anonymized]) -> str:
        frames = sum(anonymized.frames for anonymized in done)
        instances = sum(anonymized.instances for anonymized in done)
        failed = sum(anonymized.failed for anonymized in done)
        words = {"faces": ("face", "faces"), "bodies": ("body", "bodies")}[self._treatment.search.what]
        if self._treatment.preview:
            verb = "drawn"
        elif self._treatment.obfuscate.filter == "frame":
            return f"{_count(frames, 'frame')}, each hidden whole"
        else:
            verb = "hidden"
        text = f"{instances:,} {words[instances != 1]} {verb} in {_count(frames, 'frame')}"
        return text + (f"; {_count(failed, 'frame')} hidden whole, as the detector failed" if failed else "")

    def _name(self, job: Job) -> str:
        name, count = job.source.name, len(self._plan.jobs)
        name = name if len(name) <= _WIDEST else f"{name[: _WIDEST - 1]}…"
        return f"{self._begun}/{count} {name}" if count > 1 else name


class Outlook:
    """How many frames of a run there are, and how many are done.

    To ask thousands of files on a network for their frames takes minutes. So each is asked when it is begun; before,
    its size stands for its frames, at the mean of the files that were asked. A photograph is one frame. The frames of a
    file that is left out do not count.
    """

    def __init__(self, jobs: Sequence[Job]):
        self._sizes = [0 if job.is_photograph else _size(job) for job in jobs]
        self._waiting_photographs = sum(job.is_photograph for job in jobs)
        self._waiting_bytes = sum(self._sizes)
        self._photographs = [job.is_photograph for job in jobs]
        self._known_frames = self._known_bytes = 0
        self._running: dict[int, tuple[int, int | None]] = {}  # frames that are done, and all
        self._finished = 0

    @property
    def done(self) -> int:
        return self._finished + sum(moved for moved, _ in self._running.values())

    @property
    def total(self) -> float | None:
        """Frames of the whole run, as far as is known; None while nothing is."""
        unknown = [index for index, (_, frames) in self._running.items() if frames is None]
        if not self._known_bytes and (self._waiting_bytes or unknown):
            return None
        mean = self._known_frames / max(1, self._known_bytes)
        running = sum(
            max(moved, self._sizes[index] * mean if frames is None else frames)
            for index, (moved, frames) in self._running.items()
        )
        return self._finished + running + self._waiting_photographs + self._waiting_bytes * mean or None

    def begin(self, index: int, frames: int | None) -> None:
        """Begin a job, with its number of frames where the file says it."""
        self._running[index] = (0, frames)
        self._waiting_photographs -= self._photographs[index]
        self._waiting_bytes -= self._sizes[index]
        self._learn(index, frames)

    def move(self, index: int, moved: int) -> None:
        """Take in how many frames of a job are done."""
        self._running[index] = (moved, self._running[index][1])

    def end(self, index: int, frames: int | None) -> None:
        """End a job, with its number of frames, None where it was left out."""
        _, announced = self._running.pop(index)
        self._finished += frames or 0
        if announced is None:
            self._learn(index, frames)

    def _learn(self, index: int, frames: int | None) -> None:
        if frames is not None and not self._photographs[index]:
            self._known_frames += frames
            self._known_bytes += self._sizes[index]


def count_frames(job: Job) -> int | None:
    """Frames that a file announces, for the progress bar; None where it does not."""
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


def _size(job: Job) -> int:
    try:
        return job.source.stat().st_size
    except OSError:  # the anonymisation itself says what is wrong
        return 0


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"
