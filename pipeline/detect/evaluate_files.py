"""frame-mAP of AVA's own files, as ``acta evaluate-detections`` prints it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.ava import GROUPS, LabelMap, Rows, read_excluded, read_label_map, read_rows
from pipeline.errors import ActaError
from pipeline.metrics.frame_map import Boxes, frame_ap


def evaluate_files(
    label_map: Path,
    truth: Path,
    found: Path,
    excluded: Path | None = None,
    *,
    iou: float = 0.5,
    capacity: int = 50,
) -> dict[str, Any]:
    """Evaluate a file of detections against a file of annotations.

    Which frames count is as in ActivityNet's evaluator: with a list of excluded frames, as it was for AVA 2.1, all
    but those; without one, as it is for AVA 2.2, those that the annotations name, be it in a row without boxes.

    Args:
        label_map: Actions to evaluate (pbtxt); rows of others are left out.
        truth: Annotated boxes (CSV).
        found: Detections (CSV), with scores.
        excluded: Frames to leave out (CSV), or None.
        iou: Overlap from which a detection is right.
        capacity: Only so many detections of a frame count, as in the evaluator since 2018. 0: all, as in the
            evaluation code of most backbones.

    Returns:
        JSON-ready, precisions in [0, 1]: ``mAP``; ``groups`` (Table 3.4) and ``classes`` by name, None without
        annotation; ``counts`` of frames, annotated boxes, detections, and of the rows of each file that were left out.

    Raises:
        ActaError: a file cannot be read or has a bad row, or nothing is annotated.
    """
    actions = read_label_map(label_map)
    annotated, detected = read_rows(truth), read_rows(found)
    left_out = read_excluded(excluded) if excluded else None
    wanted = (
        (lambda frames: ~_among(frames, left_out))
        if left_out is not None
        else (lambda frames: _among(frames, set(annotated.frames)))
    )
    x1, y1, x2, y2 = annotated.box.T
    inside_out = (x2 < x1) | (y2 < y1)
    if inside_out.any():
        first = int(np.flatnonzero(inside_out)[0])
        raise ActaError(f"{truth}:{annotated.line[first]}: the box {annotated.box[first].tolist()} is inside out")
    rows = [_kept(each, actions, wanted(each.frames)) for each in (annotated, detected)]
    if not rows[0].any():
        raise ActaError(f"{truth} annotates no box of an action of {label_map} in a frame that counts")
    boxes = _numbered(annotated, rows[0], detected, rows[1])
    precisions = frame_ap(*boxes, list(actions.names), iou=iou, capacity=capacity)
    by_name = dict(zip(actions.names, precisions.tolist(), strict=True))
    return {
        "mAP": float(np.nanmean(precisions)),
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


def _among(frames: list[tuple[str, int]], those: set[tuple[str, int]]) -> np.ndarray:
    return np.fromiter((frame in those for frame in frames), bool, len(frames))


def _kept(rows: Rows, actions: LabelMap, frames: np.ndarray) -> np.ndarray:
    kept: np.ndarray = np.isin(rows.action, list(actions.names)) & frames[rows.frame]
    return kept


def _numbered(annotated: Rows, of_truth: np.ndarray, detected: Rows, of_found: np.ndarray) -> tuple[Boxes, Boxes]:
    """Both with common numbers of frames, which count the frames by their first detection."""
    found, truth = detected.frame[of_found], annotated.frame[of_truth]
    order, place = np.unique(found, return_index=True)
    numbers = {detected.frames[frame]: n for n, frame in enumerate(order[np.argsort(place)].tolist())}
    for frame in pd.unique(truth).tolist():
        numbers.setdefault(annotated.frames[frame], len(numbers))
    return (_boxes(annotated, of_truth, numbers), _boxes(detected, of_found, numbers))


def _boxes(rows: Rows, kept: np.ndarray, numbers: dict[tuple[str, int], int]) -> Boxes:
    number = np.array([numbers.get(frame, -1) for frame in rows.frames], np.int64)
    frame = number[rows.frame[kept]] if len(number) else rows.frame
    return Boxes(frame, rows.box[kept], rows.action[kept], rows.score[kept])


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return sum(known) / len(known) if known else None
