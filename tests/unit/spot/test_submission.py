"""The archive for the evaluation server, and ``acta validate-submission``."""

import argparse
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

import pipeline.spot.soccernet_files as files
import pipeline.spot.submission as submission
from pipeline.errors import ActaError
from pipeline.evaluate_spotting_command import add_evaluate_spotting
from pipeline.spot.events import Spot
from pipeline.spot.soccernet_files import PREDICTIONS, write_predictions
from pipeline.spot.submission import check_submission, describe_submission, write_submission

A, B = "league/season/a", "league/season/bé"
PLACE = "<league>/<season>/<game>/results_spotting.json"
ROW = {"gameTime": "1 - 00:10", "label": "Goal", "position": "10000", "half": "1", "confidence": "0.5"}


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "spots"
    write_predictions(folder, A, [Spot(1, 10.5, "Goal", 0.5), Spot(1, 10.5, "Foul", 0.5), Spot(2, 10.5, "Goal", 0.0)])
    write_predictions(folder, B, [Spot(1, 7199.9999 - 0.001, "Goal", 1.0)])
    return folder


@pytest.fixture
def archive(tmp_path):
    """Write an archive of files by name."""

    def write(*members: tuple[str, str | bytes]) -> Path:
        path = tmp_path / "submission.zip"
        with zipfile.ZipFile(path, "w") as opened:
            for name, content in members:
                opened.writestr(name, content)
        return path

    return write


def game(*rows: Any, url: str = A) -> str:
    return json.dumps({"UrlLocal": url, "predictions": rows})


# ---- writing


def test_what_is_written_is_accepted(folder, tmp_path):
    (folder / "league/season/a/other.json").write_text("{}")
    (folder / PREDICTIONS).write_text("{}")
    output = tmp_path / "out" / "submission.zip"
    assert write_submission(folder, output) == [A, B]
    assert check_submission(output, [B, A], 2) == []
    assert check_submission(output, None, 2) == []
    assert describe_submission(output, 2) == f"{output}: 2 games, 4 predictions, version 2"
    with zipfile.ZipFile(output) as opened:
        assert opened.namelist() == [f"{A}/{PREDICTIONS}", f"{B}/{PREDICTIONS}"]
        assert {member.compress_type for member in opened.infolist()} == {zipfile.ZIP_DEFLATED}
        assert opened.read(f"{A}/{PREDICTIONS}") == (folder / A / PREDICTIONS).read_bytes()
    assert list(output.parent.iterdir()) == [output]


def test_the_same_files_give_the_same_bytes(folder, tmp_path):
    write_submission(folder, tmp_path / "one.zip")
    os.utime(folder / A / PREDICTIONS, (1, 1))
    (folder / A / PREDICTIONS).chmod(0o600)
    write_submission(folder, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_nothing_to_write(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ActaError, match=f"holds no {PLACE}"):
        write_submission(tmp_path / "empty", tmp_path / "x.zip")
    with pytest.raises(ActaError, match="none is no folder"):
        write_submission(tmp_path / "none", tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


# ---- checking: the archive


def test_no_archive(tmp_path):
    path = tmp_path / "text.zip"
    path.write_text("no zip")
    assert check_submission(path, None, 2) == [f"{path} is not a zip archive: File is not a zip file"]
    with pytest.raises(ActaError, match=r"there is no file .*none.zip"):
        check_submission(tmp_path / "none.zip", None, 2)


def test_games_of_the_split(folder, tmp_path):
    output = tmp_path / "submission.zip"
    write_submission(folder, output)
    assert check_submission(output, [A, "league/season/c", "league/season/0"], 2) == [
        "league/season/0: missing",
        "league/season/c: missing",
        f"{B}: not a game of the split",
    ]


def test_an_archive_without_games(archive):
    assert check_submission(archive(), None, 2) == [f"there is no {PLACE}"]


def test_within_a_folder(archive):
    path = archive((f"spots/{A}/{PREDICTIONS}", game()))
    assert check_submission(path, [A], 2) == [
        f"spots/{A}/{PREDICTIONS} is within a folder 'spots'; files must be at {PLACE}",
        f"{A}: missing",
    ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (f"a/b/{PREDICTIONS}", f"is not at {PLACE}"),
        (f"{A}/results.json", f"is not at {PLACE}"),
        (f"__MACOSX/{A}/._{PREDICTIONS}", f"is not at {PLACE}"),
        (f"/b/c/{PREDICTIONS}", "is no safe name"),
        (f"a/../c/{PREDICTIONS}", "is no safe name"),
        (f"a\\b\\c\\{PREDICTIONS}", "is no safe name"),
        (f"a/b/c\n/{PREDICTIONS}", "is no safe name"),
    ],
)
def test_files_elsewhere(archive, name, problem):
    found = check_submission(archive((f"{A}/{PREDICTIONS}", game()), (name, game())), [A], 2)
    assert len(found) == 1
    assert problem in found[0]


def test_folders_in_the_archive_do_no_harm(archive):
    assert check_submission(archive(("league/", ""), (f"{A}/", ""), (f"{A}/{PREDICTIONS}", game())), [A], 2) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_that_are_there_twice(archive):
    path = archive((f"{A}/{PREDICTIONS}", game()), (f"{A}/{PREDICTIONS}", game()))
    assert check_submission(path, [A], 2) == [f"{A}/{PREDICTIONS} is there 2 times"]


def test_damage(archive):
    path = archive((f"{A}/{PREDICTIONS}", game(ROW)))
    path.write_bytes(path.read_bytes().replace(b"Goal", b"Foul"))
    (problem,) = check_submission(path, [A], 2)
    assert f"cannot read {A}/{PREDICTIONS}: Bad CRC-32" in problem


def test_sizes(archive, monkeypatch):
    path = archive((f"{A}/{PREDICTIONS}", game(ROW)))
    monkeypatch.setattr(files, "LARGEST", 10)
    (problem,) = check_submission(path, [A], 2)
    assert "at most 10 are read" in problem
    monkeypatch.setattr(submission, "_LARGEST", 20)
    (problem,) = check_submission(path, [A], 2)
    assert "more than 20; nothing was read" in problem


# ---- checking: a game


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (b"\xff", [f"{A} is not JSON: "]),
        ("[]", [f"{A} holds no JSON object"]),
        (json.dumps({"UrlLocal": A}), [f"{A} has no list `predictions`"]),
        (json.dumps({"predictions": []}), [f"{A} has no `UrlLocal`"]),
        (game(url=B), [f"{A}: UrlLocal is {B!r}"]),
        (game(url=f"{A}/"), []),
        (game("Goal"), [f"{A}: predictions[0]: 'Goal' is no object"]),
    ],
)
def test_files_of_a_game(archive, content, problems):
    found = check_submission(archive((f"{A}/{PREDICTIONS}", content)), [A], 2)
    assert len(found) == len(problems)
    assert all(line.startswith(problem) for line, problem in zip(found, problems, strict=True))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"label": "goal"}, "'goal' is no label of version 2"),
        ({"label": None}, "label None is no text"),
        ({"half": "3", "gameTime": "3 - 00:10"}, "half '3' is not 1 or 2"),
        ({"half": "one"}, "half 'one' is not 1 or 2"),
        ({"half": 2}, "gameTime '1 - 00:10' is not in half 2"),
        ({"position": "-10"}, "position '-10' is not a whole number of milliseconds from 0 on"),
        ({"position": "10000.5"}, "position '10000.5' is not a whole number of milliseconds from 0 on"),
        ({"position": 10000.5}, "position 10000.5 is not whole"),
        ({"position": 7_200_000, "gameTime": "1 - 120:00"}, "position 7200000 is beyond the 120 minutes"),
        ({"position": "8999"}, "gameTime '1 - 00:10' is more than a second off position 8999"),
        ({"position": "11001"}, "gameTime '1 - 00:10' is more than a second off position 11001"),
        ({"gameTime": "00:10"}, "gameTime '00:10' is not like '1 - 05:30'"),
        ({"confidence": "1.001"}, "confidence '1.001' is not in [0, 1]"),
        ({"confidence": -0.1}, "confidence -0.1 is not in [0, 1]"),
        ({"confidence": float("nan")}, "confidence nan is not a finite number"),
    ],
)
def test_predictions(archive, change, problem):
    later = ROW | {"gameTime": "1 - 20:00", "position": "1200000"}
    (found,) = check_submission(archive((f"{A}/{PREDICTIONS}", game(later, ROW | change))), [A], 2)
    assert found.startswith(f"{A}: predictions[1]: {problem}")


@pytest.mark.parametrize(
    "change",
    [
        {"half": 1, "position": 10000, "confidence": 0.5},
        {"half": 1.0, "position": 10000.0, "confidence": 0},
        {"position": "9000", "gameTime": "1 - 0:10"},
        {"position": "11000", "confidence": "1"},
        {"position": "7199999", "gameTime": "1 - 119:59"},
    ],
)
def test_predictions_that_are_fine(archive, change):
    assert check_submission(archive((f"{A}/{PREDICTIONS}", game(ROW | change))), [A], 2) == []


@pytest.mark.parametrize("key", list(ROW))
def test_missing_keys(archive, key):
    row = {name: value for name, value in ROW.items() if name != key}
    found = check_submission(archive((f"{A}/{PREDICTIONS}", game(row))), [A], 2)
    assert found == [f"{A}: predictions[0]: there is no `{key}`"]


def test_several_problems_of_one_prediction(archive):
    row = {"label": "goal", "half": "3", "position": "-1", "confidence": "2", "gameTime": "x"}
    assert len(check_submission(archive((f"{A}/{PREDICTIONS}", game(row))), [A], 2)) == 5


def test_predictions_that_replace_others(archive):
    """Only one of a class counts in each half-second."""
    rows = [
        ROW,
        ROW | {"position": "10499"},
        ROW | {"position": "10500"},
        ROW | {"label": "Foul"},
        ROW | {"half": "2", "gameTime": "2 - 00:10"},
        ROW | {"confidence": "0.1"},
    ]
    assert check_submission(archive((f"{A}/{PREDICTIONS}", game(*rows))), [A], 2) == [
        f"{A}: predictions[1] replaces [0], which has its class and half-second",
        f"{A}: predictions[5] replaces [1], which has its class and half-second",
    ]


def test_version_1(archive):
    path = archive((f"{A}/{PREDICTIONS}", game(ROW | {"label": "card"})))
    assert check_submission(path, [A], 1) == []
    assert check_submission(path, [A], 2) == [f"{A}: predictions[0]: 'card' is no label of version 2"]


# ---- the command


def validate(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_evaluate_spotting(parser.add_subparsers(required=True))
    options = parser.parse_args(["validate-submission", *(str(argument) for argument in arguments)])
    return options.run(options)


def test_the_command(folder, tmp_path, capsys):
    path, games = tmp_path / "submission.zip", tmp_path / "games.json"
    write_submission(folder, path)
    assert validate(path) == 0
    assert capsys.readouterr().out == f"{path}: 2 games, 4 predictions, version 2\n"
    games.write_text(json.dumps({"league": {"season": ["a", "bé", "c"]}}))
    assert validate(path, "--games", games) == 1
    assert capsys.readouterr().out == "league/season/c: missing\n"
    assert validate(path, "--version", 1) == 1
    assert len(capsys.readouterr().out.splitlines()) == 4
