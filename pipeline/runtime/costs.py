"""What jobs cost: each command appends a line to a file next to its log; the files are read back here.

The file is the log's sibling ``<log without .log>.costs.jsonl``; each line is a `Segment`. A job that was stopped and
resumed has several.
"""

import os
import platform
import re
import resource
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SUFFIX = ".costs.jsonl"
_RANK = re.compile(r"\.rank\d+$")
_PATIENCE = 10.0  # seconds


class Segment(BaseModel):
    """One process of one command, from its beginning to its end: a line of a cost file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str
    began: datetime = Field(description="UTC.")
    seconds: float = Field(ge=0, description="Wall time.")
    cpu_seconds: float = Field(ge=0, description="Of the process and of its children that ended.")
    peak_memory_mb: float = Field(ge=0, description="Of the largest process.")
    finished: bool = Field(description="False where it failed or was stopped.")
    rank: int = Field(ge=0)
    processes: int = Field(ge=1, description="That share the work; each has a line of its own.")
    device: str = Field(description="Name of the GPU that was used, else of the processor.")
    gpu_seconds: float = Field(ge=0, description="Wall time, where this process used a GPU.")
    energy_wh: float | None = Field(ge=0, description="Of the GPUs that were used; null without.")
    output_bytes: int | None = Field(ge=0, description="Size of what was written; null for a rank but the first.")

    @property
    def ended(self) -> float:
        """Seconds since 1970."""
        return self.began.timestamp() + self.seconds


@dataclass
class Recording:
    """Whether the command did its work; only it can tell if it ends without an exception."""

    finished: bool = True


@dataclass(frozen=True)
class JobCosts:
    """What one job cost: all its processes and all its segments.

    Args:
        rule: The rule's name, the first folder below the dataset's logs.
        job: The log's path below the dataset's logs, without ``.log``.
        began: When its first segment began, seconds since 1970.
        finished: Whether its last segment ended well.
        seconds: Wall time of the first process, over all segments; other times are those of all processes.
        energy_wh: Of all GPUs; None where none was used or the GPU does not count it.
    """

    rule: str
    job: str
    began: float
    finished: bool
    seconds: float
    cpu_seconds: float
    gpu_seconds: float
    energy_wh: float | None
    peak_memory_mb: float
    output_bytes: int | None


@contextmanager
def recording(log: Path, command: str, output: Path | None) -> Iterator[Recording]:
    """Append a line on this command to the log's cost file when the block ends, whichever way.

    It notes the size of the output, a file or folder, if there is one by then. What cannot be written (a full disk, a
    folder of somebody else) is one line of warning, never an error.
    """
    done = Recording()
    began, start, cpu, energies = datetime.now(UTC), time.perf_counter(), _cpu_seconds(), _energies()
    ended = False
    handler = signal.getsignal(signal.SIGTERM)
    _leave_on_sigterm()
    try:
        yield done
        ended = done.finished
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # now it leaves anyway
        seconds = time.perf_counter() - start
        _count_workers()
        try:
            used = _used_gpus()
            rank, processes = _rank()
            segment = Segment(
                command=command,
                began=began,
                seconds=round(seconds, 6),
                cpu_seconds=round(max(0.0, _cpu_seconds() - cpu), 3),
                peak_memory_mb=round(_peak_memory_mb(), 1),
                finished=ended,
                rank=rank,
                processes=processes,
                device=" + ".join(dict.fromkeys(used.values())) or _processor(),
                gpu_seconds=round(seconds, 6) if used else 0.0,
                energy_wh=_used_energy(energies, _energies(), list(used)),
                output_bytes=_size(output) if rank == 0 and output is not None else None,
            )
            _append(cost_file(log, rank), segment.model_dump_json() + "\n")
        except (OSError, ValueError) as error:
            print(f"warning: what {command} cost is not recorded: {error}", file=sys.stderr)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)


def cost_file(log: Path, rank: int = 0) -> Path:
    """The cost file of a log; one for each process, as those of several nodes must not write into one file."""
    number = f".rank{rank}" if rank else ""
    return log.with_name(log.name.removesuffix(".log") + number + SUFFIX)


def read_costs(logs: Path) -> dict[str, list[JobCosts]]:
    """What the jobs of a dataset cost, by rule, in the order in which the rules' first jobs began.

    Of a job that ran several times the last run that finished counts: its last segment and those before it that did
    not finish. A line that cannot be read is left out with a warning. ``logs/<dataset>`` need not be there.
    """
    segments: dict[str, list[Segment]] = defaultdict(list)
    for path in sorted(logs.rglob(f"*{SUFFIX}")):
        name = path.relative_to(logs).as_posix().removesuffix(SUFFIX)
        segments[_RANK.sub("", name)] += _read(path)
    jobs = [_job_costs(name, parts) for name, parts in segments.items() if parts]
    rules: dict[str, list[JobCosts]] = defaultdict(list)
    for job in sorted(jobs, key=lambda job: (job.began, job.job)):
        rules[job.rule].append(job)
    return dict(rules)


def _read(path: Path) -> list[Segment]:
    segments = []
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        print(f"warning: {path} cannot be read: {error.strerror}", file=sys.stderr)
        return []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            segments.append(Segment.model_validate_json(line))
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            print(f"warning: {path}, line {number} is left out: {where} {problem['msg']}".strip(), file=sys.stderr)
    return segments


def _job_costs(name: str, segments: Sequence[Segment]) -> JobCosts:
    run = _last_run(segments)
    first = [segment for segment in run if segment.rank == 0] or run
    energies = [segment.energy_wh for segment in run if segment.energy_wh is not None]
    sizes = [segment.output_bytes for segment in run if segment.finished and segment.output_bytes is not None]
    return JobCosts(
        rule=name.split("/")[0],
        job=name,
        began=min(segment.began.timestamp() for segment in run),
        finished=first[-1].finished,
        seconds=sum(segment.seconds for segment in first),
        cpu_seconds=sum(segment.cpu_seconds for segment in run),
        gpu_seconds=sum(segment.gpu_seconds for segment in run),
        energy_wh=sum(energies) if energies else None,
        peak_memory_mb=max(segment.peak_memory_mb for segment in run),
        output_bytes=sizes[-1] if sizes else None,
    )


def _last_run(segments: Sequence[Segment]) -> list[Segment]:
    """Segments of the last run that finished, of every rank, or all where none did.

    A run ends when the first process finishes; what began after an earlier such end belongs to a later run.
    """
    ordered = sorted(segments, key=lambda segment: segment.ended)
    ends = [segment.ended for segment in ordered if segment.finished and segment.rank == 0]
    if not ends:
        return ordered
    before = ends[-2] if len(ends) > 1 else float("-inf")
    return [segment for segment in ordered if before <= segment.began.timestamp() < ends[-1]]


def _leave_on_sigterm() -> None:
    """Have SIGTERM end this process by an exception, so that it still writes what it has cost."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return
    own = os.getpid()

    def leave(number: int, frame: object) -> None:
        if os.getpid() != own:  # forked from here
            os._exit(128 + number)
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def _append(path: Path, line: str) -> None:
    """In one system call at the file's end, so that processes do not write into each other's lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = line.encode()
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        if os.write(number, content) < len(content):
            raise OSError(f"{path}: no room left")
    finally:
        os.close(number)


def _count_workers() -> None:
    """Stop the server from which worker processes were forked: once it has ended they count among the children.

    Python has no public call for it. A server that does not end is left to the end of this process.
    """
    servers = sys.modules.get("multiprocessing.forkserver")
    if servers is None:
        return
    stopping = threading.Thread(target=servers._forkserver._stop, daemon=True)
    stopping.start()
    stopping.join(_PATIENCE)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _peak_memory_mb() -> float:
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def _rank() -> tuple[int, int]:
    """This process's number among those that share the work, and theirs: as `process_group` tells them."""
    if "RANK" in os.environ:
        return int(os.environ["RANK"]), int(os.environ.get("WORLD_SIZE", "1"))
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS") or "1")
    return (int(os.environ.get("SLURM_PROCID") or "0"), tasks) if tasks > 1 else (0, 1)


def _size(path: Path) -> int | None:
    if path.is_dir():
        return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    return path.stat().st_size if path.is_file() else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.machine()


def _used_gpus() -> dict[str, str]:
    """Names of the GPUs on which this process has memory, by their identifiers."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    numbers = range(torch.cuda.device_count())
    used = [n for n in numbers if torch.cuda.max_memory_allocated(n) > 0] or [torch.cuda.current_device()]
    properties = [torch.cuda.get_device_properties(number) for number in used]
    return {f"GPU-{gpu.uuid}": gpu.name for gpu in properties}


def _energies() -> dict[str, int]:
    """mJ that each GPU of this machine has drawn since its driver was loaded, by its identifier; none without one."""
    if not Path("/dev/nvidiactl").exists():
        return {}
    import pynvml

    drawn = {}
    try:
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            try:
                drawn[pynvml.nvmlDeviceGetUUID(handle)] = int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
            except pynvml.NVMLError:  # older than Volta, or shared out in parts
                continue
    except pynvml.NVMLError:
        return {}
    return drawn


def _used_energy(before: dict[str, int], after: dict[str, int], used: Sequence[str]) -> float | None:
    if not used or any(gpu not in before or after.get(gpu, -1) < before[gpu] for gpu in used):
        return None
    return round(sum(after[gpu] - before[gpu] for gpu in used) / 3.6e6, 4)
