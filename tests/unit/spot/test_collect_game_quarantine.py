"""Every game that was left out, by which task and why."""

import csv

from pipeline.spot.collect_game_quarantine import collect_game_quarantine
from tests.unit.spot.small_games import (
    NAMES,
    TORN,
    with_bad,
)


def test_every_game_that_was_left_out(data, tmp_path):
    collect_game_quarantine(with_bad(data, tmp_path, "Train 1"), data.shards, tmp_path / "quarantine.tsv")
    with (tmp_path / "quarantine.tsv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows == [
        ["game", "task", "reason"],
        [TORN, "extract_game_frames", "1_HQ.mkv: truncated"],
        [NAMES["Train 1"], "build_game", "Labels.json: missing, but the split train needs labels"],
    ]
