"""Videos with one label each and boxes of people: the common form of J-HMDB-21's and UCF101-24's annotations.

Both data sets also come as the pickle of the action-tubelet detector (`read_tubes`).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detect.annotation.ava import is_plain
from pipeline.runtime.errors import ActaError
from pipeline.runtime.unfolded import check_content

MOST_FRAMES = 1_000_000  # nine hours; the longest video of either data set has some 900


@dataclass(frozen=True)
class Tube:
    """One person's boxes: ``frame`` (n,) numbers from 0, ascending; ``box`` (n, 4) x1, y1, x2, y2 in [0, 1]."""

    frame: np.ndarray
    box: np.ndarray


@dataclass(frozen=True)
class Annotated:
    """A video of class ``label`` with this many ``frames``."""

    label: str
    frames: int
    tubes: list[Tube]


@dataclass(frozen=True)
class Annotations:
    """A data set: videos by name, names by part (``train1``, ``test1``, …), and listed videos without annotation."""

    videos: Mapping[str, Annotated]
    parts: Mapping[str, list[str]]
    left_out: list[str] = field(default_factory=list)


def read_tubes(path: Path) -> Annotations:
    """Read the pickle that the action-tubelet detector (Kalogeiton et al. 2017) and its successors use for a data set.

    It is a dict: ``labels`` [class]; ``gttubes`` {video: {index of class: [(n, 5) frame from 1, x1, y1, x2, y2]}} in
    pixels from 0, corners included; ``nframes`` and ``resolution`` (height, width) by video; ``train_videos`` and
    ``test_videos``, a list for each split.

    Raises:
        ActaError: the file is damaged, or a video of a split has no annotation or impossible boxes.
    """
    from pipeline.models.pickles import read_pickle  # it imports torch

    content = read_pickle(path)
    check_content(content, path)
    try:
        labels = [_text(label) for label in content["labels"]]
        splits = {part: [[*map(_text, names)] for names in content[f"{part}_videos"]] for part in ("train", "test")}
        parts = {f"{part}{n}": names for part, lists in splits.items() for n, names in enumerate(lists, 1)}
        tables = {key: {_text(k): v for k, v in content[key].items()} for key in ("gttubes", "nframes", "resolution")}
    except (LookupError, TypeError, AttributeError) as error:
        raise ActaError(f"{path} is not a file of annotated tubes: {type(error).__name__}: {error}") from None
    if not parts:
        raise ActaError(f"{path} has no splits")
    found: dict[str, _Pixels] = {}
    for part, names in parts.items():
        for name in dict.fromkeys(names):
            if missing := [key for key, table in tables.items() if name not in table]:
                raise ActaError(f"{path}: {name!r} of {part} has no {missing[0]}")
            if name not in found:
                found[name] = _in_pixels(f"{path}: {name!r}", labels, *(table[name] for table in tables.values()))
    check_parts(parts, str(path))
    first, note = 1, ""
    if any(tube[0, 0] == 0 for pixels in found.values() for tube in pixels.tubes):
        first, note = 0, ", whose tubes count frames from 0"
        print(f"{path}: its tubes count frames from 0, where others count from 1; read so", file=sys.stderr)
    videos = {name: pixels.scaled(first, f"{path}{note}: {name!r}") for name, pixels in found.items()}
    return Annotations(videos, parts)


def _text(value: object) -> str:
    if not (isinstance(value, str) and is_plain(value)):
        raise TypeError(f"{type(value).__name__ if not isinstance(value, str) else repr(value[:80])} is not a name")
    return value


@dataclass(frozen=True)
class _Pixels:
    """A video of one class: each tube's (n, 5) frame, x1, y1, x2, y2 in pixels, corners included; width and height."""

    label: str
    frames: int
    size: tuple[int, int]
    tubes: list[np.ndarray]

    def scaled(self, first: int, place: str) -> Annotated:
        """The tubes in the picture's coordinates; ``first`` is the file's number of the first frame."""
        tubes = [
            make_tube(tube[:, 0] - first, tube[:, 1:] + [0, 0, 1, 1], self.size, self.frames, place)
            for tube in self.tubes
        ]
        return Annotated(self.label, self.frames, tubes)


def _in_pixels(place: str, labels: list[str], tubes: Any, frames: Any, resolution: Any) -> _Pixels:
    try:
        height, width = (int(value) for value in resolution)
        counted = int(frames)
        arrays = {int(label): [np.asarray(tube, np.float64).reshape(-1, 5) for tube in tubes[label]] for label in tubes}
        numbers = [label for label, its in arrays.items() if any(len(tube) for tube in its)]
        names = [labels[label] for label in numbers if label >= 0]
    except (TypeError, ValueError, OverflowError, AttributeError, LookupError) as error:
        raise ActaError(f"{place} cannot be read: {type(error).__name__}: {error}") from None
    if len(numbers) != 1 or len(names) != 1:
        raise ActaError(f"{place} has boxes of {names or 'no class'}; a video is of one class")
    check_frames(counted, place)
    return _Pixels(names[0], counted, (width, height), [tube for tube in arrays[numbers[0]] if len(tube)])


def check_frames(frames: int, place: str) -> None:
    """Refuse a number of frames that no video of these data sets has; every frame becomes a row."""
    if not 0 < frames <= MOST_FRAMES:
        raise ActaError(f"{place} has {frames} frames; a video has 1 to {MOST_FRAMES:,}")


def make_tube(frame: np.ndarray, box: np.ndarray, size: tuple[int, int], frames: int, place: str) -> Tube:
    """A tube from its boxes in pixels.

    Args:
        frame: (n,) numbers from 0.
        box: (n, 4) edges x1, y1, x2, y2 in pixels: a box of one pixel is 1 wide. Up to one pixel outside is cut off.
        size: Width and height of the picture.
        frames: How many frames the video has.
        place: The tube's name for errors.

    Raises:
        ActaError: frames do not ascend or the video does not have them, or a box is empty or outside the picture.
    """
    if not (np.diff(frame) > 0).all() or (frame % 1).any() or frame[0] < 0 or frame[-1] >= frames:
        raise ActaError(
            f"{place}: frames {frame[0] + 1:g} to {frame[-1] + 1:g} of a tube, counted from 1, are not numbers of the "
            f"video's {frames} that ascend"
        )
    if min(size) < 1:
        raise ActaError(f"{place}: the picture has {size[0]} × {size[1]} pixels")
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
    """Refuse a split that lacks a part or tests on training videos, and parts without videos."""
    for part, names in parts.items():
        other = part.replace("train", "test") if part.startswith("train") else part.replace("test", "train")
        if not names or not parts.get(other):
            raise ActaError(f"{place}: {part if not names else other} has no videos")
        if both := sorted(set(names) & set(parts[other])):
            raise ActaError(f"{place}: {both[0]!r} is in {part} and in {other}")
