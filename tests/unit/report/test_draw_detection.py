"""The command that draws tables and figures of Ch. 3."""

from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.tasks import TASKS
from tests.unit.report.small_detection import FOUND, settings, write_files, write_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return write_files(tmp_path)


def run(name: str, *words: object) -> None:
    given = ["--name", name, "--settings", settings().model_dump_json()]
    options = TASKS["draw_detection"].parser().parse_args([*given, *map(str, words)])
    options.run(options)


def test_command(results: Path, files: dict[str, Path], tmp_path: Path) -> None:
    results_here = ("--results", results)
    run("table_3_7", *results_here, "-o", tmp_path / "out.csv")
    assert "1L STO" in (tmp_path / "out.csv").read_text()
    run("figure_3_4", *results_here, "--label-map", files["label_map"], "-o", tmp_path / "4.png")
    where = results / "evaluations/mine/stage/seed_0/detected/detections.csv"
    where.write_text(FOUND)
    given = [
        word
        for name in ("truth", "label_map", "frames", "features")
        for word in (f"--{name.replace('_', '-')}", files[name])
    ]
    run("figure_3_6", *results_here, *given, "-o", tmp_path / "private/6.png")
    assert (tmp_path / "4.png").exists()
    assert (tmp_path / "private/6.png").exists()


def test_command_says_what_it_lacks(results: Path, files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="figure_3_5 needs --label-map"):
        run("figure_3_5", "--results", results, "-o", tmp_path / "5.png")
    given = ("--results", results, "--label-map", files["label_map"], "--truth", files["truth"])
    with pytest.raises(ActaError, match="figure_3_5 needs --truth, --frames and --features"):
        run("figure_3_5", *given, "--frames", files["frames"], "-o", tmp_path / "5.png")
    with pytest.raises(ActaError, match="no table or figure 'table_9'"):
        run("table_9", "--results", results, "-o", tmp_path / "out")
