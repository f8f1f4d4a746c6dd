"""Many files: one after another or several at once, and how it ends."""

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.privacy import recordings_run as anonymize_run
from pipeline.privacy.anonymize import Anonymized
from pipeline.privacy.recordings_plan import Job
from pipeline.privacy.recordings_run import Moved, Said
from tests import PROJECT
from tests.unit.privacy.anonymizing import WHOLE, acta, tree

PATIENCE = 60.0  # seconds after which a process has failed to do what it should


def test_jobs_do_what_one_process_does(recordings: Path, tmp_path: Path, capsys: Any) -> None:
    (recordings / "bad.mp4").write_text("no video")
    told = []
    for jobs in (1, 3):
        assert acta(recordings, tmp_path / str(jobs), *WHOLE, "--jobs", jobs) == 1
        told.append(capsys.readouterr())
    assert told[0].out == told[1].out
    assert told[0].out.startswith("3 videos and 1 photograph done: 10 frames, each hidden whole\n1 left out:\n")
    assert tree(tmp_path / "1") == tree(tmp_path / "3") == ["a.mp4", "b.mp4", "d.png", "deep/c.mp4"]
    assert all(f"error: {recordings / 'bad.mp4'}: " in each.err for each in told)


@pytest.mark.parametrize(
    ("count", "shares"),
    [(2, [[0, 2, 4], [1, 3]]), (4, [[0, 4], [1], [2], [3]]), (5, [[0], [1], [2], [3], [4]]), (7, [[0], [1]])],
)
def test_processes_share_the_cores(count: int, shares: list[list[int]]) -> None:
    cores = range(5)
    assert [list(anonymize_run._share(cores, number, count)) for number in range(count)][-len(shares) :] == shares


class Pipe:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, event: Any) -> None:
        self.sent.append(event)


def test_a_worker_tells_how_far_it_is_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(anonymize_run.time, "monotonic", lambda: now[0])
    pipe = Pipe()
    reporter = anonymize_run._Reporter(pipe)  # type: ignore[arg-type]
    for frames in range(1, 9):
        now[0] += 0.07
        reporter(frames)
    assert pipe.sent == [Moved(3), Moved(6)]


def test_a_worker_sends_whole_lines() -> None:
    pipe = Pipe()
    lines = anonymize_run._Lines(pipe)  # type: ignore[arg-type]
    for text in ("one", " line", "\n", "two\nthree\nhalf"):
        lines.write(text)
    assert pipe.sent == [Said("one line"), Said("two"), Said("three")]


def test_a_bug_costs_one_file(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    real = anonymize_run.anonymize_file

    def broken(job: Job, *rest: Any) -> Anonymized:
        problem = {"a.mp4": ZeroDivisionError("by zero"), "b.mp4": MemoryError(), "c.mp4": OSError(5, "Bad", "c.mp4")}
        if job.source.name in problem:
            raise problem[job.source.name]
        return real(job, *rest)

    monkeypatch.setattr(anonymize_run, "anonymize_file", broken)
    assert acta(recordings, tmp_path / "out", *WHOLE) == 1
    error = capsys.readouterr().err
    assert "a.mp4: a bug in acta, not in the file: ZeroDivisionError: by zero (--debug shows where)" in error
    assert "b.mp4: there is not enough memory for it" in error
    assert "c.mp4: c.mp4: Bad" in error
    assert "Traceback" not in error
    assert tree(tmp_path / "out") == ["d.png"]
    main(["--debug", "anonymize", str(recordings), str(tmp_path / "again"), *WHOLE])
    assert "Traceback" in capsys.readouterr().err


def test_no_library_speaks(recordings: Path, tmp_path: Path) -> None:
    """In processes of its own, with the detectors whose runtimes are known to."""
    whole = (recordings / "a.mp4").read_bytes()
    (recordings / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    for what in ("faces", "bodies"):
        for jobs in ("1", "2"):
            words = [sys.executable, "-m", "pipeline", "anonymize", str(recordings), str(tmp_path / what / jobs)]
            done = subprocess.run([*words, "--what", what, "--jobs", jobs], capture_output=True, text=True)
            ours = ("error: ", "1/5", "2/5", "3/5", "4/5", "5/5")
            assert [line for line in done.stderr.splitlines() if not line.startswith(ours)] == []
            assert done.returncode == 1


class Halted:
    """The command in a process group of its own; each process that anonymises halts after every frame."""

    def __init__(self, pipes: Path, *words: object):
        names = {name: pipes / name for name in ("BEGUN", "GO_ON")}
        for path in names.values():
            os.mkfifo(path)
        # Opened for both, so that neither side ever waits for the other to open its end.
        self._begun, self._go_on = (os.open(path, os.O_RDWR) for path in names.values())
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.privacy.halting", "anonymize", *map(str, words), *WHOLE],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": str(PROJECT)} | {name: str(path) for name, path in names.items()},
        )

    def wait(self, count: int) -> list[int]:
        """The numbers of this many processes, when each has written a frame and halts."""
        said = b""
        while said.count(b"\n") < count:
            if not select.select([self._begun], [], [], PATIENCE)[0]:
                self.process.kill()
                pytest.fail(f"it did not begin: {self.process.communicate()}")
            said += os.read(self._begun, 1000)
        return [int(line) for line in said.splitlines()]

    def go_on(self) -> None:
        """Let all processes run to their end."""
        os.write(self._go_on, bytes(1000))

    def end(self) -> tuple[str, str]:
        """What was printed, when every process that could print has ended."""
        return self.process.communicate(timeout=PATIENCE)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        os.close(self._begun)
        os.close(self._go_on)


@pytest.fixture
def two(tmp_path: Path, short_clip: Path) -> Path:
    """A folder with two videos."""
    (tmp_path / "in").mkdir()
    for name in ("0.mp4", "1.mp4"):
        shutil.copy(short_clip, tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture
def halted(tmp_path: Path, two: Path) -> Iterator[Callable[[int], Halted]]:
    """The command on `two` videos, into the folder ``out``."""
    made: list[Halted] = []

    def halted(jobs: int) -> Halted:
        made.append(Halted(tmp_path, two, tmp_path / "out", "--jobs", jobs))
        return made[-1]

    yield halted
    for each in made:
        each.close()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("number", "everybody"), [(signal.SIGTERM, False), (signal.SIGHUP, True), (signal.SIGINT, True)]
)
def test_a_signal_leaves_nothing_unfinished(
    halted: Any, tmp_path: Path, jobs: int, number: signal.Signals, everybody: bool
) -> None:
    command = halted(jobs)
    command.wait(jobs)
    assert tree(tmp_path / "out") != [], "something is unfinished"
    (os.killpg if everybody else os.kill)(command.process.pid, number)
    _, error = command.end()
    assert command.process.returncode == 128 + number
    assert error.splitlines()[-1] == ("interrupted" if number == signal.SIGINT else f"ended by {number.name}")
    assert "Traceback" not in error
    assert tree(tmp_path / "out") == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_a_kill_the_next_run_goes_on(halted: Any, two: Path, tmp_path: Path, jobs: int) -> None:
    """Workers end with the process that began them, even where it could not tell them so."""
    killed = halted(jobs)
    assert (killed.wait(jobs) == [killed.process.pid]) == (jobs == 1)
    killed.process.kill()
    killed.end()  # which a worker that lives on would not let come
    assert [name for name in tree(tmp_path / "out") if not name.startswith(".")] == []
    assert acta(two, tmp_path / "out", *WHOLE, "--skip-existing", "--jobs", jobs) == 0
    assert tree(tmp_path / "out") == ["0.mp4", "1.mp4"]


def test_a_worker_that_dies_costs_one_file(halted: Any, tmp_path: Path) -> None:
    command = halted(2)
    victim, other = command.wait(2)
    assert victim != other
    os.kill(victim, signal.SIGKILL)
    command.go_on()
    out, error = command.end()
    assert command.process.returncode == 1
    assert "the process died on it (killed by SIGKILL): a crash in a codec, or out of memory" in error
    assert out.startswith("1 video done: 3 frames, each hidden whole\n1 left out:\n")
    assert tree(tmp_path / "out") in (["0.mp4"], ["1.mp4"])
