"""The three forms of a table hold the same cells, whatever is in them."""

import csv
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.report.tables import MISSING, cell, read_rows, write_table
from pipeline.runtime.errors import ActaError

ROWS = [
    {"what": "a|b <i>&", "clip_s": 20, "thesis_mAP": 19.7, "mAP": 3.14159, "gain": "+0.25", "differs": "line\nline"},
    {"what": "_c_ *d*", "clip_s": 5, "thesis_mAP": None, "mAP": "0.05", "gain": "", "differs": "data: demo"},
]


class _Cells(HTMLParser):
    """Rows of the only table of a page, without its groups; the tags that were open at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "br":
            self.rows[-1][-1] += "\n"
        elif tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def _parsed(page: str) -> _Cells:
    parser = _Cells()
    parser.feed(page)
    assert parser.open == []
    return parser


def _of_markdown(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in lines]
    plain = [[html.unescape(re.sub(r"\\(.)", r"\1", text).replace("<br>", "\n")) for text in row] for row in cells]
    return [plain[0], *plain[2:]]


def test_all_three_forms_hold_the_same_cells(tmp_path: Path) -> None:
    table = tmp_path / "tables" / "table.csv"
    write_table(ROWS, table, title="T", reading="R", note="N", labels=["clip_s"])
    with table.open(newline="", encoding="utf-8") as file:
        written = list(csv.reader(file))
    assert written == [
        ["what", "clip_s", "thesis_mAP", "mAP", "gain", "differs"],
        ["a|b <i>&", "20", "19.7", "3.1", "+0.25", "line\nline"],
        ["_c_ *d*", "5", MISSING, "0.05", MISSING, "data: demo"],
    ]
    assert _of_markdown(table.with_suffix(".md").read_text()) == written
    shown = _parsed(table.with_suffix(".html").read_text()).rows
    assert shown[1] == [column.replace("_", " ") for column in written[0]]
    assert shown[2:] == written[1:]
    assert [list(row.values()) for row in read_rows(table)] == written[1:]


def test_page_stands_alone_and_sets_the_thesis_apart(tmp_path: Path) -> None:
    write_table(ROWS, tmp_path / "t.csv", title="T <1>", reading="First.\n\nSecond.", note="N & M", labels=["clip_s"])
    page = (tmp_path / "t.html").read_text()
    parser = _parsed(page)
    assert not {"script", "a", "img", "link", "iframe"} & set(parser.tags)
    assert "http" not in page
    assert "url(" not in page
    assert '<html lang="en">' in page
    assert "width=device-width" in page
    assert "<title>T &lt;1&gt;</title>" in page
    assert page.index("N &amp; M") < page.index("<table>") < page.index("First.") < page.index("Second.")
    assert parser.rows[0] == ["", "", "thesis", "measured here", ""]
    assert re.findall(r'colspan="(\d)"', page) == ["1", "1", "1", "2", "1"]
    assert re.findall(r'class="[^"]*thesis[^"]*">([^<]*)</t[hd]>', page) == ["thesis", "thesis mAP", "19.7", MISSING]


def test_table_without_the_thesis_has_no_groups(tmp_path: Path) -> None:
    write_table([{"video": "v", "frames": 3}], tmp_path / "t.csv", title="T")
    page = (tmp_path / "t.html").read_text()
    assert "measured here" not in page
    assert _parsed(page).rows == [["video", "frames"], ["v", "3"]]


def test_columns_are_those_of_the_fullest_row_with_differs_last(tmp_path: Path) -> None:
    write_table([{"a": 1, "differs": "x"}, {"a": 1, "b": 2, "differs": "y"}], tmp_path / "t.csv", title="T")
    assert list(read_rows(tmp_path / "t.csv")[0]) == ["a", "b", "differs"]
    write_table([{"a": 1}, {"b": 2}], tmp_path / "t.csv", title="T", columns=["b", "a"])
    assert read_rows(tmp_path / "t.csv") == [{"b": MISSING, "a": "1"}, {"b": "2", "a": MISSING}]


def test_labels_that_are_no_utf_8_are_written(tmp_path: Path) -> None:
    label = b"l\xff".decode(errors="surrogateescape")
    write_table([{"label": label}], tmp_path / "t.csv", title="T")
    assert (tmp_path / "t.csv").read_bytes() == b"label\nl\xff\n"
    assert read_rows(tmp_path / "t.csv") == [{"label": label}]
    assert "l\\udcff" in (tmp_path / "t.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rows", "name", "columns", "message"),
    [
        ([], "t.csv", None, "no rows"),
        ([{"a": 1}], "t.tsv", None, "must end in .csv"),
        ([{"a": 1, "b": 2}], "t.csv", ["a"], "no column for b"),
    ],
)
def test_refused(tmp_path: Path, rows: list, name: str, columns: list[str] | None, message: str) -> None:
    with pytest.raises(ActaError, match=message):
        write_table(rows, tmp_path / name, title="T", columns=columns)
    assert not list(tmp_path.iterdir())


def test_numbers_that_are_missing_are_told_from_zero() -> None:
    assert [cell(value) for value in (None, "", 0, 0.0, 1 / 3)] == [MISSING, MISSING, "0", "0.0", "0.3"]


def test_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"nothing\.csv"):
        read_rows(tmp_path / "nothing.csv")


def test_a_long_difference_is_a_footnote_where_people_read(tmp_path):
    """Else every row is as tall as its text; the CSV keeps it whole."""
    long, other = "not comparable: data own, thesis Kinetics-400", "weights: trained here; thesis: ImageNet"
    rows = [{"a": n, "differs": text} for n, text in enumerate((long, long, "short", other))]
    write_table(rows, tmp_path / "t.csv", title="t")
    assert [row["differs"] for row in read_rows(tmp_path / "t.csv")] == [long, long, "short", other]
    markdown, page = (tmp_path / "t.md").read_text(), (tmp_path / "t.html").read_text()
    assert [line.split(" | ")[-1] for line in markdown.splitlines() if line.startswith("| ")][2:] == [
        "a |",
        "a |",
        "short |",
        "b |",
    ]
    assert (markdown.count(long), markdown.count(other)) == (1, 1)
    assert (page.count(long), page.count(other)) == (1, 1)
