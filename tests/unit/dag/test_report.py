"""Where tables and figures lie, and what the page says of them."""

import pytest

from pipeline.dag import report
from pipeline.dag.run import Run
from pipeline.report import catalogue
from tests.unit.dag.changed import changed, wild

SHRUNK = "results/demo/figures/shrink_r2plus1d_deep.png"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table_3_2", "3 Action detection"),
        ("figure_4_5", "4 Soccer event spotting"),
        ("table_5_1", "5 Privacy and action recognition"),
        ("table_6_10", "6 Progressive shrinkage"),
        ("shrink_costs", "6 Progressive shrinkage"),
        ("overview", "1 This run"),
        ("certificate", "5 Privacy and action recognition"),
        ("highlights", "4 Soccer event spotting"),
    ],
)
def test_category_is_the_chapter(name: str, expected: str) -> None:
    assert report.category(name) == expected


def test_the_menu_has_a_number_and_what_it_is() -> None:
    title = catalogue.entry("table_5_1").title
    found = report.labels("table_5_1", wild(name="table_5_1"))
    assert f"{found['item']}: {found['what']}" == title
    assert found["item"] == "Table 5.1"


@pytest.mark.parametrize(
    ("name", "wildcards", "what"),
    [
        ("certificate", {"what": "faces"}, "faces"),
        ("highlights", {"game": "some-game"}, "some-game"),
        ("overview", {}, ""),
    ],
)
def test_the_menu_says_of_whom_other_items_are(name: str, wildcards: dict[str, str], what: str) -> None:
    assert report.labels(name, wild(**wildcards)) == {"item": report.OTHERS[name][1], "what": what}


def test_how_to_read() -> None:
    assert report.reading("table_5_1") == catalogue.entry("table_5_1").reading
    assert report.reading("costs").startswith("Wall time is the sum over jobs")
    assert report.reading("certificate") == ""  # its caption is a file


def test_no_name_is_of_the_page_and_of_the_thesis() -> None:
    assert set(report.OTHERS) & set(catalogue.names()) == set()


@pytest.mark.parametrize(
    ("chapter", "expected"),
    [
        (3, [f"table_3_{number}" for number in range(2, 11)]),
        (4, [f"table_4_{number}" for number in range(2, 7)]),
        (5, [f"table_5_{number}" for number in range(1, 4)]),
        (6, [*(f"table_6_{number}" for number in range(1, 10)), "shrink_costs", "shrink_beyond"]),
    ],
)
def test_tables_of_a_chapter_but_for_architectures(chapter: int, expected: list[str]) -> None:
    assert sorted(report.tables(chapter).split("|")) == sorted(expected)


@pytest.mark.parametrize("name", catalogue.names())
def test_every_table_and_figure_has_a_category_labels_and_files(run: Run, name: str) -> None:
    assert report.category(name) in report.CHAPTERS.values()
    assert all(report.labels(name, wild()).values())
    assert all(path.startswith("results/demo/") for path in report.files_of(run, name))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table_5_1", [f"results/demo/tables/table_5_1.{kind}" for kind in ("md", "csv", "html")]),
        ("shrink_costs", [f"results/demo/tables/shrink_costs.{kind}" for kind in ("md", "csv", "html")]),
        ("figure_4_5", ["results/demo/figures/figure_4_5.png"]),
        ("figure_3_5", ["results/demo/private/figure_3_5.png"]),  # shows original frames
        ("figure_5_4", ["results/demo/private/figure_5_4.png"]),
        ("figure_5_3", ["results/demo/statistics/figure_5_3.png"]),
        ("figure_6_3", [SHRUNK]),
    ],
)
def test_files_of_a_table_or_figure(run: Run, name: str, expected: list[str]) -> None:
    assert report.files_of(run, name) == expected


def test_the_demo_makes_everything(run: Run) -> None:
    assert report.targets(run) == ["all", "classify", "shrink", "detect", "spot"]


def test_only_ones_own_data_are_made_in_a_run_on_them(run: Run) -> None:
    own = {"data__adapter": "folder", "data__root": "videos"}
    assert report.targets(changed(run, **own)) == ["all", "classify", "shrink"]
    assert report.targets(changed(run, **own, detect__data__adapter="ava")) == ["all", "classify", "shrink", "detect"]
    assert report.targets(changed(run, **own, spot__data__adapter="soccernet")) == ["all", "classify", "shrink", "spot"]


def test_targets_are_those_that_are_asked_for(run: Run) -> None:
    assert report.targets(changed(run, report__targets=["spot", "all"])) == ["spot", "all"]
