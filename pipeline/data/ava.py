"""AVA's own files: label map, boxes with actions, excluded frames.

A row of boxes is ``video,timestamp,x1,y1,x2,y2,action[,score or person]`` with corners in [0, 1] of the picture, the
timestamp in seconds; a row of ``video,timestamp`` alone is a frame without boxes.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ActaError

GROUPS = {"PERSON_MOVEMENT": "pose", "PERSON_INTERACTION": "person-person", "OBJECT_MANIPULATION": "person-object"}
_COLUMNS = ["video", "time", "x1", "y1", "x2", "y2", "action", "score"]


@dataclass(frozen=True)
class LabelMap:
    """Actions by their number: ``names``, and the group of Table 3.4 that each is in (``groups``)."""

    names: dict[int, str]
    groups: dict[int, str]


@dataclass(frozen=True)
class Rows:
    """The rows of a file of boxes, n of them.

    Args:
        frames: Of every frame that the file names, ``(video, timestamp in microseconds)``, in order of appearance.
        frame: (n,) indices into ``frames``.
        box: (n, 4) x1, y1, x2, y2.
        action: (n,) numbers of actions.
        line: (n,) of the file, from 1.
        score: (n,) the eighth column, 1 without it.
    """

    frames: list[tuple[str, int]]
    frame: np.ndarray
    box: np.ndarray
    action: np.ndarray
    score: np.ndarray
    line: np.ndarray


def read_label_map(path: Path) -> LabelMap:
    """Read a label map (pbtxt); a group that it does not say follows from AVA's numbering (1–14, 15–63, 64–80).

    Raises:
        ActaError: the file cannot be read, or an entry has no name or number, or one that is there already.
    """
    text = re.sub(r"#.*", "", _text(path))
    names: dict[int, str] = {}
    groups: dict[int, str] = {}
    for entry in re.finditer(r"\b(?:item|label)\s*\{([^}]*)\}", text):
        line = text.count("\n", 0, entry.start()) + 1
        name = re.search(r"\bname:\s*(?:\"([^\"]*)\"|'([^']*)')", entry[1])
        number = re.search(r"\b(?:label_)?id:\s*(\d+)", entry[1])
        if not name or not number or int(number[1]) < 1:
            raise ActaError(f"{path}:{line}: an entry needs a name and a number from 1: {' '.join(entry[0].split())}")
        action = int(number[1])
        if action in names:
            raise ActaError(f"{path}:{line}: {action} is {names[action]!r} already")
        names[action] = name[1] if name[1] is not None else name[2]
        kind = re.search(r"\blabel_type:\s*(\w+)", entry[1])
        groups[action] = GROUPS[kind[1]] if kind and kind[1] in GROUPS else _group(action)
    if not names:
        raise ActaError(f"{path} holds no actions; is it a label map (item {{ name: … id: … }})?")
    return LabelMap(names, groups)


def _group(action: int) -> str:
    return "pose" if action < 15 else "person-object" if action < 64 else "person-person"


def read_rows(path: Path) -> Rows:
    """Read a file of boxes.

    Raises:
        ActaError: a row that is none, or holds a number that is not finite; the message names the line.
    """
    try:
        table = pd.read_csv(
            path,
            header=None,
            names=_COLUMNS,
            dtype={"video": str} | dict.fromkeys(_COLUMNS[1:], np.float64),
            keep_default_na=False,
            na_values={name: [""] for name in _COLUMNS[1:]},
            skip_blank_lines=False,
        )
    except pd.errors.EmptyDataError:
        none = np.empty(0, np.int64)
        return Rows([], none, np.empty((0, 4)), none, np.empty(0), none)
    except OSError as error:
        raise ActaError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise ActaError(next(_problems(path), f"{path}: {error}")) from None
    numbers = table[_COLUMNS[1:]].to_numpy()
    blank = (table["video"] == "").to_numpy() & np.isnan(numbers).all(1)
    bare = np.isnan(numbers[:, 1:]).all(1)  # a frame without boxes
    whole = np.isfinite(numbers[:, :6]).all(1) & (numbers[:, 5] == np.floor(numbers[:, 5])) & (numbers[:, 5] >= 0)
    named = (table["video"] != "").to_numpy() & np.isfinite(numbers[:, 0])
    good = named & (bare | (whole & ~np.isinf(numbers[:, 6])))
    if not (good | blank).all():
        line = int(np.flatnonzero(~(good | blank))[0]) + 1
        raise ActaError(next(_problems(path), f"{path}:{line}: not a row of boxes"))
    table, numbers, bare = table[~blank], numbers[~blank], bare[~blank]
    videos, names = pd.factorize(table["video"])
    times = np.rint(numbers[:, 0] * 1e6).astype(np.int64)
    frame, keys = pd.factorize(pd.MultiIndex.from_arrays([videos, times]))
    boxes = ~bare
    score = numbers[boxes, 6]
    return Rows(
        frames=[(str(names[video]), int(time)) for video, time in keys],
        frame=frame[boxes],
        box=numbers[boxes, 1:5],
        action=numbers[boxes, 5].astype(np.int64),
        score=np.where(np.isnan(score), 1.0, score),
        line=table.index.to_numpy()[boxes] + 1,
    )


def read_excluded(path: Path) -> set[tuple[str, int]]:
    """Frames that are left out of an evaluation: rows of ``video,timestamp``, as (video, microseconds)."""
    rows = read_rows(path)
    if len(rows.frame):
        raise ActaError(f"{path} holds boxes; excluded frames are rows of video,timestamp")
    return set(rows.frames)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ActaError(f"cannot read {path}: {error}") from None


def _problems(path: Path) -> Iterator[str]:
    """What is wrong with the rows, line by line: the slow way, taken only when something is."""
    with path.open(newline="", errors="replace") as file:
        reader = csv.reader(file)
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if not row:
                continue
            if len(row) not in (2, 7, 8):
                yield f"{place}: {len(row)} columns; a row has 2 (video, timestamp), 7 or 8"
                continue
            if not row[0]:
                yield f"{place}: no name of a video"
            for name, value in zip(_COLUMNS[1:], row[1:], strict=False):
                try:
                    finite = np.isfinite(float(value))
                except ValueError:
                    finite = False
                if not finite:
                    yield f"{place}: {name} is {value!r}, not a number"
                elif name == "action" and (float(value) < 0 or float(value) % 1):
                    yield f"{place}: action is {value!r}, not the number of one"
