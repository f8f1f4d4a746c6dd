"""What people see of names that others chose: in terminals and logs, and in tables that a spreadsheet opens.

The rules: nothing printed can steer a terminal, no cell of a table can be a formula.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from pipeline.runtime.files import atomic

# Controls but tab and line end, and what ends lines or turns their direction.
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_HALVES = re.compile("[\ud800-\udfff]")  # of characters, or bytes of file names that are no UTF-8
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"[-+]?[0-9]+([.,][0-9]+)*([eE][-+]?[0-9]+)?( ?%)?")
_GUARDED = re.compile(r"'(?=\s*[=+\-@＝＋－＠]|[\t\r\n])")


def printable(text: str) -> str:
    """As `visible`; halves of characters, which most streams cannot write, are escapes too."""
    return _HALVES.sub(_escape, visible(text))


def visible(text: str) -> str:
    r"""Text in which characters that steer a terminal are escapes such as ``\x1b``; tabs and line ends stay."""
    return _STEERS.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def guard(stream: Any) -> None:
    """Have all that is written to a text stream go through `printable`; its ``write`` is replaced, once."""
    if stream is None or hasattr(stream, "unguarded"):
        return
    write = stream.unguarded = stream.write
    stream.write = lambda text: write(printable(text))


class Unguarded:
    """A stream as it was before `guard`, for a bar that moves the cursor."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.write = getattr(stream, "unguarded", stream.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def safe_cell(value: Any) -> Any:
    """A `visible` cell that no spreadsheet takes for a formula: an apostrophe stands before what would begin one."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return f"'{visible(value)}" if _FORMULA.match(value) else visible(value)


def original_cell(text: str) -> str:
    """The text that `safe_cell` took for the beginning of a formula, as it was."""
    return text[1:] if _GUARDED.match(text) else text


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], *, delimiter: str = ",") -> None:
    """Write a table for people, atomically; each cell goes through `safe_cell`.

    Names of files need not be UTF-8; they are the same bytes in the table.
    """
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([safe_cell(value) for value in row] for row in rows)
