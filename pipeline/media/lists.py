"""Lists of videos, one file per shard: the only part of a dataset that the plan reads.

A list is rewritten only when its content changes, so that adding, removing or replacing a video reruns its shard alone.
A video's shard is a hash of its id: it never changes when other videos come or go. A list is a JSON array of rows: id,
path (relative to the dataset's root), label, split, size in bytes (-1: missing), modification time in seconds.
"""

import atexit
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic


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


def labelled_by_split(videos: Iterable[Listed]) -> dict[str, int]:
    """How many videos have a label, by split; a video may be of several."""
    return named_by_split(video for video in videos if video.label)


def named_by_split(videos: Iterable[Listed]) -> dict[str, int]:
    """How many videos there are, by split; a video may be of several."""
    return dict(Counter(split for video in videos for split in video.split.split()))


def list_texts(videos: Iterable[Listed], shards: int) -> dict[str, str]:
    """The contents of the list files of videos, by shard, in order; shards without videos have none.

    Raises:
        ActaError: two videos have the same id.
    """
    parts: dict[int, dict[str, Listed]] = {}
    for video in videos:
        part = parts.setdefault(shard_of(video.id, shards), {})
        if video.id in part:
            raise ActaError(f"two videos have the id {video.id!r}: {part[video.id].path!r} and {video.path!r}")
        part[video.id] = video
    return {
        shard_name(index, shards): json.dumps([row for _, row in sorted(parts[index].items())]) + "\n"
        for index in sorted(parts)
    }


def write_lists(videos: Iterable[Listed], folder: Path, shards: int) -> list[str]:
    """`list_texts` into files: bring those in ``folder`` up to date and return the names of the shards with videos."""
    return write_texts(list_texts(videos, shards), folder)


def write_texts(texts: Mapping[str, str], folder: Path) -> list[str]:
    """Bring the list files in ``folder`` up to date, and return their names. The others are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_if_changed(folder / f"{name}.json", text)
    for stale in folder.glob("*.json"):
        if stale.stem not in texts:
            stale.unlink()
    return list(texts)


def shard_names(folder: Path) -> list[str]:
    """The names of the lists in a folder: the shards that hold videos, or the games."""
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


def game_texts(games: Mapping[str, Sequence[Listed]]) -> dict[str, str]:
    """The contents of the lists of games, by the game's key."""
    return {
        key: json.dumps({"game": str(PurePosixPath(rows[0].path).parent), "files": rows}) + "\n"
        for key, rows in games.items()
    }


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
    """Write a text file, unless it holds just that: its time stays, and nothing reruns."""
    if not _holds(path, content):
        with atomic(path) as temporary:
            temporary.write_text(content)


def _holds(path: Path, content: str) -> bool:
    try:
        return path.is_file() and path.read_text() == content
    except ValueError:  # damaged
        return False


def record_path(dataset: str) -> Path:
    """Where a plan leaves the configuration that the lists were made from."""
    return Path(f".snakemake/acta.config.{dataset}.json")


class PlansLists:
    """The lists that a plan is made from. Lists that another plan reads, which may be running, stay as they are.

    Plans share a lock as long as they live, and whoever has it alone may change lists. Where another plan has it too,
    lists that differ from the ones there are written aside, in a folder that ends with the process: looking at a plan
    (``snakemake -n``) shows what would run, and changes nothing.

    Args:
        results: The folder of the data set's results.
        lock: A file for the lock, made if there is none.
        looking: Whether nothing will be run; matters only where the file system has no locks.

    Attributes:
        alone: Whether no other plan had the lock when this one began.
    """

    def __init__(self, results: Path, lock: Path, *, looking: bool):
        self._results, self._looking = results, looking
        self._texts: dict[str, dict[str, str]] = {}
        self._aside: Path | None = None
        lock.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        self.alone = self._take(fcntl.LOCK_EX)

    def _take(self, kind: int) -> bool:
        try:
            fcntl.flock(self._lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # no locks here
            return not self._looking
        return True

    def write(self, folder: str, texts: Mapping[str, str]) -> list[str]:
        """Bring the lists in a folder of the results up to date, or write them aside; returns their names."""
        self._texts[folder] = dict(texts)
        if self.alone:
            return sorted(write_texts(texts, self._results / folder))
        for name, text in texts.items():
            if not _holds(self._results / folder / f"{name}.json", text):
                write_if_changed(self._folder_aside() / folder / f"{name}.json", text)
        return sorted(texts)

    def _folder_aside(self) -> Path:
        if self._aside is None:
            self._aside = Path(tempfile.mkdtemp(prefix="acta-lists-"))
            atexit.register(shutil.rmtree, self._aside, ignore_errors=True)
        return self._aside

    def share(self) -> None:
        """After all lists are written: from here on others may share the lock, and none can have it alone.

        A plan that will run waits for one that has it alone, as that is still listing.
        """
        with suppress(OSError):  # no locks here
            fcntl.flock(self._lock, fcntl.LOCK_SH | (fcntl.LOCK_NB if self._looking else 0))

    def close(self) -> None:
        """Give the lock back before the process ends."""
        os.close(self._lock)

    def path(self, folder: str, name: str) -> str:
        """Where a list lies."""
        aside = self._aside / folder / f"{name}.json" if self._aside else None
        return str(aside if aside and aside.exists() else self._results / folder / f"{name}.json")

    def check(self) -> None:
        """Before anything is run: jobs read the lists of the results; if these are another plan's, an `ActaError`."""
        for folder, texts in self._texts.items():
            written = self._results / folder
            if set(shard_names(written)) != set(texts) or not all(
                _holds(written / f"{name}.json", text) for name, text in texts.items()
            ):
                raise ActaError(
                    f"another Snakemake reads the lists in {written}, which this run would change; "
                    "start this one again when that one has ended"
                )
