"""Run commands as whole processes, in turn, and compare the medians."""

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Run:
    """One run: seconds of wall clock and of CPU, peak resident memory of its largest process (MB)."""

    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str], cwd: Path = PROJECT) -> Run:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; the message ends with what it printed.
    """
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output.decode(errors='replace')[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(commands: dict[str, Sequence[str]], runs: int) -> dict[str, list[Run]]:
    """Run the commands in turn, A B A B …, so that a drift of the machine's speed meets all alike."""
    results: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            results[name].append(run(command))
    return results


def table(results: dict[str, list[Run]], frames: int, reference: str) -> str:
    """Medians, and the ratio to the reference's wall clock pair by pair, as Markdown."""
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
