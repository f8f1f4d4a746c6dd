"""Adapters: how each dataset is laid out and what its annotation files say. They look at names, not into videos."""

import operator
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pipeline.config.data import DataSettings
from pipeline.config.detect import DetectionDataSettings
from pipeline.demo.get_footage import FOOTAGE, action_names, interaction_names
from pipeline.media.lists import Listed
from pipeline.media.split_files import check_stays, read_hmdb51, read_kinetics, read_ucf101
from pipeline.media.suffixes import SUFFIXES
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_rows

_REPLACEMENT = re.compile(r"(^|/)replacement[^/]*/", re.IGNORECASE)
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def list_videos(settings: DataSettings) -> Iterator[Listed]:
    """Every video of the dataset, from the names on disk and the annotation files.

    Raises:
        ActaError: the root or an annotation file is missing or malformed; the message names the file, line and value.
    """
    if settings.adapter == "demo":
        return _demo()
    root = Path(settings.root)
    if not root.is_dir():
        raise ActaError(f"data.root {settings.root!r} is not a folder")
    if settings.adapter == "folder":
        return _folder(root)
    readers = {"ucf101": read_ucf101, "hmdb51": read_hmdb51, "kinetics400": read_kinetics}
    return _find(readers[settings.adapter](Path(settings.annotations or "")), root)


def list_annotated(settings: DetectionDataSettings) -> Iterator[Listed]:
    """Every video that the files of boxes and proposals name, with the splits whose files do.

    Raises:
        ActaError: the root or a file is missing, or a file has a bad row.
    """
    if settings.adapter == "demo":
        for name, split in interaction_names():
            yield Listed(name, f"videos/{name}.mp4", "", split, 0, 0)
        return
    named: dict[str, dict[str, None]] = {}
    first: dict[str, str] = {}
    source: dict[str, str] = {}
    for split, path in settings.boxes.items():
        for place, video in _first_column(Path(path)):
            named.setdefault(video, {})[split] = None
            first.setdefault(video, place)
            if source.setdefault(video, path) != path:
                raise ActaError(
                    f"{place} names {video!r}, which {first[video]} names too: a video is of one "
                    "split, or what is tested would be trained on"
                )
    for split, path in settings.proposals.items():
        if split not in settings.boxes:  # nobody has said what people do there, as on AVA's test split
            for place, video in _proposed(Path(path)):
                named.setdefault(video, {})[split] = None
                first.setdefault(video, place)
    if settings.root is None:
        for video, splits in named.items():
            yield Listed(video, video, "", " ".join(splits), 0, 0)
        return
    root = Path(settings.root)
    if not root.is_dir():
        raise ActaError(f"detect.data.root {settings.root!r} is not a folder")
    places = _Places(root)
    for path, status in _walk(root):
        if PurePosixPath(path).suffix.lower() in SUFFIXES:
            for name in {PurePosixPath(path).stem, str(PurePosixPath(path).with_suffix(""))} & named.keys():
                places.add(name, path, status)
    for video, splits in named.items():
        if found := places.find(video):
            path, status = found
            yield Listed(video, path, "", " ".join(splits), status.st_size, int(status.st_mtime))
        else:
            yield Listed(video, f"{video} (named by {first[video]})", "", " ".join(splits), -1, 0)
    places.say_replaced()


def _proposed(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix == ".csv":
        yield from _first_column(path)
    else:
        from pipeline.detect.annotation.proposals import read_proposals  # a pickle; its reader imports torch

        for video, _ in read_proposals(path).frames:
            check_stays(video, str(path))
            yield str(path), video


def _first_column(path: Path) -> Iterator[tuple[str, str]]:
    """The videos in the first column of a CSV, each with its file and line."""
    for line, row in read_rows(path):
        check_stays(row[0], f"{path}:{line}")
        yield f"{path}:{line}", row[0]


def _demo() -> Iterator[Listed]:
    """The demo's videos as `folder` would list them; their names are known before they are there."""
    for name, clip in FOOTAGE.items():
        yield Listed(name, name, name.partition("/")[0], "", clip.size, 0)
    for name, label, split in action_names():
        yield Listed(name, name, label, split, 0, 0)


def _folder(root: Path) -> Iterator[Listed]:
    """``[train|val|test/]label/…/file``; the id is the path below the root."""
    for path, status in _walk(root):
        if PurePosixPath(path).suffix.lower() not in SUFFIXES:
            continue
        parts = path.split("/")[:-1]
        split = parts.pop(0) if parts and parts[0].lower() in SPLITS else ""
        yield Listed(path, path, parts[0] if parts else "", split, status.st_size, int(status.st_mtime))


def _find(rows: Iterator[tuple[str, str, str]], root: Path) -> Iterator[Listed]:
    """Look up annotated file names below the root, wherever they lie; a name that is nowhere counts as missing."""
    places = _Places(root)
    for path, status in _walk(root):
        places.add(path.rpartition("/")[2], path, status)
    for name, label, split in rows:
        identifier = name.rpartition(".")[0] or name
        if place := places.find(name):
            path, status = place
            yield Listed(identifier, path, label, split, status.st_size, int(status.st_mtime))
        else:
            yield Listed(identifier, f"{label}/{name}", label, split, -1, 0)
    places.say_replaced()


class _Places:
    """Where the files of each name lie below ``root``, and which of several is meant."""

    def __init__(self, root: Path):
        self._root = root
        self._first: dict[str, tuple[str, os.stat_result]] = {}
        self._others: dict[str, list[tuple[str, os.stat_result]]] = {}
        self._replaced: list[str] = []

    def add(self, name: str, path: str, status: os.stat_result) -> None:
        if self._first.setdefault(name, (path, status))[0] != path:
            self._others.setdefault(name, []).append((path, status))

    def find(self, name: str) -> tuple[str, os.stat_result] | None:
        """The file of this name; of several, the one that is no broken link, not empty, and a replacement.

        Kinetics-400 is published with a folder of replacements for files that are damaged in its other archives.

        Raises:
            ActaError: there are several all the same.
        """
        if name not in self._others:
            return self._first.get(name)
        files = {(s.st_dev, s.st_ino): (path, s) for path, s in (*self._others[name], self._first[name])}
        candidates = [*files.values()]  # a file and a link to it are one
        candidates = [(path, s) for path, s in candidates if stat.S_ISREG(s.st_mode) and s.st_size] or candidates
        candidates = [(path, s) for path, s in candidates if _REPLACEMENT.search(path)] or candidates
        if len(candidates) > 1:
            first, second, *_ = sorted(path for path, _ in candidates)
            raise ActaError(f"{self._root} has two videos for {name!r}: {first} and {second}; remove what is not meant")
        if len(files) > 1:
            self._replaced.append(candidates[0][0])
        return candidates[0]

    def say_replaced(self) -> None:
        """One line on the files that were taken in the place of others."""
        if self._replaced:
            print(
                f"annotated files that lie below {self._root} more than once: {len(self._replaced)}; the replacement, "
                f"or the only one that is not empty, is taken, such as {min(self._replaced)}",
                file=sys.stderr,
            )


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Files below a folder as (path relative to it, status); hidden names are left out, links are followed once.

    Raises:
        ActaError: a folder cannot be read, so that nobody knows what would be left out.
    """
    stack, seen = [""], set()
    while stack:
        folder = stack.pop()
        try:
            place = (root / folder).stat()
            if (place.st_dev, place.st_ino) in seen:
                continue
            seen.add((place.st_dev, place.st_ino))
            with os.scandir(root / folder) as entries:
                files = sorted(entries, key=operator.attrgetter("name"))
        except OSError as error:
            raise ActaError(f"cannot list the folder {root / folder}: {error.strerror}") from None
        for entry in files:
            if entry.name.startswith("."):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            try:
                if entry.is_dir():
                    stack.append(path)
                else:
                    yield path, entry.stat()
            except OSError:  # a dangling link, or one to itself: the manifest will say that it is missing
                with suppress(OSError):  # it is gone meanwhile
                    yield path, entry.stat(follow_symlinks=False)
