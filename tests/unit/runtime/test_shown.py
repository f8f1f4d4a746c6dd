"""What people see of names that others chose: nothing that steers a terminal, no cell that is a formula."""

import csv
import io
import sys
from types import SimpleNamespace

import pytest

from pipeline import cli
from pipeline.runtime.errors import ActaError
from pipeline.runtime.shown import Unguarded, guard, original_cell, printable, safe_cell, write_table
from tests import PROJECT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – näme 日本\t|\n", "plain – näme 日本\t|\n"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("fine.mp4\rhidden", "fine.mp4\\rhidden"),
        ("\x00\x08\x0b\x0c\x1f\x7f", "\\x00\\x08\\x0b\\x0c\\x1f\\x7f"),
        ("\x80\x9b31m\x9f\xa0", "\\x80\\x9b31m\\x9f\xa0"),
        ("exe\u202e4pm.\u2066\u200f\u061c", "exe\\u202e4pm.\\u2066\\u200f\\u061c"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("k\udce9 \ud800", "k\\udce9 \\ud800"),
        ("\u200d\u200c", "\u200d\u200c"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown


def test_guarded_streams():
    """The stream stays the same object, is guarded once, and a bar may still move the cursor."""
    stream = io.StringIO()
    guard(stream)
    guard(stream)
    print("a\x1bb", file=stream)
    Unguarded(stream).write("\r\x1b[A")
    assert stream.getvalue() == "a\\x1bb\n\r\x1b[A"
    bare = Unguarded(io.StringIO())
    bare.write("\x1b")
    assert bare.getvalue() == "\x1b"
    guard(None)


@pytest.mark.parametrize("stream", ["out", "err"])
def test_commands_print_no_escapes(monkeypatch, capsys, stream):
    """Whatever prints it: a message, an error, a traceback."""

    def run(options):
        print("\x1b[2Jname", file=getattr(sys, f"std{stream}"))
        raise ActaError("no \x9b31m such \x1b[1m file\n\rnext")

    options = SimpleNamespace(run=run, costs_log=None, debug=True, called=["plan"])
    monkeypatch.setattr(cli, "parse", lambda arguments: options)
    monkeypatch.setattr(cli, "_check_outputs", lambda options: None)
    assert cli.main([]) == 1
    printed = capsys.readouterr()
    assert "\\x1b[2Jname" in getattr(printed, stream)
    assert printed.err.endswith("error: no \\x9b31m such \\x1b[1m file\n  \\rnext\n")
    assert "Traceback" in printed.err
    assert not any(mark in printed.out + printed.err for mark in ("\x1b", "\x9b", "\r"))


FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "-x.mp4",
    "@SUM(A1)",
    " =1",
    "\u00a0=1",
    "\t=1",
    "\n1",
    "＝1+1",
    "－1+1",
    "-",
    "-1.2.mp4",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_cells_that_begin_a_formula(text):
    assert safe_cell(text) == f"'{text}"
    assert original_cell(f"'{text}") == text


PLAIN = ["", "a=1", "'q'", "'", "-0.5", "+3", "-1e-05", "-1,234.5", "-12.5 %", "-3%", "k\udce9", "–", "1-2"]


@pytest.mark.parametrize("value", [*PLAIN, -0.5, -3, None])
def test_cells_that_are_none(value):
    assert safe_cell(value) == value
    if isinstance(value, str):
        assert original_cell(value) == value


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_tables(tmp_path, delimiter):
    path = tmp_path / "table"
    names = (*FORMULAS, 'a"b', "k\udce9")
    write_table(path, ["name", "number"], [[name, -1.5] for name in names], delimiter=delimiter)
    content = path.read_bytes()
    assert content.startswith(f"name{delimiter}number\n'=1+1{delimiter}-1.5\n".encode())
    assert b"k\xe9" in content
    rows = list(csv.reader(io.StringIO(content.decode(errors="surrogateescape"), newline=""), delimiter=delimiter))[1:]
    assert [original_cell(name) for name, _ in rows] == list(names)
    assert all(name[0] == "'" for name, _ in rows[: len(FORMULAS)])
    assert {number for _, number in rows} == {"-1.5"}
    assert list(tmp_path.iterdir()) == [path]


def test_cells_hold_no_controls():
    assert safe_cell("a\x1b[2J\rb") == "a\\x1b[2J\\rb"
    assert safe_cell("=\x1b") == "'=\\x1b"
    assert safe_cell("\r=1") == "'\\r=1"


def test_no_other_place_writes_tables():
    """A table for people is written by `write_table`; what evaluators read is written as they want it."""
    root = PROJECT / "pipeline"
    writers = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if "csv.writer(" in path.read_text()}
    assert writers == {"runtime/shown.py", "detect/annotation/single_label.py"}
