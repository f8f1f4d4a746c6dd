"""Stage `spot-quarantine`: every game that a stage left out, with the reason, in one table."""

import csv
from collections.abc import Sequence
from pathlib import Path

from pipeline.files import atomic
from pipeline.spot.games import read_game
from pipeline.spot.inputs import Inputs

COLUMNS = ("game", "stage", "reason")


def collect_left_out(manifests: Sequence[Path], inputs: Inputs, output: Path) -> None:
    """Write a table (TSV: game, stage, reason) of the games that the manifests and the shards left out."""
    entries = {entry for path in manifests for entry in read_game(path).quarantine} | set(inputs.quarantine)
    with atomic(output) as temporary, temporary.open("w", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted((entry.id, entry.stage, entry.reason) for entry in entries))
