"""Files in a data set's results that no plan of its configuration needs: shards of videos that are gone.

A video that is deleted from the data set leaves its shard with the next run, unless it was the shard's last: no job
makes that shard any more, and none removes it. The same holds for games, and for the shards of another number of them.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.config.tasks.spot import imported_features
from pipeline.config.whole import Config
from pipeline.data.adapters import list_annotated, list_videos
from pipeline.data.games import list_games
from pipeline.media.lists import game_texts, list_texts
from pipeline.runtime.errors import ActaError
from pipeline.runtime.temporary import find_leftovers, is_own

_SHARD = re.compile(r"\d+-of-\d+")
_GAME = re.compile(r"[a-z0-9_-]*[0-9a-f]{10}")  # as `pipeline.data.games.game_key` makes them
_HDF5 = b"\x89HDF\r\n\x1a\n"
_KEYS = {"provenance", "game", "clips"}  # each JSON file that is no array has one of them

# Where the workflow puts a file for each shard or game, below results/<dataset>.
OF_SHARDS = (
    *("lists/{shard}.json", "manifest/{shard}.json", "frames/*/{shard}.h5", "detections/*/{shard}.h5"),
    "audit/*/shards/{shard}.json",
)
OF_DETECTION = (
    *("detect/lists/{shard}.json", "detect/manifest/{shard}.json", "detect/frames/none/{shard}.h5"),
    *("detect/objects/{shard}.h5", "detect/published_objects/{shard}.h5", "detect/features/*/{shard}.h5"),
)
OF_GAMES = (
    *("spot/lists/*/{game}.json", "spot/games/{game}.json", "spot/frames/{game}.h5"),
    *("spot/features/*/full/{game}.h5", "spot/features/*/projected/{game}.h5"),
    *(f"private/highlights/{{game}}.{kind}" for kind in ("mp4", "json", "vtt", "html")),
)


class Unneeded(NamedTuple):
    """A file or folder that no plan needs: bytes (a link's own), why, and whether it is surely nobody's any more."""

    path: Path
    size: int
    reason: str
    removable: bool


def find_unneeded(config: Config, results: Path) -> list[Unneeded]:
    """Files in ``results/<dataset>`` of shards and games that the configuration does not have, or of killed processes.

    Raises:
        ActaError: a data set cannot be listed, or has no videos (its disk may not be there).
    """
    videos = list_texts(list_videos(config.data), config.data.shards)
    if not videos:
        raise ActaError(f"no videos were found in data.root {config.data.root!r}, so nothing is removed; is it there?")
    boxes, spots = config.detect.data, config.spot.data
    annotated = list_texts(list_annotated(boxes), boxes.shards)
    games = game_texts(list_games(spots, imported_features(config.spot)))
    unneeded = [
        *_beyond(results, OF_SHARDS, _SHARD, set(videos), "no video of the data set is in this shard"),
        *_beyond(results, OF_DETECTION, _SHARD, set(annotated), "no annotated video is in this shard"),
        *_beyond(results, OF_GAMES, _GAME, set(games), "the data set has no such game"),
    ]
    for path, dead in find_leftovers(results):
        reason = "left by a killed process" if dead else "in use, or left by a process of another machine or container"
        unneeded.append(Unneeded(path, _size(path), reason, dead))
    return sorted(unneeded)


def _beyond(
    results: Path, kinds: tuple[str, ...], name: re.Pattern[str], needed: set[str], reason: str
) -> Iterator[Unneeded]:
    if not needed:  # nothing is known of this chapter's data
        return
    for kind in kinds:
        folder, ending = re.split(r"\{\w+\}", kind)
        for path in results.glob(f"{folder}*{ending}"):
            key = path.name.removesuffix(ending)
            if name.fullmatch(key) and key not in needed and _is_actas(path):
                yield Unneeded(path, _size(path), reason, True)


def _is_actas(path: Path) -> bool:
    """Whether a file is the user's own and such as the workflow writes; a link into a cache is."""
    if not is_own(path):
        return False
    if path.is_symlink():
        return not path.is_dir()
    if not path.is_file():
        return False
    try:
        if path.suffix == ".h5":
            with path.open("rb") as file:
                return file.read(len(_HDF5)) == _HDF5
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            return isinstance(content, list) or bool(_KEYS & set(content))
    except (OSError, ValueError, TypeError):
        return False
    return True


def _size(path: Path) -> int:
    size = 0
    for part in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
        with suppress(OSError):  # gone meanwhile
            size += part.lstat().st_size
    return size
