"""The plan of a run as it is kept: what it was expected to cost, to be compared with what it did cost."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.runtime.errors import ActaError

DEMO = "the demo on two cores"  # in the basis of what is scaled from the shipped reference


class Kept(BaseModel):
    """What is written to a file and read again."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RulePlan(Kept):
    """What a rule's jobs are expected to cost together. Hours and bytes are those known of the jobs to run."""

    made: datetime = Field(description="When this was expected, UTC.")
    jobs: int = Field(ge=1)
    to_run: int = Field(ge=0)
    gpu_jobs: int = Field(ge=0, description="Of those to run, those that use a GPU.")
    cpu_hours: float = Field(ge=0, description="Of those without a GPU.")
    gpu_hours: float = Field(ge=0, description="Of those with one.")
    bytes: float = Field(ge=0, description="To be written.")
    unknown_hours: int = Field(ge=0, description="Jobs to run whose hours are unknown.")
    unknown_bytes: int = Field(ge=0, description="Jobs to run for which it is unknown what they write.")
    basis: str = Field(description="What the expectation rests on.")
    unit: str = Field(description="Of the work.")
    work: float | None = Field(description="Of all the jobs, including those that need not run; null: unknown.")

    @property
    def hours(self) -> float:
        return self.cpu_hours + self.gpu_hours


class Totals(Kept):
    """The sums over all rules."""

    jobs: int
    to_run: int
    cpu_hours: float
    gpu_hours: float
    bytes: float
    at_least: bool = Field(description="Hours of some job are unknown.")
    bytes_at_least: bool = Field(description="What some job writes is unknown.")


class Plan(Kept):
    """A run before it begins."""

    made: datetime = Field(description="UTC.")
    dataset: str
    targets: tuple[str, ...] = Field(description="Of Snakemake; none: its default.")
    tflops: float = Field(description="Assumed of a GPU in trainings about which nothing is known.")
    rules: dict[str, RulePlan] = Field(description="In the order in which their first jobs may start.")
    totals: Totals
    chain: tuple[str, ...] = Field(description="Rules of the jobs that take the longest one after another.")
    chain_hours: float
    jobs_at_once: int | None
    wall_hours: float | None = Field(description="With this many jobs at once.")
    free_bytes: int = Field(description="On the disk of the results.")
    sampled: tuple[str, ...] = Field((), description="What was measured of the videos, a line for each set of them.")

    def over(self, earlier: "Plan") -> "Plan":
        """This plan, with the earlier one's expectations of rules with nothing left to run: they are done."""
        ours = {rule: planned for rule, planned in self.rules.items() if planned.to_run or rule not in earlier.rules}
        return self.model_copy(update={"rules": self.rules | earlier.rules | ours})

    def work_of(self, rule: str, unit: str) -> float | None:
        """Mean work of a rule's jobs, if it is known and counted in this unit."""
        planned = self.rules.get(rule)
        if planned is None or planned.unit != unit or planned.work is None:
            return None
        return planned.work / planned.jobs


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ActaError: it is missing or damaged.
    """
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ActaError(f"cannot read the plan {path}: {error.strerror}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ActaError(f"{path} is no plan of `acta plan`: {where} {problem['msg']}; make it again") from None
