"""Protocol buffers' text format as far as label maps use it: entries whose fields are words and texts."""

import re
from collections.abc import Container, Iterator
from pathlib import Path

from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_text

_WORD = re.compile(r"""[\s,;]+|#[^\n]*|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[\w.+-]+|[{}<>\[\]:])""")
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)")
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def read_entries(path: Path, kinds: Container[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The entries of a file, ``kind { field: value … }``, without what is nested in a field.

    Yields:
        The line where an entry begins, from 1, and its fields. Texts are unquoted.

    Raises:
        ActaError: the file has another form, holds something other than entries of these kinds, or an entry has a field
            twice.
    """
    words = _words(path)
    for line, kind in words:
        opening = next(words, (line, ""))[1]
        if opening == ":":
            opening = next(words, (line, ""))[1]
        if kind not in kinds or opening not in ("{", "<"):
            raise ActaError(f"{path}:{line}: {kind!r:.80} begins no entry such as item {{ name: … id: … }}")
        yield line, _fields(path, words, line)


def _fields(path: Path, words: Iterator[tuple[int, str]], begin: int) -> dict[str, str]:
    """The fields of an entry whose bracket has been opened on the line ``begin``."""
    entry: dict[str, list[str]] = {}
    field = before = ""  # the field whose value comes next; the field whose text the next text continues
    depth = 1
    for line, word in words:
        is_text = word[0] in "\"'"
        if word in ("{", "<", "["):
            depth, field, before = depth + 1, "", ""
        elif word in ("}", ">", "]"):
            depth -= 1
            if not depth:
                return {name: "".join(parts) for name, parts in entry.items()}
        elif depth > 1 or word == ":":
            continue
        elif is_text and before:
            entry[before].append(_unquoted(word, f"{path}:{line}"))
        elif not field:
            field, before = word, ""
        elif field in entry:
            raise ActaError(f"{path}:{line}: {field!r:.80} is in its entry twice")
        else:
            entry[field] = [_unquoted(word, f"{path}:{line}") if is_text else word]
            field, before = "", field if is_text else ""
    raise ActaError(f"{path}:{begin}: the entry that begins here does not end")


def quoted(text: str) -> str:
    """A text in quotation marks, escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _unquoted(word: str, place: str) -> str:
    try:
        return _ESCAPE.sub(_meant, word[1:-1].encode()).decode()
    except (ValueError, OverflowError):
        raise ActaError(f"{place}: {word:.80} has an escape that is not a character") from None


def _meant(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if len(code) > 1 and code[:1] in b"xuU":
        number = int(code[1:], 16)
        return bytes([number]) if code[:1] == b"x" else chr(number).encode()
    return bytes([int(code, 8)]) if code.isdigit() else _LETTERS.get(code, code)


def _words(path: Path) -> Iterator[tuple[int, str]]:
    """Words, quoted texts and brackets with their lines, without spaces, separators and comments."""
    text = read_text(path, "the label map")
    place, line = 0, 1
    while place < len(text):
        match = _WORD.match(text, place)
        if not match:
            what = "a quotation mark is not closed" if text[place] in "\"'" else f"{text[place]!r} is not expected"
            raise ActaError(f"{path}:{line}: {what}; it is not a label map")
        if match[1]:
            yield line, match[1]
        line += text.count("\n", place, match.end())
        place = match.end()
