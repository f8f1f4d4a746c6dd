"""The jobs of a run and their order, as Snakemake draws them (``--dag``)."""

import importlib.util
import re
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.runtime.errors import ActaError

_NODE = re.compile(r'\s*(\d+)\[label = "(.*)", color = "[^"]*", style="([^"]*)"\];')
_EDGE = re.compile(r"\s*(\d+) -> (\d+)")


class SnakemakeError(ActaError):
    """Snakemake did not make the graph; the message is its own."""


@dataclass(frozen=True)
class Job:
    """A job of the graph.

    Args:
        number: Snakemake's.
        rule: Its rule's name.
        wildcards: Those that no job before it has with the same value; Snakemake does not show the others.
        needed: Whether it is to run.
    """

    number: int
    rule: str
    wildcards: dict[str, str]
    needed: bool


@dataclass(frozen=True)
class Graph:
    """Jobs by their numbers, and for each the numbers of the jobs that it waits for."""

    jobs: dict[int, Job]
    before: dict[int, list[int]] = field(default_factory=dict)

    def wildcard(self, job: Job, name: str) -> str | None:
        """A job's wildcard, which may only be shown at one of the jobs before it; the nearest counts."""
        seen, queue = {job.number}, deque([job.number])
        while queue:
            number = queue.popleft()
            if name in self.jobs[number].wildcards:
                return self.jobs[number].wildcards[name]
            for earlier in self.before.get(number, []):
                if earlier not in seen:
                    seen.add(earlier)
                    queue.append(earlier)
        return None

    @property
    def last(self) -> list[Job]:
        """The jobs for which no other waits."""
        awaited = {number for numbers in self.before.values() for number in numbers}
        return [job for job in self.jobs.values() if job.number not in awaited]


def ask_snakemake(targets: Sequence[str], configfiles: Sequence[Path], profile: str | None) -> Graph:
    """The graph of the workflow in this folder.

    Args:
        targets: Rules or files, as for ``snakemake``; none: its default.
        configfiles: As ``--configfile``.
        profile: As ``--profile``.

    Raises:
        SnakemakeError: it reports an error.
        ActaError: it is not installed, or what it prints is no graph.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise ActaError(
            f"Snakemake is not installed for {sys.executable}: run `make install`, and the acta of .venv/bin"
        )
    command = [sys.executable, "-m", "snakemake", "--dag", "dot", "--nolock"]
    command += ["--profile", profile] if profile else []
    command += ["--configfile", *map(str, configfiles)] if configfiles else []
    drawn = subprocess.run([*command, "--", *targets], capture_output=True, text=True, errors="replace", check=False)
    if drawn.returncode:
        raise SnakemakeError(drawn.stderr.strip() or drawn.stdout.strip())
    return parse_dot(drawn.stdout)


def parse_dot(text: str) -> Graph:
    """Read Snakemake's drawing; dashed jobs need not run.

    Raises:
        ActaError: it is not one.
    """
    if "digraph snakemake_dag" not in text:
        raise ActaError(f"Snakemake printed no graph of jobs, but: {text.strip()[:200] or 'nothing'}")
    jobs: dict[int, Job] = {}
    before: dict[int, list[int]] = {}
    for line in text.splitlines():
        if node := _NODE.fullmatch(line):
            rule, *wildcards = node[2].split("\\n")
            named = dict(part.split(": ", 1) for part in wildcards if ": " in part)
            jobs[int(node[1])] = Job(int(node[1]), rule, named, "dashed" not in node[3])
        elif edge := _EDGE.fullmatch(line):
            before.setdefault(int(edge[2]), []).append(int(edge[1]))
    unknown = {number for after, numbers in before.items() for number in (after, *numbers)} - jobs.keys()
    if unknown:
        raise ActaError(f"Snakemake's graph has edges of jobs that it does not name: {sorted(unknown)[:5]}")
    return Graph(jobs, before)
