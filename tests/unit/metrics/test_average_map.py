"""Average-mAP: by hand, and equal to the official evaluator on files of made-up games."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.average_map import official_evaluator, official_results
from pipeline.metrics.average_map import (
    FRAMES,
    Annotated,
    Detected,
    average_map,
    average_precisions,
    frames_of,
)
from pipeline.spot.evaluation import METRICS, evaluate_folders
from pipeline.spot.events import CLASSES
from pipeline.spot.soccernet_files import LABELS, PREDICTIONS
from tests import PROJECT

Row = dict[str, Any]


def points(*rows: tuple[int, int, int, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Columns of rows (half, frame, label, visible or score)."""
    half, frame, label, value = np.array(rows, np.float64).reshape(-1, 4).T
    return half.astype(np.int64), frame.astype(np.int64), label.astype(np.int64), value


def precision(truth: list, found: list, seconds: float, classes: int = 1) -> list[float]:
    annotated = Annotated(*points(*truth))
    return average_precisions(annotated, Detected(*points(*found)), classes, [seconds]).every[0].tolist()


# ---- by hand


def test_the_tolerance_goes_half_to_each_side():
    """δ of 5 s is ± 5 frames of half a second."""
    assert precision([(0, 100, 0, 1)], [(0, 105, 0, 0.5)], 5) == [1.0]
    assert precision([(0, 100, 0, 1)], [(0, 106, 0, 0.5)], 5) == [0.0]
    assert precision([(0, 100, 0, 1)], [(0, 95, 0, 0.5)], 5) == [1.0]
    assert precision([(0, 100, 0, 1)], [(1, 100, 0, 0.5)], 5) == [0.0]
    assert precision([(0, 100, 0, 1)], [(0, 101, 0, 0.5)], 0.9) == [0.0]


def test_windows_stay_in_their_half():
    assert precision([(0, FRAMES - 1, 0, 1)], [(1, 0, 0, 0.5)], 60) == [0.0]
    assert precision([(1, 0, 0, 1)], [(0, FRAMES - 1, 0, 0.5)], 60) == [0.0]


def test_an_earlier_annotation_chooses_first():
    """It takes the most confident of both, and the later one takes what is left: nothing for it is right at first."""
    truth = [(0, 10, 0, 1), (0, 14, 0, 1)]
    assert precision(truth, [(0, 12, 0, 0.9)], 4) == pytest.approx([6 / 11])  # half of the recall: levels 0 to 0.5
    assert precision(truth, [(0, 12, 0, 0.9), (0, 8, 0, 0.3)], 4) == pytest.approx([6 / 11])  # 12 is taken by 10
    assert precision(truth, [(0, 12, 0, 0.3), (0, 8, 0, 0.9)], 4) == [1.0]
    assert precision(truth, [(0, 12, 0, 0.5), (0, 8, 0, 0.5)], 4) == [1.0]  # the first of equals


def test_precision_at_a_recall_is_the_best_from_there_on():
    """Hits at ranks 2 and 3 of 2 annotations: best precision 2/3 at every recall."""
    truth = [(0, 100, 0, 1), (0, 500, 0, 1)]
    found = [(0, 900, 0, 0.9), (0, 100, 0, 0.8), (0, 500, 0, 0.7)]
    assert precision(truth, found, 5) == pytest.approx([2 / 3])


def test_the_last_of_a_frame_counts():
    """Also where it takes the prediction away, by a confidence below 0."""
    found = [(0, 100, 0, 0.9), (0, 100, 0, 0.2), (0, 300, 0, 0.5)]
    assert precision([(0, 100, 0, 1)], found, 5) == [0.5]
    assert precision([(0, 100, 0, 1)], [(0, 100, 0, 0.9), (0, 100, 0, -1)], 5) == [0.0]


def test_a_class_without_annotations_counts_nothing():
    assert precision([(0, 1, 0, 1)], [(0, 1, 0, 1), (0, 1, 1, 1)], 5, classes=3) == [1.0, 0.0, 0.0]
    assert precision([], [], 5, classes=2) == [0.0, 0.0]


def test_detections_belong_to_the_closest_annotation():
    """Of 10 (shown) and 15 (not), frame 12 = 25 // 2 is the later one's; another half's have none."""
    annotated = Annotated(*points((0, 10, 0, 1), (0, 15, 0, 0)))
    found = Detected(*points((0, 11, 0, 0.7), (0, 12, 0, 0.6), (3, 12, 0, 0.9)))
    narrow, wide = (average_precisions(annotated, found, 1, [seconds]) for seconds in (2, 4))
    assert narrow.visible.tolist() == wide.visible.tolist() == [[1.0]]
    assert narrow.unshown.tolist() == [[0.0]]  # 12 is not within a second of 15
    assert wide.unshown.tolist() == [[0.5]]
    found.score[:2] = 0.5, 0.6
    other = average_precisions(annotated, found, 1, [2])
    assert other.visible.tolist() == [[0.0]]  # 10, which is shown, takes 12 …
    assert other.unshown.tolist() == [[0.5]]  # … which counts as a hit of those that are not


def test_areas():
    """Trapezoids over the tolerances; 17/13 only for the mean of the unshown, and only of more than one tolerance."""
    annotated = Annotated(*points((0, 100, 0, 0)))
    found = Detected(*points((0, 102, 0, 0.5)))
    every, visible, unshown = average_map(average_precisions(annotated, found, 1, [1, 2, 3]))
    assert every.mean == pytest.approx(0.75)
    assert every.per_class.tolist() == pytest.approx([0.75])
    assert unshown.mean == pytest.approx(0.75 * 17 / 13)
    assert unshown.per_class.tolist() == pytest.approx([0.75])
    assert visible.mean == 0.0
    assert average_map(average_precisions(annotated, found, 1, [2]))[2].mean == 1.0


def test_frames_are_taken_in_whole_milliseconds():
    """What is half a millisecond short of a frame reaches it; nothing lies beyond 120 minutes."""
    assert frames_of(np.array([0, 0.499, 0.4996, 0.5, 7199.9, 7200, 1e12])).tolist() == [
        0,
        0,
        1,
        1,
        14399,
        14399,
        14399,
    ]


# ---- the official evaluator


@pytest.fixture(scope="module")
def official() -> Any:
    return official_evaluator(PROJECT / "resources" / "soccernet_evaluator")


def write(folder: Path, version: int, games: dict[str, tuple[list[Row], list[Row]]]) -> tuple[Path, Path]:
    for name, (annotations, predictions) in games.items():
        for kind, file, content in (
            ("labels", LABELS[version], {"annotations": annotations}),
            ("found", PREDICTIONS, {"UrlLocal": name, "predictions": predictions}),
        ):
            place = folder / kind / "league" / "season" / name
            place.mkdir(parents=True)
            (place / file).write_text(json.dumps(content))
    return folder / "labels", folder / "found"


def assert_equal(official: Any, labels: Path, found: Path, version: int, metric: str) -> dict[str, Any]:
    ours = evaluate_folders(labels, found, version, metric)
    for key, value in official_results(official, labels, found, version, metric).items():
        mine = list(ours[key].values()) if isinstance(ours[key], dict) else ours[key]
        if value is None:
            assert mine is None
        else:
            assert mine == pytest.approx(list(value) if np.ndim(value) else value, rel=0, abs=1e-9), key
    return ours


def annotation(half: int, position: int, label: str, shown: bool = True) -> Row:
    return {
        "gameTime": f"{half} - {position // 60_000 % 100:02d}:{position // 1000 % 60:02d}",
        "label": label,
        "position": str(position),
        "visibility": "visible" if shown else "not shown",
    }


def prediction(half: int, position: int, label: str, confidence: float | str) -> Row:
    return {"label": label, "position": str(position), "half": str(half), "confidence": confidence}


def made_up(seed: int, version: int, spread: int) -> dict[str, tuple[list[Row], list[Row]]]:
    """Two games, crowded around a few moments; of the last class no annotation, of the second no prediction.

    ``spread``: milliseconds around a moment.
    """
    random = np.random.default_rng(seed)
    classes = CLASSES[version]
    texts = {
        label: ("yr-card", "substitution", "soccer-ball")[n] if version == 1 else label
        for n, label in enumerate(classes)
    }
    moments = [0, 400_000, 420_000, 2_500_000, 6_000_000 - 1, 7_199_000, 7_300_000]
    confidences = [0, 1, 0.5, 1.5, -0.2, *np.linspace(0, 1, 200)[[1, 50, 100, 198]], *random.random(3)]

    def place() -> tuple[int, int]:
        return int(random.integers(1, 3)), max(0, int(random.choice(moments) + random.integers(-spread, spread)))

    games = {}
    for game in ("one", "two"):
        annotations = []
        for label in random.choice(classes[:-1], 40):
            entry = annotation(*place(), texts[label], random.random() < 0.6)
            if version == 1 and random.random() < 0.5:
                del entry["position"]
            annotations.append(entry)
        if game == "two":  # a half without annotations of the first class
            bare = ("2", texts[classes[0]])
            annotations = [entry for entry in annotations if (entry["gameTime"][0], entry["label"]) != bare]
        labels = random.choice([classes[0], *classes[2:]], 120)
        predictions = [prediction(*place(), label, str(random.choice(confidences))) for label in labels]
        predictions += [dict(each, confidence=float(random.random())) for each in predictions[::7]]
        games[game] = (annotations, predictions)
    return games


@pytest.mark.parametrize(
    ("seed", "version", "metric", "spread"),
    [
        (0, 2, "loose", 30_000),
        (1, 1, "loose", 30_000),
        (2, 2, "tight", 2_000),
        (3, 2, "tight", 15_000),
        (4, 1, "tight", 4_000),
        *((seed, 1 + seed % 2, f"at{1 + seed % 5}", spread) for seed in range(5, 10) for spread in (1_000, 4_000)),
    ],
)
def test_the_same_as_the_official_evaluator(official, tmp_path, monkeypatch, seed, version, metric, spread):
    """With three of the 17 classes, since the official one takes long for all."""
    monkeypatch.setitem(CLASSES, 2, CLASSES[2][:3])
    monkeypatch.setattr(official, "EVENT_DICTIONARY_V2", {label: n for n, label in enumerate(CLASSES[2])})
    ours = assert_equal(official, *write(tmp_path, version, made_up(seed, version, spread)), version, metric)
    assert 0 < ours["a_mAP"] < 0.9
    assert list(ours["a_mAP_per_class"].values())[-1] == 0.0


def test_all_17_classes_and_nothing_at_all(official, tmp_path):
    """The order of the classes is the official one; a game may be empty."""
    annotations = [annotation(1 + n % 2, 60_000 * n, label, n % 3 > 0) for n, label in enumerate(CLASSES[2])]
    predictions = [prediction(1 + n % 2, 60_000 * n + 400 * n, label, 1 - n / 20) for n, label in enumerate(CLASSES[2])]
    games = {"one": (annotations, predictions), "two": ([], []), "three": (annotations[:5], [])}
    labels, found = write(tmp_path, 2, games)
    per_class = assert_equal(official, labels, found, 2, "at2")["a_mAP_per_class"]
    assert per_class["Penalty"] > per_class["Direct free-kick"]


def test_metrics():
    assert METRICS["loose"] == (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60)
    assert METRICS["tight"] == (1, 2, 3, 4, 5)
