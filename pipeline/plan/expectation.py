"""What a job is expected to cost: by what jobs of its rule cost before, here, elsewhere or in the demo."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import Field, ValidationError

from pipeline.plan.outlook import DEMO, Kept, Plan, read_plan
from pipeline.plan.work import JOBS, MULTIPLY_ADDS, Kind, Weigh
from pipeline.runtime.costs import JobCosts, read_costs
from pipeline.runtime.errors import ActaError

REFERENCE = Path(__file__).with_name("reference.yaml")
UNKNOWN, HOURS_UNKNOWN = "unknown", "hours unknown"


class Measured(Kept):
    """What jobs of a rule cost together, on processors."""

    unit: str = Field(description="Of the work.")
    work: float | None = Field(description="Of all the jobs; null: not known.")
    jobs: int = Field(ge=1)
    seconds: float = Field(ge=0, description="Wall time, summed.")
    cpu_seconds: float = Field(ge=0)
    bytes: float | None = Field(description="Written, summed; null: not known.")


class Expected(NamedTuple):
    """What one job is expected to cost.

    Args:
        seconds: Wall time; None: unknown.
        device_seconds: Of the GPU where the job uses one, else of processors; None: unknown.
        bytes: Written; None: unknown.
        basis: What the expectation rests on.
    """

    seconds: float | None
    device_seconds: float | None
    bytes: float | None
    basis: str


_NOTHING = Expected(None, None, None, UNKNOWN)


class Experience:
    """Everything that is known of earlier jobs.

    Args:
        logs: The dataset's folder of logs; those of other datasets are next to it.
        weigh: How the jobs of a rule are weighed.
        tflops: 10¹² operations in a second (two in a multiply-add) that a GPU is assumed to do in trainings.
        reference: The file of what the demo's jobs cost; None: the shipped one.
        demo: Whether the run is the demo, whose files are as large as they were.
    """

    def __init__(self, logs: Path, weigh: Weigh, tflops: float, reference: Path | None = None, *, demo: bool = False):
        self._weigh, self._demo = weigh, demo
        self.here = read_costs(logs)
        self._tflops = tflops
        self._reference = read_reference(reference)
        # Other datasets' costs, and the plans that say what work they were for.
        self._elsewhere = [
            (folder.name, costs, _plan_of(folder))
            for folder in sorted(logs.parent.glob("*/"))
            if folder.name != logs.name and (costs := read_costs(folder))
        ]

    def _kind(self, rule: str) -> Kind:
        return self._weigh(rule) or JOBS

    def knows(self, rule: str) -> bool:
        """Whether there are jobs of a rule here or in the reference."""
        return rule in self.here or rule in self._reference

    def expect(
        self, rule: str, work: Sequence[float | None], writes: Sequence[float | None], gpu: bool
    ) -> list[Expected]:
        """What jobs of a rule are expected to cost.

        Args:
            rule: Its name.
            work: Of each job, in the rule's unit; None: not known.
            writes: Bytes that each job writes, as far as configuration and data tell: this counts first.
            gpu: Whether they use a GPU.
        """
        expected = self._by_own(rule, work, gpu) or self._by_others(rule, work, gpu)
        expected = expected or (self._by_assumption(rule, work) if gpu else self._by_reference(rule, work))
        expected = expected or [_NOTHING] * len(work)
        told = self._kind(rule).told
        return [_with_bytes(job, size, told) for job, size in zip(expected, writes, strict=True)]

    def _by_own(self, rule: str, work: Sequence[float | None], gpu: bool) -> list[Expected]:
        jobs = _usable(self.here, rule, gpu)
        if not jobs:
            return []
        return [Expected(*_means(jobs, gpu), f"mean of {len(jobs)} earlier here")] * len(work)

    def _by_others(self, rule: str, work: Sequence[float | None], gpu: bool) -> list[Expected]:
        """By the dataset with the most known jobs."""
        kind = self._kind(rule)
        best: list[Expected] = []
        most = 0
        for name, costs, plan in self._elsewhere:
            jobs = _usable(costs, rule, gpu)
            mean = plan.work_of(rule, kind.unit) if plan else None
            scales = _scales(work, 1.0 if kind.unit == "jobs" else mean)
            if len(jobs) > most and scales:
                seconds, device, size = _means(jobs, gpu)
                basis = f"{len(jobs)} of {name}, by {kind.unit}"
                best = [Expected(s * seconds, s * device, _written(kind, size, s), basis) for s in scales]
                most = len(jobs)
        return best

    def _by_reference(self, rule: str, work: Sequence[float | None]) -> list[Expected]:
        known = self._reference.get(rule)
        kind = self._kind(rule)
        if known is None or known.unit != kind.unit:
            return []
        mean = None if known.work is None else known.work / known.jobs
        scales = _scales(work, mean)
        basis = f"{DEMO}, by {kind.unit}"
        if not scales:
            scales, basis = [1.0] * len(work), f"{DEMO}, by jobs ({kind.unit} unknown yet)"
        size = None if known.bytes is None else known.bytes / known.jobs
        return [
            Expected(
                scale * known.seconds / known.jobs,
                scale * known.cpu_seconds / known.jobs,
                size if self._demo else _written(kind, size, scale),
                basis,
            )
            for scale in scales
        ]

    def _by_assumption(self, rule: str, work: Sequence[float | None]) -> list[Expected]:
        if self._kind(rule).unit != MULTIPLY_ADDS or any(amount is None for amount in work):
            return []
        basis = f"assumption: a GPU does {self._tflops:g} TFLOP/s (--tflops)"
        return [Expected(2 * (a or 0) / self._tflops, 2 * (a or 0) / self._tflops, None, basis) for a in work]


def read_reference(path: Path | None = None) -> dict[str, Measured]:
    """What the demo's jobs cost on two cores, by rule.

    Raises:
        ActaError: the file is damaged.
    """
    path = path or REFERENCE
    try:
        content = yaml.safe_load(path.read_text())
        return {rule: Measured.model_validate(measured) for rule, measured in content["rules"].items()}
    except OSError as error:
        raise ActaError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValidationError, TypeError, KeyError, AttributeError) as error:
        raise ActaError(f"{path} is damaged, install Acta again: {error}") from None


def measured(costs: dict[str, list[JobCosts]], work: dict[str, float | None], weigh: Weigh) -> dict[str, Measured]:
    """A reference out of cost files of jobs on processors.

    Args:
        costs: By rule.
        work: Of a rule's job on average; None or missing: not known.
        weigh: How the jobs of a rule are weighed.
    """
    rules = {}
    for rule in sorted(costs):
        jobs = _usable(costs, rule, gpu=False)
        if not jobs:
            continue
        mean, kind, sizes = work.get(rule), weigh(rule) or JOBS, [job.output_bytes for job in jobs]
        known = [size for size in sizes if size is not None]
        rules[rule] = Measured(
            unit=kind.unit,
            work=None if mean is None else mean * len(jobs),
            jobs=len(jobs),
            seconds=round(sum(job.seconds for job in jobs), 3),
            cpu_seconds=round(sum(job.cpu_seconds for job in jobs), 3),
            bytes=sum(known) if len(known) == len(jobs) else None,
        )
    return rules


def _plan_of(logs: Path) -> Plan | None:
    path = logs / "plan.json"
    if not path.is_file():
        return None
    try:
        return read_plan(path)
    except ActaError as error:
        print(f"warning: nothing is scaled by {logs.name}: {error}", file=sys.stderr)
        return None


def _with_bytes(job: Expected, size: float | None, told: str) -> Expected:
    """A job with the bytes that configuration and data tell; ``told``: what they would follow from, if anything."""
    if size is not None:
        hours = HOURS_UNKNOWN if job == _NOTHING else job.basis
        return job._replace(bytes=size, basis=f"{hours}; bytes by {told}")
    if told and job.bytes is None and job != _NOTHING:
        return job._replace(basis=f"{job.basis}; bytes unknown without {told}")
    return job


def _usable(costs: dict[str, list[JobCosts]], rule: str, gpu: bool) -> list[JobCosts]:
    return [job for job in costs.get(rule, ()) if job.finished and (job.gpu_seconds > 0) == gpu]


def _means(jobs: Sequence[JobCosts], gpu: bool) -> tuple[float, float, float | None]:
    """Seconds, seconds of the device, and bytes written, on average."""
    sizes = [job.output_bytes for job in jobs if job.output_bytes is not None]
    seconds = sum(job.seconds for job in jobs) / len(jobs)
    device = sum(job.gpu_seconds if gpu else job.cpu_seconds for job in jobs) / len(jobs)
    return seconds, device, sum(sizes) / len(sizes) if sizes else None


def _scales(work: Sequence[float | None], mean: float | None) -> list[float]:
    """Work of each job relative to that of a known one; [] where either is unknown."""
    if not mean or any(amount is None for amount in work):
        return []
    return [(amount or 0.0) / mean for amount in work]


def _written(kind: Kind, size: float | None, scale: float) -> float | None:
    """Bytes that a job writes, where another wrote ``size``; None: unknown, or the configuration tells."""
    return None if size is None or kind.writes else size * (scale if kind.grows else 1.0)
