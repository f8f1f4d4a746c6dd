"""J-HMDB-21 (Jhuang et al. 2013): 21 classes, three splits, one person a video.

Either its own files, ``puppet_mask/<class>/<video>/puppet_mask.mat`` and ``splits/<class>_test_split<k>.txt``, or
``JHMDB-GT.pkl`` of the action-tubelet detector. A person's box is the rectangle that bounds the mask in a frame.
"""

from pathlib import Path

import numpy as np

from pipeline.data.single_label import Annotated, Annotations, check_parts, list_lines, make_tube, read_tubes
from pipeline.errors import ActaError

_PARTS = {"1": "train", "2": "test"}


def read_jhmdb21(folder: Path) -> Annotations:
    """Read the annotations; the masks, where both forms are there.

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
    """Names of videos by part, of the splits that are there; a line is ``<video>.avi`` and 1 (train), 2 (test) or 0."""
    numbers = [n for n in (1, 2, 3) if any(folder.glob(f"*_test_split{n}.txt"))]
    if not numbers:
        raise ActaError(f"{folder} holds no <class>_test_split1.txt")
    parts: dict[str, list[str]] = {}
    for number in numbers:
        for label in classes:
            path = folder / f"{label}_test_split{number}.txt"
            for line, text in list_lines(path):
                name, _, use = text.rpartition(" ")
                if use not in ("0", *_PARTS) or not name.strip():
                    raise ActaError(f"{path}:{line}: {text!r} is not <video>.avi 0|1|2")
                if use != "0":
                    video = f"{label}/{name.strip().removesuffix('.avi')}"
                    parts.setdefault(f"{_PARTS[use]}{number}", []).append(video)
    check_parts(parts, str(folder))
    return parts


def _read_mask(path: Path) -> Annotated:
    from scipy.io import loadmat  # slow to import

    try:
        mask = np.asarray(loadmat(str(path), appendmat=False, variable_names=["part_mask"])["part_mask"])
    except FileNotFoundError:
        raise ActaError(f"{path} is missing: the video is in a split, but has no annotation") from None
    except KeyError:
        raise ActaError(f"{path} holds no 'part_mask'") from None
    except Exception as error:  # whatever scipy raises on damaged files
        raise ActaError(f"cannot read {path}: {type(error).__name__}: {error}") from None
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
