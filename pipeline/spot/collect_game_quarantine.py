"""Task `collect_game_quarantine`: a table of all games that tasks left out, with the reasons."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.runtime.files import Output
from pipeline.runtime.shown import write_table
from pipeline.spot.games import read_game
from pipeline.spot.sources import Inputs

COLUMNS = ("game", "task", "reason")


def collect_game_quarantine(manifests: Sequence[Path], inputs: Inputs, output: Output) -> None:
    """Write a table (TSV: game, task, reason) of the games that the manifests and the shards left out.

    Args:
        manifests: Of the games.
        inputs: Where their frames or features are.
        output: The table to write.
    """
    entries = {entry for path in manifests for entry in read_game(path).quarantine} | set(inputs.quarantine)
    write_table(output, COLUMNS, sorted((entry.id, entry.task, entry.reason) for entry in entries), delimiter="\t")
