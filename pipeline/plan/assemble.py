"""Makes a plan from a graph of jobs, their work and what is known of earlier jobs."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.plan.expectation import UNKNOWN, Expected, Experience
from pipeline.plan.graph import Graph, Job
from pipeline.plan.outlook import Plan, RulePlan, Totals
from pipeline.plan.schedule import in_order, longest_chain, makespan
from pipeline.plan.site import Site

TARGET = "a target: nothing to do itself"


def make_plan(
    site: Site, experience: Experience, targets: Sequence[str], tflops: float, jobs_at_once: int | None
) -> Plan:
    """What the jobs of a run are expected to cost, by rule, in total and over time.

    Args:
        site: The run.
        experience: What is known of earlier jobs.
        targets: As given; none: Snakemake's default.
        tflops: Assumed of a GPU.
        jobs_at_once: For the wall time; None: it is not wanted.
    """
    made = datetime.now(UTC).replace(microsecond=0)
    expected: dict[int, Expected] = {}
    rules = {}
    for rule, jobs in _by_rule(site.graph).items():
        work = [site.kind(rule).amount(site, job) for job in jobs]
        gpus = [site.kind(rule).on_gpu(site, job) for job in jobs]
        if _is_target(site, jobs, targets) and not experience.knows(rule):
            expected |= {job.number: Expected(0.0, 0.0, 0.0, TARGET) for job in jobs}
        else:
            expected |= _expect(site, experience, rule, jobs, work, gpus)
        rules[rule] = _sum_up(site.kind(rule).unit, jobs, expected, work, gpus, made)
    seconds = {job.number: expected[job.number].seconds or 0.0 for job in site.graph.jobs.values() if job.needed}
    chain = longest_chain(site.graph, seconds)
    return Plan(
        made=made,
        dataset=site.config.dataset,
        targets=tuple(targets),
        tflops=tflops,
        rules=rules,
        totals=_total(list(rules.values())),
        chain=tuple(site.graph.jobs[number].rule for number in chain),
        chain_hours=sum(seconds[number] for number in chain) / 3600,
        jobs_at_once=jobs_at_once,
        wall_hours=None if jobs_at_once is None else makespan(site.graph, seconds, jobs_at_once) / 3600,
        free_bytes=_free(site.results),
        sampled=tuple(sample.describe() for _, sample in sorted(site.sampled.items()) if sample is not None),
    )


def mean_work(site: Site) -> dict[str, float | None]:
    """Mean work of the jobs of each rule; None if it is unknown for one of them."""
    means: dict[str, float | None] = {}
    for rule, jobs in _by_rule(site.graph).items():
        work = [site.kind(rule).amount(site, job) for job in jobs]
        known = [amount for amount in work if amount is not None]
        means[rule] = sum(known) / len(known) if len(known) == len(work) else None
    return means


def _by_rule(graph: Graph) -> dict[str, list[Job]]:
    """The jobs of each rule; rules are in the order in which their first jobs may start."""
    levels: dict[int, int] = {}
    for number in in_order(graph, graph.jobs):
        levels[number] = 1 + max((levels[other] for other in graph.before.get(number, [])), default=0)
    rules: dict[str, list[Job]] = {}
    for number in sorted(levels, key=lambda number: (levels[number], number)):
        rules.setdefault(graph.jobs[number].rule, []).append(graph.jobs[number])
    return rules


def _is_target(site: Site, jobs: Sequence[Job], targets: Sequence[str]) -> bool:
    """Whether a rule only names what is to be made: nothing waits for it, and it was asked for or is the default."""
    rule = jobs[0].rule
    return site.weigh(rule) is None and jobs[0] in site.graph.last and (rule in targets or not targets)


def _expect(
    site: Site,
    experience: Experience,
    rule: str,
    jobs: Sequence[Job],
    work: Sequence[float | None],
    gpus: Sequence[bool],
) -> dict[int, Expected]:
    """Jobs on a GPU and jobs without one are each expected to cost what such jobs cost."""
    by_number: dict[int, Expected] = {}
    writes = site.kind(rule).writes
    for gpu in sorted(set(gpus)):
        places = [place for place, each in enumerate(gpus) if each == gpu]
        told = [writes(site, jobs[place]) if writes else None for place in places]
        each = experience.expect(rule, [work[place] for place in places], told, gpu)
        by_number |= {jobs[place].number: one for place, one in zip(places, each, strict=True)}
    return by_number


def _sum_up(
    unit: str,
    jobs: Sequence[Job],
    expected: dict[int, Expected],
    work: Sequence[float | None],
    gpus: Sequence[bool],
    made: datetime,
) -> RulePlan:
    needed = [(expected[job.number], gpu) for job, gpu in zip(jobs, gpus, strict=True) if job.needed]
    known = [amount for amount in work if amount is not None]
    bases = [each.basis for each, _ in needed] or [expected[job.number].basis for job in jobs]
    return RulePlan(
        made=made,
        jobs=len(jobs),
        to_run=len(needed),
        gpu_jobs=sum(gpu for _, gpu in needed),
        cpu_hours=sum(each.device_seconds or 0.0 for each, gpu in needed if not gpu) / 3600,
        gpu_hours=sum(each.device_seconds or 0.0 for each, gpu in needed if gpu) / 3600,
        bytes=sum(each.bytes or 0.0 for each, _ in needed),
        unknown_hours=sum(each.device_seconds is None for each, _ in needed),
        unknown_bytes=sum(each.bytes is None for each, _ in needed),
        basis="; ".join(dict.fromkeys(bases)) or UNKNOWN,
        unit=unit,
        work=sum(known) if len(known) == len(work) else None,
    )


def _total(rules: Sequence[RulePlan]) -> Totals:
    return Totals(
        jobs=sum(rule.jobs for rule in rules),
        to_run=sum(rule.to_run for rule in rules),
        cpu_hours=sum(rule.cpu_hours for rule in rules),
        gpu_hours=sum(rule.gpu_hours for rule in rules),
        bytes=sum(rule.bytes for rule in rules),
        at_least=any(rule.unknown_hours for rule in rules),
        bytes_at_least=any(rule.unknown_bytes for rule in rules),
    )


def _free(folder: Path) -> int:
    nearest = next(place for place in (folder, *folder.resolve().parents) if place.is_dir())
    return shutil.disk_usage(nearest).free
