"""``acta evaluate``: what each kind prints, how its options reach the evaluation, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main, parse
from pipeline.detect.evaluate_files import evaluate_files
from pipeline.spot.evaluation import evaluate_folders
from pipeline.spot.events import Spot
from pipeline.spot.soccernet_files import LABELS, write_predictions

LABEL_MAP = 'item { name: "stand" id: 12 }\nitem { name: "dance" id: 4 }\n'
TRUTH = "v,0902,0.0,0.0,0.5,1.0,12,0\nv,0903,0.1,0.1,0.9,0.9,12,0\nv,0904,0.1,0.1,0.9,0.9,4,1\n"
FOUND = "v,902,0.0,0.0,0.5,0.7,12,0.9\nv,902,0.0,0.0,0.5,1.0,4,0.8\nv,903,0.1,0.1,0.9,0.9,12,0.2\n"


@pytest.fixture
def boxes(tmp_path: Path) -> dict[str, Path]:
    """Files like AVA's."""
    texts = {"labelmap": LABEL_MAP, "groundtruth": TRUTH, "detections": FOUND, "exclusions": "v,0904\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in texts}


@pytest.fixture
def games(tmp_path: Path) -> Path:
    """Labels and predictions of two games, like SoccerNet's."""
    for name in ("a", "b"):
        game = f"league/season/{name}"
        (tmp_path / "labels" / game).mkdir(parents=True)
        event = {"gameTime": "1 - 00:10", "label": "Goal", "visibility": "visible", "position": "10000"}
        (tmp_path / "labels" / game / LABELS[2]).write_text(json.dumps({"annotations": [event]}))
        write_predictions(tmp_path / "found", game, [Spot(1, 14.0 if name == "a" else 10.0, "Goal", 0.5)])
    (tmp_path / "games.json").write_text(json.dumps({"league": {"season": ["b"]}}))
    return tmp_path


def detections(boxes: dict[str, Path], *more: str) -> list[str]:
    """The words of ``acta evaluate detections``."""
    needed = ("labelmap", "groundtruth", "detections")
    return ["evaluate", "detections", *(word for name in needed for word in (f"--{name}", str(boxes[name]))), *more]


def spots(games: Path, *more: object) -> list[str]:
    """The words of ``acta evaluate spots``."""
    files = ["--labels", f"{games}/labels", "--predictions", f"{games}/found", "--version", "2"]
    return ["evaluate", "spots", *files, *map(str, more)]


def printed(capsys: Any, words: list[str]) -> Any:
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)


def test_detections(boxes: dict[str, Path], capsys: Any) -> None:
    """The first box overlaps by 0.7 and the third wholly; nobody dances where it is said."""
    found = printed(capsys, detections(boxes))
    assert found == evaluate_files(boxes["labelmap"], boxes["groundtruth"], boxes["detections"])
    assert found["classes"] == {"stand": pytest.approx(1.0), "dance": 0.0}


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--iou", "0.8"], {"iou": 0.8}),
        (["--capacity", "1"], {"capacity": 1}),
        (["--capacity", "0"], {"capacity": 0}),
        (["--video-map"], {"video_map": True}),
    ],
)
def test_options_of_detections(boxes: dict[str, Path], capsys: Any, words: list[str], options: dict[str, Any]) -> None:
    files = (boxes["labelmap"], boxes["groundtruth"], boxes["detections"])
    assert printed(capsys, detections(boxes, *words)) == evaluate_files(*files, **options)


def test_excluded_frames_do_not_count(boxes: dict[str, Path], capsys: Any) -> None:
    found = printed(capsys, detections(boxes, "--exclusions", str(boxes["exclusions"])))
    assert found["classes"] == {"stand": pytest.approx(1.0), "dance": None}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--iou", "0"], "--iou 0.0 is not in (0, 1]"),
        (["--iou", "1.5"], "--iou 1.5 is not in (0, 1]"),
        (["--iou", "nan"], "--iou nan is not in (0, 1]"),
        (["--capacity", "-1"], "--capacity -1 is below 0"),
        (["--exclusions", "missing.csv"], "missing.csv"),
    ],
)
def test_what_detections_refuse(boxes: dict[str, Path], capsys: Any, words: list[str], said: str) -> None:
    assert main(detections(boxes, *words)) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert said in shown.err
    assert shown.out == ""


def test_spots(games: Path, capsys: Any) -> None:
    found = printed(capsys, spots(games))
    assert found == evaluate_folders(games / "labels", games / "found", 2, "loose")
    assert found["games"] == 2


@pytest.mark.parametrize("metric", ["loose", "tight", "at1", "at2", "at3", "at4", "at5"])
def test_metrics_of_spots(games: Path, capsys: Any, metric: str) -> None:
    found = printed(capsys, spots(games, "--metric", metric))
    assert found == evaluate_folders(games / "labels", games / "found", 2, metric)


def test_only_the_games_of_a_file(games: Path, capsys: Any) -> None:
    assert printed(capsys, spots(games, "--games", games / "games.json"))["games"] == 1


def test_files_may_be_larger_where_that_is_said(games: Path, capsys: Any) -> None:
    path = games / "found/league/season/a/results_spotting.json"
    path.write_text(path.read_text() + " " * (1 << 20))
    assert printed(capsys, spots(games, "--max-megabytes", 2))["games"] == 2
    assert main(spots(games, "--max-megabytes", 1)) == 1
    assert f"has more than {1 << 20} bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metric", "strict"], "argument --metric: invalid choice: 'strict'"),
        (["--version", "3"], "argument --version: invalid choice: 3"),
        (["--max-megabytes", "0"], "'0' is no whole number of megabytes from 1 to 1048576"),
        (["--max-megabytes", "1.5"], "'1.5' is no whole number of megabytes"),
        (["--max-megabytes", "1048577"], "'1048577' is no whole number of megabytes"),
    ],
)
def test_options_that_spots_refuse(games: Path, capsys: Any, words: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(spots(games, *words))
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: KIND"),
        (["spotting"], "invalid choice: 'spotting' (choose from 'detections', 'spots')"),
        (["detections"], "the following arguments are required: --labelmap, --groundtruth, --detections"),
        (["spots"], "the following arguments are required: --labels, --predictions, --version"),
    ],
)
def test_what_must_be_given(capsys: Any, words: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", *words])
    assert said in capsys.readouterr().err


def test_shipped_values(boxes: dict[str, Path], games: Path) -> None:
    """Those of the official evaluators."""
    options = parse(detections(boxes))
    assert (options.iou, options.capacity, options.video_map, options.exclusions) == (0.5, 50, False, None)
    options = parse(spots(games))
    assert (options.metric, options.games, options.max_megabytes) == ("loose", None, 64)
