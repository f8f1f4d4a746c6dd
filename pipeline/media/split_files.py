"""Published files that give the class and the split of each video, in the forms of UCF101, HMDB51 and Kinetics.

What cannot be read, is no such line or contradicts another one is an `ActaError` that names the file and its lines.
"""

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_lines, read_rows

_LONGEST_TIME = 1_000_000  # seconds; the published names have six digits


def leads_out(name: str) -> bool:
    """Whether a name in a file, taken as a path, can lead out of the folder that it is meant for."""
    return name.startswith("/") or "\0" in name or ".." in PurePosixPath(name).parts


def check_stays(name: str, place: str) -> None:
    """Refuse a name that `leads_out`; ``place`` is the file and line that have it."""
    if leads_out(name):
        raise ActaError(f"{place}: {name!r} leads out of the data set's folder; a name is below it and has no '..'")


def read_ucf_list(path: Path) -> Iterator[tuple[int, str, str]]:
    """Lines of ``trainlist01.txt`` or ``testlist01.txt``, ``<class>/<file> [number]``; names may have spaces.

    Yields:
        The line's number from 1, the class, the file's name.
    """
    for line, text in read_lines(path, "the split file"):
        *before, last = text.rsplit(None, 1)
        name = before[0] if before and last.isdecimal() else text
        check_stays(name, f"{path}, line {line}")
        label, file = (part.strip() for part in name.partition("/")[::2])
        if not (label and _is_file(file)):
            raise ActaError(f"{path}, line {line}: {text!r} is not <class>/<file> [number]")
        yield line, label, file


def read_hmdb_list(path: Path) -> Iterator[tuple[int, str, str]]:
    """Lines of ``<class>_test_split1.txt``, ``<file> 0|1|2``; names may have spaces.

    Yields:
        The line's number from 1, the file's name, and 1 (train), 2 (test) or 0 (not in this split).
    """
    for line, text in read_lines(path, "the split file"):
        name, use = ["", *text.rsplit(None, 1)][-2:]
        check_stays(name, f"{path}, line {line}")
        if use not in ("0", "1", "2") or not _is_file(name):
            raise ActaError(f"{path}, line {line}: {text!r} is not <file> 0|1|2")
        yield line, name, use


def _is_file(name: str) -> bool:
    """Whether it can be a file's name, in which no words follow the suffix."""
    return name not in ("", ".") and "/" not in name and not re.search(r"\s", PurePosixPath(name).suffix)


@dataclass
class Parts:
    """What several lists say of each file: its class, and its part of each split."""

    _class: dict[str, tuple[str, str]] = field(default_factory=dict)
    _parts: dict[str, dict[int, tuple[str, str]]] = field(default_factory=dict)

    def add(self, file: str, label: str, split: int, part: str, place: str) -> None:
        """Take in one line; ``part`` is "" for a file that is in neither part of the split."""
        known, before = self._class.setdefault(file, (label, place))
        if known != label:
            raise ActaError(f"{place}: {file!r} is of the class {label!r}, but {before} has it in {known!r}")
        known, before = self._parts.setdefault(file, {}).setdefault(split, (part, place))
        if known != part:
            said = [f"in {name}{split}" if name else f"in no part of split {split}" for name in (part, known)]
            raise ActaError(f"{place}: {file!r} is {said[0]}, but by {before} it is {said[1]}")

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        """File, class and parts of each, such as ``train1 test2 train3``."""
        for file, (label, _) in self._class.items():
            yield file, label, " ".join(f"{part}{split}" for split, (part, _) in self._parts[file].items() if part)


def read_ucf101(folder: Path) -> Iterator[tuple[str, str, str]]:
    """UCF101's lists of the splits that are there, as (file, class, parts)."""
    parts = Parts()
    numbers = [n for n in (1, 2, 3) if any((folder / f"{part}list0{n}.txt").exists() for part in ("train", "test"))]
    for split in numbers or [1]:
        for part in ("train", "test"):
            path = folder / f"{part}list{split:02d}.txt"
            for line, label, file in read_ucf_list(path):
                parts.add(file, label, split, part, f"{path}, line {line}")
    yield from parts


def read_hmdb51(folder: Path) -> Iterator[tuple[str, str, str]]:
    """HMDB51's lists of the splits that are there, as (file, class, parts)."""
    parts = Parts()
    if not any(folder.glob("?*_test_split[123].txt")):
        raise ActaError(f"no <class>_test_split1.txt in data.annotations {str(folder)!r}")
    for split in (1, 2, 3):
        ending = f"_test_split{split}.txt"
        for path in sorted(folder.glob(f"?*{ending}")):
            label = path.name.removesuffix(ending)
            check_stays(label, str(path))
            for line, file, use in read_hmdb_list(path):
                parts.add(file, label, split, ("", "train", "test")[int(use)], f"{path}, line {line}")
    yield from parts


def read_kinetics(path: Path) -> Iterator[tuple[str, str, str]]:
    """Kinetics' table ``label,youtube_id,time_start,time_end,split``, as (file, label, split).

    DeepMind's own files call the validation split ``validate``; here it is ``val``, as in the thesis's overlay.

    A file is called ``<id>_<start:06d>_<end:06d>.mp4``; rows that say the same of one count once.
    """
    needed = ("label", "youtube_id", "time_start", "time_end", "split")
    rows = read_rows(path, "data.annotations")
    header = [name.strip() for name in next(rows, (0, []))[1]]
    missing = [name for name in needed if name not in header]
    if missing:
        raise ActaError(f"{path}: columns {missing} are missing; found {header}")
    if twice := [name for name in needed if header.count(name) > 1]:
        raise ActaError(f"{path}: column {twice[0]!r} is there twice; found {header}")
    pick = operator.itemgetter(*(header.index(name) for name in needed))
    seen: dict[str, tuple[str, str, int]] = {}
    for line, row in rows:
        place = f"{path}, line {line}"
        try:
            label, video, start, end, split = (cell.strip() for cell in pick(row))
            name = f"{video}_{_seconds(start)}_{_seconds(end)}.mp4"
        except (IndexError, ValueError, OverflowError):
            raise ActaError(f"{place}: {','.join(row)!r} is not {','.join(header)} with times in seconds") from None
        if not (label and video) or "/" in video:
            wrong = "label is empty" if not label else f"youtube_id is {video!r}"
            raise ActaError(f"{place}: {wrong} in {','.join(row)!r}; a row names the video's label and its youtube_id")
        check_stays(label, place)
        split = "val" if split == "validate" else split
        known = seen.setdefault(name, (label, split, line))
        if known[:2] != (label, split):
            said = [f"label {label!r}, split {split!r}", f"label {known[0]!r}, split {known[1]!r}"]
            raise ActaError(f"{place}: {name!r} has {said[0]}, but by line {known[2]} {said[1]}; keep one row")
        if known[2] == line:
            yield name, label, split


@lru_cache(maxsize=4096)
def _seconds(text: str) -> str:
    seconds = int(float(text))
    if not 0 <= seconds < _LONGEST_TIME:
        raise ValueError
    return f"{seconds:06d}"
