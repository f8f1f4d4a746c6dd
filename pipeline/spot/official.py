"""SoccerNet's files as its own evaluator reads them, quirks included: it fails here where that one fails.

Halves are numbered 0 and 1 here, and there are `RATE` frames a second. An entry is *unreadable* if the evaluator would
stop at it, *left out* if it would silently skip it, and *otherwise* if it would not count it as what it says.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.metrics.average_map import FRAMES, RATE, frames_of
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import MARKS, decode, parse_json
from pipeline.spot.events import CLASSES, HALVES, Version
from pipeline.spot.soccernet_files import usual_columns

_DISTINCT = 1000  # reasons of one kind that are counted separately
_SHOWN = 60  # characters of a value

LATE = "later than 120 minutes, so at their end"
EARLY = "before the beginning of its half, so near its end"
SURE = "confidence above 1, so as sure as 1"
NEGATIVE = "confidence below 0"
NAN = "confidence that is no number"
LONG = "gameTime of 100 minutes or more, of which two digits are read"


@dataclass
class Cases:
    """Entries with a problem: how many have each problem, and the first that has it."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        """Count one more."""
        if kind not in self.counts and len(self.counts) >= _DISTINCT:
            kind = "others"
        self.counts[kind] += 1
        self.first.setdefault(kind, example)


@dataclass
class Tally:
    """The problems of the entries of any number of files.

    Args:
        unreadable: By field.
        left_out: By reason, without the entries in `labels`.
        labels: By label: entries that are left out because their label is none of the classes.
        otherwise: By reason.
    """

    unreadable: Cases = field(default_factory=Cases)
    left_out: Cases = field(default_factory=Cases)
    labels: Cases = field(default_factory=Cases)
    otherwise: Cases = field(default_factory=Cases)

    def stop(self) -> None:
        """Raise an ActaError for the first unreadable entry, if there is one."""
        for example in self.unreadable.first.values():
            raise ActaError(example)


@dataclass(frozen=True)
class Entries:
    """The n entries of a file that the evaluator puts on its time axis, in the file's order.

    Args:
        index: (n,) their positions in the file's list.
        half: (n,) 0 or 1.
        frame: (n,) in [0, `FRAMES`).
        label: (n,) number of the class.
        value: (n,) whether an annotation is visible; or a prediction's confidence. If that is below 0 or NaN, the
            prediction does not count but still replaces an earlier one.
    """

    index: list[int]
    half: list[int]
    frame: list[int]
    label: list[int]
    value: list[float]


def parse_file(content: bytes, where: str, *, marks: bool) -> dict[str, Any]:
    """The object in a file's bytes; ``where`` names the file in errors.

    ``marks``: whether to accept a byte order mark, which the evaluator does not.

    Raises:
        ActaError: it is not text or not JSON, and on which line; or it holds no object.
    """
    if any(content.startswith(mark) for mark in MARKS):
        if not marks:
            raise ActaError(
                f"{where}, line 1: it begins with a byte order mark, which the evaluator cannot read; save the file as "
                "UTF-8 without one"
            )
        text = decode(content, where)
    else:
        try:
            text = content.decode("utf-8")  # a mark within a text does no harm
        except UnicodeDecodeError:
            text = decode(content, where)
        if "\0" in text:
            text = decode(content, where)
    parsed = parse_json(text, where, strict=False)
    if not isinstance(parsed, dict):
        raise ActaError(f"{where} holds no JSON object")
    return parsed


def entries_of(parsed: dict[str, Any], where: str, key: str) -> list[Any]:
    """The list ``key`` of an object; like the evaluator, this takes an empty text or object for an empty list.

    Raises:
        ActaError: there is no such list.
    """
    listed = parsed.get(key)
    if isinstance(listed, str | dict) and not listed:
        return []
    if not isinstance(listed, list):
        raise ActaError(f"{where} has no list `{key}`")
    return listed


def predictions_in(listed: list[Any], where: str, version: Version, tally: Tally) -> Entries:
    """The entries of a list of predictions; their problems are added to the tally."""
    return _usual(listed, version) or _entries(listed, where, "predictions", _prediction, version, tally)


def annotations_in(listed: list[Any], where: str, version: Version, tally: Tally) -> Entries:
    """The entries of a list of annotations; their problems are added to the tally."""
    return _entries(listed, where, "annotations", _annotation, version, tally)


class _UnreadableError(Exception):
    """The evaluator would stop; the field and what is wrong with it."""


class _LeftOutError(Exception):
    """The evaluator would skip the entry; whether because of its ``label`` or ``half``, and the reason."""


@dataclass(frozen=True)
class _Row:
    half: int
    frame: int
    label: int
    value: float
    otherwise: str = ""
    left_out: str = ""  # it still replaces an earlier entry of its class and frame


def _entries(
    listed: list[Any], where: str, key: str, read: Callable[[Any, Version], _Row], version: Version, tally: Tally
) -> Entries:
    rows: list[tuple[int, _Row]] = []
    for index, entry in enumerate(listed):
        place = f"{key}[{index}] of {where}"
        try:
            row = read(entry, version)
        except _UnreadableError as error:
            kind, problem = error.args
            tally.unreadable.add(kind, f"{where}: {key}[{index}]: {problem}")
            continue
        except _LeftOutError as error:
            kind, reason = error.args
            (tally.labels if kind == "label" else tally.left_out).add(reason, place)
            continue
        if row.otherwise:
            tally.otherwise.add(row.otherwise, place)
        if row.left_out:
            tally.left_out.add(row.left_out, place)
        rows.append((index, row))
    return Entries(
        index=[index for index, _ in rows],
        half=[row.half - 1 for _, row in rows],
        frame=[row.frame for _, row in rows],
        label=[row.label for _, row in rows],
        value=[row.value for _, row in rows],
    )


def _usual(listed: list[Any], version: Version) -> Entries | None:
    """The entries of predictions if none has a problem; this takes a fifth of the time of reading entry by entry."""
    columns = usual_columns(listed, version)
    if columns is None:
        return None
    halves, seconds, labels, confidences = columns
    late = max(seconds, default=0) >= FRAMES / RATE
    if late or min(confidences, default=0) < 0 or max(confidences, default=0) > 1:
        return None
    numbers = {label: number for number, label in enumerate(CLASSES[version])}
    return Entries(
        index=list(range(len(listed))),
        half=[half - 1 for half in halves],
        frame=frames_of(np.array(seconds)).tolist(),
        label=[numbers[label] for label in labels],
        value=confidences,
    )


def _prediction(entry: Any, version: Version) -> _Row:
    position = _whole(entry, "position")
    label = _value(entry, "label")
    half = _whole(entry, "half")
    frame = _frame(position)
    if not isinstance(label, Hashable) or (version == 1 and label not in CLASSES[1]):
        raise _UnreadableError("label", f"label {_short(label)} is not one of {', '.join(CLASSES[version])}")
    if label not in CLASSES[version]:
        raise _LeftOutError("label", _name(label))
    given = _value(entry, "confidence")
    frame, otherwise = _placed(half, frame, position)
    confidence = _confidence(given)
    number, left_out = CLASSES[version].index(label), ""
    if not confidence >= 0:
        otherwise, left_out = "", NEGATIVE if confidence < 0 else NAN
    elif confidence > 1:
        otherwise = otherwise or SURE
    return _Row(half, frame, number, confidence, otherwise, left_out)


def _annotation(entry: Any, version: Version) -> _Row:
    text = _value(entry, "gameTime")
    label = _value(entry, "label")
    try:
        half, minutes, seconds = int(text[0]), int(text[-5:-3]), int(text[-2:])
    except (TypeError, ValueError, LookupError):
        raise _UnreadableError("gameTime", f"gameTime {_short(text)} is not like '1 - 05:30'") from None
    position, otherwise = 1000 * (60 * minutes + seconds), LONG if text[-6:-5].isdigit() else ""
    if "position" in entry:
        position, otherwise = _whole(entry, "position"), ""
    frame = _frame(position)
    try:
        if version == 1:
            number = next((n for n, name in enumerate(CLASSES[1]) if name in label), None)
        else:
            number = {name: n for n, name in enumerate(CLASSES[2])}.get(label)
    except TypeError:
        raise _UnreadableError("label", f"label {_short(label)} is not text") from None
    if number is None:
        raise _LeftOutError("label", _name(label))
    frame, moved = _placed(half, frame, position)
    return _Row(half, frame, number, float(entry.get("visibility") != "not shown"), moved or otherwise)


def _value(entry: Any, key: str) -> Any:
    if not isinstance(entry, dict):
        raise _UnreadableError("entry", f"{_short(entry)} is not an object")
    if key not in entry:
        raise _UnreadableError(f"no {key}", f"there is no `{key}`")
    return entry[key]


def _whole(entry: Any, key: str) -> int:
    """What Python's `int` makes of a fraction, a text or a truth value."""
    given = _value(entry, key)
    try:
        return int(given)
    except (TypeError, ValueError, OverflowError):
        raise _UnreadableError(key, f"{key} {_short(given)} is not a whole number") from None


def _frame(position: int) -> int:
    try:
        return int(RATE * (position / 1000))
    except OverflowError:
        raise _UnreadableError("position", f"position {_short(position)} is too large") from None


def _placed(half: int, frame: int, position: int) -> tuple[int, str]:
    """The frame at which an entry counts, and why it is not the one that the entry says; "" if it is."""
    if half not in HALVES:
        raise _LeftOutError("half", f"half {half}"[:_SHOWN])
    if frame < -FRAMES:
        raise _UnreadableError("position", f"position {_short(position)} is more than 120 minutes before its half")
    if frame < 0:
        return frame + FRAMES, EARLY
    return (frame, "") if frame < FRAMES else (FRAMES - 1, LATE)


def _confidence(given: Any) -> float:
    """As numpy stores it in an array: None becomes NaN, a text is parsed."""
    cell = np.empty(1)
    try:
        cell[0] = given
    except (TypeError, ValueError, OverflowError):
        raise _UnreadableError("confidence", f"confidence {_short(given)} is not a number") from None
    return float(cell[0])


def _short(value: Any) -> str:
    return repr(value)[:_SHOWN]


def _name(label: Any) -> str:
    return label[:_SHOWN] if isinstance(label, str) else _short(label)
