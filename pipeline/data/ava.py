"""AVA's own files: label map, boxes with actions, excluded frames.

A row of boxes is ``video,timestamp,x1,y1,x2,y2,action[,score or person]`` with corners in [0, 1] of the picture, the
timestamp in seconds; a row of ``video,timestamp`` alone is a frame without boxes.
"""

import csv
import re
from collections.abc import Iterator, Sequence
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
        eighth: (n,) the eighth column, NaN without it: a detection's score, or an annotated person's number.
    """

    frames: list[tuple[str, int]]
    frame: np.ndarray
    box: np.ndarray
    action: np.ndarray
    eighth: np.ndarray
    line: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """(n,) the eighth column, 1 without it."""
        return np.where(np.isnan(self.eighth), 1.0, self.eighth)


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


def write_label_map(path: Path, names: Sequence[str]) -> None:
    """Write a label map whose actions are numbered from 1 in this order."""
    entries = [f'item {{\n  name: "{name}"\n  id: {number}\n}}\n' for number, name in enumerate(names, 1)]
    path.write_text("".join(entries))


def _group(action: int) -> str:
    return "pose" if action < 15 else "person-object" if action < 64 else "person-person"


def read_rows(path: Path) -> Rows:
    """Read a file of boxes.

    Raises:
        ActaError: a row that is none, or holds a number that is not finite; the message names the line.
    """
    table = read_table(path)
    if table is None:
        none = np.empty(0, np.int64)
        return Rows([], none, np.empty((0, 4)), none, np.empty(0), none)
    time, x1, y1, x2, y2, action, score = (table[name].to_numpy() for name in _COLUMNS[1:])
    values = (x1, y1, x2, y2, action)
    named = is_named(table["video"])
    bare = np.isnan(score)  # a frame without boxes
    whole = ~np.isinf(score) & (action >= 0) & (action == np.floor(action))
    for column in values:
        bare &= np.isnan(column)
        whole &= np.isfinite(column)
    good = named & np.isfinite(time) & (bare | whole)
    blank = np.zeros(0, bool)
    if not good.all():
        blank = ~named & np.isnan(time) & bare
        bad = np.flatnonzero(~(good | blank))
        if len(bad):
            raise ActaError(next(problems(path), f"{path}:{bad[0] + 1}: not a row of boxes"))
    frames, frame = number_frames(table["video"], time, blank)
    if bare.any():
        boxes = np.flatnonzero(~bare)
        action, score, *corners = (column[boxes] for column in (action, score, x1, y1, x2, y2))
        frame, line = frame[boxes], boxes + 1
    else:
        corners, line = [x1, y1, x2, y2], np.arange(1, len(frame) + 1)
    return Rows(
        frames=frames,
        frame=frame,
        box=np.stack(corners, axis=1),
        action=action.astype(np.int64),
        eighth=score,
        line=line,
    )


def read_table(path: Path, optional: Sequence[str] = ()) -> pd.DataFrame | None:
    """The columns video (categorical, "" where there is none), time, x1, y1, x2, y2, action and score of a file.

    Numbers are float64, NaN where there is none; a blank line has a row of its own. None if the file is empty.

    Args:
        path: The file.
        optional: Columns that may be empty in a row of boxes; the caller checks that no others are.

    Raises:
        ActaError: the file cannot be read, a row has more columns, or one holds what is not a number.
    """
    try:
        return pd.read_csv(
            path,
            header=None,
            names=_COLUMNS,
            dtype={"video": "category"} | dict.fromkeys(_COLUMNS[1:], np.float64),
            keep_default_na=False,
            na_values={name: [""] for name in _COLUMNS[1:]},
            skip_blank_lines=False,
        )
    except pd.errors.EmptyDataError:
        return None
    except OSError as error:
        raise ActaError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise ActaError(next(problems(path, optional), f"{path}: {error}")) from None


def is_named(video: pd.Series) -> np.ndarray:
    """(n,) whether each row of `read_table` names a video."""
    nameless = np.flatnonzero(np.asarray(video.cat.categories) == "")
    named: np.ndarray = video.cat.codes.to_numpy() != (nameless[0] if len(nameless) else -1)
    return named


def number_frames(video: pd.Series, time: np.ndarray, blank: np.ndarray) -> tuple[list[tuple[str, int]], np.ndarray]:
    """Frames of the rows of `read_table`.

    Args:
        video: (n,) categorical.
        time: (n,) seconds.
        blank: (n,) rows that name none; or none, if all do.

    Returns:
        ``(video, timestamp in microseconds)`` of each frame in order of appearance, and (n,) which of them each row is
        of; a blank row's number means nothing.
    """
    codes = video.cat.codes.to_numpy()
    rows = np.flatnonzero(~blank) if len(blank) else slice(None)
    times = np.rint(time[rows] * 1e6).astype(np.int64)
    codes = codes[rows]
    # Rows of one frame follow each other as a rule; only one of each run is looked up.
    begins = np.ones(len(codes), bool)
    begins[1:] = (codes[1:] != codes[:-1]) | (times[1:] != times[:-1])
    heads = np.flatnonzero(begins)
    moments, seconds = pd.factorize(times[heads])
    number, keys = pd.factorize(codes[heads].astype(np.int64) * len(seconds) + moments)
    names = [str(name) for name in video.cat.categories]
    videos, moments = np.divmod(keys, max(1, len(seconds)))
    frames = [(names[v], t) for v, t in zip(videos.tolist(), seconds[moments].tolist(), strict=True)]
    frame = np.repeat(number, np.diff(heads, append=len(codes)))
    if not len(blank):
        return frames, frame
    every = np.zeros(len(video), np.int64)
    every[rows] = frame
    return frames, every


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


def problems(path: Path, optional: Sequence[str] = ()) -> Iterator[str]:
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
                if name in optional and not value:
                    continue
                try:
                    finite = np.isfinite(float(value))
                except ValueError:
                    finite = False
                if not finite:
                    yield f"{place}: {name} is {value!r}, not a number"
                elif name == "action" and (float(value) < 0 or float(value) % 1):
                    yield f"{place}: action is {value!r}, not the number of one"
