"""Adapters: how each dataset lies on disk and what its annotation files say. They look at names, not into videos."""

import csv
import operator
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pipeline.config.data import DataSettings
from pipeline.config.detect import DetectionDataSettings
from pipeline.data.demo import FOOTAGE, action_names, interaction_names
from pipeline.data.lists import Listed
from pipeline.errors import ActaError

SUFFIXES = frozenset(
    [".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"]
    + [".mxf", ".nut", ".ogv", ".ts", ".webm", ".wmv"]
)
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
    annotations = Path(settings.annotations or "")
    match settings.adapter:
        case "ucf101":
            return _find(_ucf101(annotations), root)
        case "hmdb51":
            return _find(_hmdb51(annotations), root)
        case _:
            return _find(_kinetics(annotations), root)


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
        for number, video in _first_column(Path(path)):
            named.setdefault(video, {})[split] = None
            first.setdefault(video, f"{path}:{number}")
            if source.setdefault(video, path) != path:
                raise ActaError(
                    f"{path}:{number} names {video!r}, which {first[video]} names too: a video is of one "
                    "split, or what is tested would be trained on"
                )
    for split, path in settings.proposals.items():
        if split not in settings.boxes:  # nobody has said what people do there, as on AVA's test split
            for video in _proposed(Path(path)):
                named.setdefault(video, {})[split] = None
                first.setdefault(video, path)
    if settings.root is None:
        for video, splits in named.items():
            yield Listed(video, video, "", " ".join(splits), 0, 0)
        return
    root = Path(settings.root)
    if not root.is_dir():
        raise ActaError(f"detect.data.root {settings.root!r} is not a folder")
    places: dict[str, tuple[str, os.stat_result]] = {}
    for path, stat in _walk(root):
        if PurePosixPath(path).suffix.lower() in SUFFIXES:
            for name in {PurePosixPath(path).stem, str(PurePosixPath(path).with_suffix(""))}:
                if name in named and places.setdefault(name, (path, stat))[0] != path:
                    raise ActaError(f"{root} has two videos for {name!r}: {places[name][0]} and {path}")
    for video, splits in named.items():
        if video in places:
            path, stat = places[video]
            yield Listed(video, path, "", " ".join(splits), stat.st_size, int(stat.st_mtime))
        else:
            yield Listed(video, f"{video} (named by {first[video]})", "", " ".join(splits), -1, 0)


def _proposed(path: Path) -> Iterator[str]:
    if path.suffix == ".csv":
        yield from (video for _, video in _first_column(path))
    else:
        from pipeline.data.proposals import read_proposals  # a pickle; its reader imports torch

        yield from (video for video, _ in read_proposals(path).frames)


def _first_column(path: Path) -> Iterator[tuple[int, str]]:
    """The first column of a CSV with the number of its line; names may be quoted."""
    try:
        with path.open(newline="") as file:
            reader = csv.reader(file)
            yield from ((reader.line_num, row[0]) for row in reader if row)
    except (OSError, UnicodeDecodeError) as error:
        raise ActaError(f"cannot read {path}: {_why(error)}") from None
    except csv.Error as error:
        raise ActaError(f"cannot read {path}: {error}") from None


def _demo() -> Iterator[Listed]:
    """The demo's videos as `folder` would list them; their names are known before they are there."""
    for name, clip in FOOTAGE.items():
        yield Listed(name, name, clip.label, clip.split, clip.size, 0)
    for name, label, split in action_names():
        yield Listed(name, name, label, split, 0, 0)


def _folder(root: Path) -> Iterator[Listed]:
    """``[train|val|test/]label/…/file``; the id is the path below the root."""
    for path, stat in _walk(root):
        if PurePosixPath(path).suffix.lower() not in SUFFIXES:
            continue
        parts = path.split("/")[:-1]
        split = parts.pop(0) if parts and parts[0].lower() in SPLITS else ""
        yield Listed(path, path, parts[0] if parts else "", split, stat.st_size, int(stat.st_mtime))


def _ucf101(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Official lists: ``trainlist01.txt`` has ``Class/v_Class_g08_c01.avi 1``, ``testlist01.txt`` the name alone.

    A video's split names its part in each of the three: ``train1 test2 train3``.
    """
    rows: dict[str, tuple[str, list[str]]] = {}
    there = [n for n in (1, 2, 3) if any((folder / f"{part}list0{n}.txt").exists() for part in ("train", "test"))]
    for split in there or [1]:
        for part in ("train", "test"):
            path = folder / f"{part}list{split:02d}.txt"
            for number, line in _lines(path):
                label, slash, file = line.split()[0].partition("/")
                if not (slash and label and file):
                    raise ActaError(f"{path}, line {number}: {line!r} is not <class>/<file> [number]")
                rows.setdefault(file, (label, []))[1].append(f"{part}{split}")
    for file, (label, parts) in rows.items():
        yield file, label, " ".join(parts)


def _hmdb51(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Official lists: ``<class>_test_split1.txt`` has ``file.avi 1`` (1 train, 2 test, 0 not in this split).

    A video's split names its part in each of the three: ``train1 test3``.
    """
    rows: dict[str, tuple[str, list[str]]] = {}
    if not any(folder.glob("*_test_split[123].txt")):
        raise ActaError(f"no <class>_test_split1.txt in data.annotations {str(folder)!r}")
    for split in (1, 2, 3):
        ending = f"_test_split{split}.txt"
        for path in sorted(folder.glob(f"*{ending}")):
            for number, line in _lines(path):
                name, _, use = line.rpartition(" ")
                if use not in ("0", "1", "2") or not name.strip():
                    raise ActaError(f"{path}, line {number}: {line!r} is not <file> 0|1|2")
                parts = rows.setdefault(name.strip(), (path.name.removesuffix(ending), []))[1]
                if use != "0":
                    parts.append(f"{'train' if use == '1' else 'test'}{split}")
    for name, (label, parts) in rows.items():
        yield name, label, " ".join(parts)


def _kinetics(path: Path) -> Iterator[tuple[str, str, str]]:
    """``label,youtube_id,time_start,time_end,split``; files are ``<id>_<start:06d>_<end:06d>.mp4``."""
    needed = ("label", "youtube_id", "time_start", "time_end", "split")
    try:
        with path.open(newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            missing = [name for name in needed if name not in header]
            if missing:
                raise ActaError(f"{path}: columns {missing} are missing; found {header}")
            pick = operator.itemgetter(*(header.index(name) for name in needed))
            for row in rows:
                if not row:
                    continue
                try:
                    label, video, start, end, split = pick(row)
                    name = f"{video}_{_seconds(start)}_{_seconds(end)}.mp4"
                except (IndexError, ValueError, OverflowError):
                    raise ActaError(
                        f"{path}, line {rows.line_num}: {','.join(row)!r} is not {','.join(header)} "
                        "with times in seconds"
                    ) from None
                yield name, label, split
    except (OSError, UnicodeDecodeError) as error:
        raise ActaError(f"cannot read data.annotations {str(path)!r}: {_why(error)}") from None


@lru_cache(maxsize=4096)
def _seconds(text: str) -> str:
    return f"{int(float(text)):06d}"


def _find(rows: Iterator[tuple[str, str, str]], root: Path) -> Iterator[Listed]:
    """Look up annotated file names below the root, wherever they lie; a name that is nowhere counts as missing."""
    places: dict[str, tuple[str, os.stat_result]] = {}
    for found in _walk(root):
        places.setdefault(found[0].rpartition("/")[2], found)
    seen: set[str] = set()
    for name, label, split in rows:
        if name in seen:
            continue
        seen.add(name)
        identifier = name.rpartition(".")[0] or name
        place = places.get(name)
        if place is None:
            yield Listed(identifier, f"{label}/{name}", label, split, -1, 0)
        else:
            yield Listed(identifier, place[0], label, split, place[1].st_size, int(place[1].st_mtime))


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Files below a folder as (path relative to it, stat); hidden names are left out, links are followed once."""
    stack, seen = [""], set()
    while stack:
        folder = stack.pop()
        place = (root / folder).stat()
        if (place.st_dev, place.st_ino) in seen:
            continue
        seen.add((place.st_dev, place.st_ino))
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=operator.attrgetter("name")):
                if entry.name.startswith("."):
                    continue
                path = f"{folder}/{entry.name}" if folder else entry.name
                try:
                    if entry.is_dir():
                        stack.append(path)
                    else:
                        yield path, entry.stat()
                except OSError:  # a dangling link, or one to itself: the manifest will say that it is missing
                    yield path, entry.stat(follow_symlinks=False)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open() as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ActaError(f"cannot read the split file {path}: {_why(error)}") from None


def _why(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else f"it is not UTF-8 text ({error.reason})"
