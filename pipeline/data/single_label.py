"""J-HMDB-21 and UCF101-24, whose videos have one label each, as files like AVA's.

Of each part of a split there is ``<part><split>.csv``, rows of ``video,timestamp,x1,y1,x2,y2,action,person``: a video
is ``<class>/<name>``, its timestamp the frame's number from 0 over the frames per second, a person each of its tubes.
A frame in which nobody acts is a row of ``video,timestamp``, so detections in it count as wrong, as in the evaluators
of the field. ``label_map.pbtxt`` numbers the classes from 1 in alphabetical order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.data.ava import write_label_map
from pipeline.errors import ActaError
from pipeline.files import atomic

# As the papers of UCF101 (Soomro et al. 2012) and of HMDB51 (Kuehne et al. 2011), of which J-HMDB is a part, have it.
RATES = {"jhmdb21": 30.0, "ucf101_24": 25.0}


@dataclass(frozen=True)
class Tube:
    """One person's boxes: ``frame`` (n,) numbers from 0, ascending; ``box`` (n, 4) x1, y1, x2, y2 in [0, 1]."""

    frame: np.ndarray
    box: np.ndarray


@dataclass(frozen=True)
class Annotated:
    """A video of class ``label`` with so many ``frames``."""

    label: str
    frames: int
    tubes: list[Tube]


@dataclass(frozen=True)
class Annotations:
    """A data set: ``videos`` by name, names by part (``train1``, ``test1``, …), and listed ones without annotation."""

    videos: Mapping[str, Annotated]
    parts: Mapping[str, list[str]]
    left_out: list[str] = field(default_factory=list)


def convert_annotations(
    kind: Literal["jhmdb21", "ucf101_24"], folder: Path, output: Path, rate: float | None = None
) -> dict[str, Any]:
    """Write a data set's own annotation files as files like AVA's.

    Args:
        kind: Which data set.
        folder: Its annotations; see `pipeline.data.jhmdb21` and `pipeline.data.ucf101_24` for the files.
        output: Folder to write to.
        rate: Frames per second; None: `RATES`.

    Returns:
        JSON-ready: number of ``classes``, ``parts`` (videos, frames, annotated frames, boxes) and ``left_out`` videos.

    Raises:
        ActaError: a file is missing or damaged, a split is incomplete, or a video has no annotation.
    """
    from pipeline.data.jhmdb21 import read_jhmdb21
    from pipeline.data.ucf101_24 import read_ucf101_24

    rate = RATES[kind] if rate is None else rate
    if not 0 < rate < float("inf"):
        raise ActaError(f"the rate {rate} is no number of frames per second")
    read = read_jhmdb21(folder) if kind == "jhmdb21" else read_ucf101_24(folder)
    labels = sorted({video.label for video in read.videos.values()})
    actions = {label: number for number, label in enumerate(labels, 1)}
    counts = {}
    for part, names in read.parts.items():
        videos = {name: read.videos[name] for name in sorted(names)}
        with atomic(output / f"{part}.csv") as temporary, temporary.open("w") as file:
            for name, video in videos.items():
                file.writelines(_rows(name, video, actions[video.label], rate))
        tubes = [tube for video in videos.values() for tube in video.tubes]
        counts[part] = {
            "videos": len(videos),
            "frames": sum(video.frames for video in videos.values()),
            "tubes": len(tubes),
            "boxes": sum(len(tube.frame) for tube in tubes),
        }
    with atomic(output / "label_map.pbtxt") as temporary:
        write_label_map(temporary, labels)
    return {"classes": len(labels), "parts": counts, "left_out": read.left_out}


def _rows(name: str, video: Annotated, action: int, rate: float) -> Iterator[str]:
    by_frame: list[list[str]] = [[] for _ in range(video.frames)]
    for person, tube in enumerate(video.tubes):
        for frame, box in zip(tube.frame.tolist(), tube.box.tolist(), strict=True):
            by_frame[frame].append(f",{','.join(f'{value:.6f}' for value in box)},{action},{person}")
    quoted = '"' + name.replace('"', '""') + '"' if {",", '"'} & set(name) else name
    for frame, boxes in enumerate(by_frame):
        place = f"{quoted},{frame / rate:.6f}"
        yield from (f"{place}{box}\n" for box in boxes or [""])


def read_tubes(path: Path) -> Annotations:
    """Read the pickle in which the action-tubelet detector (Kalogeiton et al. 2017) and its successors keep a data set.

    It is a dict: ``labels`` [class]; ``gttubes`` {video: {index of class: [(n, 5) frame from 1, x1, y1, x2, y2]}} in
    pixels from 0, corners included; ``nframes`` and ``resolution`` (height, width) by video; ``train_videos`` and
    ``test_videos``, a list for each split.

    Raises:
        ActaError: the file is damaged, or a video of a split has no annotation or boxes that cannot be.
    """
    from pipeline.models.pickles import read_pickle  # it imports torch

    content = read_pickle(path)
    try:
        labels = [str(label) for label in content["labels"]]
        splits = {part: [list(map(str, names)) for names in content[f"{part}_videos"]] for part in ("train", "test")}
        parts = {f"{part}{n}": names for part, lists in splits.items() for n, names in enumerate(lists, 1)}
        tables = {key: {str(k): v for k, v in content[key].items()} for key in ("gttubes", "nframes", "resolution")}
    except (KeyError, TypeError, AttributeError) as error:
        raise ActaError(f"{path} is no file of annotated tubes: {type(error).__name__}: {error}") from None
    if not parts:
        raise ActaError(f"{path} has no splits")
    videos: dict[str, Annotated] = {}
    for part, names in parts.items():
        for name in dict.fromkeys(names):
            if missing := [key for key, table in tables.items() if name not in table]:
                raise ActaError(f"{path}: {name!r} of {part} has no {missing[0]}")
            if name not in videos:
                videos[name] = _annotated(f"{path}: {name!r}", labels, *(table[name] for table in tables.values()))
    check_parts(parts, str(path))
    return Annotations(videos, parts)


def _annotated(place: str, labels: list[str], tubes: Any, frames: Any, resolution: Any) -> Annotated:
    try:
        height, width = (int(value) for value in resolution)
        counted = int(frames)
        arrays = {int(label): [np.asarray(tube, np.float64).reshape(-1, 5) for tube in tubes[label]] for label in tubes}
        numbers = [label for label, its in arrays.items() if any(len(tube) for tube in its)]
        names = [labels[label] for label in numbers]
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ActaError(f"{place} cannot be read: {type(error).__name__}: {error}") from None
    if len(names) != 1:
        raise ActaError(f"{place} has boxes of {names or 'no class'}; a video is of one class")
    found = [
        make_tube(tube[:, 0] - 1, tube[:, 1:] + [0, 0, 1, 1], (width, height), counted, place)
        for tube in arrays[numbers[0]]
        if len(tube)
    ]
    return Annotated(names[0], counted, found)


def make_tube(frame: np.ndarray, box: np.ndarray, size: tuple[int, int], frames: int, place: str) -> Tube:
    """A tube from its boxes in pixels.

    Args:
        frame: (n,) numbers from 0.
        box: (n, 4) edges x1, y1, x2, y2 in pixels: a box of one pixel is 1 wide. What is a pixel outside is cut off.
        size: Width and height of the picture.
        frames: How many the video has.
        place: What to call it in messages.

    Raises:
        ActaError: frames that do not ascend or that the video does not have, or a box that is empty or outside.
    """
    if not (np.diff(frame) > 0).all() or (frame % 1).any() or frame[0] < 0 or frame[-1] >= frames:
        raise ActaError(f"{place}: frames {frame[0] + 1:g} to {frame[-1] + 1:g} of {frames} do not count up one by one")
    scaled = box / np.array([*size, *size])
    good = np.isfinite(scaled).all(1) & (box[:, 0] < box[:, 2]) & (box[:, 1] < box[:, 3])
    good &= (box[:, :2] >= -1).all(1) & (box[:, 2:] <= np.array(size) + 1).all(1)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise ActaError(
            f"{place}: the box {box[first].tolist()} of frame {frame[first] + 1:g} is empty, inside out or outside "
            f"{size[0]} × {size[1]} pixels"
        )
    return Tube(frame.astype(np.int64), np.clip(scaled, 0.0, 1.0))


def check_parts(parts: Mapping[str, list[str]], place: str) -> None:
    """Refuse a split that lacks a part or trains on what it tests, and parts without videos."""
    for part, names in parts.items():
        other = part.replace("train", "test") if part.startswith("train") else part.replace("test", "train")
        if not names or not parts.get(other):
            raise ActaError(f"{place}: {part if not names else other} has no videos")
        if both := sorted(set(names) & set(parts[other])):
            raise ActaError(f"{place}: {both[0]!r} is in {part} and in {other}")


def list_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a list with their numbers from 1, stripped, without blank ones.

    Raises:
        ActaError: the file cannot be read.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise ActaError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ActaError(f"cannot read {path}: {error}") from None
    yield from ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip())
