"""Reads text files: what editors and spreadsheets write is read, anything else is refused by its line."""

import codecs
import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import make_again, unsealed

_MARK = "\ufeff"  # the byte order mark, once decoded
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: Path | str, what: str = "the file") -> str:
    r"""A file of UTF-8, or of UTF-16 that begins with its byte order mark, with lines that end in ``\n``.

    Messages call the file ``what``, such as ``the list``.

    Raises:
        ActaError: it cannot be read, or as `decode`.
    """
    return decode(read_bytes(path, what), str(path))


def read_bytes(path: Path | str, what: str = "the file") -> bytes:
    """The bytes of a file; arguments as of `read_text`.

    Raises:
        ActaError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ActaError(f"cannot read {what} {path}: {error.strerror or error}") from None
    except ValueError as error:  # a zero byte in the path
        raise ActaError(f"cannot read {what} {str(path)!r}: {error}") from None


def decode(content: bytes, where: str) -> str:
    """The text of a file's bytes, as `read_text`; ``where`` names the file in errors.

    Raises:
        ActaError: it is in another encoding, has a zero byte, or a byte order mark that is not at its beginning: the
            line that shows it.
    """
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        # The position is in the codec's own view of the bytes, which need not have the mark.
        before = _plain_lines(error.object[: error.start].decode(error.encoding, "ignore"))
        line, byte = before.count("\n") + 1, error.object[error.start]
        wanted = encoding.removesuffix("-sig").upper()
        raise ActaError(f"{where}, line {line}: byte 0x{byte:02x} is not {wanted}; save the file as UTF-8") from None
    text = _plain_lines(text)
    for character, problem in (
        ("\0", "it has a zero byte, as no text has; save the file as UTF-8"),
        (_MARK, "it has a byte order mark that is not at the file's beginning, as where files were joined; remove it"),
    ):
        if character in text:
            line = text.count("\n", 0, text.index(character)) + 1
            raise ActaError(f"{where}, line {line}: {problem}")
    return text


def read_lines(path: Path | str, what: str = "the file") -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, stripped, each with its number; errors as `read_text`."""
    lines = read_text(path, what).split("\n")
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def read_rows(path: Path | str, what: str = "the file", delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, each with the number of its last line.

    Raises:
        ActaError: as `read_text`, or a row is no CSV: the line at which it begins.
    """
    reader = csv.reader(io.StringIO(read_text(path, what), newline=""), delimiter=delimiter, strict=True)
    begin = 1
    try:
        for row in reader:
            if "".join(row).strip():
                yield reader.line_num, row
            begin = reader.line_num + 1
    except csv.Error as error:
        quotes = "; a quotation mark is not closed" if "end of data" in str(error) else ""
        raise ActaError(f"{path}, line {begin}: {error}{quotes}") from None


def read_json(path: Path | str, what: str = "the file") -> Any:
    """The content of a JSON file.

    Raises:
        ActaError: as `read_text`, `parse_json` or `pipeline.runtime.seals.unsealed`.
    """
    return unsealed(parse_json(read_text(path, what), str(path)), path)


def read_made(path: Path | str, what: str = "the result") -> dict[str, Any]:
    """The content of a JSON file that a task has written (`pipeline.runtime.files.write_json`).

    Raises:
        ActaError: it cannot be read; or it is damaged, and how to make it again.
    """
    text = read_text(path, what)
    try:
        content = parse_json(text, str(path), strict=False)
    except ActaError as error:
        raise ActaError(f"{error}; {make_again(path)}") from None
    if not isinstance(content, dict):
        raise ActaError(f"{path} holds no JSON object; {make_again(path)}")
    return cast("dict[str, Any]", unsealed(content, path))


def parse_json(text: str, where: str, *, strict: bool = True) -> Any:
    """The content of a JSON text; ``where`` names the file in errors.

    If not ``strict``, it is read as by Python itself: numbers may be infinite or NaN, and where an object has a key
    twice, the last value counts.

    Raises:
        ActaError: it is no JSON: the line; a key is in an object twice; a number is not finite or has thousands of
            digits; or it is nested too deeply.
    """
    try:
        if not strict:
            return json.loads(text)
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ActaError(f"{where}, line {error.lineno}: {error.msg}; it is no JSON") from None
    except (RecursionError, ValueError) as error:
        raise ActaError(f"{where} is no JSON that can be read: {error}") from None


def _plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r} stands twice in an object")
    return mapping


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.40} is too large")
    return number
