"""Boxes with the names of what is in them, for training a detector: ``video,timestamp,x1,y1,x2,y2,class``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_rows

# By (video, microseconds): boxes (n, 4) in [0, 1], and places (n,) among the classes.
NamedBoxes = dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]


def read_named_boxes(path: Path, classes: Sequence[str]) -> NamedBoxes:
    """Read such a file.

    Raises:
        ActaError: it cannot be read, or a row has no area in [0, 1] or an unknown class; the message names the line.
    """
    boxes: dict[tuple[str, int], list[tuple[list[float], int]]] = {}
    places = {name: place for place, name in enumerate(classes)}
    for line, row in read_rows(path):
        try:
            video, time, *corners, name = row
            x1, y1, x2, y2 = (float(corner) for corner in corners)
            key = (video, round(float(time) * 1e6))
            if not video or not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
                raise ValueError
            boxes.setdefault(key, []).append(([x1, y1, x2, y2], places[name.strip()]))
        except (ValueError, OverflowError, KeyError):
            raise ActaError(
                f"{path}:{line}: {','.join(row)!r} is not video,timestamp,x1,y1,x2,y2,class with a "
                f"box in [0, 1] and one of the classes {', '.join(classes)}"
            ) from None
    return {key: (np.array([b for b, _ in rows]), np.array([k for _, k in rows])) for key, rows in boxes.items()}
