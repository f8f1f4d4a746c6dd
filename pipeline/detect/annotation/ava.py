"""AVA's own files: label map, boxes with actions, excluded frames.

A row of boxes is ``video,timestamp,x1,y1,x2,y2,action[,score or person]`` with corners in [0, 1] of the picture, the
timestamp in seconds; a row of ``video,timestamp`` alone is a frame without boxes.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.detect.annotation.pbtxt import quoted, read_entries
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_rows as text_rows
from pipeline.runtime.text import read_text

GROUPS = {"PERSON_MOVEMENT": "pose", "PERSON_INTERACTION": "person-person", "OBJECT_MANIPULATION": "person-object"}
CORNERS = ["x1", "y1", "x2", "y2"]
_COLUMNS = ["video", "time", *CORNERS, "action", "score"]
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS = re.compile(r',[ \t"]*(?:true|false)[ \t"]*(?:,|$)', re.IGNORECASE | re.MULTILINE)
LATEST = 1e11  # seconds; up to here float64 holds every microsecond apart
_LAST_ACTION = 2**31 - 1


@dataclass(frozen=True)
class LabelMap:
    """The ``names`` of actions by number, and the ``groups`` of Table 3.4 that they are in."""

    names: dict[int, str]
    groups: dict[int, str]


@dataclass(frozen=True)
class Rows:
    """The rows of a file of boxes, n of them.

    Args:
        frames: ``(video, timestamp in microseconds)`` of every frame that the file names, in order of appearance.
        frame: (n,) indices into ``frames``.
        box: (n, 4) x1, y1, x2, y2.
        action: (n,) numbers of actions.
        line: (n,) line numbers in the file, from 1.
        eighth: (n,) the eighth column, NaN if missing: a detection's score, or an annotated person's number.
    """

    frames: list[tuple[str, int]]
    frame: np.ndarray
    box: np.ndarray
    action: np.ndarray
    eighth: np.ndarray
    line: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """(n,) the eighth column, 1 if missing."""
        return np.where(np.isnan(self.eighth), 1.0, self.eighth)


def read_label_map(path: Path) -> LabelMap:
    """Read a label map (pbtxt); groups that it does not state follow from AVA's numbering (1–14, 15–63, 64–80).

    Raises:
        ActaError: the file cannot be read, or an entry has no name or number, or another entry's.
    """
    names: dict[int, str] = {}
    groups: dict[int, str] = {}
    lines: dict[str, int] = {}
    for line, entry in read_entries(path, ("item", "label")):
        name, number = entry.get("name", "").strip(), entry.get("label_id", entry.get("id", ""))
        if not is_plain(name) or not re.fullmatch("0*[1-9][0-9]{0,8}", number):
            raise ActaError(f"{path}:{line}: an entry needs a name and a number from 1, but it holds {entry!r:.200}")
        action = int(number)
        if action in names:
            raise ActaError(f"{path}:{line}: {action} is {names[action]!r} already (line {lines[names[action]]})")
        if name in lines:
            raise ActaError(f"{path}:{line}: {name!r} is there already (line {lines[name]}); names differ")
        names[action], lines[name] = name, line
        numbered = "pose" if action < 15 else "person-object" if action < 64 else "person-person"
        groups[action] = GROUPS.get(entry.get("label_type", ""), numbered)
    if not names:
        raise ActaError(f"{path} holds no actions; is it a label map (item {{ name: … id: … }})?")
    return LabelMap(names, groups)


def write_label_map(path: Path, names: Sequence[str]) -> None:
    """Write a label map whose actions are numbered from 1 in this order."""
    entries = [f"item {{\n  name: {quoted(name)}\n  id: {number}\n}}\n" for number, name in enumerate(names, 1)]
    path.write_text("".join(entries), encoding="utf-8")


def is_plain(name: str) -> bool:
    """Whether a name is a non-empty printable text of one line."""
    return bool(name) and not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", name)


def read_rows(path: Path) -> Rows:
    """Read a file of boxes.

    Raises:
        ActaError: a row is malformed, or holds a number that is not finite; the message names the line.
    """
    table = read_table(path)
    action, eighth = table["action"].to_numpy(), table["score"].to_numpy()
    corners = table[CORNERS].to_numpy()
    whole = np.isfinite(corners).all(1) & ~np.isinf(eighth) & is_action(action)
    frames, frame, boxes = number_frames(table, whole, path, "not a row of boxes")
    return Rows(
        frames=frames,
        frame=frame,
        box=corners[boxes],
        action=action[boxes].astype(np.int64),
        eighth=eighth[boxes],
        line=boxes + 1,
    )


def read_table(path: Path, optional: Sequence[str] = ()) -> pd.DataFrame:
    """The columns video (categorical, "" if missing), time, x1, y1, x2, y2, action and score of a file.

    Numbers are float64, NaN if missing; a blank line has its own row. In a row of boxes ``optional`` columns may be
    empty; the caller checks that no others are.

    Raises:
        ActaError: the file cannot be read, or a row has too many columns or something that is not a number.
    """
    text = read_text(path)
    if _WORDS.search(text):  # pandas would read a column of such words as 1 and 0
        for problem in problems(path, optional):
            raise ActaError(problem)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # columns that are too many
            table = pd.read_csv(
                io.BytesIO(text.encode()),
                header=None,
                names=_COLUMNS,
                index_col=False,
                dtype={"video": str} | dict.fromkeys(_COLUMNS[1:], np.float64),
                keep_default_na=False,
                na_values={name: [""] for name in _COLUMNS[1:]},
                skip_blank_lines=False,
            )
    except pd.errors.EmptyDataError:
        table = pd.DataFrame({name: np.empty(0, str if name == "video" else np.float64) for name in _COLUMNS})
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ActaError(next(problems(path, optional), f"{path}: {' '.join(str(error).split())}")) from None
    # Not read as categories, since names that all look like numbers would become numbers: 12 instead of 0012.
    table["video"] = table["video"].astype("category")
    if any("\n" in str(video) for video in table["video"].cat.categories):  # no line of the file is its row's
        raise ActaError(next(problems(path, optional), f"{path}: the name of a video has a line break"))
    return table


def is_action(action: np.ndarray) -> np.ndarray:
    """(n,) whether each is a possible number of an action."""
    whole: np.ndarray = (action >= 0) & (action <= _LAST_ACTION) & (action == np.floor(action))
    return whole


def is_number(text: str) -> bool:
    """Whether a cell holds a finite number."""
    return _NUMBER.fullmatch(text.strip(" \t")) is not None and bool(np.isfinite(float(text)))


def number_frames(
    table: pd.DataFrame, whole: np.ndarray, path: Path, needed: str, optional: Sequence[str] = ()
) -> tuple[list[tuple[str, int]], np.ndarray, np.ndarray]:
    """Which rows of `read_table` are boxes, and of which frames.

    Args:
        table: The rows, n of them.
        whole: (n,) whether each has all that a box needs, apart from a frame.
        path: The file, for errors.
        needed: What a row should be, for errors.
        optional: As of `read_table`.

    Returns:
        ``(video, timestamp in microseconds)`` of each frame in order of appearance, including frames without boxes;
        and each box's index among them and its row.

    Raises:
        ActaError: a row is neither a box, nor a frame alone, nor blank.
    """
    video, time = table["video"], table["time"].to_numpy()
    nameless = np.flatnonzero(np.asarray(video.cat.categories) == "")
    codes = video.cat.codes.to_numpy()
    named = codes != (nameless[0] if len(nameless) else -1)
    bare = table[_COLUMNS[2:]].isna().to_numpy().all(1)  # a frame without boxes
    blank = ~named & np.isnan(time) & bare
    bad = np.flatnonzero(~(blank | (named & (np.abs(time) <= LATEST) & (bare | whole))))
    if len(bad):
        raise ActaError(next(problems(path, optional), f"{path}:{bad[0] + 1}: {needed}"))
    rows = np.flatnonzero(~blank)
    times, codes = np.rint(time[rows] * 1e6).astype(np.int64), codes[rows]
    # Rows of one frame usually follow each other, so only one of each run is looked up.
    begins = np.ones(len(codes), bool)
    begins[1:] = (codes[1:] != codes[:-1]) | (times[1:] != times[:-1])
    heads = np.flatnonzero(begins)
    moments, seconds = pd.factorize(times[heads])
    number, keys = pd.factorize(codes[heads].astype(np.int64) * len(seconds) + moments)
    names = [str(name) for name in video.cat.categories]
    videos, moments = np.divmod(keys, max(1, len(seconds)))
    frames = [(names[v], t) for v, t in zip(videos.tolist(), seconds[moments].tolist(), strict=True)]
    is_box = ~bare[rows]
    return frames, np.repeat(number, np.diff(heads, append=len(codes)))[is_box], rows[is_box]


def read_excluded(path: Path) -> set[tuple[str, int]]:
    """Read the frames to leave out of an evaluation, rows of ``video,timestamp``, as (video, microseconds)."""
    rows = read_rows(path)
    if len(rows.frame):
        raise ActaError(f"{path} holds boxes; excluded frames are rows of video,timestamp")
    return set(rows.frames)


def problems(path: Path, optional: Sequence[str] = ()) -> Iterator[str]:
    """What is wrong with the rows, line by line: slow, so only called when something is."""
    for line, row in text_rows(path):
        place = f"{path}:{line}"
        if len(row) not in (2, 7, 8):
            yield f"{place}: {len(row)} columns; a row has 2 (video, timestamp), 7 or 8"
            continue
        if not row[0]:
            yield f"{place}: no name of a video"
        if "\n" in row[0]:
            yield f"{place}: the name of a video has a line break: {row[0]!r:.80}"
        for name, value in zip(_COLUMNS[1:], row[1:], strict=False):
            if name in optional and not value:
                continue
            number = float(value) if is_number(value) else np.nan
            if np.isnan(number):
                yield f"{place}: {name} is {value!r:.80}, not a number"
            elif name == "time" and abs(number) > LATEST:
                yield f"{place}: time is {value!r:.80}, not a number of seconds up to {LATEST:g}"
            elif name == "action" and (number < 0 or number % 1 or number > _LAST_ACTION):
                yield f"{place}: action is {value!r:.80}, not the number of one"
