"""UCF101-24: 24 classes of UCF101 with boxes, the first split.

Either ``pyannot.pkl`` of the corrected annotations (Singh et al. 2017, gurkirt/corrected-UCF101-Annots) with
``trainlist01.txt`` and ``testlist01.txt``, UCF101's own or cut to the 24 classes; or ``UCF101v2-GT.pkl``, the same
annotations in the form of the action-tubelet detector.

``pyannot.pkl`` is a dict from ``<class>/<video>`` to ``numf``, ``label`` and ``annotations``, the tubes: ``label``,
``sf`` and ``ef`` (frames from 0, the end excluded) and ``boxes`` (n, 4): x, y, width, height in MATLAB's pixels, which
count from 1, so a box reaches from the edge x − 1 to x + width: the whole picture is 1, 1, 319, 239. All are 320 × 240.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detect.annotation.tubes import (
    Annotated,
    Annotations,
    check_frames,
    check_parts,
    make_tube,
    read_tubes,
)
from pipeline.media.split_files import read_ucf_list
from pipeline.runtime.errors import ActaError
from pipeline.runtime.unfolded import check_content

SIZE = (320, 240)


def read_ucf101_24(folder: Path) -> Annotations:
    """Read the annotations; ``pyannot.pkl`` if both forms are there.

    The corrected annotations lack a few videos of UCF101's lists, which are named in ``left_out``.

    Raises:
        ActaError: a file is missing or damaged, or an annotated video is in neither list.
    """
    path, tubes = folder / "pyannot.pkl", folder / "UCF101v2-GT.pkl"
    if not path.is_file():
        if tubes.is_file():
            return read_tubes(tubes)
        raise ActaError(f"{folder} holds neither pyannot.pkl nor UCF101v2-GT.pkl")
    from pipeline.models.pickles import read_pickle  # it imports torch

    content = read_pickle(path)
    check_content(content, path)
    if not isinstance(content, dict) or not content:
        raise ActaError(f"{path} holds no dict of annotated videos")
    videos = {str(name): _annotated(f"{path}: {name!r}", str(name), value) for name, value in content.items()}
    classes = {video.label for video in videos.values()}
    listed = {part: _read_list(folder / f"{part}list01.txt", classes) for part in ("train", "test")}
    parts = {f"{part}1": [name for name in names if name in videos] for part, names in listed.items()}
    check_parts(parts, str(folder))
    if unlisted := sorted(set(videos) - {name for names in parts.values() for name in names}):
        raise ActaError(f"{path}: {unlisted[0]!r} and {len(unlisted) - 1} more are in neither list of {folder}")
    return Annotations(videos, parts, sorted({n for names in listed.values() for n in names} - set(videos)))


def _read_list(path: Path, classes: set[str]) -> list[str]:
    """Videos of these classes; the lists need not say ``.avi``."""
    listed = ((label, f"{label}/{file.removesuffix('.avi')}") for _, label, file in read_ucf_list(path))
    return [name for label, name in listed if label in classes]


def _annotated(place: str, name: str, content: Any) -> Annotated:
    label, slash, _ = name.partition("/")
    if not slash:
        raise ActaError(f"{place} is not <class>/<video>")
    try:
        frames, number = int(content["numf"]), int(content["label"])
        tubes = [
            (int(tube["label"]), int(tube["sf"]), int(tube["ef"]), np.asarray(tube["boxes"], np.float64).reshape(-1, 4))
            for tube in content["annotations"]
        ]
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ActaError(f"{place} cannot be read: {type(error).__name__}: {error}") from None
    check_frames(frames, place)
    if not tubes:
        raise ActaError(f"{place} has no annotation")
    annotated = []
    for its, start, end, box in tubes:
        if its != number:
            raise ActaError(f"{place} is of class {number}, but has a tube of class {its}")
        if end - start != len(box) or not len(box):
            raise ActaError(f"{place} has {len(box)} boxes for frames {start} to {end}")
        corners = np.concatenate([box[:, :2] - 1, box[:, :2] + box[:, 2:]], axis=1)
        annotated.append(make_tube(np.arange(start, end), corners, SIZE, frames, place))
    return Annotated(label, frames, annotated)
