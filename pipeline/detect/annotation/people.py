"""The people of AVA's files and what they do, keyframe by keyframe; and the labels of detected boxes."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import box_iou

from pipeline.detect.annotation.ava import read_label_map, read_rows
from pipeline.runtime.errors import ActaError

_SLACK = 0.02  # of the picture: how far outside of it an annotated box may reach, as a few of AVA's do


@dataclass(frozen=True)
class People:
    """People on one keyframe: ``box`` (n, 4) x1, y1, x2, y2 in [0, 1]; ``actions`` (n, c), True where they do one."""

    box: np.ndarray
    actions: np.ndarray


class Annotation:
    """The annotated boxes of one split; ``actions`` and ``numbers`` are the label map's, in the order of the numbers.

    Args:
        boxes: CSV, one row per box and action; rows of one keyframe with the same box are one person.
        label_map: The actions (pbtxt).

    Raises:
        ActaError: a box is outside the picture or inside out, or the label map lacks an action; the message names the
            file and the line.
    """

    def __init__(self, boxes: Path, label_map: Path):
        self.path = boxes
        names = read_label_map(label_map).names
        self.numbers = sorted(names)
        self.actions = [names[number] for number in self.numbers]
        self._rows = rows = read_rows(boxes)
        numbers = np.array(self.numbers)
        self._column = np.searchsorted(numbers, rows.action).clip(max=len(numbers) - 1)
        unknown = numbers[self._column] != rows.action
        x1, y1, x2, y2 = rows.box.clip(0, 1).T
        outside = (rows.box < -_SLACK) | (rows.box > 1 + _SLACK)
        for wrong, what in (
            (unknown, f"the action is not one of {label_map}"),
            (outside.any(1), "the box is not in [0, 1] of the picture"),
            ((x2 <= x1) | (y2 <= y1), "the box has no area in the picture"),
        ):
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                shown = f"action {rows.action[row]}, box {rows.box[row].tolist()}"
                raise ActaError(f"{boxes}:{rows.line[row]}: {what} ({shown})")

    @property
    def videos(self) -> Iterable[str]:
        """The videos that the file names."""
        return self._of_video.keys()

    def times(self, video: str) -> np.ndarray:
        """(n,) seconds of the video's keyframes that the file names, even without boxes, ascending."""
        return np.array(sorted(self._of_video.get(video, {}))) / 1e6

    def people(self, video: str, time: float) -> People:
        """The people annotated on a keyframe; nobody if the file does not name it."""
        rows = self._rows_of(video, time)
        boxes = self._rows.box[rows]
        distinct, first, person = np.unique(boxes, axis=0, return_index=True, return_inverse=True)
        actions = np.zeros((len(distinct), len(self.actions)), bool)
        actions[person.reshape(-1), self._column[rows]] = True
        order = np.argsort(first)  # as the file has them
        return People(distinct[order].clip(0, 1), actions[order])

    def line_of(self, video: str, time: float) -> int:
        """The first line with a box of a keyframe, 0 if there is none."""
        rows = self._rows_of(video, time)
        return int(self._rows.line[rows].min()) if len(rows) else 0

    def _rows_of(self, video: str, time: float) -> np.ndarray:
        frame = self._of_video.get(video, {}).get(round(time * 1e6))
        if frame is None:
            return np.zeros(0, np.int64)
        return self._by_frame[self._bounds[frame] : self._bounds[frame + 1]]

    @cached_property
    def _of_video(self) -> dict[str, dict[int, int]]:
        by_keyframe: dict[str, dict[int, int]] = {}
        for number, (video, time) in enumerate(self._rows.frames):
            by_keyframe.setdefault(video, {})[time] = number
        return by_keyframe

    @cached_property
    def _by_frame(self) -> np.ndarray:
        return np.argsort(self._rows.frame, kind="stable")

    @cached_property
    def _bounds(self) -> np.ndarray:
        return np.searchsorted(self._rows.frame[self._by_frame], np.arange(len(self._rows.frames) + 1))


def label_detected(detected: np.ndarray, people: People, iou: float) -> np.ndarray:
    """(n, c) actions of detected boxes (n, 4): those of all annotated people whom a box overlaps by at least ``iou``.

    A box that overlaps nobody is a negative example of all actions (Sec. 3.2.2).
    """
    if not len(detected) or not len(people.box):
        return np.zeros((len(detected), people.actions.shape[1]), bool)
    return (overlaps(detected, people.box) >= iou) @ people.actions


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, m) intersection over union of boxes (n, 4) and (m, 4)."""
    overlap: np.ndarray = box_iou(torch.from_numpy(first).double(), torch.from_numpy(second).double()).numpy()
    return overlap
