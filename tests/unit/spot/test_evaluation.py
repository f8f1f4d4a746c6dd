"""Average-mAP of games in memory and in files, and ``acta evaluate spots``."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import parse
from pipeline.runtime.errors import ActaError
from pipeline.spot.evaluation import evaluate_folders, evaluate_games, read_games_file, tolerance_curve
from pipeline.spot.events import CLASSES, Event, Spot
from pipeline.spot.soccernet_files import LABELS, PREDICTIONS, write_predictions

A, B = "league/season/a", "league/season/b"


def write_labels(folder: Path, game: str, version: Any, events: list[Event], *more: dict[str, Any]) -> None:
    rows = [
        {
            "gameTime": f"{event.half} - {int(event.time) // 60:02d}:{int(event.time) % 60:02d}",
            "label": event.label,
            "visibility": "visible" if event.visible else "not shown",
        }
        | ({"position": str(round(event.time * 1000))} if version == 2 else {})
        for event in events
    ]
    path = folder / game / LABELS[version]
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"annotations": [*rows, *more]}))


def made_up(version: Any) -> tuple[dict[str, list[Event]], dict[str, list[Spot]]]:
    """Crowded, in any order, times with more digits than a file holds."""
    random = np.random.default_rng(version)
    truth: dict[str, list[Event]] = {}
    found: dict[str, list[Spot]] = {}
    for game in (A, B):
        times = random.random(60) * 300
        times = np.floor(times) if version == 1 else np.round(times, 3)
        labels = random.choice(CLASSES[version], 60)
        visible = random.random(60) < (1 if version == 1 else 0.7)
        rows = zip(times.tolist(), labels.tolist(), visible.tolist(), strict=True)
        truth[game] = [Event(1 + n % 2, time, label, shown) for n, (time, label, shown) in enumerate(rows)]
        found[game] = [
            Spot(1 + n % 2, float(300 * random.random()), str(random.choice(CLASSES[version])), float(random.random()))
            for n in range(2000)
        ]
    return truth, found


@pytest.mark.parametrize("version", [1, 2])
def test_memory_and_files_agree(tmp_path, version):
    """Also in which of several spots in a half-second counts."""
    truth, found = made_up(version)
    for game in truth:
        write_labels(tmp_path / "labels", game, version, truth[game])
        write_predictions(tmp_path / "found", game, found[game])
    for metric in ("loose", "tight", "at3"):
        ours = evaluate_games(truth, found, version, metric)
        files = evaluate_folders(tmp_path / "labels", tmp_path / "found", version, metric)
        assert files.pop("skipped") == {"labels": {}, "predictions": {}}
        assert files == ours
        assert 0.01 < ours["a_mAP"] < 0.9
        assert json.loads(json.dumps(ours)) == ours


def test_results():
    truth = {A: [Event(1, 10, "Goal"), Event(2, 10, "Foul", visible=False)], B: []}
    found = {A: [Spot(1, 11, "Goal", 0.9), Spot(2, 11, "Foul", 0.9)], B: [], "another/one/more": []}
    result = evaluate_games(truth, found, 2, "tight")
    assert list(result["a_mAP_per_class"]) == list(CLASSES[2])
    assert result["a_mAP_per_class"]["Goal"] == pytest.approx(0.875)  # 0 at 1 s, then 1
    assert result["a_mAP"] == pytest.approx(2 * 0.875 / 17)
    assert result["a_mAP_visible"] == pytest.approx(0.875 / 17)
    assert result["a_mAP_per_class_visible"]["Foul"] == 0.0
    assert result["a_mAP_unshown"] == pytest.approx(0.875 / 13)
    assert result["a_mAP_per_class_unshown"]["Foul"] == pytest.approx(0.875)
    assert result["games"] == 2


def test_version_1_has_no_visibility():
    result = evaluate_games({A: [Event(1, 10, "card")]}, {A: [Spot(1, 10, "card", 0.9)]}, 1, "loose")
    assert result["a_mAP"] == pytest.approx(1 / 3)
    assert result["a_mAP_per_class"] == {"card": 1.0, "subs": 0.0, "soccer": 0.0}
    for kind in ("visible", "unshown"):
        assert result[f"a_mAP_{kind}"] is None
        assert result[f"a_mAP_per_class_{kind}"] is None


def test_spots_that_share_a_frame():
    """The later one counts, wherever it stands."""
    truth = {A: [Event(1, 10, "card"), Event(1, 100, "card")]}
    spots = [Spot(1, 10.4, "card", 0.2), Spot(1, 10.1, "card", 0.8), Spot(1, 50.0, "card", 0.5)]
    assert evaluate_games(truth, {A: spots}, 1, "at5")["a_mAP_per_class"]["card"] == pytest.approx(0.5 * 6 / 11)


def test_curve():
    truth = {A: [Event(1, 10, "card"), Event(1, 100, "subs")]}
    found = {A: [Spot(1, 14, "card", 0.5), Spot(1, 101, "subs", 0.5)]}
    curve = tolerance_curve(truth, found, 1, [1, 2, 7.5, 8])
    assert curve == {
        "seconds": [1, 2, 7.5, 8],
        "mAP": pytest.approx([0, 1 / 3, 1 / 3, 2 / 3]),
        "AP": {"card": [0, 0, 0, 1], "subs": [0, 1, 1, 1], "soccer": [0, 0, 0, 0]},
    }


@pytest.mark.parametrize(
    ("truth", "found", "message"),
    [
        ({}, {}, "there are no games to evaluate"),
        ({A: [], B: []}, {A: []}, f"there are no predictions for {B}"),
        ({A: [Event(1, 1, "goal")]}, {A: []}, f"{A}: version 2 has no such label, half or time: Event"),
        ({A: []}, {A: [Spot(1, -0.5, "Goal", 0.5)]}, f"{A}: version 2 has no such label, half or time: Spot"),
        ({A: []}, {A: [Spot(1, float("nan"), "Goal", 0.5)]}, "half or time: Spot"),
        ({A: []}, {A: [Spot(3, 1, "Goal", 0.5)]}, "half or time: Spot"),
    ],
)
def test_what_cannot_be_evaluated(truth, found, message):
    with pytest.raises(ActaError) as error:
        evaluate_games(truth, found, 2, "loose")
    assert message in str(error.value)
    with pytest.raises(ActaError):
        tolerance_curve(truth, found, 2, [5])


# ---- files


@pytest.fixture
def tree(tmp_path) -> Path:
    for game in (A, B):
        write_labels(tmp_path / "labels", game, 2, [Event(1, 10, "Goal")])
        write_predictions(tmp_path / "found", game, [Spot(1, 10, "Goal", 0.5)])
    return tmp_path


def test_archives(tree):
    expected = evaluate_folders(tree / "labels", tree / "found", 2, "tight")
    for name in ("labels", "found"):
        with zipfile.ZipFile(tree / f"{name}.zip", "w") as archive:
            for path in sorted((tree / name).rglob("*.json")):
                archive.write(path, path.relative_to(tree / name))
    assert evaluate_folders(tree / "labels.zip", tree / "found.zip", 2, "tight") == expected
    assert expected["games"] == 2
    assert expected["a_mAP"] == pytest.approx(1 / 17)


def test_unknown_labels_are_said(tree, capsys):
    write_labels(tree / "labels", "l/s/c", 2, [], {"gameTime": "1 - 00:01", "label": "whistle"})
    path = tree / "found/l/s/c" / PREDICTIONS
    path.parent.mkdir(parents=True)
    row = {"position": 1, "half": 1, "confidence": 1, "label": "PASS"}
    path.write_text(json.dumps({"predictions": [row, row]}))
    result = evaluate_folders(tree / "labels", tree / "found", 2, "tight")
    assert result["skipped"] == {"labels": {"whistle": 1}, "predictions": {"PASS": 2}}
    assert capsys.readouterr().err.splitlines() == [
        "left out of the labels: 'whistle', 1 times",
        "left out of the predictions: 'PASS', 2 times",
    ]


def test_what_counts_otherwise_is_said(tree, capsys):
    """And at most ten reasons why something is left out."""
    row = {"position": 10_000, "half": 1, "confidence": 0.5, "label": "Goal"}
    changes = [{"position": -500}, {"position": 8e6}, {"confidence": -1}, {"confidence": None}, {"confidence": 2}]
    changes += [{"label": f"label {number}"} for number in range(11)] + [{"half": 3}] * 2
    path = tree / "found" / A / PREDICTIONS
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"predictions": [row | change for change in changes]}).encode())
    result = evaluate_folders(tree / "labels", tree / "found", 2, "tight")
    skipped = {f"label {number}": 1 for number in range(11)} | {"half 3": 2}
    skipped |= {"confidence below 0": 1, "confidence that is no number": 1}
    assert result["skipped"] == {"labels": {}, "predictions": dict(sorted(skipped.items()))}
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "left out of the predictions: 'half 3', 2 times"
    assert lines[10:] == [
        "left out of the predictions: 4 others",
        "counted as the evaluator does: predictions: before the beginning of its half, so near its end, 1 times",
        "counted as the evaluator does: predictions: later than 120 minutes, so at their end, 1 times",
        "counted as the evaluator does: predictions: confidence above 1, so as sure as 1, 1 times",
    ]


def test_the_first_entry_that_stops_the_evaluator_is_named(tree):
    path = tree / "found" / B / PREDICTIONS
    path.write_text(json.dumps({"predictions": [{"position": "x"}]}))
    with pytest.raises(ActaError) as error:
        evaluate_folders(tree / "labels", tree / "found", 2, "tight")
    assert str(error.value) == f"{path}: predictions[0]: position 'x' is not a whole number"
    path.write_bytes(b'{"predictions":\n\n\xe9}')
    with pytest.raises(ActaError) as error:
        evaluate_folders(tree / "labels", tree / "found", 2, "tight")
    assert str(error.value) == f"{path}, line 3: byte 0xe9 is not UTF-8; save the file as UTF-8"


def test_what_is_there_instead_is_said(tree):
    (tree / "found" / "spots").mkdir()
    (tree / "found" / "league").rename(tree / "found" / "spots" / "league")
    with pytest.raises(ActaError) as error:
        evaluate_folders(tree / "labels", tree / "found", 2, "tight")
    assert "; found 2 too deep, such as 'spots/league/season/" in str(error.value)
    with pytest.raises(ActaError) as error:
        evaluate_folders(tree / "labels", tree / "found", 1, "tight")
    assert f"Labels.json; found 2 called '{LABELS[2]}', such as" in str(error.value)


def test_the_largest_file(tree):
    path = tree / "found" / A / PREDICTIONS
    path.write_text(path.read_text() + " " * 500)
    size = path.stat().st_size
    assert evaluate_folders(tree / "labels", tree / "found", 2, "tight", largest=size)["games"] == 2
    with pytest.raises(ActaError, match=f"has more than {size - 1} bytes"):
        evaluate_folders(tree / "labels", tree / "found", 2, "tight", largest=size - 1)


def test_games_that_are_missing(tree):
    write_labels(tree / "labels", "l/s/c", 2, [])
    write_labels(tree / "labels", "l/s/d", 2, [])
    with pytest.raises(ActaError) as error:
        evaluate_folders(tree / "labels", tree / "found", 2, "tight")
    assert str(error.value).startswith(f"l/s/c has no {PREDICTIONS} in {tree / 'found'} (nor have 1 others); --games")
    games = tree / "games.json"
    games.write_text(json.dumps({"league": {"season": ["b"]}}))
    assert evaluate_folders(tree / "labels", tree / "found", 2, "tight", games)["games"] == 1
    games.write_text(json.dumps({"league": {"season": ["b", "e"]}}))
    with pytest.raises(ActaError, match=r"league/season/e has no Labels-v2.json in .*labels; --games"):
        evaluate_folders(tree / "labels", tree / "found", 2, "tight", games)
    with pytest.raises(ActaError, match=r"holds no <league>/<season>/<game>/Labels.json"):
        evaluate_folders(tree / "labels", tree / "found", 1, "tight")


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"l": ["a"]}', '{"l": {"s": ["../x"]}}', '{"l": {"s": ["a", "a"]}}', '{"l": {}}', "{}"]
)
def test_bad_files_of_games(tmp_path, content):
    path = tmp_path / "games.json"
    path.write_text(content)
    with pytest.raises(ActaError, match=r"games.json"):
        read_games_file(path)


def test_files_of_games(tmp_path):
    path = tmp_path / "games.json"
    path.write_text(json.dumps({"l": {"s": ["x", "y"]}, "m": {"s": ["x"], "t": []}}))
    assert read_games_file(path) == ["l/s/x", "l/s/y", "m/s/x"]
    with pytest.raises(ActaError, match=r"none.json"):
        read_games_file(tmp_path / "none.json")


# ---- the command


def command(*arguments: object) -> int | None:
    options = parse(["evaluate", "spots", *map(str, arguments)])
    return options.run(options)


def test_the_command(tree, capsys):
    options = ("--labels", tree / "labels", "--predictions", tree / "found", "--version", 2)
    assert command(*options) is None
    printed = json.loads(capsys.readouterr().out)
    assert printed == evaluate_folders(tree / "labels", tree / "found", 2, "loose")
    (tree / "games.json").write_text(json.dumps({"league": {"season": ["b"]}}))
    command(*options, "--metric", "at1", "--games", tree / "games.json")
    assert json.loads(capsys.readouterr().out)["games"] == 1


def test_the_command_knows_its_metrics(tree, capsys):
    with pytest.raises(SystemExit):
        command("--labels", tree, "--predictions", tree, "--version", 2, "--metric", "strict")
    assert "strict" in capsys.readouterr().err
