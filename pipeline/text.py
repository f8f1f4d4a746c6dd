"""The one reader of text files: what editors and spreadsheets write is read, anything else is refused by its line."""

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ActaError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: Path | str, what: str = "the file") -> str:
    r"""A file of UTF-8, or of UTF-16 that begins with its byte order mark, with lines that end in ``\n``.

    Args:
        path: The file.
        what: What it is to the user, for the message; such as ``the list``.

    Raises:
        ActaError: it cannot be read, or is in another encoding: the line that shows it.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ActaError(f"cannot read {what} {path}: {error.strerror}") from None
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = content[error.start : error.start + 1].hex()
        raise ActaError(
            f"{path}, line {line}: byte 0x{found} is not {encoding.removesuffix('-sig').upper()}; "
            "save the file as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ActaError(f"{path}, line {line}: it has a zero byte, as no text has; save the file as UTF-8")
    return io.StringIO(text, newline=None).read()


def read_lines(path: Path | str, what: str = "the file") -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, stripped, each with its number; errors as `read_text`."""
    lines = read_text(path, what).split("\n")
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def read_rows(path: Path | str, what: str = "the file", delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, each with the number of its last line.

    Raises:
        ActaError: as `read_text`, or a row is no CSV.
    """
    reader = csv.reader(io.StringIO(read_text(path, what), newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise ActaError(f"{path}, line {reader.line_num}: {error}") from None


def read_json(path: Path | str, what: str = "the file") -> Any:
    """The content of a JSON file.

    Raises:
        ActaError: as `read_text`, or it is no JSON: the line, or it is nested too deeply.
    """
    try:
        return json.loads(read_text(path, what))
    except json.JSONDecodeError as error:
        raise ActaError(f"{path}, line {error.lineno}: {error.msg}; it is no JSON") from None
    except (RecursionError, ValueError) as error:
        raise ActaError(f"{path} is no JSON that can be read: {error}") from None
