"""The archive for the evaluation server: what is written is accepted, and what the evaluator would not take is said."""

import codecs
import json
import os
import random
import tracemalloc
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.average_map import official_evaluator
from pipeline.runtime.errors import ActaError
from pipeline.spot.pack_submission import Submission, check_submission, write_submission
from pipeline.spot.soccernet_files import PREDICTIONS
from tests import PROJECT
from tests.unit.spot.submissions import CAPITALS, ROW, A, B, game, write_archive, write_folder

PLACE = "<league>/<season>/<game>/results_spotting.json"
MARK = (
    f"{A}, line 1: it begins with a byte order mark, which the evaluator cannot read; save the file as UTF-8 without "
)
MARK += "one"


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_folder(tmp_path / "spots")


@pytest.fixture
def archive(tmp_path):
    """Write an archive of files by name."""
    return partial(write_archive, tmp_path / "submission.zip")


# ---- writing


def test_what_is_written_is_accepted(folder, tmp_path):
    (folder / "league/season/a/other.json").write_text("{}")
    (folder / PREDICTIONS).write_text("{}")
    output = tmp_path / "out" / "submission.zip"
    assert write_submission(folder, output) == [A, B]
    assert check_submission(output, [B, A], 2) == Submission([], [], 2, 4, 4)
    assert check_submission(output, None, 2) == Submission([], [], 2, 4, 4)
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
    with pytest.raises(ActaError, match="none is not a folder"):
        write_submission(tmp_path / "none", tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


# ---- checking: the archive


def test_no_archive(tmp_path):
    path = tmp_path / "text.zip"
    path.write_text("no zip")
    assert check_submission(path, None, 2).problems == [f"{path} is not a zip archive: File is not a zip file"]
    with pytest.raises(ActaError, match=r"there is no file .*none.zip"):
        check_submission(tmp_path / "none.zip", None, 2)


def test_games_of_the_split(folder, tmp_path):
    """The evaluator reads the split's games and no others."""
    output = tmp_path / "submission.zip"
    write_submission(folder, output)
    found = check_submission(output, [A, "league/season/c", "league/season/0"], 2)
    assert found.problems == ["league/season/0: missing", "league/season/c: missing"]
    assert found.notes == [f"{B}: not a game of the split, so not read"]
    assert check_submission(output, [A], 2) == Submission([], [f"{B}: not a game of the split, so not read"], 1, 3, 3)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([], f"there is no {PLACE}"),
        (
            [f"spots/{A}/{PREDICTIONS}", f"spots/{B}/{PREDICTIONS}"],
            f"there is no {PLACE}; found 2 too deep, such as 'spots/{A}/{PREDICTIONS}': give what is within 'spots'",
        ),
        (
            [f"{A}/Predictions-v2.json"],
            f"there is no {PLACE}; found 1 called 'Predictions-v2.json', such as '{A}/Predictions-v2.json': "
            "rename them if they are these",
        ),
        ([f"a/b/{PREDICTIONS}"], f"there is no {PLACE}; found 1 elsewhere, such as 'a/b/{PREDICTIONS}'"),
        ([f"a/../c/{PREDICTIONS}"], f"there is no {PLACE}; found 1 elsewhere, such as 'a/../c/{PREDICTIONS}'"),
        ([f"a\\b\\c\\{PREDICTIONS}"], f"there is no {PLACE}"),
        (
            ["a/b/c/x\033[2J.json"],
            f"there is no {PLACE}; found 1 called 'x\\x1b[2J.json', such as 'a/b/c/x\\x1b[2J.json': "
            "rename them if they are these",
        ),
    ],
)
def test_an_archive_without_games(archive, names, problem):
    assert check_submission(archive(*((name, game()) for name in names)), None, 2).problems == [problem]


@pytest.mark.parametrize(
    "name",
    [
        f"{A}/results.json",
        f"{A}/Predictions-v2.json",
        f"{A}/notes.txt",
        f"a/b/{PREDICTIONS}",
        f"spots/{A}/{PREDICTIONS}",
        f"__MACOSX/{A}/._{PREDICTIONS}",
        f"/b/c/{PREDICTIONS}",
        f"a/../c/{PREDICTIONS}",
        f"a/b/c\n/{PREDICTIONS}",
        "league/",
        f"{A}/",
    ],
)
def test_what_the_evaluator_does_not_look_at(archive, name):
    path = archive((name, b"" if name.endswith("/") else b"\xff"), (f"{A}/{PREDICTIONS}", game(ROW)))
    assert check_submission(path, [A], 2) == Submission([], [], 1, 1, 1)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_that_are_there_twice(archive):
    path = archive((f"{A}/{PREDICTIONS}", "x"), (f"{A}/{PREDICTIONS}", game(ROW)), ("x", ""), ("x", ""))
    note = f"{A}/{PREDICTIONS} is there 2 times; only the last is read"
    assert check_submission(path, [A], 2) == Submission([], [note], 1, 1, 1)


def test_damage(archive):
    path = archive((f"{A}/{PREDICTIONS}", game(ROW)), (f"{B}/{PREDICTIONS}", game(ROW)))
    path.write_bytes(path.read_bytes().replace(b"Goal", b"Foul", 1))
    (problem,) = check_submission(path, None, 2).problems
    assert problem == f"{path}: cannot read {A}/{PREDICTIONS}: Bad CRC-32 for file '{A}/{PREDICTIONS}'"
    assert check_submission(path, [B], 2).problems == []


def test_sizes(archive):
    """64 times the largest file in all."""
    size = len(game(ROW)) + 128
    padded = game(ROW) + " " * 128
    path = archive(*((f"l/s/{n}/{PREDICTIONS}", padded) for n in range(65)))
    where = f"{path}: l/s/0/{PREDICTIONS}"
    assert check_submission(path, ["l/s/0"], 2, size - 1).problems == [
        f"{where} has more than {size - 1} bytes, the most that are read (--max-megabytes raises this)"
    ]
    assert check_submission(path, [f"l/s/{n}" for n in range(64)], 2, size).problems == []
    assert check_submission(path, None, 2, size).problems == [
        f"the files have more than {64 * size} bytes together; the rest is not read"
    ]


def test_archives_made_to_take_memory(archive):
    """Ten million values in 16 kB: refused before they are made."""
    path = archive(
        (f"{A}/{PREDICTIONS}", '{"predictions": [' + "{}," * (5 << 20) + "{}]}"), compression=zipfile.ZIP_DEFLATED
    )
    assert path.stat().st_size < 40_000
    tracemalloc.start()
    (problem,) = check_submission(path, None, 2).problems
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problem.endswith("holds 10485763 values; at most 2097152 are read (--max-megabytes raises this)")
    assert peak < (64 << 20)


# ---- checking: a game


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (b"\xff", [f"{A}, line 1: byte 0xff is not UTF-8; save the file as UTF-8"]),
        ("", [f"{A}, line 1: Expecting value; it is no JSON"]),
        ("[]", [f"{A} holds no JSON object"]),
        (json.dumps({"UrlLocal": A}), [f"{A} has no list `predictions`"]),
        (json.dumps({"predictions": 0}), [f"{A} has no list `predictions`"]),
        (json.dumps({"predictions": {"a": 1}}), [f"{A} has no list `predictions`"]),
        (json.dumps({"predictions": "x"}), [f"{A} has no list `predictions`"]),
        (game("Goal"), [f"{A}: predictions[0]: 'Goal' is not an object"]),
        (codecs.BOM_UTF8 + game(ROW).encode(), [MARK]),
        (codecs.BOM_UTF16_LE + game(ROW).encode("utf-16-le"), [MARK]),
        (codecs.BOM_UTF16_BE + game(ROW).encode("utf-16-be"), [MARK]),
        (game(ROW).encode("utf-16-le"), [f"{A}, line 1: it has a zero byte, as no text has; save the file as UTF-8"]),
        ("{" + game(ROW), [f"{A}, line 1: Expecting property name enclosed in double quotes; it is no JSON"]),
        (
            "[" * 100_000,
            [
                f"{A} is no JSON that can be read: maximum recursion depth exceeded while decoding a JSON array "
                "from a unicode string"
            ],
        ),
    ],
)
def test_files_that_the_evaluator_cannot_read(archive, content, problems):
    assert check_submission(archive((f"{A}/{PREDICTIONS}", content)), [A], 2).problems == problems


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (json.dumps({"predictions": [ROW]}), []),
        (game(ROW, url=f"{A}/"), []),
        (game(ROW, url=B), [f"names of games, which are not looked at: UrlLocal {B!r} in {A}"]),
        (
            json.dumps({"predictions": [ROW], "UrlLocal": 3}),
            [f"names of games, which are not looked at: UrlLocal 3 in {A}"],
        ),
        (json.dumps({"predictions": [ROW]}).replace("{", '{"predictions": 7,', 1), []),
        (game(ROW).replace("\n", "\r\n"), []),
    ],
)
def test_files_that_the_evaluator_reads(archive, content, notes):
    found = check_submission(archive((f"{A}/{PREDICTIONS}", content)), [A], 2)
    assert found == Submission([], notes, 1, 1, 1)


@pytest.mark.parametrize("empty", [[], {}, ""])
def test_games_without_predictions(archive, empty):
    path = archive((f"{A}/{PREDICTIONS}", json.dumps({"UrlLocal": A, "predictions": empty})))
    assert check_submission(path, [A], 2) == Submission([], [], 1, 0, 0)


def test_predictions_that_stop_the_evaluator(archive):
    """A line for each field, with the first and how many there are."""
    rows = [ROW | {"position": "1.5"}, ROW, ROW | {"half": "one"}, ROW | {"position": None}, ROW | {"position": [1]}]
    assert check_submission(archive((f"{A}/{PREDICTIONS}", game(*rows))), [A], 2) == Submission(
        [
            f"{A}: predictions[0]: position '1.5' is not a whole number and 2 more",
            f"{A}: predictions[2]: half 'one' is not a whole number",
        ],
        [],
        1,
        5,
        1,
    )


def test_predictions_that_count_otherwise(archive):
    rows = [
        ROW,
        ROW | {"position": "10499"},
        ROW | {"position": "10500", "confidence": 1.5},
        ROW | {"label": "Foul", "position": -500},
        ROW | {"label": "Foul", "position": 7_200_000},
        ROW | {"label": "Foul", "position": 7_199_999},
        ROW | {"half": "3"},
        ROW | {"half": "2", "confidence": -0.1},
        ROW | {"half": "2", "position": 0, "confidence": float("nan")},
    ]
    found = check_submission(archive((f"{A}/{PREDICTIONS}", game(*rows))), [A], 2)
    assert (found.problems, found.predictions, found.counted) == ([], 9, 3)
    replaced = "a later one has their class and half-second"
    assert found.notes == [
        f"predictions that do not count: half 3: predictions[6] of {A}",
        f"predictions that do not count: confidence below 0: predictions[7] of {A}",
        f"predictions that do not count: confidence that is no number: predictions[8] of {A}",
        f"predictions that do not count: {replaced}: predictions[0] of {A} and 2 more",
        f"predictions that count otherwise: confidence above 1, so as sure as 1: predictions[2] of {A}",
        f"predictions that count otherwise: before the beginning of its half, so near its end: predictions[3] of {A}",
        f"predictions that count otherwise: later than 120 minutes, so at their end: predictions[4] of {A}",
    ]


@pytest.mark.parametrize(
    ("labels", "version", "note"),
    [
        (
            ["goal"] * 6400,
            2,
            f"6,400 predictions do not count: 'goal' is not a label of version 2: predictions[0] of {A}{CAPITALS}",
        ),
        (
            ["PASS", "PASS", "goal", "Foul"],
            2,
            f"3 predictions do not count: 'PASS' is not a label of version 2, like 1 more: predictions[0] of {A}"
            f"{CAPITALS}",
        ),
        (
            ["Foul", "Subs"],
            2,
            f"1 prediction does not count: 'Subs' is not a label of version 2: predictions[1] of {A}; 'Subs' is of "
            "version 1 (--version 1)",
        ),
        (
            ["x" * 70, "Foul"],
            2,
            f"1 prediction does not count: {'x' * 60!r} is not a label of version 2: predictions[0] of {A}",
        ),
        ([None, "Foul"], 2, f"1 prediction does not count: 'None' is not a label of version 2: predictions[0] of {A}"),
    ],
)
def test_labels_that_are_none(archive, labels, version, note):
    """All of them in one line, with the version that they may be of."""
    rows = [ROW | {"label": label, "position": 500 * n} for n, label in enumerate(labels)]
    found = check_submission(archive((f"{A}/{PREDICTIONS}", game(*rows))), [A], version)
    assert found.notes == [note]
    assert found.problems == ([] if "Foul" in labels else [f"none of the {len(labels)} predictions counts"])


def test_version_1(archive):
    """There a label that is none of the classes stops the evaluator."""
    path = archive((f"{A}/{PREDICTIONS}", game(ROW | {"label": "card"})))
    assert check_submission(path, [A], 1) == Submission([], [], 1, 1, 1)
    (note,) = check_submission(path, [A], 2).notes
    assert note.endswith("'card' is of version 1 (--version 1)")
    path = archive((f"{A}/{PREDICTIONS}", game(ROW, ROW)))
    assert check_submission(path, [A], 1).problems == [
        f"{A}: predictions[0]: label 'Goal' is not one of card, subs, soccer and 1 more"
    ]


# ---- anything


def damaged(source: random.Random, content: bytes) -> bytes:
    """An archive in which bits, bytes, fields of headers or parts are others."""
    found = bytearray(content)
    for _ in range(source.choice((0, 1, 1, 2))):
        place, what = source.randrange(len(found)), source.random()
        if what < 0.4:
            found[place] ^= 1 << source.randrange(8)
        elif what < 0.6:
            field = found.find(source.choice((b"PK\1\2", b"PK\3\4", b"PK\5\6"))) + 4 + 2 * source.randrange(12)
            found[field : field + 2] = source.choice((0, 1, 8, 12, 14, 99, 65535)).to_bytes(2, "little")
        elif what < 0.8:
            del found[place : place + source.randint(1, 40)]
        else:
            found[place:place] = source.randbytes(source.randint(1, 20))
    return bytes(found)


def is_evaluated(official: Any, path: Path, games: list[str]) -> bool:
    """Whether the official evaluator reads an archive; in its way, which closes no file that it fails on."""
    try:
        assert zipfile.is_zipfile(path)
        for each in games:
            content = official.LoadJsonFromZip(path, f"{each}/{PREDICTIONS}")
            official.predictions2vector(content, 17, EVENT_DICTIONARY=official.EVENT_DICTIONARY_V2)
    except Exception:
        return False
    return True


@pytest.mark.filterwarnings("ignore")
def test_archives_agree_with_the_official_evaluator(tmp_path):
    official = official_evaluator(PROJECT / "resources" / "soccernet_evaluator")
    source, evaluated, path = random.Random(0), 0, tmp_path / "x.zip"
    games = ["l/s/a", "l/s/b"]
    for turn in range(300):
        with zipfile.ZipFile(path, "w", (zipfile.ZIP_STORED, 8, 8, 12, 14)[turn % 5]) as opened:
            for each in games:
                opened.writestr(f"{each}/{PREDICTIONS}", game(ROW | {"gameTime": "1 - 0:5"}, url=each))
        path.write_bytes(damaged(source, path.read_bytes()))
        expected = is_evaluated(official, path, games)
        assert (check_submission(path, games, 2).problems == []) == expected, turn
        evaluated += expected
    assert 60 < evaluated < 200
