"""``acta validate-submission``: what is said of an archive, and the status."""

import json

import pytest

from pipeline.cli import parse
from pipeline.spot.pack_submission import write_submission
from pipeline.spot.soccernet_files import PREDICTIONS
from tests.unit.spot.submissions import CAPITALS, ROW, A, game, write_archive, write_folder


def validate(*arguments: object) -> int:
    options = parse(["validate-submission", *map(str, arguments)])
    return options.run(options)


def test_what_is_said_of_an_archive(tmp_path, capsys):
    path, games = tmp_path / "s.zip", tmp_path / "games.json"
    write_submission(write_folder(tmp_path / "spots"), path)
    assert validate(path) == 0
    assert capsys.readouterr().out == f"{path}: 2 games, 4 predictions, version 2\n"
    games.write_text(json.dumps({"league": {"season": ["a", "bé", "c"]}}))
    assert validate(path, "--games", games) == 1
    assert capsys.readouterr().out == "league/season/c: missing\n"
    assert validate(path, "--version", 1) == 1
    assert capsys.readouterr().out.endswith("label 'Foul' is not one of card, subs, soccer and 3 more\n")
    write_archive(path, (f"{A}/{PREDICTIONS}", game(ROW, ROW | {"label": "goal"})))
    assert validate(path) == 0
    note = f"note: 1 prediction does not count: 'goal' is not a label of version 2: predictions[1] of {A}{CAPITALS}"
    assert capsys.readouterr().out == f"{note}\n{path}: 1 game, 2 predictions, of which 1 count, version 2\n"


def test_the_limit_can_be_raised(tmp_path, capsys):
    path = write_archive(tmp_path / "s.zip", (f"{A}/{PREDICTIONS}", game(ROW) + " " * (2 << 20)))
    assert validate(path, "--max-megabytes", 2) == 1
    assert (
        "has more than 2097152 bytes, the most that are read (--max-megabytes raises this)" in capsys.readouterr().out
    )
    assert validate(path, "--max-megabytes", 3) == 0
    for wrong in ("0", "1.5", "-1", "x", str((1 << 20) + 1)):
        with pytest.raises(SystemExit):
            validate(path, "--max-megabytes", wrong)
