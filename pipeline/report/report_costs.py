"""What a run has cost, by rule, compared with what was expected."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.plan.outlook import Plan, read_plan
from pipeline.report import style
from pipeline.report.tables import TOTAL, Row, write_table
from pipeline.runtime.costs import JobCosts, read_costs
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output

COLUMNS = (
    "rule",
    "jobs",
    "unfinished",
    "wall hours",
    "CPU hours",
    "GPU hours",
    "energy Wh",
    "peak memory MB",
    "written MB",
    "expected hours",
    "measured/expected",
    "expected by",
)
_READING = """The last finished run of each job counts, with all its processes and the segments in which it was stopped
before. Wall hours are summed over jobs that may have run at the same time. CPU hours are those of the command's
processes, GPU hours the wall time of processes that used one; energy is that of the GPUs alone. Peak memory is that of
the largest process. Written is the size of what a command's -o names. Expected hours are of GPUs for jobs that use one,
else of CPUs; they are compared with those of the jobs that began after the plan was made.

Rules are in the order in which their first jobs began."""


@dataclass(frozen=True)
class _Compared:
    """A rule's jobs; hours (GPU, else CPU) of the jobs that the plan was made for, and the hours expected of them."""

    rule: str
    jobs: list[JobCosts]
    measured: float | None = None
    expected: float | None = None
    basis: str = ""


def report_costs(logs: Path, output: Output, *, plan: Path | None = None, figure: Output | None = None) -> None:
    """Write a table of what a run has cost by rule: time, memory, energy, storage.

    It is made of the cost files next to the logs. With the plan that `acta plan` has kept, also what was expected.

    Args:
        logs: ``logs/<dataset>``.
        output: Ends in ``.csv``; ``.md`` and ``.html`` are written next to it.
        plan: ``logs/<dataset>/plan.json``; missing: no plan was made.
        figure: Also draw it (PNG).

    Raises:
        ActaError: there are no cost files, or the plan is damaged.
    """
    costs = read_costs(logs)
    if not costs:
        raise ActaError(f"{logs} has no cost files: the workflow's jobs write them there, so run it first")
    planned = read_plan(plan) if plan and plan.is_file() else None
    rules = [_compare(rule, jobs, planned) for rule, jobs in costs.items()]
    expected = [compared for compared in rules if compared.expected]
    total = _Compared(
        TOTAL,
        [job for compared in rules for job in compared.jobs],
        sum(compared.measured or 0.0 for compared in expected) if expected else None,
        sum(compared.expected or 0.0 for compared in expected) if expected else None,
    )
    unknown = [compared.rule for compared in rules if not compared.expected]
    note = ""
    if plan and not planned:
        note = "Nothing was planned before the run (`acta plan`), so there are no expectations to compare with."
    elif plan and unknown:
        note = "No earlier plan says what the jobs of these rules would cost, so the total's comparison omits them: "
        note += f"{', '.join(unknown)}."
    rows = [_row(compared) for compared in (*rules, total)]
    write_table(rows, output, title="What the run cost", reading=_READING, note=note, columns=COLUMNS)
    if figure is not None:
        _draw(sorted(rules, key=lambda compared: _hours(compared.jobs)), figure)


def _draw(rules: Sequence[_Compared], output: Path) -> None:
    """Hours by rule, expected and measured; the last on top."""
    places, compared = range(len(rules)), any(rule.expected for rule in rules)
    with style.figure(output, 11, 2 + 0.5 * len(rules)) as figure:
        axis = figure.subplots()
        height = 0.4 if compared else 0.7
        measured = [_hours(rule.jobs) if rule.measured is None else rule.measured for rule in rules]
        below = height / 2 if compared else 0.0
        axis.barh([place - below for place in places], measured, height, label="measured", **style.LOOKS[0].filled)
        if compared:
            expected = [rule.expected or 0.0 for rule in rules]
            axis.barh([place + below for place in places], expected, height, label="expected", **style.LOOKS[1].filled)
        axis.set_yticks(list(places), [rule.rule for rule in rules])
        axis.set_xlabel("hours, of GPUs for jobs that use one, else of CPUs")
        axis.grid(axis="y", visible=False)
        style.legend(figure)
        if compared and not all(rule.expected for rule in rules):
            style.note(figure, "Without a second bar: no earlier plan says what the rule's jobs would cost.")


def _compare(rule: str, jobs: list[JobCosts], plan: Plan | None) -> _Compared:
    expected = plan.rules.get(rule) if plan else None
    if plan is None or expected is None or not expected.to_run or expected.unknown_hours:
        return _Compared(rule, jobs)
    since = [job for job in jobs if job.began >= expected.made.timestamp()]
    if not since:
        return _Compared(rule, jobs)
    # Of a run that is not over yet, as much as its jobs' share.
    share = min(1.0, len(since) / expected.to_run)
    return _Compared(rule, jobs, _hours(since), expected.hours * share, expected.basis)


def _hours(jobs: Sequence[JobCosts]) -> float:
    return sum(job.gpu_seconds or job.cpu_seconds for job in jobs) / 3600


def _row(compared: _Compared) -> Row:
    jobs = compared.jobs
    energies = [job.energy_wh for job in jobs if job.energy_wh is not None]
    sizes = [job.output_bytes for job in jobs if job.output_bytes is not None]
    return {
        "rule": compared.rule,
        "jobs": len(jobs),
        "unfinished": sum(not job.finished for job in jobs),
        "wall hours": _text(sum(job.seconds for job in jobs) / 3600),
        "CPU hours": _text(sum(job.cpu_seconds for job in jobs) / 3600),
        "GPU hours": _text(sum(job.gpu_seconds for job in jobs) / 3600),
        "energy Wh": sum(energies) if energies else None,
        "peak memory MB": round(max(job.peak_memory_mb for job in jobs)),
        "written MB": sum(sizes) / 1e6 if sizes else None,
        "expected hours": None if compared.expected is None else _text(compared.expected),
        "measured/expected": None
        if compared.measured is None or not compared.expected
        else f"{compared.measured / compared.expected:.2f}",
        "expected by": compared.basis,
    }


def _text(hours: float) -> str:
    return f"{hours:.4f}" if hours < 10 else f"{hours:.1f}"
