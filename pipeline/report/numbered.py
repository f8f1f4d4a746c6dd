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
) -> None:
    """Write one table (`pipeline.report.tables.write_table`) under its title, with how to read it.

    Args:
        name: As the catalogue has it.
        rows, output, columns, labels: As `write_table` has them.
        other_data: Why the thesis's numbers cannot be compared with those measured here; empty: they can.

    Raises:
        ActaError: there is no such table, or as `write_table` says.
    """
    about = entry(name)
    write_table(
        rows,
        output,
        title=about.title,
        reading=about.reading,
        note=note(other_data),
        columns=columns,
        labels=labels,
    )
