"""Run commands as whole processes, alternating between them, and compare the medians."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Run:
    """One run: wall-clock and CPU time in seconds, peak resident memory of its largest process in MB."""

    wall: float
    cpu: float
    peak: float


# A small separate process starts the command, so that the peak is the command's and not this process's.
_LAUNCHER = """
import os, resource, sys, time
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, file=file)
sys.exit(code)
"""


def run(command: Sequence[str], cwd: Path = PROJECT) -> Run:
    """Run a command to its end. CPU time and peak memory cover the processes that were waited for.

    Raises:
        RuntimeError: it failed; the message ends with what it printed.
    """
    with tempfile.NamedTemporaryFile() as report:
        launcher = [sys.executable, "-S", "-c", _LAUNCHER, report.name]
        result = subprocess.run([*launcher, *command], cwd=cwd, capture_output=True, check=False)
        if result.returncode:
            output = result.stderr.decode(errors="replace")[-2000:]
            raise RuntimeError(f"{command[0]} ended with {result.returncode}: {output}")
        return Run(*map(float, Path(report.name).read_text().split()))


def compare(commands: dict[str, Sequence[str]], runs: int) -> dict[str, list[Run]]:
    """Run the commands alternately, A B A B …, so that drift in the machine's speed affects all equally."""
    results: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            results[name].append(run(command))
    return results


def table(results: dict[str, list[Run]], frames: int, reference: str) -> str:
    """Medians, and the median of the pairwise ratios to the reference's wall-clock time, as Markdown."""
    heads = ("what", "wall s", "cpu s", "peak MB", "frames/s", f"times the speed of {reference}")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, runs in results.items():
        wall = statistics.median(run.wall for run in runs)
        ratios = [other.wall / run.wall for run, other in zip(runs, results[reference], strict=True)]
        cpu, peak = (statistics.median(getattr(run, what) for run in runs) for what in ("cpu", "peak"))
        cells = (
            name,
            f"{wall:.2f}",
            f"{cpu:.2f}",
            f"{peak:.0f}",
            f"{frames / wall:.1f}",
            f"{statistics.median(ratios):.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
