"""frame-mAP and video-mAP of files like AVA's, as ``acta evaluate detections`` prints them."""

import sys
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.detect.annotation.ava import GROUPS, LabelMap, Rows, is_number, read_excluded, read_label_map, read_rows
from pipeline.detect.remarks import remarks
from pipeline.metrics.frame_map import Boxes, frame_ap
from pipeline.metrics.runs import places_in
from pipeline.metrics.video_map import THRESHOLDS, Clock, video_ap
from pipeline.runtime import text
from pipeline.runtime.errors import ActaError

Frames = list[tuple[str, int]]


def evaluate_files(
    label_map: Path,
    truth: Path,
    detections: Path,
    excluded: Path | None = None,
    *,
    iou: float = 0.5,
    capacity: int = 50,
    video_map: bool = False,
) -> dict[str, Any]:
    """Evaluate a file of detections against a file of annotations.

    The same frames count as in ActivityNet's evaluator: given a list of excluded frames, as for AVA 2.1, all others;
    without one, as for AVA 2.2, those that the annotations name, even in a row without boxes.

    Args:
        label_map: Actions to evaluate (pbtxt); rows of others are left out.
        truth: Annotated boxes (CSV).
        detections: Detections (CSV), with scores.
        excluded: Frames to leave out (CSV), or None.
        iou: Overlap from which a detection is right.
        capacity: Only this many detections of a frame count, as in the evaluator since 2018. 0: all, as in the
            evaluation code of most backbones.
        video_map: Also evaluate tubes (`pipeline.metrics.video_map`). The annotations' eighth column must then number
            each video's people, and the annotations should name every frame, even in a row without boxes.

    Returns:
        JSON-ready, precisions in [0, 1]: ``mAP``; ``video_mAP`` by threshold, if asked for; ``groups`` (Table 3.4) and
        ``classes`` by name, None without annotation; ``counts`` of frames, annotated boxes, detections, and of the
        rows of each file that were left out. The reasons, and what else does not count, are reported on stderr.

    Raises:
        ActaError: a file cannot be read or has a bad row, nothing is annotated, or annotated people have no numbers.
    """
    against, detected = read_truth(label_map, truth, excluded), read_detections(detections)
    result = evaluate_rows(against, detected, iou=iou, capacity=capacity, video_map=video_map)
    for line in remarks(against.actions, against.rows, against.excluded, detected):
        print(f"{detections}: {line}", file=sys.stderr)
    return result


def read_detections(path: Path) -> Rows:
    """Read a file of detections; a row of seven columns has the score 1, as in the evaluator, which is reported.

    Raises:
        ActaError: as for `read_rows`, or an eighth column holds no number.
    """
    rows = read_rows(path)
    missing = np.flatnonzero(np.isnan(rows.eighth))
    if len(missing):
        for line, row in text.read_rows(path):
            if len(row) == 8 and not is_number(row[7]):
                raise ActaError(f"{path}:{line}: score is {row[7]!r:.80}, not a number")
        print(
            f"{path}: {len(missing)} of {len(rows.line)} detections have no score, as at line {rows.line[missing[0]]}; "
            "they count as 1, as for the official evaluator",
            file=sys.stderr,
        )
    return rows


@dataclass(frozen=True)
class Truth:
    """What detections are evaluated against: the file, the actions, its rows, and which frames do not count."""

    path: Path
    actions: LabelMap
    rows: Rows
    excluded: set[tuple[str, int]] | None

    def counts(self, frames: Frames) -> np.ndarray:
        """Which of these frames count, as for `evaluate_files`."""
        named = set(self.rows.frames) if self.excluded is None else self.excluded
        among = np.fromiter((frame in named for frame in frames), bool, len(frames))
        return among if self.excluded is None else ~among


def read_truth(label_map: Path, truth: Path, excluded: Path | None = None) -> Truth:
    """Read the files that detections are evaluated against; arguments and errors as for `evaluate_files`."""
    rows = read_rows(truth)
    x1, y1, x2, y2 = rows.box.T
    inside_out = (x2 < x1) | (y2 < y1)
    if inside_out.any():
        first = int(np.flatnonzero(inside_out)[0])
        raise ActaError(f"{truth}:{rows.line[first]}: the box {rows.box[first].tolist()} is inside out")
    return Truth(truth, read_label_map(label_map), rows, read_excluded(excluded) if excluded else None)


def evaluate_rows(
    truth: Truth, detected: Rows, *, iou: float = 0.5, capacity: int = 50, video_map: bool = False
) -> dict[str, Any]:
    """Evaluate detections in memory; otherwise as `evaluate_files`."""
    actions, annotated = truth.actions, truth.rows
    counted = [truth.counts(each.frames) for each in (annotated, detected)]
    rows = [
        np.isin(each.action, list(actions.names)) & frames[each.frame]
        for each, frames in zip((annotated, detected), counted, strict=True)
    ]
    if not rows[0].any():
        raise ActaError(f"{truth.path} annotates no box of an action that counts in a frame that counts")
    numbers = _numbers(annotated, rows[0], detected, rows[1])
    boxes = _boxes(annotated, rows[0], numbers), _boxes(detected, rows[1], numbers)
    tubes = {}
    if video_map:
        person = _people(truth.path, annotated, rows[0])
        named = {*compress(annotated.frames, counted[0]), *compress(detected.frames, counted[1])}
        tubes["video_mAP"] = _video_map(*boxes, person, _clock(numbers, named), list(actions.names))
    precisions = frame_ap(*boxes, list(actions.names), iou=iou, capacity=capacity)
    by_name = dict(zip(actions.names, precisions.tolist(), strict=True))
    return {
        "mAP": float(np.nanmean(precisions)),
        **tubes,
        "groups": {
            group: _mean([by_name[n] for n, its in actions.groups.items() if its == group]) for group in GROUPS.values()
        },
        "classes": {actions.names[n]: None if np.isnan(value) else value for n, value in by_name.items()},
        "counts": {
            "frames": len({annotated.frames[i] for i in np.unique(annotated.frame[rows[0]])}),
            "annotated": int(rows[0].sum()),
            "detected": int(rows[1].sum()),
            "annotated_left_out": int((~rows[0]).sum()),
            "detected_left_out": int((~rows[1]).sum()),
        },
    }


def _numbers(annotated: Rows, of_truth: np.ndarray, detected: Rows, of_found: np.ndarray) -> dict[tuple[str, int], int]:
    """Numbers for the frames of both, in the order of their first detection."""
    numbers: dict[tuple[str, int], int] = {}
    for rows, kept in ((detected, of_found), (annotated, of_truth)):
        for frame in pd.unique(rows.frame[kept]).tolist():
            numbers.setdefault(rows.frames[frame], len(numbers))
    return numbers


def _boxes(rows: Rows, kept: np.ndarray, numbers: dict[tuple[str, int], int]) -> Boxes:
    number = np.array([numbers.get(frame, -1) for frame in rows.frames], np.int64)
    frame = number[rows.frame] if len(number) else rows.frame
    boxes = Boxes(frame, rows.box, rows.action, rows.score)
    return boxes if kept.all() else boxes.where(kept)


def _people(path: Path, rows: Rows, kept: np.ndarray) -> np.ndarray:
    """(n,) the person's number in each row that counts."""
    person, line = rows.eighth[kept], rows.line[kept]
    bad = np.flatnonzero(~(person == np.floor(person)))  # NaN is bad too
    if len(bad):
        raise ActaError(
            f"{path}:{line[bad[0]]}: no number of a person; tubes need one in the eighth column of every annotation"
        )
    table = pd.DataFrame({"frame": rows.frame[kept], "action": rows.action[kept], "person": person})
    again = np.flatnonzero(table.duplicated())
    if len(again):
        raise ActaError(f"{path}:{line[again[0]]}: person {person[again[0]]:g} has this action in this frame already")
    return person.astype(np.int64)


def _clock(numbers: dict[tuple[str, int], int], counted: set[tuple[str, int]]) -> Clock:
    """Video and step of each number; a video's steps are its frames that count, ordered by time."""
    ordered = sorted(counted)
    videos, _ = pd.factorize(np.array([video for video, _ in ordered], object))
    steps = places_in(np.bincount(videos))
    place = {frame: n for n, frame in enumerate(ordered)}
    places = np.array([place[frame] for frame in numbers], np.int64)  # numbers count up in the order of the dict
    return Clock(videos[places].astype(np.int64), steps[places])


def _video_map(truth: Boxes, detected: Boxes, person: np.ndarray, clock: Clock, classes: list[int]) -> dict[str, float]:
    thresholds = sorted({value for values in THRESHOLDS.values() for value in values})
    means = np.nanmean(video_ap(truth, person, detected, clock, classes, thresholds), axis=1)
    by_threshold = dict(zip(thresholds, means.tolist(), strict=True))
    return {name: float(np.mean([by_threshold[value] for value in values])) for name, values in THRESHOLDS.items()}


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return sum(known) / len(known) if known else None
