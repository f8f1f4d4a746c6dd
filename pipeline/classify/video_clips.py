"""Clips from frame shards: which videos a split has, where a clip is cut, and what a network sees of it.

A cut (`Cut`) is a place in time and space. It is drawn once and applied to both the frames that the student sees and
those that the teacher sees, so a distilled pair shows the same moment and the same square of one video.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.classify.classes import read_classes
from pipeline.config.classify import ClipSettings, ViewSettings
from pipeline.runtime.errors import ActaError
from pipeline.runtime.scratch import near
from pipeline.runtime.store import FrameShard, decode_jpegs


@dataclass(frozen=True)
class Entry:
    """A video of a split: the position of its shard, its id, class number and number of stored frames."""

    shard: int
    id: str
    label: int
    frames: int


class Logits(Protocol):
    """What a teacher said of clips, by (epoch, number)."""

    def __getitem__(self, key: tuple[int, int]) -> np.ndarray: ...


class Cut(NamedTuple):
    """A clip's place: its first frame; the size of the resized frame; the square in it; whether it is mirrored."""

    start: int
    height: int
    width: int
    top: int
    left: int
    side: int
    flip: bool


class Videos:
    """The videos of one split in the frame shards of one variant.

    Args:
        shards: All frame shards of a dataset.
        split: Name of the split; a video's own split may hold several names.
        classes: Labels in the order of the network's outputs.
        copied: Read copies on the node's own disk, within `pipeline.runtime.scratch.scratch`.

    Raises:
        ActaError: a label is not among the classes; the message names the video.
    """

    def __init__(self, shards: Sequence[Path], split: str, classes: Sequence[str], *, copied: bool = False):
        _allow_open_files(4 * len(shards))
        self._copied = copied
        self.shards = [FrameShard(path) for path in shards]
        self._copies: dict[int, FrameShard] = {}
        numbers = {label: number for number, label in enumerate(classes)}
        self.entries: list[Entry] = []
        for position, shard in enumerate(self.shards):
            for video, label, parts in zip(shard.ids, shard.labels, shard.splits, strict=True):
                if split not in parts.split():
                    continue
                if label not in numbers:
                    known = ", ".join(classes[:10]) + (" …" if len(classes) > 10 else "")
                    raise ActaError(
                        f"video {video!r} of split {split!r} has the label {label!r}, which is not among the "
                        f"{len(classes)} classes {known}"
                    )
                first, last = shard.span(video)
                self.entries.append(Entry(position, video, numbers[label], last - first))
            shard.close()

    def clip(self, entry: Entry, cut: Cut, positions: Sequence[int]) -> Tensor:
        """The frames at these positions of the raw clip, uint8 (t, 3, side, side).

        Positions beyond the video's end show its last frame.
        """
        shard = self._near(entry.shard)
        wanted = [min(cut.start + position, entry.frames - 1) for position in positions]
        first = wanted[0]
        jpegs = shard.jpegs(entry.id, first, wanted[-1] + 1)
        return cut_frames(decode_jpegs([jpegs[index - first] for index in wanted]), cut)

    def _near(self, position: int) -> FrameShard:
        """The shard, or its copy on the node's own disk."""
        if position not in self._copies:
            shard = self.shards[position]
            copy = near(shard.path) if self._copied else shard.path
            self._copies[position] = shard if copy == shard.path else FrameShard(copy)
        return self._copies[position]


class TrainingClips:
    """The training set: ``train_clips`` clips of every video in an epoch, each at a random time and place.

    Args:
        student: The videos as the network sees them.
        teacher: The same videos as the teacher sees them; None: there is no teacher.
        settings: Length, view, jitter.
        positions: Frames of the raw clip to load.
        seed: With (epoch, number), decides every cut.

    Raises:
        ActaError: one of the student's videos is not among the teacher's, or its frames have other times or sizes.
    """

    def __init__(
        self, student: Videos, teacher: Videos | None, settings: ClipSettings, positions: Sequence[int], seed: int
    ):
        self._student, self._settings, self._positions, self._seed = student, settings, positions, seed
        self.entries = [e for e in student.entries if settings.short_videos == "repeat" or e.frames >= settings.frames]
        self._teacher = teacher
        self._partners = _pair(student, self.entries, teacher) if teacher and teacher is not student else self.entries
        self.logits: Logits | None = None

    def __len__(self) -> int:
        return len(self.entries) * self._settings.train_clips

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """``student`` and, with a teacher, ``teacher``: uint8 (t, 3, side, side); ``label``; ``logits``, if stored."""
        epoch, number = key
        position = number // self._settings.train_clips
        entry = self.entries[position]
        generator = np.random.default_rng([self._seed, epoch, number])
        cut = random_cut(generator, entry.frames, self._student.shards[entry.shard].size(entry.id), self._settings)
        item = {"student": self._student.clip(entry, cut, self._positions), "label": torch.tensor(entry.label)}
        if self._teacher is self._student:
            item["teacher"] = item["student"]
        elif self._teacher is not None:
            item["teacher"] = self._teacher.clip(self._partners[position], cut, self._positions)
        if self.logits is not None:
            item["logits"] = torch.from_numpy(self.logits[epoch, number])
        return item


def random_cut(generator: np.random.Generator, frames: int, size: tuple[int, int], settings: ClipSettings) -> Cut:
    """A cut for training: random time (temporal jittering), random scale where the view has a range, random square."""
    view = settings.view
    start = int(generator.integers(0, max(1, frames - settings.frames + 1)))
    short = int(generator.integers(view.short_side[0], view.short_side[1] + 1)) if view.short_side else 0
    height, width = resized(size, view, short)
    top = int(generator.integers(0, height - view.crop + 1))
    left = int(generator.integers(0, width - view.crop + 1))
    return Cut(start, height, width, top, left, view.crop, settings.flip and bool(generator.integers(2)))


def uniform_cuts(frames: int, size: tuple[int, int], clip_frames: int, count: int, view: ViewSettings) -> list[Cut]:
    """Cuts for evaluation: ``count`` clips at uniform times, the centre square; times that coincide are cut once.

    ``frames`` and ``size`` (height, width) are those of the stored video; ``clip_frames`` is the length of the raw
    clip, ``view`` the view in evaluation (`ViewSettings.test`).
    """
    height, width = resized(size, view, view.short_side[0] if view.short_side else 0)
    starts = np.unique(np.linspace(0, max(0, frames - clip_frames), count).round().astype(int))
    top, left = (height - view.crop) // 2, (width - view.crop) // 2
    return [Cut(int(start), height, width, top, left, view.crop, False) for start in starts]


def resized(size: tuple[int, int], view: ViewSettings, short: int) -> tuple[int, int]:
    """Height and width to resize a frame to: the view's own, or the given shorter side with the aspect ratio kept."""
    if view.size is not None:
        return view.size
    height, width = size
    if height <= width:
        return short, max(short, round(width * short / height))
    return max(short, round(height * short / width)), short


def cut_frames(frames: Tensor, cut: Cut) -> Tensor:
    """Resize frames (t, 3, h, w) bilinearly with antialiasing, take the square, mirror it: uint8 (t, 3, side, side)."""
    if tuple(frames.shape[-2:]) != (cut.height, cut.width):
        frames = F.interpolate(frames, (cut.height, cut.width), mode="bilinear", antialias=True)
    frames = frames[..., cut.top : cut.top + cut.side, cut.left : cut.left + cut.side]
    return (frames.flip(-1) if cut.flip else frames).contiguous()


def _pair(student: Videos, entries: Sequence[Entry], teacher: Videos) -> list[Entry]:
    """The teacher's entry for each of the student's."""
    known = {entry.id: entry for entry in teacher.entries}
    partners = []
    for entry in entries:
        partner = known.get(entry.id)
        ours = student.shards[entry.shard]
        if partner is None:
            raise ActaError(f"video {entry.id!r} of {ours.path} is not among the frames that the teacher sees")
        theirs = teacher.shards[partner.shard]
        same_times = np.array_equal(ours.times(entry.id), theirs.times(entry.id))
        if ours.size(entry.id) != theirs.size(entry.id) or not same_times:
            raise ActaError(f"video {entry.id!r} has other frames in {ours.path} than in {theirs.path}")
        partners.append(partner)
    return partners


def check_splits(shards: Sequence[Path], train: str, test: str) -> None:
    """Refuse a dataset in which a video is in both splits.

    Raises:
        ActaError: naming the first such video.
    """
    for shard in map(FrameShard, shards):
        for video, parts in zip(shard.ids, shard.splits, strict=True):
            if {train, test} <= set(parts.split()):
                raise ActaError(
                    f"video {video!r} is in both splits, {train!r} and {test!r}: the accuracy would be void"
                )
        shard.close()


def find_classes(shards: Sequence[Path], train: str, file: str | None) -> list[str]:
    """The classes: those in the file, one per line, or the sorted labels of the training videos.

    Raises:
        ActaError: a class is named twice or has no training video, or there are fewer than two.
    """
    labels: set[str] = set()
    for shard in map(FrameShard, shards):
        labels.update(label for label, parts in zip(shard.labels, shard.splits, strict=True) if train in parts.split())
        shard.close()
    classes = sorted(labels) if file is None else read_classes(file, "classify.classes")
    for label in classes:
        if label not in labels:
            raise ActaError(f"class {label!r} of {file} has no video in split {train!r}")
    if len(classes) < 2:
        raise ActaError(f"split {train!r} has the classes {classes}; two are needed at least")
    return classes


def _allow_open_files(count: int) -> None:
    """Raise the process's soft limit: a thousand shards of two variants stay open in each loader."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
