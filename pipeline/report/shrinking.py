"""The tables of Ch. 6: the thesis's numbers beside those that were measured here."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.tasks.report import DrawShrinkage
from pipeline.report import catalogue
from pipeline.report.differs import joined, recipe_differences, said
from pipeline.report.tables import MISSING, Row, write_table
from pipeline.report.thesis_shrinkage import (
    ABLATION,
    ALONE,
    BEYOND,
    CHAINS,
    COMPARED,
    FEATURES,
    ITERATION_OF_ABLATION,
    MODES,
    R2PLUS1D,
    REDUCED,
    RESOURCES,
    SMALL,
    TRANSFER,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made


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


def write_shrink_table(name: str, shrinkages: Sequence[Shrinkage], settings: DrawShrinkage, output: Path) -> None:
    """Write one table (CSV, and Markdown and HTML beside it).

    Columns that begin with ``thesis`` are the thesis's; ``differs`` says what is not as there.

    Args:
        name: One of `TABLES`.
        shrinkages: The results of each base network.
        settings: The dataset, and how its networks were trained; the thesis's Table 6.6 is by dataset.
        output: The table.

    Raises:
        ActaError: a result is missing or damaged, or the table has no rows.
    """
    rows: list[Row] = list(_published()) if name == "table_6_3" else []
    for shrinkage in shrinkages:
        differs = _differs(name, shrinkage.recipe, settings)
        rows += [row | {"differs": differs} for row in TABLES[name](shrinkage, settings)]
    if not rows:
        raise ActaError(f"{name} has no rows: none of {', '.join(s.recipe for s in shrinkages)} is an R(2+1)D or R3D")
    about = catalogue.entry(name)
    write_table(
        rows,
        output,
        title=about.title,
        reading=about.reading,
        note=catalogue.note(catalogue.other_data(name, settings.dataset)),
        labels=("iteration",),
    )


def _differs(name: str, recipe: str, settings: DrawShrinkage) -> str | None:
    """What is not as in the thesis."""
    own, base = catalogue.settings(), settings.bases[recipe]
    notes = [catalogue.other_data(name, settings.dataset)]
    transferred = name == "table_6_6"
    notes += recipe_differences(base, settings.base_epochs, settings.test_clips, fine_tuned=transferred)
    if not transferred:
        notes += [
            said("epochs of a hypothesis", settings.epochs, own.epochs) or "",
            said("iterations", settings.iterations, own.iterations) or "",
            said("α", settings.alpha, own.alpha) or "",
            said("t", settings.temperature, own.shrink_temperature) or "",
            *(said(f"γ of {o}", getattr(settings.factors, o), getattr(own.factors, o)) or "" for o in "stfcl"),
        ]
    return joined(notes)


def _label(number: int) -> str:
    return f"PAS-{number}" if number else "base"


def _table_6_1(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
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


def _table_6_2(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
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


def _published() -> Iterator[Row]:
    for printed in COMPARED:
        yield {
            "what": printed.what,
            "recipe": None,
            "pretraining": printed.pretraining,
            "thesis_top1": printed.top1,
            "thesis_top5": printed.top5,
            "thesis_gflops": f"{printed.gflops:g}",
            "thesis_views": printed.views,
            "differs": "number of the thesis" if "-PAS-" in printed.what else "number of its authors",
        }


def _table_6_3(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    for number in (0, 1):
        found = of.network(number)
        yield {
            "what": f"{of.backbone}, {_label(number)}",
            "recipe": of.recipe,
            "pretraining": "none" if settings.bases[of.recipe].initial is None else "another model",
            "thesis_top1": None,
            "thesis_top5": None,
            "thesis_gflops": None,
            "thesis_views": None,
            "top1": found["top1"],
            "top5": found["top5"],
            "gflops": f"{found['gflops']:.4g}",
            "views": settings.test_clips,
        }


def _by_operator(of: Shrinkage, iteration: int, thesis: dict[str, dict[str, float]], first: str) -> Iterator[Row]:
    """One row a plan, one column an operator."""
    for plan, printed in thesis.items():
        row: Row = {"recipe": of.recipe, first: plan, "iteration": iteration}
        row |= {f"thesis_{o}": printed.get(o) if of.backbone == R2PLUS1D else None for o in printed}
        row |= {o: of.top1(plan, iteration, o) if o in of.operators[plan] else None for o in printed}
        yield row


def _table_6_4(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    yield from _by_operator(of, min(ITERATION_OF_ABLATION, of.iterations), ABLATION, "plan")


def _table_6_5(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
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


def _table_6_6(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    for number in range(of.iterations + 1):
        network = f"pas_{number}" if number else "base"
        folders = [of.transferred / split / of.recipe / network for split in of.splits]
        found = [_read(folder / "evaluation.json") for folder in folders]
        backbone = _read(folders[0] / "model.json")["architecture"]["backbone"]
        thesis = TRANSFER.get(settings.dataset.replace("_", ""), {}).get(backbone, ())
        yield {
            "recipe": of.recipe,
            "network": _label(number),
            "thesis_top1": thesis[number] if number < len(thesis) else None,
            "top1": sum(one["top1"] for one in found) / len(found),
            "splits": len(found),
            "evaluated": sum(one["coverage"]["evaluated"] for one in found),
            "expected": sum(one["coverage"]["expected"] for one in found),
        }


def _table_6_7(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
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


def _table_6_8(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    yield from _by_operator(of, 1, MODES, "plan")


def _table_6_9(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    for number in range(of.iterations + 1):
        printed = SMALL.get(number, {}) if of.backbone == R2PLUS1D else {}
        row: Row = {"recipe": of.recipe, "initial": _label(number - 1) if number else MISSING}
        for operator in of.operators["pas"]:
            row[f"thesis_{operator}"] = printed.get(operator)
            row[operator] = of.top1("pas", number, operator) if number else None
        row["thesis_alone"] = printed.get("alone")
        row["alone"] = of.top1("pas", number, "alone") if number else of.base["top1"]
        yield row


def _costs(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
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


def _beyond(of: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
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


TABLES: dict[str, Callable[[Shrinkage, DrawShrinkage], Iterator[Row]]] = {
    "table_6_1": _table_6_1,
    "table_6_2": _table_6_2,
    "table_6_3": _table_6_3,
    "table_6_4": _table_6_4,
    "table_6_5": _table_6_5,
    "table_6_6": _table_6_6,
    "table_6_7": _table_6_7,
    "table_6_8": _table_6_8,
    "table_6_9": _table_6_9,
    "shrink_costs": _costs,
    "shrink_beyond": _beyond,
}


def _read(path: Path) -> Row:
    return read_made(path)
