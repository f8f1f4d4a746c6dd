"""SoccerNet's files of labels and predictions, in folders and archives."""

import codecs
import json
from typing import Any

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.spot.events import Event, Spot
from pipeline.spot.soccernet_files import (
    LARGEST,
    PREDICTIONS,
    bounded,
    content_of,
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
        ({"position": "inf"}, "position 'inf' is not a whole number"),
        ({"position": float("inf")}, "Infinity is no number of JSON"),
        ({"label": 3}, "label 3 is not text"),
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
        ({"confidence": "nan"}, "predictions[1]: confidence 'nan' is not a finite number"),
        ({"confidence": float("nan")}, "NaN is no number of JSON"),
        ({"confidence": "inf"}, "confidence 'inf' is not a finite number"),
        ({"confidence": "high"}, "confidence 'high' is not a finite number"),
        ({"confidence": 10**400}, "is not a finite number"),
        ({"confidence": True}, "confidence True is not a finite number"),
        ({"label": ["Foul"]}, "label ['Foul'] is not text"),
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
    with pytest.raises(ActaError, match=r"annotations\[0\]: 'Foul' is not an object"):
        labels(2, "Foul")


def test_labels_of_predictions_must_be_known_in_version_1(predictions):
    with pytest.raises(ActaError, match=r"predictions\[0\]: 'Foul' is not one of card, subs, soccer"):
        predictions(1, GOOD_SPOT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ", line 1: Expecting value; it is no JSON"),
        (b'{"annotations": [],\r\n "UrlLocal": "\xe9"}', ", line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b'{"annotations": [], "annotations": []}', " is no JSON that can be read: 'annotations' stands twice"),
        (b"[" * 100_000, " is no JSON that can be read: maximum recursion depth exceeded"),
        (b"[]", " holds no JSON object"),
        (b"{}", " has no list `annotations`"),
        (b'{"annotations": {}}', " has no list `annotations`"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "Labels.json"
    path.write_bytes(content)
    with pytest.raises(ActaError) as error:
        read_labels(path, 1)
    assert str(error.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + b'{"annotations": [{"gameTime": "1 - 00:01", "label": "Goal"}]}',
        codecs.BOM_UTF16_LE + '{"annotations": [{"gameTime": "1 - 00:01", "label": "Goal"}]}'.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + '{"annotations":\r\n[{"gameTime":"1 - 00:01","label":"Goal"}]}'.encode("utf-16-be"),
    ],
)
def test_files_with_a_mark(tmp_path, content):
    path = tmp_path / "Labels-v2.json"
    path.write_bytes(content)
    assert read_labels(path, 2).events == [Event(1, 1.0, "Goal")]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ActaError, match=r"cannot read .*none.json: No such file"):
        read_predictions(tmp_path / "none.json", 2)
    path = tmp_path / "large.json"
    path.write_text('{"predictions": []}' + " " * 77)
    assert content_of(path, 96) == path.read_bytes()
    with pytest.raises(ActaError) as error:
        content_of(path, 95)
    assert str(error.value) == f"{path} has more than 95 bytes, the most that are read (--max-megabytes raises this)"


def test_files_of_many_values():
    """Two bytes in a file can be a hundred in memory."""
    assert bounded(b'{[,"' + b" " * 60, "x", 96) == b'{[,"' + b" " * 60
    with pytest.raises(ActaError) as error:
        bounded(b"{[,," + b" " * 60, "x", 96)
    assert len(b"{[,," + b" " * 60) < 96
    assert str(error.value) == "x holds 4 values; at most 3 are read (--max-megabytes raises this)"
    most = {"gameTime": "1 - 00:00", "label": "Foul", "position": "0", "half": "1", "confidence": "1.0"}
    assert LARGEST == 64 << 20
    assert 7 * LARGEST / (32 * len(json.dumps(most, indent=1))) > 100_000, "a file as large may be full of them"


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
