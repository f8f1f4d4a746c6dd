"""A table of the thesis, by its number."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.report.catalogue import entry, note
from pipeline.report.tables import write_table


def write_numbered_table(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    output: Path,
    *,
    other_data: str = "",
    columns: Sequence[str] | None = None,
    labels: Sequence[str] = (),
    departures: str = "",
) -> None:
    """Write a table (`pipeline.report.tables.write_table`) with its title and reading from the catalogue.

    ``other_data``: why the thesis's numbers cannot be compared with those measured here; empty: they can.
    ``departures``: what the configuration declares; it follows the reading.
    """
    about, above = entry(name), note(other_data)
    reading = " ".join(filter(None, (about.reading, departures)))
    write_table(rows, output, title=about.title, reading=reading, note=above, columns=columns, labels=labels)
