"""J-HMDB-21 (Jhuang et al. 2013): 21 classes, three splits, one person per video.

Either its own files, ``puppet_mask/<class>/<video>/puppet_mask.mat`` and ``splits/<class>_test_split<k>.txt``, or
``JHMDB-GT.pkl`` of the action-tubelet detector. A person's box is the bounding rectangle of the mask in a frame.
"""

from pathlib import Path

import numpy as np

from pipeline.detect.annotation.matlab import read_array
from pipeline.detect.annotation.tubes import Annotated, Annotations, check_parts, make_tube, read_tubes
from pipeline.media.split_files import Parts, read_hmdb_list
from pipeline.runtime.errors import ActaError


def read_jhmdb21(folder: Path) -> Annotations:
    """Read the annotations; the masks if both forms are there.

    Raises:
        ActaError: a file is missing or damaged, or a split lacks a class.
    """
    masks, tubes = folder / "puppet_mask", folder / "JHMDB-GT.pkl"
    if not masks.is_dir():
        if tubes.is_file():
            return read_tubes(tubes)
        raise ActaError(f"{folder} holds neither puppet_mask/ with splits/ nor JHMDB-GT.pkl")
    classes = sorted(path.name for path in masks.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise ActaError(f"{masks} holds no folders of classes")
    parts = _read_splits(folder / "splits", classes)
    names = dict.fromkeys(name for listed in parts.values() for name in listed)
    return Annotations({name: _read_mask(masks / name / "puppet_mask.mat") for name in names}, parts)


def _read_splits(folder: Path, classes: list[str]) -> dict[str, list[str]]:
    """Names of videos by part of the existing splits; a line is ``<video>.avi`` and 1 (train), 2 (test) or 0."""
    numbers = [n for n in (1, 2, 3) if any(folder.glob(f"*_test_split{n}.txt"))]
    if not numbers:
        raise ActaError(f"{folder} holds no <class>_test_split1.txt")
    found = Parts()
    for number in numbers:
        for label in classes:
            path = folder / f"{label}_test_split{number}.txt"
            for line, file, use in read_hmdb_list(path):
                video = f"{label}/{file.removesuffix('.avi')}"
                found.add(video, label, number, ("", "train", "test")[int(use)], f"{path}, line {line}")
    parts: dict[str, list[str]] = {f"{part}{number}": [] for number in numbers for part in ("train", "test")}
    for video, _, its in found:
        for part in its.split():
            parts[part].append(video)
    check_parts(parts, str(folder))
    return parts


def _read_mask(path: Path) -> Annotated:
    if not path.exists():
        raise ActaError(f"{path} is missing: the video is in a split, but has no annotation")
    mask = read_array(path, "part_mask")
    if mask.ndim == 2:  # MATLAB drops a last dimension of 1
        mask = mask[:, :, None]
    if mask.ndim != 3 or not mask.size:
        raise ActaError(f"{path}: part_mask is of shape {mask.shape}, not (height, width, frames)")
    columns, rows = np.any(mask > 0, axis=0).T, np.any(mask > 0, axis=1).T  # (frames, width), (frames, height)
    frame = np.flatnonzero(np.any(columns, axis=1))
    if not len(frame):
        raise ActaError(f"{path} marks nobody in any frame")
    height, width, frames = mask.shape
    columns, rows = columns[frame], rows[frame]
    box = np.stack(
        [columns.argmax(1), rows.argmax(1), width - columns[:, ::-1].argmax(1), height - rows[:, ::-1].argmax(1)], 1
    )
    return Annotated(path.parts[-3], frames, [make_tube(frame, box, (width, height), frames, str(path))])
