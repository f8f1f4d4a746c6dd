"""Which files count for a game of SoccerNet. Looks at names, sizes and times, not into videos or features.

A game's folder is ``<root>/<league>/<season>/<game>/``. Its files are known by their roles: ``video/1``, ``video/2``,
``ini``, ``labels``, and ``features/<name>/1``, ``features/<name>/2`` for each kind of features.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.config.spot import SpotDataSettings
from pipeline.media.lists import Listed
from pipeline.runtime.errors import ActaError
from pipeline.spot.events import HALVES
from pipeline.spot.game_lists import INI, read_split
from pipeline.spot.soccernet_files import LABELS

_LONGEST_SLUG = 120  # characters; file systems take names of 255 bytes


def game_key(game: str) -> str:
    """A file name for ``<league>/<season>/<game>``: [a-z0-9_-]+, readable, and another one for every game."""
    plain = unicodedata.normalize("NFKD", game).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:_LONGEST_SLUG]
    digest = hashlib.blake2b(game.encode("utf-8", "surrogateescape"), digest_size=5).hexdigest()
    return f"{slug}-{digest}".lstrip("-")


def list_games(data: SpotDataSettings, imported: Sequence[str]) -> dict[str, list[Listed]]:
    """The files that count for each game, by `game_key`; ``imported`` is what files of features are called.

    Rows have the role as id, the split, and size -1 where a file is missing. The demo's files have size and time 0:
    they are made only when needed.

    Raises:
        ActaError: the root or a file of games is missing, a file is malformed, or a game is in two splits.
    """
    root = Path(data.root)
    if data.adapter == "soccernet" and not root.is_dir():
        raise ActaError(f"spot.data.root {data.root!r} is not a folder")
    splits: dict[str, str] = {}
    games: dict[str, list[Listed]] = {}
    for split, names in _read_splits(data).items():
        for game in names:
            if game in splits:
                raise ActaError(f"{game!r} is in two splits of spot.data.splits: {splits[game]} and {split}")
            splits[game] = split
            rows = []
            for role, name in _roles(data, imported):
                path = f"{game}/{name}"
                size, modified = (0, 0) if data.adapter == "demo" else _stat(root / path)
                rows.append(Listed(role, path, "", split, size, modified))
            games[game_key(game)] = rows
    return games


def _read_splits(data: SpotDataSettings) -> dict[str, list[str]]:
    if data.adapter == "soccernet":
        return {split: read_split(path) for split, path in data.splits.items()}
    from pipeline.demo.match_plan import splits

    made = splits()
    for split in data.splits:
        if split not in made:
            raise ActaError(f"the demo has no split {split!r} (spot.data.splits); it has {', '.join(made)}")
    return {split: made[split] for split in data.splits}


def _roles(data: SpotDataSettings, imported: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Roles and names of a game's files."""
    if data.videos is not None:
        for half in HALVES:
            yield f"video/{half}", f"{half}_{data.videos}"
        if data.use_video_ini:
            yield "ini", INI
    yield "labels", LABELS[data.version]
    for name in imported:
        for half in HALVES:
            yield f"features/{name}/{half}", f"{half}_{name}"


def _stat(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, 0
    return status.st_size, int(status.st_mtime)
