"""The command that draws tables and figures of Ch. 4."""

from pathlib import Path

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.tasks import TASKS
from tests.unit.report.small_spotting import settings, write_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


def run(name: str, *words: object) -> None:
    given = ["--name", name, "--settings", settings().model_dump_json()]
    options = TASKS["draw_spotting"].parser().parse_args([*given, *map(str, words)])
    options.run(options)


def test_command(results: Path) -> None:
    run("table_4_6", "--results", results, "-o", results / "out.csv")
    assert "ResNet-152 + Our" in (results / "out.csv").read_text()
    run("figure_4_6", "--results", results, "-o", results / "out.png")
    assert (results / "out.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ActaError, match="no table or figure 'table_9'"):
        run("table_9", "--results", results, "-o", results / "out")
