"""Stage `spot-quarantine`: every game that a stage left out, with the reason, in one table."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.shown import write_table
from pipeline.spot.games import read_game
from pipeline.spot.inputs import Inputs

COLUMNS = ("game", "stage", "reason")


def collect_left_out(manifests: Sequence[Path], inputs: Inputs, output: Path) -> None:
    """Write a table (TSV: game, stage, reason) of the games that the manifests and the shards left out."""
    entries = {entry for path in manifests for entry in read_game(path).quarantine} | set(inputs.quarantine)
    write_table(output, COLUMNS, sorted((each.id, each.stage, each.reason) for each in entries), delimiter="\t")
