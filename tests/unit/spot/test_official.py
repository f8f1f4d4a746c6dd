"""SoccerNet's files as the official evaluator reads them: what is accepted, and what results, compared with it."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.average_map import official_evaluator
from pipeline.metrics.average_map import FRAMES
from pipeline.runtime.errors import ActaError
from pipeline.spot.events import CLASSES
from pipeline.spot.official import (
    EARLY,
    LATE,
    LONG,
    NAN,
    NEGATIVE,
    SURE,
    Cases,
    Entries,
    Tally,
    annotations_in,
    entries_of,
    parse_file,
    predictions_in,
)
from tests import PROJECT

SPOT = {"gameTime": "1 - 00:10", "label": "Goal", "position": "10000", "half": "1", "confidence": "0.5"}
EVENT = {"gameTime": "1 - 00:10", "label": "Goal", "position": "10000", "visibility": "visible"}
FOLLOWS = {"gameTime": "2 - 00:20", "label": "Foul", "position": "20000", "half": "2", "confidence": "0.25"}


@pytest.fixture(scope="module")
def official() -> Any:
    return official_evaluator(PROJECT / "resources" / "soccernet_evaluator")


def theirs(official: Any, kind: str, text: str, version: Any) -> np.ndarray | None:
    """(2, frames, classes) of the evaluator; None where it stops."""
    numbers = {name: number for number, name in enumerate(CLASSES[version])}
    read: Callable[..., Any] = official.predictions2vector if kind == "predictions" else official.label2vector
    try:
        return np.stack(read(json.loads(text), len(numbers), version=version, EVENT_DICTIONARY=numbers))
    except Exception:
        return None


def ours(kind: str, text: str, version: Any, tally: Tally) -> np.ndarray | None:
    try:
        listed = entries_of(parse_file(text.encode(), "x", marks=False), "x", kind)
    except ActaError:
        return None
    read = predictions_in if kind == "predictions" else annotations_in
    found = read(listed, "x", version, tally)
    if tally.unreadable.counts:
        return None
    return placed(found, len(CLASSES[version]), kind)


def placed(found: Entries, classes: int, kind: str) -> np.ndarray:
    array = np.full((2, FRAMES, classes), -1.0 if kind == "predictions" else 0.0)
    for half, frame, label, value in zip(found.half, found.frame, found.label, found.value, strict=True):
        array[half, frame, label] = value if kind == "predictions" else (1 if value else -1)
    return array


def assert_same(official: Any, kind: str, text: str, version: Any) -> tuple[np.ndarray | None, Tally]:
    tally = Tally()
    expected, found = theirs(official, kind, text, version), ours(kind, text, version, tally)
    assert (found is None) == (expected is None), text
    if found is not None:
        np.testing.assert_array_equal(found, expected, text)
    return found, tally


ANYTHING = [
    None,
    True,
    False,
    0,
    1,
    2,
    3,
    -1,
    0.5,
    1.0,
    2.9,
    -0.5,
    1e300,
    10**400,
    [],
    [1],
    {},
    {"a": 1},
    "",
    "1",
    " 2 ",
    "1_0",
    "+1",
    "-1",
    "1.5",
    "1e3",
    "nan",
    "inf",
    "-inf",
    "x",
    "\u0661",
    "Goal",
    "goal",
    "card",
    "yr-card",
    "soccer subs",
    "10499",
    10500,
    -499,
    -500,
    -501,
    -7_200_000,
    -7_200_500,
    -7_200_999,
    "7199999",
    7_200_000,
    10**12,
    10**320,
    "1" * 400,
    float("nan"),
    float("inf"),
    -float("inf"),
    "1 - 0:5",
    "1 - 5:30",
    "1 - 05:30",
    "2 - 105:30",
    "3 - 05:30",
    "1 - -5:30",
    "1 --5:30",
    "1:05:30",
    "1",
    "11111",
    "9",
    "x - 05:30",
    "1 - 05:3x",
    "1 - 99:99",
    ["1"],
    ["1", "0"],
    {"0": 1},
]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("key", list(SPOT))
def test_any_value_of_a_prediction(official, version, key):
    rows = (
        [row | {"label": CLASSES[1][n]} for n, row in enumerate((SPOT, FOLLOWS))] if version == 1 else [SPOT, FOLLOWS]
    )
    for value in ANYTHING:
        for changed in (rows[0] | {key: value}, {name: v for name, v in rows[0].items() if name != key}, value):
            text = json.dumps({"UrlLocal": "x", "predictions": [changed, rows[1]]})
            assert_same(official, "predictions", text, version)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("key", list(EVENT))
def test_any_value_of_an_annotation(official, version, key):
    for value in ANYTHING:
        for row in (EVENT, {name: v for name, v in EVENT.items() if name != "position"}):
            for changed in (row | {key: value}, {name: v for name, v in row.items() if name != key}, value):
                assert_same(official, "annotations", json.dumps({"annotations": [changed, FOLLOWS]}), version)


@pytest.mark.parametrize("kind", ["predictions", "annotations"])
def test_any_value_of_a_list(official, kind):
    for value in ANYTHING:
        assert_same(official, kind, json.dumps({kind: value}), 2)
        assert_same(official, kind, json.dumps(value), 2)
    assert_same(official, kind, "{}", 2)


@pytest.mark.parametrize(
    ("changes", "half", "frame", "value", "matter"),
    [
        ({}, 0, 20, 0.5, ""),
        ({"position": 10499.9, "half": True}, 0, 20, 0.5, ""),
        ({"position": -499}, 0, 0, 0.5, ""),
        ({"position": -500}, 0, FRAMES - 1, 0.5, EARLY),
        ({"position": -7_200_000}, 0, 0, 0.5, EARLY),
        ({"position": 7_199_999}, 0, FRAMES - 1, 0.5, ""),
        ({"position": 7_200_000}, 0, FRAMES - 1, 0.5, LATE),
        ({"confidence": 1.0}, 0, 20, 1.0, ""),
        ({"confidence": 1.5}, 0, 20, 1.5, SURE),
        ({"confidence": 1.5, "position": 8e6}, 0, FRAMES - 1, 1.5, LATE),
        ({"confidence": 0}, 0, 20, 0.0, ""),
        ({"confidence": -0.5}, 0, 20, -0.5, NEGATIVE),
        ({"confidence": "-inf", "position": 8e6}, 0, FRAMES - 1, -np.inf, NEGATIVE),
        ({"confidence": None}, 0, 20, np.nan, NAN),
    ],
)
def test_what_is_said_of_predictions(changes, half, frame, value, matter):
    tally = Tally()
    found = predictions_in([FOLLOWS, SPOT | changes], "x", 2, tally)
    assert (found.index, found.half, found.frame, found.label) == ([0, 1], [1, half], [40, frame], [10, 2])
    np.testing.assert_equal(found.value, [0.25, value])
    cases, others = (tally.left_out, tally.otherwise)[:: 1 if matter in (NEGATIVE, NAN) else -1]
    assert cases.counts == ({matter: 1} if matter else {})
    assert cases.first == ({matter: "predictions[1] of x"} if matter else {})
    assert not any(each.counts for each in (others, tally.labels, tally.unreadable))


def test_what_is_said_of_annotations():
    rows = [EVENT, {"gameTime": "1 - 105:10", "label": "Goal"}, EVENT | {"gameTime": "1 - 105:10"}]
    tally = Tally()
    found = annotations_in(
        [*rows, {"gameTime": "2 - 05:10", "label": "Goal", "visibility": "not shown"}], "x", 2, tally
    )
    assert (found.half, found.frame, found.value) == ([0, 0, 0, 1], [20, 620, 20, 620], [1, 1, 1, 0])
    assert tally.otherwise.counts == {LONG: 1}
    assert tally.otherwise.first == {LONG: "annotations[1] of x"}


@pytest.mark.parametrize(
    ("row", "kind", "problem"),
    [
        ("Goal", "entry", "'Goal' is no object"),
        ({"label": "Goal"}, "no position", "there is no `position`"),
        (SPOT | {"position": "1.5"}, "position", "position '1.5' is no whole number"),
        (SPOT | {"position": 10**311}, "position", f"position 1{'0' * 59} is too large"),
        (SPOT | {"position": -7_200_500}, "position", "position -7200500 is more than 120 minutes before its half"),
        (SPOT | {"half": None}, "half", "half None is no whole number"),
        (SPOT | {"label": []}, "label", f"label [] is not one of {', '.join(CLASSES[2])}"),
        (SPOT | {"confidence": "x" * 99}, "confidence", f"confidence '{'x' * 59} is no number"),
    ],
)
def test_what_stops_the_evaluator(row, kind, problem):
    tally = Tally()
    tally.stop()
    assert predictions_in([SPOT, row, row], "x", 2, tally).index == [0]
    assert tally.unreadable.counts == {kind: 2}
    with pytest.raises(ActaError) as error:
        tally.stop()
    assert str(error.value) == f"x: predictions[1]: {problem}"


def test_reasons_are_bounded():
    cases = Cases()
    for number in range(1002):
        cases.add(str(number), f"at {number}")
    cases.add("3", "again")
    assert (len(cases.counts), cases.counts["3"], cases.counts["others"]) == (1001, 2, 2)
    assert (cases.first["3"], cases.first["others"], cases.first["999"]) == ("at 3", "at 1000", "at 999")


def test_marks():
    """The evaluator reads none; ours does where it is told to."""
    text = "\ufeff" + json.dumps({"predictions": [SPOT | {"label": "\ufeffGoal"}]}, ensure_ascii=False)
    assert parse_file(text[1:].encode(), "x", marks=False)["predictions"][0]["label"] == "\ufeffGoal"
    with pytest.raises(ActaError, match="x, line 1: it begins with a byte order mark, which the evaluator cannot read"):
        parse_file(text.encode(), "x", marks=False)
    assert parse_file(b"\xef\xbb\xbf{}", "x", marks=True) == {}
    assert parse_file(b"\xff\xfe{\0}\0", "x", marks=True) == {}


# ---- anything


def mutated(source: random.Random, kind: str, version: Any) -> str:
    """A file of a few entries, in which something is another."""
    row = SPOT if kind == "predictions" else EVENT
    names = CLASSES[version]
    rows: list[Any] = [
        row
        | {"label": source.choice(names), "position": str(source.randrange(20_000)), "half": str(source.choice((1, 2)))}
        | ({"confidence": source.choice(("0.1", 0.5, "1"))} if kind == "predictions" else {})
        for _ in range(source.randint(1, 8))
    ]
    content: dict[str, Any] = {"UrlLocal": "x", kind: rows}
    for _ in range(source.choice((0, 1, 1, 1, 2))):
        place = source.randrange(len(rows))
        value = copy.deepcopy(source.choice([*ANYTHING, source.choice(names)]))
        what = source.random()
        if what < 0.6 and isinstance(rows[place], dict):
            rows[place] = rows[place] | {source.choice([*row, "more"]): value}
        elif what < 0.7 and isinstance(rows[place], dict):
            rows[place] = {name: v for name, v in rows[place].items() if name != source.choice(list(row))}
        elif what < 0.75:
            rows[place] = value
        elif what < 0.8:
            content[source.choice(["UrlLocal", kind, "more"])] = value
    text = json.dumps(content, indent=source.choice((None, 1)))
    if source.random() < 0.3:
        place = source.randrange(len(text))
        end = place + source.choice((0, 1, 1, 2, 20))
        text = text[:place] + source.choice(["", ",", "}", "]", '"', "0", "-", "e9", " ", "\ufeff", "\0"]) + text[end:]
    return text


@pytest.mark.parametrize("kind", ["predictions", "annotations"])
@pytest.mark.parametrize("version", [1, 2])
def test_mutations(official, kind, version):
    source = random.Random(f"{kind} {version}")
    read = 0
    for _ in range(150):
        found, _ = assert_same(official, kind, mutated(source, kind, version), version)
        read += found is not None
    assert 40 < read < 130
