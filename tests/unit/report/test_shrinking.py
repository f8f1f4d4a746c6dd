"""Tables and figures of Ch. 6 out of invented results: which number stands where, next to which of the thesis."""

import json
from pathlib import Path

import pytest

from pipeline.config.tasks.report import DrawShrinkage
from pipeline.config.whole import load, load_over
from pipeline.report.shrinking import TABLES, Shrinkage, write_shrink_table
from pipeline.report.shrinking_figures import draw_iterations
from pipeline.report.tables import read_rows
from pipeline.report.thesis_shrinkage import (
    ABLATION,
    ALONE,
    BEYOND,
    COMPARED,
    FEATURES,
    MODES,
    REDUCED,
    SMALL,
    networks_of,
)
from pipeline.runtime.errors import ActaError
from pipeline.tasks import TASKS, task_settings
from tests import PROJECT

OPERATORS = dict.fromkeys(("pas", "teacher_eval", *BEYOND), ("s", "t", "f", "c", "l")) | {
    "without_kd": ("s", "t", "f"),
    "without_fine_tuning": ("s", "t", "f"),
    "mse": ("l",),
    "margin_relu": ("l",),
}
ITERATIONS = 3
TOP1 = {"s": 50.0, "t": 52.0, "f": 51.0, "c": 40.0, "alone": 30.0}


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def resources(number: int, device: str = "cpu") -> dict[str, object]:
    shares = {"utilisation_percent": 50.0 - number, "memory_percent": 2.5 - number / 2}
    return {"device": device, "name": {"cpu": "CPU", "cuda": "Tesla V100"}[device], "clips": 7} | shares


@pytest.fixture
def of(tmp_path) -> Shrinkage:
    """Three iterations in which t wins and l is infeasible."""
    for plan, operators in OPERATORS.items():
        for n in range(1, ITERATIONS + 1):
            folder = tmp_path / "shrink/small" / plan / f"iteration_{n}"
            hypotheses = []
            for name in (*operators, "alone"):
                absent = name == "l" and plan == "pas"
                status = {"status": "infeasible", "reason": "one block"} if absent else {"status": "trained"}
                write(folder / name / "metrics.json", status | {"device_seconds": 0.0 if absent else 36.0 * n})
                figures = {"top1": TOP1.get(name, 45.0) - n, "top5": 90.0}
                write(folder / name / "evaluation.json", {"absent": "…"} if absent else figures)
                if name != "alone":
                    cost = {"gflops": 8 / 2**n, "parameters": 100}
                    nothing = dict.fromkeys(("top1", "top5", "gflops", "parameters"))
                    hypotheses.append({"operators": name, **status, **(nothing if absent else figures | cost)})
            write(
                folder / "selected.json",
                {
                    "architecture": {"backbone": "r2plus1d_18"},
                    "selection": {
                        "operators": "t" if "t" in operators else operators[0],
                        "base": {"top1": 60.0, "top5": 95.0, "gflops": 8.0, "parameters": 200},
                        "hypotheses": hypotheses,
                    },
                },
            )
            latency = {"latency_ms": 10.0 / n, "peak_memory_mb": 2.0, "weights_mb": 1.0}
            cost = {"device": "cpu", "threads": 1, "network": latency, "base": latency | {"latency_ms": 20.0}}
            write(folder / "export/export.json", {"cost": cost})
            write(folder / "resources.json", resources(n))
    write(tmp_path / "shrink/small/resources.json", resources(0))
    write(tmp_path / "shrink/small/stored/teacher_logits.json", {"device_seconds": 5.0})
    for network in ("base", "pas_1", "pas_2", "pas_3"):
        for split, top1 in (("split1", 70.0), ("split2", 80.0)):
            folder = tmp_path / "transfer" / split / "small" / network
            coverage = {"coverage": {"evaluated": 9, "expected": 10}}
            write(folder / "evaluation.json", {"top1": top1, **coverage})
            write(folder / "model.json", {"architecture": {"backbone": "r2plus1d_18"}})
    return Shrinkage(tmp_path / "shrink/small", ITERATIONS, OPERATORS, tmp_path / "transfer", ("split1", "split2"))


def settings(**changes: object) -> DrawShrinkage:
    """As the thesis has it, for the base network ``small``."""
    found = task_settings(load_over([PROJECT / "config/kinetics400.yaml"]), "draw_shrinkage")
    assert isinstance(found, DrawShrinkage)
    own = {"recipes": ("small",), "bases": {"small": found.bases["r2plus1d"]}, "dataset": "ucf101"}
    return found.model_copy(update=own | changes)


def table(of: Shrinkage, name: str, tmp_path: Path, **changes: object) -> list[dict[str, str]]:
    write_shrink_table(name, [of], settings(**changes), tmp_path / f"{name}.csv")
    return read_rows(tmp_path / f"{name}.csv")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_can_be_made_of_what_the_plan_asks_for(of, name, tmp_path):
    """Files beyond those that `networks_of` names are not needed; with one of them gone the table names it."""
    assert table(of, name, tmp_path)
    if name == "table_6_6":
        return
    if name == "table_6_3":
        assert not list(networks_of(name, ["small"], ITERATIONS, OPERATORS))
    wanted = {f"{network}/{f}" for network in networks_of(name, ["small"], ITERATIONS, OPERATORS) for f in FILES}
    for path in sorted((tmp_path / "shrink").rglob("*.json")):
        relative = str(path.relative_to(tmp_path / "shrink"))
        others = ("selected", "export", "resources", "teacher_logits")
        kept = any(part in relative for part in others) or relative in wanted
        if not kept:
            path.unlink()
    assert table(of, name, tmp_path)


FILES = ("evaluation.json", "metrics.json")


def test_table_6_1(of, tmp_path):
    rows = table(of, "table_6_1", tmp_path, dataset="kinetics400")
    assert [row["network"] for row in rows] == ["base", "PAS-1", "PAS-2", "PAS-3"]
    assert rows[2] == {
        "recipe": "small",
        "network": "PAS-2",
        "operators": "t,t",
        "thesis_operators": "c,f",
        "thesis_top1": "68.8",
        "thesis_top5": "88.1",
        "thesis_gflops": "10.2",
        "top1": "50.0",
        "top5": "90.0",
        "gflops": "2",
        "of_previous": "0.50",
        "parameters": "100",
        "differs": "–",
    }


def test_what_differs(of, tmp_path):
    kinetics = settings()
    base = kinetics.bases["small"].model_copy(update={"initial": "/models/base.safetensors", "batch": 24})
    changes = {
        "bases": {"small": base},
        "alpha": 10.0,
        "epochs": 3,
        "factors": kinetics.factors.model_copy(update={"s": 2.0}),
    }
    weights = "weights fine-tuned from another model, thesis random; "
    told = "not comparable: data ucf101, thesis Kinetics-400; batch 24, thesis 1536; "
    more = "shrink.factors.s 2, thesis 1.4; shrink.alpha 10, thesis 500; shrink.epochs 3, thesis 45"
    assert table(of, "table_6_1", tmp_path, **changes)[0]["differs"] == told + weights + more

    assert table(of, "table_6_9", tmp_path)[0]["differs"] == "–"


def test_what_differs_where_networks_of_another_run_are_fine_tuned(of, tmp_path):
    """The thesis starts from trained weights there too, with a tenth of the rate."""
    changes = {"initial": "/models/base.safetensors", "learning_rate": 0.096}
    bases = {"small": settings().bases["small"].model_copy(update=changes)}
    assert table(of, "table_6_6", tmp_path, bases=bases, alpha=1.0)[0]["differs"] == "–"


def test_what_differs_in_the_demo(of, tmp_path):
    shipped = task_settings(load(), "draw_shrinkage")
    assert isinstance(shipped, DrawShrinkage)
    content = shipped.model_copy(update={"bases": {"small": shipped.bases["r2plus1d_deep"]}})
    write_shrink_table("table_6_1", [of], content, tmp_path / "t.csv")
    differs = read_rows(tmp_path / "t.csv")[0]["differs"]
    assert differs.startswith("not comparable: data demo, thesis Kinetics-400; batch 16, thesis 1536; micro_batch 16,")
    assert differs.endswith("shrink.alpha 1.25 per class, thesis 500; shrink.epochs 3, thesis 45")
    assert "data demo, thesis Kinetics-400" in (tmp_path / "t.html").read_text().split("<table>")[0]


def test_table_6_3(of, tmp_path):
    rows = table(of, "table_6_3", tmp_path)
    assert [row["what"] for row in rows[: len(COMPARED)]] == [printed.what for printed in COMPARED]
    assert (rows[4]["thesis_top5"], rows[4]["thesis_gflops"], rows[4]["top1"]) == ("–", "65", "–")
    assert [(row["what"], row["top1"], row["gflops"], row["views"]) for row in rows[len(COMPARED) :]] == [
        ("r2plus1d_18, base", "60.0", "8", "10"),
        ("r2plus1d_18, PAS-1", "51.0", "4", "10"),
    ]
    assert rows[-1]["differs"] == "not comparable: data ucf101, thesis Kinetics-400"


def test_table_6_2(of, tmp_path):
    row = table(of, "table_6_2", tmp_path)[2]
    assert (row["thesis_top1"], row["thesis_top1_alone"], row["top1"], row["top1_alone"]) == (
        "67.5",
        "61.1",
        "49.0",
        "27.0",
    )


def test_table_6_4_is_of_the_third_iteration(of, tmp_path):
    rows = table(of, "table_6_4", tmp_path)
    assert [(row["plan"], row["iteration"], row["thesis_t"], row["t"]) for row in rows] == [
        ("pas", "3", "67.5", "49.0"),
        ("without_kd", "3", "66.3", "49.0"),
        ("without_fine_tuning", "3", "65.7", "49.0"),
    ]


def test_table_6_5_labels_the_device(of, tmp_path):
    rows = table(of, "table_6_5", tmp_path)
    assert [(row["network"], row["device"], row["latency_ms"], row["thesis_gpu_memory_percent"]) for row in rows] == [
        ("base", "CPU", "20.00", "11.3"),
        ("PAS-1", "CPU", "10.00", "6.1"),
        ("PAS-3", "CPU", "3.33", "3.2"),
    ]
    assert [(row["cpu_share_percent"], row["rss_share_percent"], row["clips"]) for row in rows] == [
        ("50.0", "2.5", "7"),
        ("49.0", "2.0", "7"),
        ("47.0", "1.0", "7"),
    ]
    # A CPU's shares are no GPU's.
    assert {row[f"gpu_{what}_percent"] for row in rows for what in ("utilisation", "memory")} == {"–"}


def test_table_6_5_of_a_gpu_stands_by_the_thesis_s(of, tmp_path):
    write(tmp_path / "shrink/small/pas/iteration_1/resources.json", resources(1, "cuda"))
    row = table(of, "table_6_5", tmp_path)[1]
    assert (row["thesis_gpu_utilisation_percent"], row["gpu_utilisation_percent"]) == ("20.8", "49.0")
    assert (row["gpu_memory_percent"], row["cpu_share_percent"], row["device"]) == ("2.0", "–", "Tesla V100")


def test_table_6_6_is_the_mean_over_the_splits(of, tmp_path):
    rows = table(of, "table_6_6", tmp_path)
    assert [(row["thesis_top1"], row["top1"], row["evaluated"]) for row in rows][:2] == [
        ("94.4", "75.0", "18"),
        ("94.0", "75.0", "18"),
    ]


def test_infeasible_hypotheses_leave_a_blank(of, tmp_path):
    assert table(of, "table_6_8", tmp_path)[0]["l"] == "–"
    row = table(of, "table_6_9", tmp_path)[1]
    assert (row["initial"], row["l"], row["thesis_l"], row["alone"]) == ("base", "–", "65.5", "29.0")


def test_costs_add_up(of, tmp_path):
    rows = table(of, "shrink_costs", tmp_path)
    whole = [row for row in rows if row["operators"] == "(all)"]
    assert [row["device_seconds"] for row in whole] == ["144.0", "288.0", "432.0", "864.0"]
    assert whole[-1]["device_hours"] == "0.2400"
    assert [row["status"] for row in rows if row["operators"] == "l"] == ["infeasible"] * 3


def test_figure(of, tmp_path):
    draw_iterations(of, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


def run(name: str, tmp_path: Path, output: str) -> None:
    given = settings(iterations=ITERATIONS, operators=OPERATORS, splits=("split1", "split2")).model_dump_json()
    words = ["--name", name, "--results", str(tmp_path), "--settings", given, "-o", str(tmp_path / output)]
    options = TASKS["draw_shrinkage"].parser().parse_args(words)
    options.run(options)


def test_command(of, tmp_path):
    run("table_6_1", tmp_path, "out.csv")
    assert [row["network"] for row in read_rows(tmp_path / "out.csv")] == ["base", "PAS-1", "PAS-2", "PAS-3"]
    run("small", tmp_path, "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ActaError, match=r"no table or figure 'r9d'; there are table_6_1, .*, small"):
        run("r9d", tmp_path, "r9d.png")


def test_a_damaged_result_is_named(of, tmp_path):
    (tmp_path / "shrink/small/pas/iteration_2/selected.json").write_text("{")
    with pytest.raises(ActaError, match=r"iteration_2/selected.json, line 1: .* it is no JSON; make it again"):
        table(of, "table_6_1", tmp_path)


def test_the_thesis_tables_agree_with_each_other():
    """The same measurement is printed in several of them."""
    r2plus1d = REDUCED["r2plus1d_18"]
    assert MODES["pas"]["c"] == max(MODES["pas"].values()) == r2plus1d[1][0]
    assert FEATURES["pas"] == MODES["pas"]["l"]
    assert ABLATION["pas"]["t"] == max(ABLATION["pas"].values()) == r2plus1d[3][0]
    assert all(len(ALONE[name]) == len(REDUCED[name]) - 1 for name in ALONE)
    assert all(mine[0] > alone[0] for name in ALONE for mine, alone in zip(REDUCED[name][1:], ALONE[name], strict=True))
    assert [len(row) for row in SMALL.values()] == [1, 6, 6, 6, 6, 6]
