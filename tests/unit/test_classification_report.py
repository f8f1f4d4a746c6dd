"""Tables 5.1 to 5.3 and Figures 5.6 and 5.7: the right rows, the thesis's numbers, and what was measured."""

import csv
import json
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.report.thesis import FIGURES, TABLES, THESIS, Evaluation, evaluation_path, rows

RECIPES = ("r2plus1d", ["r3d", "slowfast"])


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


def draw(tmp_path: Path, name: str, splits: tuple[str, ...] = ("split1",)) -> Path:
    for number, split in enumerate(splits):
        for row in rows(name, *RECIPES, ["faces", "bodies"]):
            write(tmp_path, split, row, 80.0 - 4 * (row.tested != "none") - number)
    output = tmp_path / "out"
    command = ["report-classification", name, "--recipe", RECIPES[0], "--compare", *RECIPES[1], "--splits", *splits]
    assert main([*command, "--evaluations", str(tmp_path), "-o", str(output)]) == 0
    return output


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(), delimiter="\t"))


@pytest.mark.parametrize(("name", "count"), [("table_5_1", 3), ("table_5_2", 9), ("table_5_3", 6)])
def test_rows(tmp_path: Path, name: str, count: int) -> None:
    found = read(draw(tmp_path, name))
    assert len(found) == count
    assert all(row["evaluated"] == "9" and row["expected"] == "10" for row in found)


def test_numbers_of_the_thesis_stand_beside(tmp_path: Path) -> None:
    """Table 5.1's change is printed in the thesis, so it can be checked: -2.9 % and -18.4 %."""
    first, faces, bodies = read(draw(tmp_path, "table_5_1"))
    assert (faces["thesis_top1"], bodies["thesis_top5"]) == ("67.2", "77.6")
    assert (first["top1"], faces["top1"], faces["change_percent"]) == ("80.0", "76.0", "-5.0")
    assert (faces["top1_low"], faces["top1_high"]) == ("75.0", "77.0")
    reference = THESIS[Evaluation("r2plus1d", "none", "cross_entropy", "none")][0]
    changes = [
        100 * (THESIS[Evaluation("r2plus1d", "none", "cross_entropy", tested)][0] - reference) / reference
        for tested in ("faces", "bodies")
    ]
    assert [round(change, 1) for change in changes] == [-2.9, -18.4]


def test_a_row_that_the_thesis_does_not_have(tmp_path: Path) -> None:
    row = next(r for r in read(draw(tmp_path, "table_5_2")) if (r["trained_on"], r["strategy"]) == ("bodies", "kd"))
    assert row["thesis_top1"] == "–"


def test_several_splits_are_averaged(tmp_path: Path) -> None:
    first = read(draw(tmp_path, "table_5_1", ("split1", "split2", "split3")))[0]
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


def test_a_missing_evaluation_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["report-classification", "table_5_1", "--recipe", "r2plus1d", "--splits", "split1"]
    assert main([*command, "--evaluations", str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    assert "cannot read the evaluation" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
