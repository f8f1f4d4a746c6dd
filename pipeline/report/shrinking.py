"""The tables of Ch. 6: the thesis's numbers beside those that were measured here."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ActaError
from pipeline.files import atomic
from pipeline.report.thesis_shrinkage import (
    ABLATION,
    ALONE,
    BEYOND,
    CHAINS,
    FEATURES,
    ITERATION_OF_ABLATION,
    MODES,
    R2PLUS1D,
    REDUCED,
    RESOURCES,
    SMALL,
    TRANSFER,
)

MISSING = "–"
Row = dict[str, Any]


@dataclass(frozen=True)
class Shrinkage:
    """The results of one base network.

    Args:
        folder: ``shrink/<recipe>``.
        iterations: How many there are.
        operators: Of each plan its hypotheses.
        transferred: ``transfer/``, for Table 6.6.
        splits: The splits of that table.
    """

    folder: Path
    iterations: int
    operators: dict[str, tuple[str, ...]]
    transferred: Path
    splits: tuple[str, ...]

    @property
    def recipe(self) -> str:
        return self.folder.name

    def selected(self, iteration: int, plan: str = "pas") -> Row:
        """``selected.json`` of an iteration."""
        return _read(self.folder / plan / f"iteration_{iteration}" / "selected.json")

    @property
    def backbone(self) -> str:
        return str(self.selected(1)["architecture"]["backbone"])

    @property
    def base(self) -> Row:
        """Accuracy and cost of the base network."""
        base: Row = self.selected(1)["selection"]["base"]
        return base

    def winner(self, iteration: int, plan: str = "pas") -> Row:
        """Accuracy and cost of PAS-n."""
        selection = self.selected(iteration, plan)["selection"]
        found: Row = next(h for h in selection["hypotheses"] if h["operators"] == selection["operators"])
        return found

    def network(self, number: int) -> Row:
        """Of PAS-n, or of the base network for 0."""
        return self.winner(number) if number else self.base

    def chain(self, iteration: int, plan: str = "pas") -> str:
        """The operators chosen up to an iteration."""
        return ",".join(self.winner(n, plan)["operators"] for n in range(1, iteration + 1))

    def evaluation(self, plan: str, iteration: int, name: str) -> Row:
        """Of a hypothesis, or of ``alone``."""
        return _read(self.folder / plan / f"iteration_{iteration}" / name / "evaluation.json")

    def top1(self, plan: str, iteration: int, name: str) -> float | None:
        """Likewise; None where the hypothesis was not trained."""
        found: float | None = self.evaluation(plan, iteration, name).get("top1")
        return found

    def metrics(self, plan: str, iteration: int, name: str) -> Row:
        return _read(self.folder / plan / f"iteration_{iteration}" / name / "metrics.json")


def write_shrink_table(name: str, shrinkages: Sequence[Shrinkage], dataset: str, output: Path) -> None:
    """Write one table (TSV); columns that begin with ``thesis`` are the thesis's.

    Args:
        name: One of `TABLES`.
        shrinkages: The results of each base network.
        dataset: Name of the dataset; the thesis's Table 6.6 is by dataset.
        output: The table.

    Raises:
        ActaError: a result is missing or damaged.
    """
    rows = [row for shrinkage in shrinkages for row in TABLES[name](shrinkage, dataset)]
    if not rows:
        raise ActaError(f"{name} has no rows: none of {', '.join(s.recipe for s in shrinkages)} is an R(2+1)D or R3D")
    with atomic(output) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _label(number: int) -> str:
    return f"PAS-{number}" if number else "base"


def _table_6_1(of: Shrinkage, dataset: str) -> Iterator[Row]:
    thesis = REDUCED.get(of.backbone, ())
    before = None
    for number in range(of.iterations + 1):
        found = of.network(number)
        top1, top5, gflops = thesis[number] if number < len(thesis) else (None, None, None)
        yield {
            "recipe": of.recipe,
            "network": _label(number),
            "operators": of.chain(number),
            "thesis_operators": ",".join(CHAINS.get(of.backbone, "")[:number]),
            "thesis_top1": top1,
            "thesis_top5": top5,
            "thesis_gflops": gflops,
            "top1": found["top1"],
            "top5": found["top5"],
            "gflops": f"{found['gflops']:.4g}",
            "of_previous": f"{found['gflops'] / before:.2f}" if before else None,
            "parameters": found["parameters"],
        }
        before = found["gflops"]


def _table_6_2(of: Shrinkage, dataset: str) -> Iterator[Row]:
    for number in range(1, of.iterations + 1):
        with_pas, alone = of.winner(number), of.evaluation("pas", number, "alone")
        thesis = (
            (REDUCED[of.backbone][number][:2], ALONE[of.backbone][number - 1])
            if of.backbone in ALONE and number <= len(ALONE[of.backbone])
            else ((None, None), (None, None))
        )
        yield {
            "recipe": of.recipe,
            "network": _label(number),
            "thesis_top1": thesis[0][0],
            "thesis_top1_alone": thesis[1][0],
            "thesis_top5": thesis[0][1],
            "thesis_top5_alone": thesis[1][1],
            "top1": with_pas["top1"],
            "top1_alone": alone["top1"],
            "top5": with_pas["top5"],
            "top5_alone": alone["top5"],
        }


def _by_operator(of: Shrinkage, iteration: int, thesis: dict[str, dict[str, float]], first: str) -> Iterator[Row]:
    """One row a plan, one column an operator."""
    for plan, printed in thesis.items():
        row: Row = {"recipe": of.recipe, first: plan, "iteration": iteration}
        row |= {f"thesis_{o}": printed.get(o) if of.backbone == R2PLUS1D else None for o in printed}
        row |= {o: of.top1(plan, iteration, o) if o in of.operators[plan] else None for o in printed}
        yield row


def _table_6_4(of: Shrinkage, dataset: str) -> Iterator[Row]:
    yield from _by_operator(of, min(ITERATION_OF_ABLATION, of.iterations), ABLATION, "plan")


def _table_6_5(of: Shrinkage, dataset: str) -> Iterator[Row]:
    for number in [n for n in (0, *range(1, of.iterations + 1)) if n in (0, 1, 3, 5) or n == of.iterations]:
        export = _read(of.folder / "pas" / f"iteration_{max(1, number)}" / "export" / "export.json")
        cost = export["cost"]
        mine = cost["network" if number else "base"]
        utilisation, memory = RESOURCES.get(of.backbone, {}).get(number, (None, None))
        yield {
            "recipe": of.recipe,
            "network": _label(number),
            "thesis_gpu_utilisation_percent": utilisation,
            "thesis_gpu_memory_percent": memory,
            "device": cost["device"],
            "threads": cost["threads"],
            "latency_ms": f"{mine['latency_ms']:.2f}",
            "base_latency_ms_same_run": f"{cost['base']['latency_ms']:.2f}",
            "peak_memory_mb": f"{mine['peak_memory_mb']:.2f}",
            "weights_mb": f"{mine['weights_mb']:.2f}",
            "gpu_utilisation_percent": mine.get("utilisation_percent"),
        }


def _table_6_6(of: Shrinkage, dataset: str) -> Iterator[Row]:
    for number in range(of.iterations + 1):
        network = f"pas_{number}" if number else "base"
        folders = [of.transferred / split / of.recipe / network for split in of.splits]
        found = [_read(folder / "evaluation.json") for folder in folders]
        backbone = _read(folders[0] / "model.json")["architecture"]["backbone"]
        thesis = TRANSFER.get(dataset, {}).get(backbone, ())
        yield {
            "recipe": of.recipe,
            "network": _label(number),
            "thesis_top1": thesis[number] if number < len(thesis) else None,
            "top1": sum(one["top1"] for one in found) / len(found),
            "splits": len(found),
            "evaluated": sum(one["coverage"]["evaluated"] for one in found),
            "expected": sum(one["coverage"]["expected"] for one in found),
        }


def _table_6_7(of: Shrinkage, dataset: str) -> Iterator[Row]:
    if of.backbone.startswith("slowfast"):
        return  # activations are compared in ResNets only
    for plan, printed in FEATURES.items():
        yield {
            "recipe": of.recipe,
            "loss_on_activations": {"pas": "none"}.get(plan, plan),
            "operator": "l",
            "thesis_top1": printed if of.backbone == R2PLUS1D else None,
            "top1": of.top1(plan, 1, "l"),
        }


def _table_6_8(of: Shrinkage, dataset: str) -> Iterator[Row]:
    yield from _by_operator(of, 1, MODES, "plan")


def _table_6_9(of: Shrinkage, dataset: str) -> Iterator[Row]:
    for number in range(of.iterations + 1):
        printed = SMALL.get(number, {}) if of.backbone == R2PLUS1D else {}
        row: Row = {"recipe": of.recipe, "initial": _label(number - 1) if number else MISSING}
        for operator in of.operators["pas"]:
            row[f"thesis_{operator}"] = printed.get(operator)
            row[operator] = of.top1("pas", number, operator) if number else None
        row["thesis_alone"] = printed.get("alone")
        row["alone"] = of.top1("pas", number, "alone") if number else of.base["top1"]
        yield row


def _costs(of: Shrinkage, dataset: str) -> Iterator[Row]:
    """GPU-hours (on a CPU: hours of it) per hypothesis, per iteration and overall, and what they bought."""
    total = 0.0
    for number in range(1, of.iterations + 1):
        selection = of.selected(number)["selection"]
        spent = 0.0
        for one in selection["hypotheses"]:
            metrics = of.metrics("pas", number, one["operators"])
            spent += metrics["device_seconds"]
            yield _cost_row(of, number, one["operators"], one["status"], metrics["device_seconds"], one)
        total += spent
        yield _cost_row(of, number, "(all)", f"{selection['operators']} wins", spent, of.winner(number))
    yield _cost_row(of, None, "(all)", of.chain(of.iterations), total, of.winner(of.iterations))


def _cost_row(of: Shrinkage, iteration: int | None, name: str, status: str, seconds: float, found: Row) -> Row:
    bought = found["top1"] is not None
    return {
        "recipe": of.recipe,
        "iteration": iteration or "(all)",
        "operators": name,
        "status": status,
        "device_hours": f"{seconds / 3600:.4f}",
        "device_seconds": f"{seconds:.1f}",
        "top1": found["top1"],
        "top1_change": f"{found['top1'] - of.base['top1']:+.1f}" if bought else None,
        "gflops": f"{found['gflops']:.4g}" if bought else None,
        "gflops_of_base": f"{found['gflops'] / of.base['gflops']:.3f}" if bought else None,
    }


def _beyond(of: Shrinkage, dataset: str) -> Iterator[Row]:
    """The open problems of Ch. 7 beside the plain algorithm: what was chosen, how good it is, what it cost."""
    for plan in ("pas", *BEYOND):
        seconds = {}
        for number in range(1, of.iterations + 1):
            found = [of.metrics(plan, number, o)["device_seconds"] for o in of.operators[plan]]
            if plan == "halving":  # what was stopped has cost its first epochs
                found += [_started(of, number, o) for o in of.operators[plan]]
            seconds[number] = sum(found)
        once = _read(of.folder / plan / "teacher_logits.json")["device_seconds"] if plan == "stored" else 0.0
        for number in range(1, of.iterations + 1):
            winner = of.winner(number, plan)
            yield {
                "recipe": of.recipe,
                "plan": plan,
                "iteration": number,
                "operators": of.chain(number, plan),
                "same_as_pas": of.chain(number, plan) == of.chain(number),
                "top1": winner["top1"],
                "gflops": f"{winner['gflops']:.4g}",
                "device_seconds": f"{seconds[number] + (once if number == 1 else 0):.1f}",
                "device_seconds_so_far": f"{sum(seconds[n] for n in range(1, number + 1)) + once:.1f}",
            }


def _started(of: Shrinkage, number: int, operators: str) -> float:
    """Seconds of the first epochs of a hypothesis that did not go on; those of the others are in its own metrics."""
    folder = of.folder / "halving" / f"iteration_{number}" / operators
    if _read(folder / "metrics.json")["status"] != "stopped":
        return 0.0
    return float(_read(folder / "started" / "metrics.json")["device_seconds"])


TABLES: dict[str, Callable[[Shrinkage, str], Iterator[Row]]] = {
    "table_6_1": _table_6_1,
    "table_6_2": _table_6_2,
    "table_6_4": _table_6_4,
    "table_6_5": _table_6_5,
    "table_6_6": _table_6_6,
    "table_6_7": _table_6_7,
    "table_6_8": _table_6_8,
    "table_6_9": _table_6_9,
    "shrink_costs": _costs,
    "shrink_beyond": _beyond,
}


def _cell(value: Any) -> Any:
    if value is None or value == "":
        return MISSING
    return f"{value:.1f}" if isinstance(value, float) else value


def _read(path: Path) -> Row:
    try:
        content: Row = json.loads(path.read_text())
        return content
    except (OSError, ValueError) as error:
        raise ActaError(f"cannot read {path}: {error}") from None
