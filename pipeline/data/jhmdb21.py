"""J-HMDB-21 (Jhuang et al. 2013): 21 classes, three splits, one person a video.

Either its own files, ``puppet_mask/<class>/<video>/puppet_mask.mat`` and ``splits/<class>_test_split<k>.txt``, or
``JHMDB-GT.pkl`` of the action-tubelet detector. A person's box is the rectangle that bounds the mask in a frame.
"""

import struct
import zlib
from pathlib import Path

import numpy as np

from pipeline.data.single_label import Annotated, Annotations, check_parts, make_tube, read_tubes
from pipeline.data.split_files import Parts, read_hmdb_list
from pipeline.errors import ActaError

_PACKED = 15
_MOST_BYTES = 2**28  # of a file's content, unpacked; J-HMDB's masks have 3 MB, of doubles 25 MB


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
    from scipy.io import loadmat  # slow to import

    _check_size(path)
    try:
        mask = np.asarray(loadmat(str(path), appendmat=False, variable_names=["part_mask"])["part_mask"])
    except FileNotFoundError:
        raise ActaError(f"{path} is missing: the video is in a split, but has no annotation") from None
    except KeyError:
        raise ActaError(f"{path} holds no 'part_mask'") from None
    except Exception as error:  # whatever scipy raises on damaged files
        raise ActaError(f"cannot read {path}: {type(error).__name__}: {error}") from None
    if mask.dtype.kind not in "biuf":
        raise ActaError(f"{path}: part_mask holds {mask.dtype.name}, not numbers")
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


def _check_size(path: Path) -> None:
    """Refuse a file of MATLAB's version 5 whose packed parts are too large, before memory is taken for them.

    After a head of 128 bytes a part is its kind (15: packed with zlib), its number of bytes, and those.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return  # reading it says why
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or content[124:126] not in (b"\0\1", b"\1\0"):
        return
    place, size = 128, len(content)
    while place + 8 <= len(content):
        kind, length = struct.unpack_from(f"{order}II", content, place)
        place += 8
        if kind == _PACKED:
            unpacker, rest = zlib.decompressobj(), content[place : place + length]
            while rest and size <= _MOST_BYTES:
                try:
                    size += len(unpacker.decompress(rest, 2**20))
                except zlib.error:
                    break  # reading it says why
                rest = unpacker.unconsumed_tail
        if size > _MOST_BYTES:
            raise ActaError(f"{path} unpacks to more than {_MOST_BYTES // 2**20} MB, which no mask has")
        place += length
