"""Person proposals: detected boxes of people on keyframes, as published with AVA's backbones.

There are two forms. CSV, of the long-term feature banks and of PySlowFast: ``video,timestamp,x1,y1,x2,y2,action,score``
where the action is usually empty; otherwise a box has one row per action. Pickle, of mmaction2: a dict from
``"<video>,<timestamp>"`` to an array (n, 5) of x1, y1, x2, y2, score. Corners are in [0, 1] of the picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.detect.annotation.ava import CORNERS, LATEST, is_action, number_frames, read_table
from pipeline.runtime.errors import ActaError
from pipeline.runtime.unfolded import check_content

MARGIN = 0.1  # corners up to this far outside the picture are moved to its edge; others must be in pixels, or wrong


@dataclass(frozen=True)
class Proposals:
    """n boxes of people, frame by frame.

    Args:
        frames: ``(video, timestamp in microseconds)`` of every frame that the file names, in order of appearance.
        start: (frames + 1,) where each frame's rows begin in ``box`` and ``score``; the last is n.
        box: (n, 4) x1, y1, x2, y2 in [0, 1]; no two of a frame are equal.
        score: (n,) in [0, 1].
    """

    frames: list[tuple[str, int]]
    start: np.ndarray
    box: np.ndarray
    score: np.ndarray

    def of(self, video: str, time: int) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (k, 4) and scores (k,) of the frame at ``time`` microseconds; empty if the file does not name it."""
        place = self._places.get((video, time))
        rows = slice(0, 0) if place is None else slice(self.start[place], self.start[place + 1])
        return self.box[rows], self.score[rows]

    @cached_property
    def _places(self) -> dict[tuple[str, int], int]:
        return {frame: place for place, frame in enumerate(self.frames)}


def read_proposals(path: Path) -> Proposals:
    """Read proposals: a pickle if the name ends in .pkl or .pickle, otherwise CSV.

    A box with a row for each of its actions counts once, with its highest score.

    Raises:
        ActaError: the file cannot be read; a row is malformed; a score or corner is not finite; a score is not in
            [0, 1]; a box is inside out or more than `MARGIN` outside the picture. The message names the line or key.
    """
    return _from_pickle(path) if path.suffix in (".pkl", ".pickle") else _from_csv(path)


def _from_csv(path: Path) -> Proposals:
    table = read_table(path, optional=["action"])
    action, values = table["action"].to_numpy(), table[[*CORNERS, "score"]].to_numpy()
    whole = np.isfinite(values).all(1) & (np.isnan(action) | is_action(action))
    needed = "a proposal is video,timestamp,x1,y1,x2,y2,[action],score"
    frames, frame, boxes = number_frames(table, whole, path, needed, ["action"])
    _check(values[boxes], lambda row: f"{path}:{boxes[row] + 1}")
    return _gather(frames, frame, values[boxes])


def _from_pickle(path: Path) -> Proposals:
    from pipeline.models.pickles import read_pickle  # it imports torch

    content = read_pickle(path)
    check_content(content, path)
    if not isinstance(content, dict):
        raise ActaError(f"{path} holds a {type(content).__name__}, not a dict from '<video>,<timestamp>' to boxes")
    numbers: dict[tuple[str, int], int] = {}
    tables: list[np.ndarray] = []
    for key, value in content.items():
        frame = _frame(key)
        if frame is None or frame in numbers:
            what = "names a frame that another names" if frame else "is not '<video>,<timestamp>'"
            raise ActaError(f"{path}: key {key!r} {what}")
        numbers[frame] = len(tables)
        tables.append(_five(value, f"{path}: {key!r}"))
    number = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    values = np.concatenate([np.empty((0, 5)), *tables])
    keys = list(content)
    _check(values, lambda row: f"{path}: {keys[number[row]]!r}")
    return _gather(list(numbers), number, values)


def _frame(key: object) -> tuple[str, int] | None:
    if not isinstance(key, str):
        return None
    video, _, time = key.rpartition(",")
    try:
        seconds = float(time)
    except ValueError:
        return None
    return (video, round(seconds * 1e6)) if video and abs(seconds) <= LATEST else None


def _five(value: object, place: str) -> np.ndarray:
    try:
        table = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ActaError(f"{place}: a {type(value).__name__} is not an array of x1, y1, x2, y2, score") from None
    if not table.size:
        return np.empty((0, 5))
    if table.ndim != 2 or table.shape[1] != 5:
        raise ActaError(f"{place}: an array of shape {table.shape}, not (n, 5): x1, y1, x2, y2, score")
    return table


def _check(values: np.ndarray, place: Callable[[int], str]) -> None:
    """Refuse the first row of ``values`` (n, 5), x1, y1, x2, y2, score, that is not a proposal."""
    x1, y1, x2, y2, score = values.T
    corners = values[:, :4]
    wrongs: list[tuple[np.ndarray, str]] = [
        (~np.isfinite(values).all(1), "is not all numbers"),
        ((score < 0) | (score > 1), "has a score outside [0, 1]; is the eighth column a person's number?"),
        ((x2 < x1) | (y2 < y1), "is inside out"),
        (np.abs(corners - 0.5).max(axis=1) > 0.5 + MARGIN, "is outside the picture, whose corners are 0 and 1"),
    ]
    for wrong, what in wrongs:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ActaError(f"{place(row)}: the box with score {values[row].tolist()} {what}")


def _gather(frames: list[tuple[str, int]], frame: np.ndarray, values: np.ndarray) -> Proposals:
    """Order rows by frame and drop repeated boxes; ``frame`` (n,) and ``values`` (n, 5) are in the file's order."""
    keys = pd.DataFrame(values[:, :4]).assign(frame=frame)
    repeated = keys.duplicated().to_numpy()
    score = values[:, 4]
    if repeated.any():
        same = keys.groupby(list(keys.columns), sort=False).ngroup()
        score = pd.Series(score).groupby(same.to_numpy(), sort=False).max().to_numpy()
        frame, values = frame[~repeated], values[~repeated]
    order = np.argsort(frame, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(frame, minlength=len(frames)))])
    return Proposals(frames, start, np.clip(values[order, :4], 0.0, 1.0), score[order])
