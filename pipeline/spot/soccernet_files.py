"""SoccerNet's own files of annotated events and of predictions (`pipeline.spot.game_files` finds them).

A game is called ``<league>/<season>/<game>``, and its files lie in a folder of that name.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import write_json
from pipeline.runtime.text import decode, parse_json
from pipeline.spot.events import CLASSES, HALVES, Event, Spot, Version

LABELS = {1: "Labels.json", 2: "Labels-v2.json"}
PREDICTIONS = "results_spotting.json"
LARGEST = 64 << 20  # bytes of one file; a prediction of every class at every half-second of a game has 40 MB
_RAISE = "(--max-megabytes raises this)"
_LATEST = (1 << 53) // 1000  # seconds; up to here float64 holds every millisecond
_GAME_TIME = re.compile(r"([0-9]) - ([0-9]{1,3}):([0-5][0-9])")

ItemT = TypeVar("ItemT", Event, Spot)
ValueT = TypeVar("ValueT", int, float)


@dataclass(frozen=True)
class Labels:
    """A game's annotated events, in the order of their file.

    ``unknown``: how many were left out, by label, or by ``half <n>`` for halves other than 1 and 2.
    """

    events: list[Event]
    unknown: dict[str, int]


@dataclass(frozen=True)
class Predictions:
    """A game's predicted events, in the order of their file; ``unknown`` as in `Labels`."""

    spots: list[Spot]
    unknown: dict[str, int]


def read_labels(path: Path, version: Version) -> Labels:
    """Read a game's ``Labels.json`` (version 1) or ``Labels-v2.json``.

    Labels of version 1 belong to the first class whose name they contain. An event's time is its ``position``
    (milliseconds) where it has one, else its ``gameTime`` (``<half> - <minutes>:<seconds>``).

    Raises:
        ActaError: the file cannot be read, or an annotation lacks something or has a malformed or negative time.
    """
    where = str(path)
    return Labels(
        *_of_classes(entries(content_of(path), where, "annotations"), f"{where}: annotations", version, _event)
    )


def read_predictions(path: Path, version: Version) -> Predictions:
    """Read a game's ``results_spotting.json``; numbers may be texts.

    Raises:
        ActaError: the file cannot be read, or a prediction lacks something, has a malformed or negative position or a
            confidence that is no finite number, or (version 1) a label outside the classes.
    """
    listed = entries(content_of(path), str(path), "predictions")
    usual = usual_columns(listed, version)
    if usual is not None:
        return Predictions([Spot(*row) for row in zip(*usual, strict=True)], {})
    return Predictions(*_of_classes(listed, f"{path}: predictions", version, _spot))


def _of_classes(
    listed: list[Any], where: str, version: Version, read: Callable[[Any, Version], ItemT]
) -> tuple[list[ItemT], dict[str, int]]:
    """What ``read`` makes of the entries, and how many are of no known class or half."""
    items, unknown = [], Counter[str]()
    for index, entry in enumerate(listed):
        try:
            item = read(entry, version)
        except ValueError as error:
            raise ActaError(f"{where}[{index}]: {error}") from None
        if item.label not in CLASSES[version]:
            unknown[item.label] += 1
        elif item.half not in HALVES:
            unknown[f"half {item.half}"] += 1
        else:
            items.append(item)
    return items, dict(unknown)


def usual_columns(listed: list[Any], version: Version) -> tuple[list[int], list[float], list[str], list[float]] | None:
    """Half, seconds, label and confidence of predictions; None if any is malformed or would be left out.

    This takes a third of the time of reading entry by entry.
    """
    try:
        halves = [int(entry["half"]) for entry in listed]
        positions = [int(entry["position"]) for entry in listed]
        labels = [entry["label"] for entry in listed]
        confidences = [float(entry["confidence"]) for entry in listed]
        kinds = {type(entry[key]) for key in ("half", "position", "confidence") for entry in listed}
        known = set(labels).issubset(CLASSES[version])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    possible = all(map(math.isfinite, confidences)) and set(halves).issubset(HALVES)
    in_time = not positions or (min(positions) >= 0 and max(positions) < 1000 * _LATEST)
    if not (known and possible and in_time and kinds.issubset((str, int, float))):
        return None
    return halves, [position / 1000 for position in positions], labels, confidences


def write_predictions(folder: Path, game: str, spots: Sequence[Spot]) -> Path:
    """Write ``<folder>/<game>/results_spotting.json`` as the development kit describes it; returns its path.

    Spots are sorted by half, time in whole milliseconds and label.

    Raises:
        ActaError: the game's name would lead elsewhere, or a spot's half, time or confidence is out of range.
    """
    if not is_game(game):
        raise ActaError(f"{game!r} is not like <league>/<season>/<game>")
    path = folder / game / PREDICTIONS
    write_prediction_file(path, game, spots)
    return path


def write_prediction_file(path: Path, game: str, spots: Sequence[Spot]) -> None:
    """Write a game's predictions to any file, which names ``game``; otherwise as `write_predictions`."""
    for spot in spots:
        if not (spot.half in HALVES and 0 <= spot.time < math.inf and 0 <= spot.confidence <= 1):
            raise ActaError(f"{game}: half must be 1 or 2, time not below 0 and confidence in [0, 1], not as in {spot}")
    rows = []
    placed = [(spot.half, round(spot.time * 1000), spot.label, spot) for spot in spots]
    for _, position, _, spot in sorted(placed, key=lambda entry: entry[:3]):
        minutes, seconds = divmod(position // 1000, 60)
        rows.append(
            {
                "gameTime": f"{spot.half} - {minutes:02d}:{seconds:02d}",
                "label": spot.label,
                "position": str(position),
                "half": str(spot.half),
                "confidence": str(float(spot.confidence)),
            }
        )
    write_json(path, {"UrlLocal": game, "predictions": rows}, seal=False)


def is_game(name: str) -> bool:
    """Whether a name is like ``<league>/<season>/<game>`` and does not lead out of its folder."""
    parts = name.split("/")
    return len(parts) == 3 and name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(parts)


def entries(content: bytes, where: str, key: str) -> list[Any]:
    """The list ``key`` of a JSON file.

    Raises:
        ActaError: it is not text or not JSON, or has no such list.
    """
    parsed = parse_json(decode(content, where), where)
    if not isinstance(parsed, dict):
        raise ActaError(f"{where} holds no JSON object")
    listed = parsed.get(key)
    if not isinstance(listed, list):
        raise ActaError(f"{where} has no list `{key}`")
    return listed


# What follows reads one entry, or a value of it; a ValueError says what is wrong.


def _event(entry: Any, version: Version) -> Event:
    text = _need(entry, "gameTime")
    match = _GAME_TIME.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"gameTime {text!r} is not like '1 - 05:30'")
    time = _seconds(entry) if "position" in entry else float(60 * int(match[2]) + int(match[3]))
    label = _label(entry)
    if version == 1:
        label = next((name for name in CLASSES[1] if name in label), label)
    return Event(int(match[1]), time, label, version == 1 or entry.get("visibility") != "not shown")


def _spot(entry: Any, version: Version) -> Spot:
    label = _label(entry)
    half = _number(_need(entry, "half"), int)
    if half is None:
        raise ValueError(f"half {entry['half']!r} is not 1 or 2")
    time = _seconds(entry)
    confidence = _number(_need(entry, "confidence"), float)
    if confidence is None or not math.isfinite(confidence):
        raise ValueError(f"confidence {entry['confidence']!r} is not a finite number")
    if version == 1 and label not in CLASSES[1]:
        raise ValueError(f"{label!r} is not one of {', '.join(CLASSES[1])}")
    return Spot(half, time, label, confidence)


def _need(entry: Any, key: str) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f"{entry!r:.80} is not an object")
    if key not in entry:
        raise ValueError(f"there is no `{key}`")
    return entry[key]


def _label(entry: Any) -> str:
    label = _need(entry, "label")
    if not isinstance(label, str):
        raise ValueError(f"label {label!r} is not text")
    return label


def _seconds(entry: Any) -> float:
    given = _need(entry, "position")
    position = _number(given, int)
    if position is None or not 0 <= position < 1000 * _LATEST:
        raise ValueError(f"position {given!r} is not a whole number of milliseconds from 0 on")
    return position / 1000


def _number(value: Any, kind: type[ValueT]) -> ValueT | None:
    """A text or number (but no bool) as the evaluator reads it; None for anything else."""
    try:
        return kind(value) if type(value) in (str, int, float) else None
    except (ValueError, OverflowError):
        return None


def content_of(path: Path, largest: int = LARGEST) -> bytes:
    """The bytes of a file, of which no more than ``largest`` are read.

    Raises:
        ActaError: it cannot be read, and as for `bounded`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except (OSError, ValueError) as error:
        raise ActaError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    return bounded(content, str(path), largest)


def bounded(content: bytes, where: str, largest: int) -> bytes:
    """The same bytes of a JSON file, unless they or the values in them would take too much memory.

    At most ``largest`` bytes are allowed, and a 32nd as many values: a value of two bytes takes a hundred in memory,
    and a value in files of predictions has more than ten bytes.

    Raises:
        ActaError: there are more; the message names the file (``where``) and says how to raise the limit.
    """
    if len(content) > largest:
        raise ActaError(f"{where} has more than {largest} bytes, the most that are read {_RAISE}")
    values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if values > largest // 32:
        raise ActaError(f"{where} holds {values} values; at most {largest // 32} are read {_RAISE}")
    return content
