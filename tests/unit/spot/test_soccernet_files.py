"""SoccerNet's files of labels and predictions, in folders and archives."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import pipeline.spot.soccernet_files as files
from pipeline.errors import ActaError
from pipeline.spot.events import Event, Spot
from pipeline.spot.soccernet_files import (
    LABELS,
    PREDICTIONS,
    GameFiles,
    is_game,
    read_labels,
    read_predictions,
    write_predictions,
)

GAME = "england_epl/2014-2015/2015-05-17 - 18-00 Manchester United 1 - 1 Arsenal"


@pytest.fixture
def labels(tmp_path):
    def read(version: Any, *annotations: Any):
        path = tmp_path / "labels.json"
        path.write_text(json.dumps({"annotations": annotations}))
        return read_labels(path, version)

    return read


@pytest.fixture
def predictions(tmp_path):
    def read(version: Any, *rows: Any):
        path = tmp_path / "predictions.json"
        path.write_text(json.dumps({"predictions": rows}))
        return read_predictions(path, version)

    return read


def test_labels_of_version_1(labels):
    """Time in whole seconds of gameTime; the class by what the label contains, card first, then subs."""
    found = labels(
        1,
        {"gameTime": "1 - 05:31", "label": "soccer-ball-own", "team": "away"},
        {"gameTime": "2 - 104:00", "label": "yr-card subs"},
        {"gameTime": "2 - 0:07", "label": "substitution soccer", "visibility": "not shown"},
        {"gameTime": "1 - 00:00", "label": "whistle"},
    )
    assert found.events == [Event(1, 331, "soccer"), Event(2, 6240, "card"), Event(2, 7, "subs")]
    assert found.unknown == {"whistle": 1}


def test_labels_of_version_2(labels):
    """Time of position, in milliseconds, where there is one; labels must be exact."""
    found = labels(
        2,
        {"gameTime": "1 - 00:31", "label": "Foul", "position": "31749", "visibility": "visible"},
        {"gameTime": "2 - 00:31", "label": "Goal", "position": 31750, "visibility": "not shown"},
        {"gameTime": "2 - 01:00", "label": "Corner"},
        {"gameTime": "2 - 01:00", "label": "corner"},
        {"gameTime": "3 - 01:00", "label": "Corner"},
        {"gameTime": "3 - 02:00", "label": "Goal"},
    )
    assert found.events == [Event(1, 31.749, "Foul"), Event(2, 31.75, "Goal", visible=False), Event(2, 60, "Corner")]
    assert found.unknown == {"corner": 1, "half 3": 2}


def test_predictions(predictions):
    """Numbers and texts, in the file's order; a number's fraction is dropped, as by the official evaluator."""
    rows = [
        {"position": "31500", "half": "2", "label": "Foul", "confidence": "0.25"},
        {"position": 30000, "half": 1, "label": "Goal", "confidence": 1},
        {"position": 29999.9, "half": 1.0, "label": "Goal", "confidence": -0.5},
        {"position": "0", "half": "1", "label": "PASS", "confidence": "0.5"},
        {"position": "0", "half": "0", "label": "Foul", "confidence": "0.5"},
    ]
    found = predictions(2, *rows)
    assert found.spots == [Spot(2, 31.5, "Foul", 0.25), Spot(1, 30, "Goal", 1.0), Spot(1, 29.999, "Goal", -0.5)]
    assert found.unknown == {"PASS": 1, "half 0": 1}
    assert predictions(1).spots == []


GOOD_LABEL = {"gameTime": "1 - 05:31", "label": "Foul", "position": "331000"}
GOOD_SPOT = {"position": "31500", "half": "2", "label": "Foul", "confidence": "0.25"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gameTime": None}, r"annotations[1]: gameTime None is not like"),
        ({"gameTime": "1 - 5"}, "gameTime '1 - 5' is not like"),
        ({"gameTime": "1 - 05:71"}, "gameTime '1 - 05:71' is not like"),
        ({"gameTime": "1 - -5:11"}, "gameTime '1 - -5:11' is not like"),
        ({"position": "-1"}, r"annotations[1]: position '-1' is not a whole number"),
        ({"position": "12.5"}, "position '12.5' is not a whole number"),
        ({"position": None}, "position None is not a whole number"),
        ({"position": True}, "position True is not a whole number"),
        ({"position": 1e300}, "position 1e+300 is not a whole number"),
        ({"position": float("inf")}, "position inf is not a whole number"),
        ({"label": 3}, "label 3 is no text"),
    ],
)
def test_malformed_labels(labels, change, message):
    with pytest.raises(ActaError) as error:
        labels(2, GOOD_LABEL, GOOD_LABEL | change)
    assert "labels.json" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position": "-500"}, "predictions[1]: position '-500' is not a whole number of milliseconds from 0 on"),
        ({"half": "first"}, "predictions[1]: half 'first' is not 1 or 2"),
        ({"half": None}, "half None is not 1 or 2"),
        ({"confidence": float("nan")}, "predictions[1]: confidence nan is not a finite number"),
        ({"confidence": "inf"}, "confidence 'inf' is not a finite number"),
        ({"confidence": "high"}, "confidence 'high' is not a finite number"),
        ({"confidence": 10**400}, "is not a finite number"),
        ({"confidence": True}, "confidence True is not a finite number"),
        ({"label": ["Foul"]}, "label ['Foul'] is no text"),
    ],
)
def test_malformed_predictions(predictions, change, message):
    with pytest.raises(ActaError) as error:
        predictions(2, GOOD_SPOT, GOOD_SPOT | change)
    assert message in str(error.value)


@pytest.mark.parametrize("key", list(GOOD_SPOT))
def test_missing_keys(predictions, key):
    with pytest.raises(ActaError, match=rf"predictions.json: predictions\[0\]: there is no `{key}`"):
        predictions(2, {name: value for name, value in GOOD_SPOT.items() if name != key})


def test_missing_keys_of_labels(labels):
    with pytest.raises(ActaError, match=r"annotations\[0\]: there is no `gameTime`"):
        labels(2, {"label": "Foul", "position": "1"})
    with pytest.raises(ActaError, match=r"annotations\[0\]: there is no `label`"):
        labels(1, {"gameTime": "1 - 00:01"})
    with pytest.raises(ActaError, match=r"annotations\[0\]: 'Foul' is no object"):
        labels(2, "Foul")


def test_labels_of_predictions_must_be_known_in_version_1(predictions):
    with pytest.raises(ActaError, match=r"predictions\[0\]: 'Foul' is not one of card, subs, soccer"):
        predictions(1, GOOD_SPOT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe{}x", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "holds no JSON object"),
        (b"{}", "has no list `annotations`"),
        (b'{"annotations": {}}', "has no list `annotations`"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "Labels.json"
    path.write_bytes(content)
    with pytest.raises(ActaError) as error:
        read_labels(path, 1)
    assert str(error.value).startswith(f"{path} {message}")


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(ActaError, match=r"cannot read .*none.json: No such file"):
        read_predictions(tmp_path / "none.json", 2)
    (tmp_path / "large.json").write_text('{"predictions": []}')
    monkeypatch.setattr(files, "LARGEST", 10)
    with pytest.raises(ActaError, match=r"large.json has 19 bytes; at most 10 are read"):
        read_predictions(tmp_path / "large.json", 2)


def test_written_predictions(tmp_path):
    spots = [
        Spot(2, 0.0, "Goal", 1.0),
        Spot(1, 6000.0004, "Foul", 0.125),
        Spot(1, 31.5, "Foul", 0.006630070507526398),
        Spot(1, 31.5004, "Corner", 0.5),
    ]
    path = write_predictions(tmp_path, GAME, spots)
    assert path == tmp_path / GAME / PREDICTIONS
    written = json.loads(path.read_text())
    assert list(written) == ["UrlLocal", "predictions"]
    assert written["UrlLocal"] == GAME
    assert written["predictions"][1] == {
        "gameTime": "1 - 00:31",
        "label": "Foul",
        "position": "31500",
        "half": "1",
        "confidence": "0.006630070507526398",
    }
    assert [(each["gameTime"], each["label"], each["position"]) for each in written["predictions"]] == [
        ("1 - 00:31", "Corner", "31500"),
        ("1 - 00:31", "Foul", "31500"),
        ("1 - 100:00", "Foul", "6000000"),
        ("2 - 00:00", "Goal", "0"),
    ]
    assert read_predictions(path, 2).spots[1] == spots[2]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "spot",
    [
        Spot(3, 1.0, "Goal", 0.5),
        Spot(1, -0.001, "Goal", 0.5),
        Spot(1, float("nan"), "Goal", 0.5),
        Spot(1, float("inf"), "Goal", 0.5),
        Spot(1, 1.0, "Goal", 1.001),
        Spot(1, 1.0, "Goal", float("nan")),
    ],
)
def test_spots_that_cannot_be_written(tmp_path, spot):
    with pytest.raises(ActaError, match=r"Arsenal: half must be 1 or 2, .*Spot"):
        write_predictions(tmp_path, GAME, [Spot(1, 1.0, "Goal", 0.5), spot])
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("game", ["game", "a/b/..", "/a/b", "a/b/c/d", "a//c", "a/b/c\\d", "a/b/c\n", "./b/c", ""])
def test_names_of_games(tmp_path, game):
    assert not is_game(game)
    with pytest.raises(ActaError, match="is not like <league>/<season>/<game>"):
        write_predictions(tmp_path, game, [])


# ---- folders and archives


def packed(folder: Path, archive: Path, **options: Any) -> Path:
    with zipfile.ZipFile(archive, "w", **options) as opened:
        for path in sorted(folder.rglob("*.json")):
            opened.write(path, path.relative_to(folder))
    return archive


def test_folders_and_archives(tmp_path):
    tree = tmp_path / "tree"
    for game in (GAME, "a/b/c", "a/b/d"):
        write_predictions(tree, game, [])
    (tree / "a/b/d" / PREDICTIONS).rename(tree / "a/b" / PREDICTIONS)
    (tree / "a/b/d" / LABELS[2]).write_text("{}")
    for place in (tree, packed(tree, tmp_path / "packed")):
        with GameFiles(place) as opened:
            assert opened.games(PREDICTIONS) == ["a/b/c", GAME]
            assert opened.games(LABELS[2]) == ["a/b/d"]
            content, where = opened.read("a/b/c", PREDICTIONS)
            assert json.loads(content)["UrlLocal"] == "a/b/c"
            assert where.startswith(str(place))
            assert where.endswith(f"a/b/c/{PREDICTIONS}")
            with pytest.raises(ActaError, match=r"a/b/e/results_spotting.json"):
                opened.read("a/b/e", PREDICTIONS)


def test_neither_folder_nor_archive(tmp_path):
    (tmp_path / "text").write_text("PK")
    for name in ("text", "none"):
        with pytest.raises(ActaError, match=f"{name} is neither a folder nor a zip archive"):
            GameFiles(tmp_path / name)


def test_damaged_and_large_members(tmp_path, monkeypatch):
    path = write_predictions(tmp_path / "tree", "a/b/c", [Spot(1, 1.0, "Goal", 0.5)])
    archive = packed(tmp_path / "tree", tmp_path / "x.zip")
    size = path.stat().st_size
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"UrlLocal", b"UrlLocaL"))
    with GameFiles(archive) as opened, pytest.raises(ActaError, match=r"cannot read a/b/c/.*: Bad CRC-32"):
        opened.read("a/b/c", PREDICTIONS)
    monkeypatch.setattr(files, "LARGEST", size - 1)
    with GameFiles(archive) as opened, pytest.raises(ActaError, match=f"has {size} bytes; at most {size - 1} are read"):
        opened.read("a/b/c", PREDICTIONS)
