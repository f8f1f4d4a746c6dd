"""What a run has cost, by rule, beside what was expected of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.plan.outlook import Plan, read_plan
from pipeline.report.style import LOOKS, figure, legend
from pipeline.report.style import note as below_plot
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
_READING = """Of each job the last run that finished counts, with the segments in which it was stopped before and all
its processes. Wall hours are summed over jobs that may have run side by side. CPU hours are those of the command's
processes, GPU hours the wall time of processes that used one; energy is that of the GPUs alone. Peak memory is that of
the largest process. Written is the size of what a command's -o names. Expected hours are of GPUs for jobs that use one,
else of CPUs; they stand beside those of the jobs that began after the plan was made.

Rules are in the order in which their first jobs began."""


@dataclass(frozen=True)
class _Beside:
    """A rule's jobs, and of those that the plan was made for: hours of GPUs or CPUs, and the expected ones."""

    rule: str
    jobs: list[JobCosts]
    measured: float | None = None
    expected: float | None = None
    basis: str = ""


def report_costs(logs: Path, output: Output, *, plan: Path | None = None, figure: Output | None = None) -> None:
    """Write a table of what a run has cost by rule: time, memory, energy, storage.

    It is made of the cost files beside the logs. With the plan that `acta plan` has kept, also what was expected.

    Args:
        logs: ``logs/<dataset>``.
        output: Ends in ``.csv``; ``.md`` and ``.html`` come beside it.
        plan: ``logs/<dataset>/plan.json``; missing: no plan was made.
        figure: Also draw it (PNG).

    Raises:
        ActaError: there are no cost files, or the plan is damaged.
    """
    write_costs(logs, output, plan)
    if figure is not None:
        draw_costs(logs, figure, plan)


def write_costs(logs: Path, output: Path, plan: Path | None) -> None:
    """Write the table of what a run has cost.

    Args:
        logs: The dataset's folder of logs.
        output: Ends in ``.csv``; ``.md`` and ``.html`` are written beside it.
        plan: What was expected (`acta plan`); None or a missing file: no plan was made.

    Raises:
        ActaError: there are no cost files, or the plan is damaged.
    """
    rules = _read(logs, plan)
    rows = [_row(beside) for beside in rules]
    expected = [beside for beside in rules if beside.expected]
    total = _Beside(
        TOTAL,
        [job for beside in rules for job in beside.jobs],
        sum(beside.measured or 0.0 for beside in expected) if expected else None,
        sum(beside.expected or 0.0 for beside in expected) if expected else None,
    )
    unknown = [beside.rule for beside in rules if not beside.expected]
    note = ""
    if plan and not plan.is_file():
        note = "Nothing was planned before the run (`acta plan`), so there are no expectations to compare with."
    elif plan and unknown:
        note = "No plan from before their jobs says what these would cost, so that the total's comparison is without "
        note += f"them: {', '.join(unknown)}."
    write_table(
        [*rows, _row(total)],
        output,
        title="What the run cost",
        reading=_READING,
        note=note,
        columns=COLUMNS,
    )


def draw_costs(logs: Path, output: Path, plan: Path | None) -> None:
    """Draw hours by rule, expected and measured, the most expensive on top.

    Args:
        logs: The dataset's folder of logs.
        output: PNG to write.
        plan: As for `write_costs`.

    Raises:
        ActaError: there are no cost files, or the plan is damaged.
    """
    rules = sorted(_read(logs, plan), key=lambda beside: _hours(beside.jobs))
    places, compared = range(len(rules)), any(beside.expected for beside in rules)
    with figure(output, 11, 2 + 0.5 * len(rules)) as made:
        axis = made.subplots()
        height = 0.4 if compared else 0.7
        measured = [_hours(beside.jobs) if beside.measured is None else beside.measured for beside in rules]
        below = height / 2 if compared else 0.0
        axis.barh([place - below for place in places], measured, height, label="measured", **LOOKS[0].filled)
        if compared:
            expected = [beside.expected or 0.0 for beside in rules]
            axis.barh([place + below for place in places], expected, height, label="expected", **LOOKS[1].filled)
        axis.set_yticks(list(places), [beside.rule for beside in rules])
        axis.set_xlabel("hours, of GPUs for jobs that use one, else of CPUs")
        axis.grid(axis="y", visible=False)
        legend(made)
        if compared and not all(beside.expected for beside in rules):
            below_plot(made, "Without a second bar: no plan from before the rule's jobs says what they would cost.")


def _read(logs: Path, plan: Path | None) -> list[_Beside]:
    costs = read_costs(logs)
    if not costs:
        raise ActaError(f"{logs} has no cost files: the workflow's jobs write them there, so run it first")
    planned = read_plan(plan) if plan and plan.is_file() else None
    return [_beside(rule, jobs, planned) for rule, jobs in costs.items()]


def _beside(rule: str, jobs: list[JobCosts], plan: Plan | None) -> _Beside:
    expected = plan.rules.get(rule) if plan else None
    if plan is None or expected is None or not expected.to_run or expected.unknown_hours:
        return _Beside(rule, jobs)
    since = [job for job in jobs if job.began >= expected.made.timestamp()]
    if not since:
        return _Beside(rule, jobs)
    # Of a run that is not over yet, as much as its jobs' share.
    share = min(1.0, len(since) / expected.to_run)
    return _Beside(rule, jobs, _hours(since), expected.hours * share, expected.basis)


def _hours(jobs: Sequence[JobCosts]) -> float:
    return sum(job.gpu_seconds or job.cpu_seconds for job in jobs) / 3600


def _row(beside: _Beside) -> Row:
    jobs = beside.jobs
    energies = [job.energy_wh for job in jobs if job.energy_wh is not None]
    sizes = [job.output_bytes for job in jobs if job.output_bytes is not None]
    return {
        "rule": beside.rule,
        "jobs": len(jobs),
        "unfinished": sum(not job.finished for job in jobs),
        "wall hours": _text(sum(job.seconds for job in jobs) / 3600),
        "CPU hours": _text(sum(job.cpu_seconds for job in jobs) / 3600),
        "GPU hours": _text(sum(job.gpu_seconds for job in jobs) / 3600),
        "energy Wh": sum(energies) if energies else None,
        "peak memory MB": round(max(job.peak_memory_mb for job in jobs)),
        "written MB": sum(sizes) / 1e6 if sizes else None,
        "expected hours": None if beside.expected is None else _text(beside.expected),
        "measured/expected": None
        if beside.measured is None or not beside.expected
        else f"{beside.measured / beside.expected:.2f}",
        "expected by": beside.basis,
    }


def _text(hours: float) -> str:
    return f"{hours:.4f}" if hours < 10 else f"{hours:.1f}"
