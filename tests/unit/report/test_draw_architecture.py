"""Tables 3.1, 4.1 and 6.10: sizes of the networks as built next to those of the thesis."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.models.architecture import Architecture, Reduction
from pipeline.models.classifier_file import FORMAT
from pipeline.report.draw_architecture import TABLES, shapes
from pipeline.report.tables import read_rows
from pipeline.runtime.errors import ActaError
from pipeline.tasks import TASKS

FACTORS = {"s": 1.4, "t": 2.0, "f": 2.0, "c": 1.4, "l": 2.0}


def selected(results: Path, recipe: str, number: int, architecture: Architecture, crop: int) -> None:
    path = results / f"shrink/{recipe}/pas/iteration_{number}/selected.json"
    path.parent.mkdir(parents=True)
    content = {
        "format": FORMAT,
        "architecture": asdict(architecture),
        "classes": [str(k) for k in range(architecture.classes)],
        "variant": "none",
        "rate": None,
        "view": {"size": None, "short_side": [256, 320], "crop": crop},
        "provenance": {},
    }
    path.write_text(json.dumps(content))


def draw(results: Path, name: str, recipes: tuple[str, ...] = (), iterations: int = 1) -> list[dict[str, str]]:
    settings = json.dumps({"recipes": recipes, "iterations": iterations})
    output = results / f"tables/{name}.csv"
    words = ["--name", name, "--results", str(results), "--settings", settings, "-o", str(output)]
    options = TASKS["draw_architecture"].parser().parse_args(words)
    options.run(options)
    assert output.with_suffix(".html").exists()
    return read_rows(output)


def test_table_3_1(tmp_path: Path) -> None:
    """A node is 1024 numbers and its box's four; a head is a quarter of that."""
    rows = {row["block"]: row for row in draw(tmp_path, "table_3_1")}
    assert rows["FC11"]["thesis_output"] == "[N × 256] × 4"
    assert (rows["FC11"]["input"], rows["FC11"]["output"]) == ("[N × 1028] × 4", "[N × 257] × 4")
    assert {name: int(row["parameters"]) for name, row in rows.items()} == {
        "linear layer of objects": 2048 * 1024 + 1024,
        "FC11": 1028 * 1028,
        "FC12": 4 * 2 * 257,
        "FC13": 1028 * 1028 + 1028,
        "LNorm": 2 * 1028,
        "FC3": 1028 * 80 + 80,
    }
    assert rows["FC3"]["differs"] == "a node has 1028 numbers: 1024 and its box's four"


def test_table_4_1_agrees_with_the_thesis(tmp_path: Path) -> None:
    rows = draw(tmp_path, "table_4_1")
    assert [row["layer"] for row in rows if row["input"] != row["thesis_input"]] == []
    assert [row["layer"] for row in rows if row["output"] != row["thesis_output"]] == ["FCcls"]
    assert [int(row["parameters"]) for row in rows] == [
        512 * 256 + 256, 9 * 256 * 256 + 256, 9 * 256 * 128 + 128, 0, 0, 128 * 64 + 64, 64 * 4 + 4, 65,
    ]  # fmt: skip


def test_table_6_10_agrees_with_the_thesis(tmp_path: Path) -> None:
    """SlowFast's chain of Figure 6.4; what the thesis does not round is rounded down here."""
    done: tuple[Reduction, ...] = ()
    for number, operator in enumerate("cstsf", 1):
        done += (Reduction(operator, FACTORS[operator]),)
        selected(tmp_path, "slow", number, Architecture("slowfast_4x16_r50", 400, reductions=done), 224)
    rows = draw(tmp_path, "table_6_10", ("slow",), 5)
    base = [row for row in rows if row["network"] == "base"]
    assert [row["stage"] for row in base if row["pathway"] != "Fast"] == [
        "raw clip", "data layer", "conv1", "pool1", "res2", "res3", "res4", "res5", "fc",
    ]  # fmt: skip
    quantities = ("kernels", "blocks", "channels", "frames", "side")
    for row in base:
        if row["stage"] != "fc":
            assert [row[name] for name in quantities] == [row[f"thesis_{name}"] for name in quantities]
            if row["thesis_strides"] != "–":
                assert row["strides"] == row["thesis_strides"]
    assert [row["strides"] for row in base if row["pathway"] == "Slow"] == [
        "16, 1²", "1, 2²", "1, 2²", "1, 1²", "1, 2²", "1, 2²", "1, 2²",
    ]  # fmt: skip
    (res4,) = (row for row in base if (row["stage"], row["pathway"]) == ("res4", "Fast"))
    assert res4["thesis_kernels"] == "[3×1², 32; 1×3², 32; 1×1², 128]"
    assert {row["differs"] for row in rows} == {"–"}
    narrow = next(row for row in rows if (row["network"], row["stage"]) == ("PAS-1", "res5"))
    assert (narrow["operators"], narrow["pathway"], narrow["channels"]) == ("c", "Slow", str(int(2048 / 1.4)))
    assert narrow["thesis_channels"] == "1463"
    assert narrow["kernels"] == "[3×1², 365; 1×3², 365; 1×1², 1462]"
    assert narrow["thesis_kernels"] == "[3×1², 365.7; 1×3², 365.7; 1×1², 1463]"
    last = [row for row in rows if row["network"] == "PAS-5" and row["stage"] == "data layer"]
    assert [(row["pathway"], row["frames"], row["side"], row["thesis_frames"]) for row in last] == [
        ("Slow", "1", "114", "1"),
        ("Fast", "8", "114", "8"),
    ]


def test_table_6_10_of_a_network_that_the_thesis_does_not_show(tmp_path: Path) -> None:
    selected(tmp_path, "small", 1, Architecture("r2plus1d_18", 2, 0.125, reductions=(Reduction("l", 2.0),)), 40)
    rows = draw(tmp_path, "table_6_10", ("small",))
    shown = [(row["network"], row["stage"], row["blocks"], row["channels"], row["side"]) for row in rows]
    assert shown[2:8] == [
        ("base", "conv1", "–", "8", "20"),
        ("base", "res2", "2", "8", "20"),
        ("base", "res3", "2", "16", "10"),
        ("base", "res4", "2", "32", "5"),
        ("base", "res5", "2", "64", "3"),
        ("base", "fc", "–", "2", "–"),
    ]
    assert ("PAS-1", "res2", "1", "8", "20") in shown
    layers = [(row["stage"], row["kernels"], row["strides"]) for row in rows if row["network"] == "PAS-1"]
    assert layers[1:4] == [
        ("data layer", "–", "1, 1²"),
        ("conv1", "[1×7², 5; 3×1², 8]", "1, 2²"),
        ("res2", "[1×3², 18; 3×1², 8; 1×3², 18; 3×1², 8]", "1, 1²"),
    ]
    assert layers[4] == ("res3", "[1×3², 28; 3×1², 16; 1×3², 28; 3×1², 16]", "2, 2²")
    assert {row["thesis_kernels"] for row in rows} == {"–"}
    assert {row["thesis_channels"] for row in rows} == {"–"}
    assert {row["differs"] for row in rows} == {
        "the thesis has no such table; width 0.125, thesis 1; crop 40, thesis 224"
    }


@pytest.mark.parametrize("backbone", ["r3d_18", "slowfast_8x8_r50"])
def test_shapes_of_every_family(backbone: str) -> None:
    found = shapes(Architecture(backbone, 5), 112)
    assert found["fc"] == [(None, 5, None, None)]
    assert len(found["res5"]) == len(found["data layer"]) == 1 + backbone.startswith("slowfast")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"iteration_1/selected\.json"):
        draw(tmp_path, "table_6_10", ("small",))
    with pytest.raises(ActaError, match="no table of architectures 'table_6_1'"):
        draw(tmp_path, "table_6_1")
    assert tuple(TABLES) == ("table_3_1", "table_4_1", "table_6_10")
