"""Task `draw_architecture`: the tables that show what networks are made of (Tables 3.1, 4.1 and 6.10)."""

from pathlib import Path

from pipeline.config.tasks.report import DrawArchitecture
from pipeline.report.architectures import write_architecture_table
from pipeline.runtime.files import Output


def draw_architecture(name: str, results: Path, output: Output, settings: DrawArchitecture) -> None:
    """Write a table of the layers of networks.

    Args:
        name: table_3_1, table_4_1 or table_6_10.
        results: ``results/<dataset>``, for table_6_10.
        output: Ends in ``.csv``; ``.md`` and ``.html`` come beside it.
        settings: The networks of Table 6.10.

    Raises:
        ActaError: there is no such table, or a model file cannot be read.
    """
    write_architecture_table(name, settings, results, output)
