"""The text of a plan, for people."""

import itertools

from pipeline.plan.assemble import TARGET
from pipeline.plan.outlook import DEMO, Plan, RulePlan


def describe(plan: Plan) -> str:
    """The text of a plan: a table of the rules and the totals, storage, the longest chain, the wall time."""
    rows = [("rule", "jobs", "CPU hours", "GPU hours", "to write", "basis")]
    rows += [_row(rule, planned) for rule, planned in plan.rules.items() if planned.to_run and planned.basis != TARGET]
    totals, rules = plan.totals, plan.rules.values()
    least, bytes_least = ("at least " if which else "" for which in (totals.at_least, totals.bytes_at_least))
    on_gpus = sum(rule.gpu_jobs for rule in rules)
    cpu_least = any(rule.unknown_hours and rule.gpu_jobs < rule.to_run for rule in rules)
    gpu_least = any(rule.unknown_hours and rule.gpu_jobs for rule in rules)
    rows.append(
        (
            "total",
            _count(totals.to_run, totals.jobs),
            _cell(totals.to_run - on_gpus, False, f"{'at least ' * cpu_least}{_hours(totals.cpu_hours)}"),
            _cell(on_gpus, False, f"{'at least ' * gpu_least}{_hours(totals.gpu_hours)}"),
            f"{bytes_least}{_size(totals.bytes)}",
            "",
        )
    )
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:5], widths[1:], strict=True))]
            + [row[5]]
        ).rstrip()
        for row in rows
    ]
    lines += [
        "",
        f"Storage: {bytes_least}{_size(totals.bytes)} to write, {_size(plan.free_bytes)} free on the disk of results/.",
    ]
    if totals.bytes > plan.free_bytes:
        lines.append("         That does not fit: make room first, or put results/ on a larger disk.")
    lines += [f"The sample: {sampled}." for sampled in plan.sampled]
    if plan.chain:
        steps = [(rule, len(list(same))) for rule, same in itertools.groupby(plan.chain)]
        names = " → ".join(rule if count == 1 else f"{rule} × {count}" for rule, count in steps)
        lines.append(f"Longest chain: {least}{_hours(plan.chain_hours)} hours, one job at a time: {names}")
    if any(DEMO in planned.basis for planned in plan.rules.values() if planned.to_run):
        lines.append(f"Estimates from {DEMO} are rough: other sizes of pictures and other networks have other costs.")
    if plan.wall_hours is not None:
        lines.append(
            f"With {plan.jobs_at_once} jobs at once, if each takes one core: {least}{_hours(plan.wall_hours)} hours."
        )
    return "\n".join(lines)


def _row(rule: str, planned: RulePlan) -> tuple[str, str, str, str, str, str]:
    unknown = planned.unknown_hours == planned.to_run
    return (
        rule,
        _count(planned.to_run, planned.jobs),
        _cell(planned.to_run - planned.gpu_jobs, unknown, _hours(planned.cpu_hours)),
        _cell(planned.gpu_jobs, unknown, _hours(planned.gpu_hours)),
        "?" if planned.unknown_bytes == planned.to_run else _size(planned.bytes),
        planned.basis,
    )


def _cell(jobs: int, unknown: bool, hours: str) -> str:
    return "–" if not jobs else "?" if unknown else hours


def _count(to_run: int, jobs: int) -> str:
    return f"{to_run:,}" if to_run == jobs else f"{to_run:,} of {jobs:,}"


def _hours(hours: float) -> str:
    if 0 < hours < 0.0005:
        return "<0.001"
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2f}" if hours >= 1 else f"{hours:.3f}" if hours else "0"


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
