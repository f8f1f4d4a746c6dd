"""Tables 5.1 to 5.3 and Figures 5.6 and 5.7: the right rows, the thesis's numbers, and what was measured."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.config.whole import load, load_over
from pipeline.report.tables import read_rows
from pipeline.report.thesis import FIGURES, TABLES, THESIS, Evaluation, evaluation_path, rows
from pipeline.runtime.errors import ActaError
from pipeline.tasks import TASKS, task_settings
from tests import PROJECT

RECIPES = ("r2plus1d", ["r3d", "slowfast"])
SHIPPED = json.loads(task_settings(load(), "draw_classification").model_dump_json())
THESIS_SCALE = task_settings(load_over([PROJECT / "config/kinetics400.yaml"]), "draw_classification")
AS_THE_THESIS = json.loads(THESIS_SCALE.model_dump_json())


def settings(**changes: object) -> str:
    return json.dumps(AS_THE_THESIS | {"splits": ["split1"]} | changes)


def write(folder: Path, split: str, row: Evaluation, top1: float) -> None:
    path = folder / evaluation_path(split, row)
    path.parent.mkdir(parents=True, exist_ok=True)
    per_class = {f"class {k}": {"videos": 2, "top1": top1 - 2 * k * (row.tested != "none")} for k in range(12)}
    content = {
        "top1": top1,
        "top5": 90.0,
        "top1_interval": [top1 - 1, top1 + 1],
        "per_class": per_class | {"empty": {"videos": 0, "top1": None}},
        "coverage": {"evaluated": 9, "expected": 10},
    }
    path.write_text(json.dumps(content))


def run(name: str, *words: object) -> None:
    options = TASKS["draw_classification"].parser().parse_args(["--name", name, *map(str, words)])
    options.run(options)


def draw(tmp_path: Path, name: str, splits: Sequence[str] = ("split1",), **changes: object) -> Path:
    for number, split in enumerate(splits):
        for row in rows(name, *RECIPES, ["faces", "bodies"]):
            write(tmp_path, split, row, 80.0 - 4 * (row.tested != "none") - number)
    output = tmp_path / ("out.png" if name in FIGURES else "out.csv")
    run(name, "--evaluations", tmp_path, "--settings", settings(splits=list(splits), **changes), "-o", output)
    return output


@pytest.mark.parametrize(("name", "count"), [("table_5_1", 3), ("table_5_2", 9), ("table_5_3", 6)])
def test_rows(tmp_path: Path, name: str, count: int) -> None:
    found = read_rows(draw(tmp_path, name))
    assert len(found) == count
    assert all(row["evaluated"] == "9" and row["expected"] == "10" for row in found)


def test_numbers_of_the_thesis_stand_next_to_measured_ones(tmp_path: Path) -> None:
    """Table 5.1's change is printed in the thesis, so it can be checked: -2.9 % and -18.4 %."""
    first, faces, bodies = read_rows(draw(tmp_path, "table_5_1"))
    assert (faces["thesis_top1"], bodies["thesis_top5"]) == ("67.2", "77.6")
    assert (first["top1"], faces["top1"], faces["change_percent"]) == ("80.0", "76.0", "-5.0")
    assert (faces["top1_low"], faces["top1_high"]) == ("75.0", "77.0")
    reference = THESIS[Evaluation("r2plus1d", "none", "cross_entropy", "none")][0]
    changes = [
        100 * (THESIS[Evaluation("r2plus1d", "none", "cross_entropy", tested)][0] - reference) / reference
        for tested in ("faces", "bodies")
    ]
    assert [round(change, 1) for change in changes] == [-2.9, -18.4]


def test_nothing_differs_at_the_scale_of_the_thesis(tmp_path: Path) -> None:
    for name in ("table_5_1", "table_5_3"):
        output = draw(tmp_path, name)
        assert {row["differs"] for row in read_rows(output)} == {"–"}
        assert "cannot be compared" not in output.with_suffix(".md").read_text()


def test_a_row_that_the_thesis_does_not_have(tmp_path: Path) -> None:
    found = read_rows(draw(tmp_path, "table_5_2"))
    row = next(r for r in found if (r["trained_on"], r["strategy"]) == ("bodies", "kd"))
    assert (row["thesis_top1"], row["differs"]) == ("–", "the thesis has no such row")
    assert {r["differs"] for r in found if r is not row} == {"–"}


def test_what_differs(tmp_path: Path) -> None:
    recipe = AS_THE_THESIS["recipes"]["r2plus1d"] | {"initial": "/models/base.safetensors", "batch": 24}
    output = draw(tmp_path, "table_5_1", dataset="ucf101", recipes=AS_THE_THESIS["recipes"] | {"r2plus1d": recipe})
    assert {row["differs"] for row in read_rows(output)} == {
        "not comparable: data ucf101, thesis Kinetics-400; batch 24, thesis 1536; "
        "weights fine-tuned from another model, thesis random"
    }
    for suffix in (".md", ".html"):
        assert "data ucf101, thesis Kinetics-400" in output.with_suffix(suffix).read_text().split("recipe")[0]


def test_what_differs_in_the_demo(tmp_path: Path) -> None:
    shipped = {key: value for key, value in SHIPPED.items() if key != "compare"}
    found = read_rows(draw(tmp_path, "table_5_2", **shipped))
    assert found[0]["differs"] == (
        "not comparable: data demo, thesis Kinetics-400; batch 16, thesis 1536; micro_batch 16, thesis 24; "
        "learning_rate 0.04, thesis 0.96; warmup_epochs 3, thesis 10; schedule cosine, thesis step; "
        "backbone.width 0.125, thesis 1; backbone.blocks 1–1–1–1, thesis 2–2–2–2; clip.frames 8, thesis 16; "
        "clip.view.size 48–64, thesis 128–171; clip.view.crop 40, thesis 112; epochs 10, thesis 45; "
        "test_clips 4, thesis 10; sampling.rate 5, thesis none"
    )
    assert found[2]["differs"].endswith("sampling.rate 5, thesis none; kd 31.25 per class, thesis 12500")
    assert "faces: interval 0.1, thesis 0; faces: fill_gap 10, thesis 0" in found[4]["differs"]


def test_declared_departures_stand_under_the_table(tmp_path: Path) -> None:
    output = draw(tmp_path, "table_5_1", departures={"sampling.rate": "the recordings have one frame a second"})
    text = output.with_suffix(".md").read_text()
    said = "the configuration declares: sampling.rate: the recordings have one frame a second."
    assert text.rindex("|") < text.index(said)


def test_another_network_than_the_thesis_has(tmp_path: Path) -> None:
    for row in rows("table_5_3", "r2plus1d", ["slowfast"], ["faces"]):
        write(tmp_path, "split1", row, 50.0)
    content = SHIPPED | {"variants": ["faces"]}
    run("table_5_3", "--evaluations", tmp_path, "--settings", json.dumps(content), "-o", tmp_path / "out.csv")
    differs = read_rows(tmp_path / "out.csv")[0]["differs"]
    told = "the thesis has no slowfast_8x8_r50; backbone.width 0.125, thesis 1; backbone.blocks 1–1–1–1, thesis 3–4–6–3"
    assert told in differs


def test_several_splits_are_averaged(tmp_path: Path) -> None:
    first = read_rows(draw(tmp_path, "table_5_1", ("split1", "split2", "split3")))[0]
    assert (first["top1"], first["splits"], first["top1_low"], first["evaluated"]) == ("79.0", "3", "–", "27")


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn(tmp_path: Path, name: str) -> None:
    assert draw(tmp_path, name).read_bytes().startswith(b"\x89PNG")


def test_only_the_variants_that_there_are() -> None:
    assert [row.tested for row in rows("table_5_1", *RECIPES, ["bodies"])] == ["none", "bodies"]
    assert {row.recipe for row in rows("table_5_3", *RECIPES, ["faces"])} == {"r3d", "slowfast"}


def test_every_number_of_the_thesis_is_in_a_table() -> None:
    shown = {row for name in TABLES for row in rows(name, *RECIPES, ["faces", "bodies"])}
    assert set(THESIS) <= shown


def test_a_missing_evaluation_is_named(tmp_path: Path) -> None:
    words = ("table_5_1", "--evaluations", tmp_path, "--settings", settings(), "-o", tmp_path / "out.csv")
    with pytest.raises(ActaError, match="cannot read the evaluation"):
        run(*words)
    assert not (tmp_path / "out.csv").exists()


def test_unknown_table(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="no table or figure 'table_5_4'"):
        run("table_5_4", "--evaluations", tmp_path, "--settings", settings(), "-o", tmp_path / "out.csv")
