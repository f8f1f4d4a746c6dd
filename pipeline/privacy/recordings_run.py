"""Anonymising many files: one after another, or several at once in processes that end with this one."""

import io
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

from pipeline.config.privacy import ObfuscateSettings
from pipeline.config.tasks.privacy import DetectPeople
from pipeline.media.encode import Encoding
from pipeline.models.weights import detector_digests
from pipeline.privacy.anonymize import Anonymized, anonymize_video
from pipeline.privacy.detectors import make_detector
from pipeline.privacy.instances import write_detections
from pipeline.privacy.photograph import anonymize_photograph
from pipeline.privacy.recordings_plan import Job
from pipeline.runtime.digest import code_digest
from pipeline.runtime.ending import Ended, check_ended, tidy_end
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic, remove_leftovers
from pipeline.runtime.provenance import Provenance, canonical

_EVERY = 0.2  # seconds between two reports of a process
_GRACE = 10.0  # seconds in which a process that is asked to end tidies up


@dataclass(frozen=True)
class Treatment:
    """How every file is treated."""

    search: DetectPeople
    obfuscate: ObfuscateSettings
    encoding: Encoding
    overwrite: bool = False
    preview: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A file that could not be anonymised: why, and for a bug where in the code."""

    reason: str
    trace: str = ""


@dataclass(frozen=True)
class Moved:
    """Number of frames of a job that are done."""

    frames: int


@dataclass(frozen=True)
class Said:
    """A line that a job printed."""

    line: str


Event = Moved | Said | Anonymized | LeftOut


def anonymize_file(
    job: Job, treatment: Treatment, moved: Callable[[int], object], detections: Path | None = None
) -> Anonymized:
    """Anonymise one file; errors are those of `anonymize_video` and `anonymize_photograph`.

    ``moved`` is called with the number of frames that are done. What was found is written to ``detections`` (HDF5), if
    given; an existing file there is an `ActaError`.
    """
    if detections is not None:
        with atomic(detections, overwrite=treatment.overwrite) as temporary:
            done = _anonymize(job, treatment, moved, keep_detections=True)
            assert done.detections is not None
            settings, code = canonical(treatment.search), code_digest("pipeline.privacy.detect_people")
            weights = detector_digests(treatment.search)
            if treatment.obfuscate.filter != "frame":  # which needs none
                make_detector(treatment.search.detect, weights)  # it is made already; its weights must be these
            provenance = Provenance("anonymize", settings, code, weights=weights)
            write_detections(temporary, [done.detections], [], provenance)
        return done
    return _anonymize(job, treatment, moved, keep_detections=False)


def _anonymize(job: Job, treatment: Treatment, moved: Callable[[int], object], *, keep_detections: bool) -> Anonymized:
    given = (job.source, job.output, treatment.search.detect, treatment.obfuscate)
    if job.is_photograph:
        return anonymize_photograph(*given, overwrite=treatment.overwrite, preview=treatment.preview)
    return anonymize_video(
        *given,
        encoding=treatment.encoding,
        overwrite=treatment.overwrite,
        preview=treatment.preview,
        progress=moved,
        keep_detections=keep_detections,
    )


def run(
    jobs: Sequence[Job],
    treatment: Treatment,
    processes: int,
    tell: Callable[[int, Event], object],
    detections: Path | None = None,
) -> None:
    """Anonymise files, several at the same time in processes that share the cores. One that fails stops no other.

    ``tell`` is called with a job's number and each of its events: first ``Moved(0)``, last what was done or why not.
    What was found is written to ``detections``, if there is one job only.
    """
    if min(processes, len(jobs)) > 1:
        _in_processes(jobs, treatment, min(processes, len(jobs)), tell)
        return
    for index, job in enumerate(jobs):

        def moved(frames: int, index: int = index) -> None:
            tell(index, Moved(frames))

        moved(0)
        tell(index, _attempt(job, treatment, moved, detections))


def _attempt(
    job: Job, treatment: Treatment, moved: Callable[[int], object], detections: Path | None = None
) -> Anonymized | LeftOut:
    def go_on(frames: int) -> None:
        check_ended()
        moved(frames)

    try:
        return anonymize_file(job, treatment, go_on, detections)
    except ActaError as error:
        return LeftOut(str(error))
    except MemoryError:
        return LeftOut("there is not enough memory for it")
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        return LeftOut(f"{error.filename}: {error.strerror}" if named else str(error))
    except Exception as error:
        words = f"{type(error).__name__}: {error}".strip().removesuffix(":")
        return LeftOut(f"a bug in acta, not in the file: {words} (--debug shows where)", traceback.format_exc())


def _in_processes(jobs: Sequence[Job], treatment: Treatment, count: int, tell: Callable[[int, Event], object]) -> None:
    waiting = deque(enumerate(jobs))
    cores = sorted(os.sched_getaffinity(0))
    workers: list[_Worker] = []

    def give(worker: _Worker) -> None:
        if waiting:
            worker.index, job = waiting.popleft()
            tell(worker.index, Moved(0))
            with suppress(BrokenPipeError):  # it died: its end is read below
                worker.pipe.send(job)

    try:
        for number in range(count):
            workers.append(_Worker(treatment, _share(cores, number, count)))
            give(workers[-1])
        while busy := {worker.pipe: worker for worker in workers if worker.index is not None}:
            for pipe in wait(list(busy)):
                worker = busy[cast(Any, pipe)]
                index = cast(int, worker.index)
                try:
                    event = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    event = LeftOut(worker.last_words())
                    workers[workers.index(worker)] = worker = _Worker(treatment, worker.cores)
                    remove_leftovers(jobs[index].output)
                if isinstance(event, Anonymized | LeftOut):
                    worker.index = None
                    give(worker)
                tell(index, event)
    finally:
        _end(workers)
        for worker in workers:
            if worker.index is not None:
                remove_leftovers(jobs[worker.index].output)


def _share(cores: Sequence[int], number: int, count: int) -> Sequence[int]:
    """The cores of one of ``count`` processes: all are given out, each to one process while there are enough."""
    return cores[number % len(cores) :: count]


class _Worker:
    """A process that does one job after another, on cores of its own; ``index``: the number of its present job."""

    def __init__(self, treatment: Treatment, cores: Sequence[int]):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.index: int | None = None
        self.cores = cores
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, treatment, cores), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def last_words(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"
        return f"the process died on it ({how}): a crash in a codec, or out of memory"


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    patience = time.monotonic() + _GRACE
    for worker in workers:
        worker.process.join(max(0.0, patience - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


def _serve(pipe: "Connection[Event, Job]", treatment: Treatment, cores: Sequence[int]) -> None:
    """What a worker does until it is ended: jobs in, events out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one hears it and ends these
    os.sched_setaffinity(0, cores)
    lines = _Lines(pipe)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(Ended, EOFError, BrokenPipeError, ConnectionResetError), redirect_stderr(lines), tidy_end():
        while True:
            pipe.send(_attempt(pipe.recv(), treatment, _Reporter(pipe)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)


class _Reporter:
    """Tells the first process now and then how far a job is."""

    def __init__(self, pipe: "Connection[Event, Job]"):
        self._pipe = pipe
        self._said = time.monotonic()

    def __call__(self, frames: int) -> None:
        if time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            self._pipe.send(Moved(frames))


class _Lines(io.StringIO):
    """Standard error of a worker: whole lines go to the first process, which knows where its bar is."""

    def __init__(self, pipe: "Connection[Event, Job]"):
        super().__init__()
        self._pipe = pipe

    def write(self, text: str) -> int:
        done = super().write(text)
        *lines, rest = self.getvalue().split("\n")
        if lines:
            self.seek(0)
            self.truncate()
            super().write(rest)
        for line in lines:
            self._pipe.send(Said(line))
        return done
