"""Tables as people and programs read them: CSV, Markdown and a page of HTML side by side."""

import csv
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.runtime import shown
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic

MISSING = "–"
TOTAL = "total"  # in the first column of a last row with the sums
Row = dict[str, Any]

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #c4cbd3; --head: #eef1f4; --tint: #fdf3d8;
  --quiet: #4a535d; --note: #8a4b00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --paper: #14181c; --line: #434c56; --head: #222930;
  --tint: #3a3216; --quiet: #aab4be; --note: #ffc66b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 110rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .5rem; font-size: 1.3rem; line-height: 1.3; }
p { max-width: 46rem; }
.note { padding-left: .7rem; border-left: .25rem solid var(--note); }
.reading { color: var(--quiet); }
.wide { width: fit-content; max-width: 100%; overflow-x: auto; border: 1px solid var(--line); }
.wide:focus-visible { outline: 3px solid var(--note); }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th, thead td { background: var(--head); vertical-align: bottom; }
th[scope=row] { font-weight: normal; }
tr > .first { position: sticky; left: 0; z-index: 1; min-width: min(9rem, 34vw); max-width: 42vw;
  overflow-wrap: break-word; background: var(--paper); border-right: 1px solid var(--line); }
thead tr > .first { background: var(--head); }
.number { text-align: right; white-space: nowrap; }
.long { min-width: 16rem; }
tr > .thesis { background: var(--tint); font-style: italic; }
.group { text-align: center; }
.group:not(.first), .begins { border-left: 1px solid var(--line); }
.first + .group, .first + .begins { border-left: 0; }
"""
_NUMBER = re.compile(r"[-+−]?\d[\d.,]*(e[-+]?\d+)?[%M]?", re.IGNORECASE)
_LONG = 28  # characters from which on a cell's text breaks into lines


def write_table(
    rows: Sequence[Mapping[str, Any]],
    output: Path,
    *,
    title: str,
    reading: str = "",
    note: str = "",
    columns: Sequence[str] | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write a table as ``output`` (CSV) and, next to it, as ``.md`` (GitHub Markdown) and ``.html`` (one page).

    All three hold the same cells: floats are written with one decimal (for other formats give text), and a missing
    value as ``–``. In Markdown and HTML a long text in the column ``differs`` is replaced by a letter and stands below
    the table. On the page, columns that begin with ``thesis`` are set apart from measured ones.

    Args:
        rows: Cells by column. A row may lack columns.
        output: Ends in ``.csv``.
        title: One line.
        reading: How to read the table; blank lines separate paragraphs.
        note: What must not be overlooked, above the table.
        columns: Their order; by default that of the fullest rows, with ``differs`` last.
        labels: Columns of numbers that say what a row is rather than what was measured.

    Raises:
        ActaError: there are no rows, a row has a column that ``columns`` lacks, or ``output`` is no ``.csv``.
    """
    if output.suffix != ".csv":
        raise ActaError(f"{output} cannot be a table: its name must end in .csv (.md and .html are written next to it)")
    if not rows:
        raise ActaError(f"{output} would have no rows: nothing was measured of {title!r}")
    columns = list(columns or _columns(rows))
    unknown = sorted({column for row in rows for column in row} - set(columns))
    if unknown:
        raise ActaError(f"{output} has no column for {', '.join(unknown)}; it has {', '.join(columns)}")
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    short, footnotes = _footnoted(columns, cells)
    rules = ["---:" if _numeric(short, place) else "---" for place in range(len(columns))]
    lines = [_line([_plain(column) for column in columns]), _line(rules)]
    lines += [_line([_plain(text) for text in row]) for row in short]
    blocks = [f"# {_plain(title)}", *(f"> {_plain(text)}" for text in _paragraphs(note)), "\n".join(lines)]
    blocks += [f"**{letter}** {_plain(text)}" for letter, text in footnotes.items()]
    blocks += [_plain(text) for text in _paragraphs(reading)]
    write_text(output.with_suffix(".md"), "\n\n".join(blocks) + "\n")
    parts = [f"<h1>{escape(title)}</h1>\n"]
    parts += [f'<p class="note">{escape(text)}</p>\n' for text in _paragraphs(note)]
    parts.append(html_table(title, columns, short, labels))
    parts += [f'<p class="reading"><b>{letter}</b> {escape(text)}</p>\n' for letter, text in footnotes.items()]
    parts += [f'<p class="reading">{escape(text)}</p>\n' for text in _paragraphs(reading)]
    write_text(output.with_suffix(".html"), page(title, "".join(parts)))
    shown.write_table(output, columns, cells)


def write_text(path: Path, text: str) -> None:
    """Write Markdown or HTML as UTF-8; what cannot be encoded is written as an escape."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_rows(table: Path) -> list[dict[str, str]]:
    """The rows of a table's CSV, as text.

    Raises:
        ActaError: it cannot be read.
    """
    try:
        with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return [{column: shown.original_cell(text) for column, text in row.items()} for row in csv.DictReader(file)]
    except (OSError, csv.Error) as error:
        raise ActaError(f"cannot read the table {table}: {error}") from None


def cell(value: Any) -> str:
    """The text of a cell."""
    if value is None or value == "":
        return MISSING
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def page(title: str, body: str) -> str:
    """A page that stands alone: no scripts, no links, its style inside. ``title`` is text, ``body`` HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def escape(text: str) -> str:
    """Text as HTML; line ends stay visible."""
    return html.escape(text).replace("\n", "<br>")


def html_table(name: str, columns: Sequence[str], cells: Sequence[Sequence[str]], labels: Sequence[str] = ()) -> str:
    """A table as HTML for `page`, in a box that scrolls sideways; assistive software calls it by ``name``."""
    numbers = [_numeric(cells, place) for place in range(len(columns))]
    groups = [_group(place, columns, numbers, labels) for place in range(len(columns))]
    begins = [place > 0 and groups[place] != groups[place - 1] for place in range(len(columns))]

    def attributes(place: int, text: str = "") -> str:
        classes = ["first"] if place == 0 else []
        classes += ["number"] if numbers[place] else ["long"] if len(text) > _LONG and place else []
        classes += ["thesis"] if groups[place] == "thesis" else []
        classes += ["begins"] if begins[place] else []
        return f' class="{" ".join(classes)}"' if classes else ""

    parts = [f'<div class="wide" role="region" tabindex="0" aria-label="{html.escape(name)}">\n<table>\n<thead>\n']
    if "thesis" in groups:
        parts.append(f"<tr>{_group_cells(groups)}</tr>\n")
    named = enumerate(escape(column.replace("_", " ")) for column in columns)
    heads = (f'<th scope="col"{attributes(place)}>{text}</th>' for place, text in named)
    parts.append(f"<tr>{''.join(heads)}</tr>\n</thead>\n<tbody>\n")
    for row in cells:
        first, *others = (f"{attributes(place, text)}>{escape(text)}" for place, text in enumerate(row))
        parts.append(f'<tr><th scope="row"{first}</th>{"".join(f"<td{other}</td>" for other in others)}</tr>\n')
    return "".join([*parts, "</tbody>\n</table>\n</div>\n"])


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    fullest_first = sorted(rows, key=len, reverse=True)
    columns = list(dict.fromkeys(column for row in fullest_first for column in row))
    return sorted(columns, key=lambda column: column == "differs")


def _numeric(cells: Sequence[Sequence[str]], place: int) -> bool:
    """Whether a column holds numbers only, and at least one."""
    cells_of = [row[place] for row in cells if row[place] != MISSING]
    return bool(cells_of) and all(_NUMBER.fullmatch(text) for text in cells_of)


def _group(place: int, columns: Sequence[str], numbers: Sequence[bool], labels: Sequence[str]) -> str:
    column = columns[place]
    if column.startswith("thesis"):
        return "thesis"
    own = numbers[place] or f"thesis_{column}" in columns
    return "measured here" if own and column not in labels else ""


def _group_cells(groups: Sequence[str]) -> str:
    parts, place = [], 0
    while place < len(groups):
        # The first column is a cell of its own, as it does not scroll.
        span = next((n for n, other in enumerate(groups[place:]) if other != groups[place]), len(groups) - place)
        span = span if place else 1
        kind = " first" if place == 0 else ""
        kind += " thesis" if groups[place] == "thesis" else ""
        tag = f'th scope="colgroup" colspan="{span}"' if groups[place] else f'td colspan="{span}"'
        parts.append(f'<{tag} class="group{kind}">{groups[place]}</{tag[:2]}>')
        place += span
    return "".join(parts)


def _footnoted(
    columns: Sequence[str], cells: Sequence[Sequence[str]]
) -> tuple[Sequence[Sequence[str]], dict[str, str]]:
    """The cells with a letter for each long text of ``differs``, which would make rows tall, and these texts."""
    if "differs" not in columns:
        return cells, {}
    place = columns.index("differs")
    long = dict.fromkeys(row[place] for row in cells if len(row[place]) > _LONG)
    letters = {text: _letter(number) for number, text in enumerate(long)}
    short = [[*row[:place], letters.get(row[place], row[place]), *row[place + 1 :]] for row in cells]
    return short, {letter: text for text, letter in letters.items()}


def _letter(number: int) -> str:
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that GitHub's Markdown shows as it is, in a cell too."""
    text = re.sub(r"[\\`*\[\]~|]|(?<!\w)_|_(?!\w)", lambda match: f"\\{match[0]}", shown.visible(text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
