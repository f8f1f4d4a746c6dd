"""The tables of Ch. 6: the thesis's numbers next to those that were measured here."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.tasks.report import DrawShrinkage, decisive
from pipeline.report import catalogue
from pipeline.report.differs import declared, differences, joined, recipe_differences
from pipeline.report.numbered import write_numbered_table
from pipeline.report.tables import MISSING, Row
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
    measured_on_a_device,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made


@dataclass(frozen=True)
class Shrinkage:
    """The results of one base network.

    Args:
        folder: ``shrink/<recipe>``.
        iterations: How many there are.
        operators: The hypotheses of each plan.
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

    def read(self, plan: str, iteration: int, file: str) -> Row:
        """A JSON file of an iteration, such as ``selected.json`` or ``<hypothesis or alone>/evaluation.json``."""
        return read_made(self.folder / plan / f"iteration_{iteration}" / file)

    def selection(self, iteration: int, plan: str = "pas") -> Row:
        """The hypotheses of an iteration, which of them won, and the base network."""
        selection: Row = self.read(plan, iteration, "selected.json")["selection"]
        return selection

    @property
    def backbone(self) -> str:
        return str(self.read("pas", 1, "selected.json")["architecture"]["backbone"])

    def network(self, number: int, plan: str = "pas") -> Row:
        """Accuracy and cost of PAS-n, or of the base network for 0."""
        selection = self.selection(max(1, number), plan)
        networks = [h for h in selection["hypotheses"] if h["operators"] == selection["operators"]]
        network: Row = networks[0] if number else selection["base"]
        return network

    def resources(self, number: int) -> Row:
        """What `measure_resources` wrote of PAS-n, or of the base network for 0."""
        if number:
            return self.read("pas", number, "resources.json")
        return read_made(self.folder / "resources.json")

    def chain(self, iteration: int, plan: str = "pas") -> str:
        """The operators chosen up to an iteration."""
        return ",".join(self.selection(n, plan)["operators"] for n in range(1, iteration + 1))

    def top1(self, plan: str, iteration: int, name: str) -> float | None:
        """Accuracy of a hypothesis, or of ``alone``; None where it was not trained."""
        top1: float | None = self.read(plan, iteration, f"{name}/evaluation.json").get("top1")
        return top1

    def seconds(self, plan: str, iteration: int, name: str) -> float:
        """Seconds of computing that the training of a hypothesis took."""
        seconds: float = self.read(plan, iteration, f"{name}/metrics.json")["device_seconds"]
        return seconds


def write_shrink_table(name: str, shrinkages: Sequence[Shrinkage], settings: DrawShrinkage, output: Path) -> None:
    """Write one table (CSV, and Markdown and HTML next to it) of the results of several base networks.

    Columns that begin with ``thesis`` are the thesis's, for Table 6.6 those of the dataset; ``differs`` lists the
    differences from it.

    Raises:
        ActaError: a result is missing or damaged, or the table has no rows.
    """
    rows: list[Row] = list(_published()) if name == "table_6_3" else []
    for shrinkage in shrinkages:
        differs = _differs(name, shrinkage.recipe, settings)
        rows += [row | {"differs": differs} for row in TABLES[name](shrinkage, settings)]
    if not rows:
        raise ActaError(f"{name} has no rows: none of {', '.join(s.recipe for s in shrinkages)} is an R(2+1)D or R3D")
    other_data = catalogue.other_data(name, settings.dataset)
    departures = declared(settings.departures)
    write_numbered_table(name, rows, output, other_data=other_data, labels=("iteration",), departures=departures)


def _differs(name: str, recipe: str, settings: DrawShrinkage) -> str | None:
    """How a recipe and its shrinkage differ from the thesis's."""
    notes: list[str | None] = [catalogue.other_data(name, settings.dataset)]
    fine_tuned = name == "table_6_6"
    notes += recipe_differences(settings, settings.bases[recipe], settings.thesis_bases, fine_tuned=fine_tuned)
    if not fine_tuned:
        notes += differences(decisive(settings), decisive(settings.thesis), "shrink.")
    return joined(notes)


def _label(number: int) -> str:
    return f"PAS-{number}" if number else "base"


def _table_6_1(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    thesis = REDUCED.get(shrinkage.backbone, ())
    before = None
    for number in range(shrinkage.iterations + 1):
        network = shrinkage.network(number)
        top1, top5, gflops = thesis[number] if number < len(thesis) else (None, None, None)
        yield {
            "recipe": shrinkage.recipe,
            "network": _label(number),
            "operators": shrinkage.chain(number),
            "thesis_operators": ",".join(CHAINS.get(shrinkage.backbone, "")[:number]),
            "thesis_top1": top1,
            "thesis_top5": top5,
            "thesis_gflops": gflops,
            "top1": network["top1"],
            "top5": network["top5"],
            "gflops": f"{network['gflops']:.4g}",
            "of_previous": f"{network['gflops'] / before:.2f}" if before else None,
            "parameters": network["parameters"],
        }
        before = network["gflops"]


def _table_6_2(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    for number in range(1, shrinkage.iterations + 1):
        with_pas, alone = shrinkage.network(number), shrinkage.read("pas", number, "alone/evaluation.json")
        printed = ALONE.get(shrinkage.backbone, [])[number - 1 : number]
        thesis = (*REDUCED[shrinkage.backbone][number][:2], *printed[0]) if printed else (None,) * 4
        yield {
            "recipe": shrinkage.recipe,
            "network": _label(number),
            "thesis_top1": thesis[0],
            "thesis_top1_alone": thesis[2],
            "thesis_top5": thesis[1],
            "thesis_top5_alone": thesis[3],
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


def _table_6_3(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    for number in (0, 1):
        network = shrinkage.network(number)
        yield {
            "what": f"{shrinkage.backbone}, {_label(number)}",
            "recipe": shrinkage.recipe,
            "pretraining": "none" if settings.bases[shrinkage.recipe].initial is None else "another model",
            **dict.fromkeys(("thesis_top1", "thesis_top5", "thesis_gflops", "thesis_views")),
            "top1": network["top1"],
            "top5": network["top5"],
            "gflops": f"{network['gflops']:.4g}",
            "views": settings.test_clips,
        }


def _by_operator(shrinkage: Shrinkage, iteration: int, thesis: dict[str, dict[str, float]]) -> Iterator[Row]:
    """Tables 6.4 and 6.8: one row per plan, one column per operator."""
    for plan, printed in thesis.items():
        row: Row = {"recipe": shrinkage.recipe, "plan": plan, "iteration": iteration}
        row |= {f"thesis_{o}": printed.get(o) if shrinkage.backbone == R2PLUS1D else None for o in printed}
        row |= {o: shrinkage.top1(plan, iteration, o) if o in shrinkage.operators[plan] else None for o in printed}
        yield row


def _table_6_5(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    for number in measured_on_a_device(shrinkage.iterations):
        cost = shrinkage.read("pas", max(1, number), "export/export.json")["cost"]
        measured = cost["network" if number else "base"]
        utilisation, memory = RESOURCES.get(shrinkage.backbone, {}).get(number, (None, None))
        yield {
            "recipe": shrinkage.recipe,
            "network": _label(number),
            "thesis_gpu_utilisation_percent": utilisation,
            "thesis_gpu_memory_percent": memory,
            **_resources(shrinkage, number),
            "threads": cost["threads"],
            "latency_ms": f"{measured['latency_ms']:.2f}",
            "base_latency_ms_same_run": f"{cost['base']['latency_ms']:.2f}",
            "peak_memory_mb": f"{measured['peak_memory_mb']:.2f}",
            "weights_mb": f"{measured['weights_mb']:.2f}",
        }


def _resources(shrinkage: Shrinkage, number: int) -> Row:
    """What a device did during a whole evaluation. A CPU's shares have columns of their own, as they are others."""
    found = shrinkage.resources(number)
    shares = (f"{found['utilisation_percent']:.1f}", f"{found['memory_percent']:.1f}")
    gpu = found["device"] == "cuda"
    return {
        **dict(zip(("gpu_utilisation_percent", "gpu_memory_percent"), shares if gpu else (None, None), strict=True)),
        **dict(zip(("cpu_share_percent", "rss_share_percent"), (None, None) if gpu else shares, strict=True)),
        "clips": found["clips"],
        "device": found["name"],
    }


def _table_6_6(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    for number in range(shrinkage.iterations + 1):
        network = f"pas_{number}" if number else "base"
        folders = [shrinkage.transferred / split / shrinkage.recipe / network for split in shrinkage.splits]
        evaluations = [read_made(folder / "evaluation.json") for folder in folders]
        backbone = read_made(folders[0] / "model.json")["architecture"]["backbone"]
        thesis = TRANSFER.get(settings.dataset.replace("_", ""), {}).get(backbone, ())
        yield {
            "recipe": shrinkage.recipe,
            "network": _label(number),
            "thesis_top1": thesis[number] if number < len(thesis) else None,
            "top1": sum(evaluation["top1"] for evaluation in evaluations) / len(evaluations),
            "splits": len(evaluations),
            "evaluated": sum(evaluation["coverage"]["evaluated"] for evaluation in evaluations),
            "expected": sum(evaluation["coverage"]["expected"] for evaluation in evaluations),
        }


def _table_6_7(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    if shrinkage.backbone.startswith("slowfast"):
        return  # activations are compared in ResNets only
    for plan, printed in FEATURES.items():
        yield {
            "recipe": shrinkage.recipe,
            "loss_on_activations": {"pas": "none"}.get(plan, plan),
            "operator": "l",
            "thesis_top1": printed if shrinkage.backbone == R2PLUS1D else None,
            "top1": shrinkage.top1(plan, 1, "l"),
        }


def _table_6_9(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    for number in range(shrinkage.iterations + 1):
        printed = SMALL.get(number, {}) if shrinkage.backbone == R2PLUS1D else {}
        row: Row = {"recipe": shrinkage.recipe, "initial": _label(number - 1) if number else MISSING}
        for operator in shrinkage.operators["pas"]:
            row[f"thesis_{operator}"] = printed.get(operator)
            row[operator] = shrinkage.top1("pas", number, operator) if number else None
        row["thesis_alone"] = printed.get("alone")
        row["alone"] = shrinkage.top1("pas", number, "alone") if number else shrinkage.network(0)["top1"]
        yield row


def _costs(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    """GPU-hours (on a CPU: hours of it) per hypothesis, per iteration and overall, and what they bought."""
    total = 0.0
    for number in range(1, shrinkage.iterations + 1):
        selection = shrinkage.selection(number)
        spent = 0.0
        for hypothesis in selection["hypotheses"]:
            operators, seconds = hypothesis["operators"], shrinkage.seconds("pas", number, hypothesis["operators"])
            spent += seconds
            yield _cost_row(shrinkage, number, operators, hypothesis["status"], seconds, hypothesis)
        total += spent
        yield _cost_row(shrinkage, number, "(all)", f"{selection['operators']} wins", spent, shrinkage.network(number))
    last = shrinkage.iterations
    yield _cost_row(shrinkage, None, "(all)", shrinkage.chain(last), total, shrinkage.network(last))


def _cost_row(shrinkage: Shrinkage, iteration: int | None, name: str, status: str, seconds: float, network: Row) -> Row:
    base, bought = shrinkage.network(0), network["top1"] is not None
    return {
        "recipe": shrinkage.recipe,
        "iteration": iteration or "(all)",
        "operators": name,
        "status": status,
        "device_hours": f"{seconds / 3600:.4f}",
        "device_seconds": f"{seconds:.1f}",
        "top1": network["top1"],
        "top1_change": f"{network['top1'] - base['top1']:+.1f}" if bought else None,
        "gflops": f"{network['gflops']:.4g}" if bought else None,
        "gflops_of_base": f"{network['gflops'] / base['gflops']:.3f}" if bought else None,
    }


def _beyond(shrinkage: Shrinkage, settings: DrawShrinkage) -> Iterator[Row]:
    """The open problems of Ch. 7 next to the plain algorithm: what was chosen, how good it is, what it cost."""
    for plan in ("pas", *BEYOND):
        once = read_made(shrinkage.folder / plan / "teacher_logits.json")["device_seconds"] if plan == "stored" else 0.0
        seconds: list[float] = []
        for number in range(1, shrinkage.iterations + 1):
            spent = [shrinkage.seconds(plan, number, o) for o in shrinkage.operators[plan]]
            if plan == "halving":  # what was stopped has cost its first epochs
                spent += [_started(shrinkage, number, o) for o in shrinkage.operators[plan]]
            seconds.append(sum(spent))
            winner, chain = shrinkage.network(number, plan), shrinkage.chain(number, plan)
            yield {
                "recipe": shrinkage.recipe,
                "plan": plan,
                "iteration": number,
                "operators": chain,
                "same_as_pas": chain == shrinkage.chain(number),
                "top1": winner["top1"],
                "gflops": f"{winner['gflops']:.4g}",
                "device_seconds": f"{seconds[-1] + (once if number == 1 else 0):.1f}",
                "device_seconds_so_far": f"{sum(seconds) + once:.1f}",
            }


def _started(shrinkage: Shrinkage, number: int, operators: str) -> float:
    """Seconds of the first epochs of a hypothesis that did not go on; those of the others are in its own metrics."""
    if shrinkage.read("halving", number, f"{operators}/metrics.json")["status"] != "stopped":
        return 0.0
    return shrinkage.seconds("halving", number, f"{operators}/started")


TABLES: dict[str, Callable[[Shrinkage, DrawShrinkage], Iterator[Row]]] = {
    "table_6_1": _table_6_1,
    "table_6_2": _table_6_2,
    "table_6_3": _table_6_3,
    "table_6_4": lambda of, _: _by_operator(of, min(ITERATION_OF_ABLATION, of.iterations), ABLATION),
    "table_6_5": _table_6_5,
    "table_6_6": _table_6_6,
    "table_6_7": _table_6_7,
    "table_6_8": lambda of, _: _by_operator(of, 1, MODES),
    "table_6_9": _table_6_9,
    "shrink_costs": _costs,
    "shrink_beyond": _beyond,
}
