"""Average-mAP of spots in games, from memory or from SoccerNet's own files (Sec. 4.2.1, Figures 4.4 and 4.5)."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.metrics.average_map import (
    RATE,
    Annotated,
    Detected,
    average_map,
    average_precisions,
    frames_of,
    milliseconds_of,
)
from pipeline.runtime.errors import ActaError
from pipeline.spot.events import CLASSES, HALVES, Event, Spot, Version
from pipeline.spot.game_files import GameFiles
from pipeline.spot.game_lists import read_split
from pipeline.spot.official import Tally, annotations_in, entries_of, parse_file, predictions_in
from pipeline.spot.soccernet_files import LABELS, LARGEST, PREDICTIONS

_SAID = 10  # labels and reasons, a line each
# Half (0 or 1), seconds, class, and whether it is visible or how confident it is.
_Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Metric = Literal["loose", "tight", "at1", "at2", "at3", "at4", "at5"]
# Tolerances in seconds.
METRICS = {"loose": (*range(5, 65, 5),), "tight": (1, 2, 3, 4, 5)} | {
    f"at{second}": (second,) for second in range(1, 6)
}


def evaluate_games(
    truth: Mapping[str, Sequence[Event]], predicted: Mapping[str, Sequence[Spot]], version: Version, metric: Metric
) -> dict[str, Any]:
    """Evaluate spots as the official evaluator would after `write_predictions`.

    Args:
        truth: Annotated events of each game.
        predicted: Spots of at least these games; other games are ignored.
        version: Decides the classes.
        metric: ``loose`` (δ from 5 to 60 s), ``tight`` (1 to 5 s) or a single tolerance.

    Returns:
        JSON-ready, in [0, 1] (except ``a_mAP_unshown``, which has a factor of 17/13 unless there is one tolerance): the
        official results, classes by name, visible and unshown None in version 1; and the number of ``games``.

    Raises:
        ActaError: there are no games, a game has no spots (an empty list is fine), or a label, half or time is invalid.
    """
    return _evaluate(_arrays(_pairs(truth, predicted, version), by_time=True), version, metric) | {"games": len(truth)}


def tolerance_curve(
    truth: Mapping[str, Sequence[Event]],
    predicted: Mapping[str, Sequence[Spot]],
    version: Version,
    tolerances: Sequence[float],
) -> dict[str, Any]:
    """Precision as a function of the tolerance; arguments and errors as for `evaluate_games`.

    Returns:
        JSON-ready: ``seconds``, the tolerances; ``mAP`` at each (Figure 4.5); ``AP`` by class, at each (Figure 4.4).
    """
    arrays = _arrays(_pairs(truth, predicted, version), by_time=True)
    precisions = average_precisions(*arrays, len(CLASSES[version]), tolerances).every
    return {
        "seconds": list(tolerances),
        "mAP": precisions.mean(axis=1).tolist(),
        "AP": dict(zip(CLASSES[version], precisions.T.tolist(), strict=True)),
    }


def evaluate_folders(
    labels: Path,
    predictions: Path,
    version: Version,
    metric: Metric,
    games: Path | None = None,
    largest: int = LARGEST,
) -> dict[str, Any]:
    """Evaluate files of predictions against files of labels, as the official evaluator does.

    What it leaves out, or counts differently from what the files say, is reported on stderr. Unlike it, this accepts
    files with a byte order mark.

    Args:
        labels: Folder or zip archive with ``<league>/<season>/<game>/Labels-v2.json`` (version 1: ``Labels.json``).
        predictions: Folder or zip archive with ``<league>/<season>/<game>/results_spotting.json``.
        version: Decides the classes.
        metric: As for `evaluate_games`.
        games: File of the games (`read_games_file`); None: all games that have labels.
        largest: Most bytes of one file.

    Returns:
        As `evaluate_games`, and ``skipped``: how many annotations and predictions were left out, by label or reason.

    Raises:
        ActaError: a file is malformed, or a game has no labels or no predictions.
    """
    tallies = {"labels": Tally(), "predictions": Tally()}
    with GameFiles(labels, largest) as annotated, GameFiles(predictions, largest) as predicted:
        with_labels, with_predictions = annotated.games(LABELS[version]), predicted.games(PREDICTIONS)
        wanted = read_games_file(games) if games else with_labels
        if not wanted:
            raise ActaError(
                f"{labels} holds no <league>/<season>/<game>/{LABELS[version]}{_instead(annotated, LABELS[version])}"
            )
        for known, name, files in (
            (set(with_labels), LABELS[version], annotated),
            (set(with_predictions), PREDICTIONS, predicted),
        ):
            if missing := [game for game in wanted if game not in known]:
                more = f" (nor have {len(missing) - 1} others)" if len(missing) > 1 else ""
                raise ActaError(
                    f"{missing[0]} has no {name} in {files.path}{more}{_instead(files, name) if not known else ''}; "
                    "--games says which games to evaluate"
                )

        def read() -> Iterator[tuple[_Columns, _Columns]]:
            for game in wanted:
                events = _official(annotated, game, LABELS[version], "annotations", version, tallies["labels"])
                spots = _official(predicted, game, PREDICTIONS, "predictions", version, tallies["predictions"])
                yield events, spots

        evaluation = _evaluate(_arrays(read(), by_time=False), version, metric)
    skipped = {what: tally.labels.counts + tally.left_out.counts for what, tally in tallies.items()}
    for what, tally in tallies.items():
        for label, count in skipped[what].most_common(_SAID):
            print(f"left out of the {what}: {label!r}, {count} times", file=sys.stderr)
        if len(skipped[what]) > _SAID:
            print(f"left out of the {what}: {len(skipped[what]) - _SAID} others", file=sys.stderr)
        for reason, count in tally.otherwise.counts.items():
            print(f"counted as the evaluator does: {what}: {reason}, {count} times", file=sys.stderr)
    return {
        **evaluation,
        "games": len(wanted),
        "skipped": {what: dict(sorted(counts.items())) for what, counts in skipped.items()},
    }


def _instead(files: GameFiles, name: str) -> str:
    instead = files.instead(name)
    return f"; {instead}" if instead else ""


def _official(files: GameFiles, game: str, name: str, key: str, version: Version, tally: Tally) -> _Columns:
    """A game's file as the evaluator reads it."""
    content, where = files.read(game, name)
    listed = entries_of(parse_file(content, where, marks=True), where, key)
    read = predictions_in if key == "predictions" else annotations_in
    entries = read(listed, where, version, tally)
    tally.stop()
    return (
        np.array(entries.half, np.int64),
        np.array(entries.frame, np.float64) / RATE,
        np.array(entries.label, np.int64),
        np.array(entries.value, np.float64),
    )


def read_games_file(path: Path) -> list[str]:
    """`read_split` of a file that must name a game.

    Raises:
        ActaError: it names none, or the file cannot be read or has another form.
    """
    games = read_split(path)
    if not games:
        raise ActaError(f"{path} names no game")
    return games


def _evaluate(arrays: tuple[Annotated, Detected], version: Version, metric: Metric) -> dict[str, Any]:
    classes = CLASSES[version]
    areas = average_map(average_precisions(*arrays, len(classes), METRICS[metric]))
    values: dict[str, Any] = {}
    for kind, area in zip(("", "_visible", "_unshown"), areas, strict=True):
        is_known = version == 2 or not kind
        by_class = dict(zip(classes, area.per_class.tolist(), strict=True))
        values[f"a_mAP{kind}"] = area.mean if is_known else None
        values[f"a_mAP_per_class{kind}"] = by_class if is_known else None
    return values


def _columns(game: str, items: Sequence[Event | Spot], version: Version) -> _Columns:
    numbers = {label: number for number, label in enumerate(CLASSES[version])}
    for item in items:
        if item.label not in numbers or item.half not in HALVES or not 0 <= item.time < np.inf:
            raise ActaError(f"{game}: version {version} has no such label, half or time: {item}")
    return (
        np.array([item.half for item in items], np.int64) - 1,
        np.array([item.time for item in items], np.float64),
        np.array([numbers[item.label] for item in items], np.int64),
        np.array([item.visible if isinstance(item, Event) else item.confidence for item in items]),
    )


def _pairs(
    truth: Mapping[str, Sequence[Event]], predicted: Mapping[str, Sequence[Spot]], version: Version
) -> Iterator[tuple[_Columns, _Columns]]:
    for game, events in truth.items():
        if game not in predicted:
            raise ActaError(f"there are no predictions for {game}")
        yield _columns(game, events, version), _columns(game, predicted[game], version)


def _arrays(games: Iterable[tuple[_Columns, _Columns]], *, by_time: bool) -> tuple[Annotated, Detected]:
    """The events and spots of games, one after the other; ``by_time``: spots in the order in which they are written.

    The order matters because only the last spot of a class in a frame counts.
    """
    annotated, detected = [], []
    for position, ((half, time, label, visible), spots) in enumerate(games):
        annotated.append((2 * position + half, frames_of(time), label, visible))
        half, time, label, score = spots
        order = np.argsort(milliseconds_of(time), kind="stable") if by_time else slice(None)
        detected.append((2 * position + half[order], frames_of(time)[order], label[order], score[order]))
    if not annotated:
        raise ActaError("there are no games to evaluate")
    return (
        Annotated(*(np.concatenate(column) for column in zip(*annotated, strict=True))),
        Detected(*(np.concatenate(column) for column in zip(*detected, strict=True))),
    )
