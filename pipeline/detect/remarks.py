"""Remarks on a file of detections: which of them do not count or cannot be right, and why."""

from collections.abc import Iterator, Set

import numpy as np

from pipeline.detect.annotation.ava import LabelMap, Rows

_FAR = 2.0  # sides of the picture; a box that reaches farther must be in pixels


def remarks(actions: LabelMap, annotated: Rows, excluded: Set[tuple[str, int]] | None, detected: Rows) -> Iterator[str]:
    """A line for each reason why detections do not count, with their number and the first of them.

    ``actions`` are those to evaluate, ``excluded`` the frames that do not count (None: all without annotation).
    """
    total = len(detected.frame)
    if not total:
        yield "it holds no detections"
    left = np.ones(total, bool)  # detections without a reason so far
    for reason, those in _reasons(actions, annotated, excluded, detected):
        rows = np.flatnonzero(left & those)
        left[rows] = False
        if len(rows):
            yield f"{len(rows)} of {total} detections do not count, as {reason}: {_row(detected, int(rows[0]))}"
    far = np.flatnonzero((np.abs(detected.box) > _FAR).any(1))
    far_truth = np.flatnonzero((np.abs(annotated.box) > _FAR).any(1))
    if len(far) and not len(far_truth):
        yield (
            f"{len(far)} of {total} detections have boxes in pixels, but those of the annotations are in [0, 1] of the "
            f"picture: {_row(detected, int(far[0]))}"
        )
    if len(far_truth) and total and not len(far):
        yield (
            "its boxes are in [0, 1] of the picture, but those of the annotations in pixels: "
            f"{_row(annotated, int(far_truth[0]))}"
        )
    if excluded is not None and left.any():
        known = set(annotated.frames)
        if not any(detected.frames[frame] in known for frame in np.unique(detected.frame[left]).tolist()):
            first = int(np.flatnonzero(left)[0])
            yield (
                f"all {left.sum()} detections that count are wrong, as the annotations name none of their frames: "
                f"{_row(detected, first)}"
            )


def _reasons(
    actions: LabelMap, annotated: Rows, excluded: Set[tuple[str, int]] | None, detected: Rows
) -> Iterator[tuple[str, np.ndarray]]:
    """Reasons why detections do not count, and (n,) to which each applies."""
    yield "the label map does not have their action", ~np.isin(detected.action, list(actions.names))
    frame, frames = detected.frame, detected.frames
    if excluded is not None:
        yield "their frames are excluded", np.array([name in excluded for name in frames], bool)[frame]
    else:
        known, videos = set(annotated.frames), {video for video, _ in annotated.frames}
        yield "the annotations do not name their video", np.array([v not in videos for v, _ in frames], bool)[frame]
        yield "the annotations do not name their time", np.array([name not in known for name in frames], bool)[frame]
    x1, y1, x2, y2 = detected.box.T
    yield "their boxes are empty or inside out", (x1 >= x2) | (y1 >= y2)


def _row(rows: Rows, row: int) -> str:
    video, time = rows.frames[rows.frame[row]]
    box = ", ".join(f"{corner:g}" for corner in rows.box[row])
    return f"line {rows.line[row]}: {video!r} at {time / 1e6:g} s, box {box}, action {rows.action[row]}"
