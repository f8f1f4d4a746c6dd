"""Lists of videos, one file per shard: the only thing that the plan reads of a dataset.

A list is rewritten only when its content changes, so that adding, removing or replacing a video reruns its shard alone.
A video's shard is a hash of its id: it never changes when other videos come or go. A list is a JSON array of rows: id,
path (relative to the dataset's root), label, split, size in bytes (-1: missing), modification time in seconds.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.errors import ActaError
from pipeline.files import atomic


class Listed(NamedTuple):
    """One row of a list."""

    id: str
    path: str
    label: str
    split: str
    size: int
    modified: int


def shard_of(video: str, shards: int) -> int:
    """The shard of a video: a hash of its id, in [0, shards)."""
    digest = hashlib.blake2b(video.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest) % shards


def shard_name(index: int, shards: int) -> str:
    """File name of a shard, such as ``0007-of-1024``."""
    width = len(str(shards))
    return f"{index:0{width}d}-of-{shards}"


def write_lists(videos: Iterable[Listed], folder: Path, shards: int) -> list[str]:
    """Bring the list files in ``folder`` up to date and return the names of the shards that hold videos.

    Raises:
        ActaError: two videos have the same id.
    """
    parts: dict[int, dict[str, Listed]] = {}
    for video in videos:
        part = parts.setdefault(shard_of(video.id, shards), {})
        if video.id in part:
            raise ActaError(f"two videos have the id {video.id!r}: {part[video.id].path!r} and {video.path!r}")
        part[video.id] = video
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for index in sorted(parts):
        name = shard_name(index, shards)
        names.append(name)
        write_if_changed(folder / f"{name}.json", json.dumps([row for _, row in sorted(parts[index].items())]) + "\n")
    for stale in folder.glob("*.json"):
        if stale.stem not in names:
            stale.unlink()
    return names


def shard_names(folder: Path) -> list[str]:
    """The shards that `write_lists` last found to hold videos."""
    return sorted(path.stem for path in folder.glob("*.json"))


def read_list(path: Path) -> list[Listed]:
    """Read a list file.

    Raises:
        ActaError: the file is missing or damaged.
    """
    try:
        return [Listed(*row) for row in json.loads(path.read_text())]
    except OSError as error:
        raise ActaError(f"cannot read the list {path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise ActaError(f"{path} is not a list of videos: {error}") from None


def write_game_lists(games: Mapping[str, Sequence[Listed]], folder: Path) -> list[str]:
    """Bring the list files in ``folder``, one a game, up to date and return their keys.

    A list is rewritten only when its content changes; those of other games are removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for key, rows in games.items():
        content = {"game": str(PurePosixPath(rows[0].path).parent), "files": rows}
        write_if_changed(folder / f"{key}.json", json.dumps(content) + "\n")
    for stale in folder.glob("*.json"):
        if stale.stem not in games:
            stale.unlink()
    return list(games)


def read_game_list(path: Path) -> tuple[str, list[Listed]]:
    """Read a list file: the game's name and its files.

    Raises:
        ActaError: the file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text())
        return str(content["game"]), [Listed(*row) for row in content["files"]]
    except OSError as error:
        raise ActaError(f"cannot read the list {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ActaError(f"{path} is not a list of a game's files: {error!r}") from None


def write_if_changed(path: Path, content: str) -> None:
    """Write a text file, unless that is what it holds: its time stays, and nothing reruns."""
    try:
        if path.is_file() and path.read_text() == content:
            return
    except ValueError:
        pass  # damaged
    with atomic(path) as temporary:
        temporary.write_text(content)
