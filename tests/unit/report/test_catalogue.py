"""The catalogue of the thesis's tables and figures: what it gives, and what it says of mistakes in its file."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest

from pipeline.report import catalogue
from pipeline.report.catalogue import entry, names, note, other_data, settings, values
from pipeline.report.draw_architecture import TABLES as ARCHITECTURES
from pipeline.report.shrinking import TABLES as SHRINKING
from pipeline.report.thesis import FIGURES, TABLES
from pipeline.report.thesis_detection import FIGURES as FIGURES_3
from pipeline.report.thesis_detection import TABLES as TABLES_3
from pipeline.report.thesis_spotting import FIGURES as FIGURES_4
from pipeline.report.thesis_spotting import TABLES as TABLES_4
from pipeline.runtime.errors import ActaError


def test_every_table_and_figure_has_an_entry_and_no_entry_is_left_over() -> None:
    written = {*TABLES, *FIGURES, *TABLES_3, *FIGURES_3, *TABLES_4, *FIGURES_4, *SHRINKING, *ARCHITECTURES}
    assert set(names()) == written | {"figure_5_3", "figure_5_4", "figure_6_3", "figure_6_4"}


@pytest.mark.parametrize("name", names())
def test_entries_are_told_in_whole_sentences(name: str) -> None:
    found = entry(name)
    assert "\n" not in found.title
    assert not found.title.endswith(".")
    assert len(found.reading.split(". ")) >= 2
    assert found.reading.endswith(".")
    if name.startswith(("table", "figure")):
        kind, *number = name.split("_")
        assert found.title.startswith(f"{kind.capitalize()} {'.'.join(number)}: ")


def test_whose_data() -> None:
    assert other_data("table_5_1", "kinetics400") == other_data("table_5_1", "Kinetics-400") == ""
    assert other_data("table_6_9", "ucf101_scratch") == other_data("table_3_1", "demo") == ""
    reason = other_data("table_5_1", "demo")
    assert reason == "not comparable: data demo, thesis Kinetics-400"
    assert note(reason).endswith("cannot be compared with those measured here: data demo, thesis Kinetics-400.")
    assert note("") == ""


def test_light_to_import() -> None:
    """The Snakefile imports them in every job."""
    modules = ("thesis", "thesis_detection", "thesis_shrinkage", "thesis_spotting", "catalogue")
    code = "import sys\n" + "".join(f"import pipeline.report.{name}\n" for name in modules)
    code += "print([name for name in ('numpy', 'torch', 'matplotlib', 'h5py', 'scipy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy to spoil."""
    path = tmp_path / "thesis.yaml"
    path.write_text(catalogue.FILE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(catalogue, "FILE", path)
    catalogue._content.cache_clear()
    catalogue.settings.cache_clear()
    yield path
    catalogue._content.cache_clear()
    catalogue.settings.cache_clear()


def spoil(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


REDUCED = dict[str, list[tuple[float, float, float]]]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[69.5, 88.7, 20.4]", "[69.5, '88,7', 20.4]", r"table_6_1.values.networks.r2plus1d_18.1.1 is '88,7'"),
        ("[69.5, 88.7, 20.4]", "[69.5, 88.7]", r"table_6_1.values.networks.r2plus1d_18.1.2 is .*required"),
        ("networks:  # top-1, top-5, GFLOPs", "network:  # top-1", r"table_6_1.values has no 'networks', only chains"),
        ("\ntable_6_1:", "\ntable_6_l:", r"has no entry 'table_6_1'"),
        ("\ntable_6_2:", "\ntable_6_1:", r"'table_6_1' stands twice"),
        ("table_6_1:\n  title:", "table_6_1:\n  heading:", r"table_6_1.title is .*required(.|\n)*table_6_1.heading"),
        ("table_6_1:", "table_6_1", "is not valid YAML"),
    ],
)
def test_mistakes_are_named(file: Path, before: str, after: str, said: str) -> None:
    spoil(file, before, after)
    with pytest.raises(ActaError, match=said) as caught:
        values("table_6_1", REDUCED, "networks")
    assert str(file) in str(caught.value)


def test_misspelt_keys_are_named(file: Path) -> None:
    kind = dict[Annotated[str, catalogue.one_of("r2plus1d_18", "slowfast_4x16_r50")], list[tuple[float, float]]]
    assert values("table_6_2", kind)
    spoil(file, "r2plus1d_18: [[67.9", "r2plus1d18: [[67.9")
    catalogue._content.cache_clear()
    with pytest.raises(ActaError, match=r"table_6_2.values.r2plus1d18.*did you mean r2plus1d_18"):
        values("table_6_2", kind)


def test_mistakes_in_the_settings_are_named(file: Path) -> None:
    spoil(file, "probability: 1/3", "probability: a third")
    with pytest.raises(ActaError, match=r"settings.spotting.probability is 'a third'"):
        settings()


def test_a_missing_file_is_named(file: Path) -> None:
    file.unlink()
    with pytest.raises(ActaError, match=r"cannot read .*thesis\.yaml"):
        entry("table_6_1")


def test_unknown_entries() -> None:
    with pytest.raises(ActaError, match="has no entry 'table_9_9'"):
        entry("table_9_9")
    with pytest.raises(ActaError, match="has no entry 'settings'"):
        entry("settings")
