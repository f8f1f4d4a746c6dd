"""Files of SoccerNet's development kit that list the games and say where the halves lie in the videos."""

import configparser
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_json, read_text
from pipeline.spot.events import HALVES
from pipeline.spot.soccernet_files import is_game

INI = "video.ini"


def read_split(path: Path | str) -> list[str]:
    """Read a file of games as the development kit has them: {league: {season: [game, …]}}.

    Returns:
        ``<league>/<season>/<game>`` in the file's order.

    Raises:
        ActaError: the file is missing or has another form, a name cannot be a folder's, or a game is listed twice.
    """
    content = read_json(path, "the games")
    games: dict[str, None] = {}
    for league, seasons in _items(content, path, "leagues"):
        for season, names in _items(seasons, path, f"the seasons of {league!r}"):
            if not isinstance(names, list):
                raise ActaError(f"{path}: the games of {league!r}, {season!r} are {names!r:.80}, but a list is needed")
            for name in names:
                game = f"{league}/{season}/{name}"
                if not (isinstance(name, str) and is_game(game)):
                    raise ActaError(f"{path}: {game!r} is not like <league>/<season>/<game>")
                if game in games:
                    raise ActaError(f"{path}: {game!r} is listed twice")
                games[game] = None
    return list(games)


def _items(value: object, path: Path | str, what: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, Mapping):
        raise ActaError(f"{path}: {what} are {value!r:.80}, but {{name: …}} is needed")
    yield from value.items()


def read_ini(path: Path) -> dict[int, tuple[float, float]]:
    """Read video.ini: where the halves lie in the videos.

    Returns:
        By half (1 and 2): start and duration in seconds. Other sections are ignored.

    Raises:
        ActaError: the file is missing or malformed, a half or a key is missing, or a value is no number of seconds.
    """
    parser = configparser.ConfigParser(interpolation=None)
    text = read_text(path)
    try:
        parser.read_string(text, str(path))
    except (configparser.Error, ValueError) as error:
        raise ActaError(f"{path} is not an ini file: {' '.join(str(error).split())}") from None
    spans: dict[int, tuple[float, float]] = {}
    for half in HALVES:
        sections = [section for section in parser.sections() if section.startswith(str(half))]
        if len(sections) != 1:
            problem = f"two sections of half {half}" if sections else f"no section of half {half}"
            raise ActaError(f"{path}: {problem}; one is needed, such as [{half}_HQ.mkv]")
        section = parser[sections[0]]
        spans[half] = (_seconds(path, section, "start_time_second"), _seconds(path, section, "duration_second"))
    return spans


def _seconds(path: Path, section: configparser.SectionProxy, key: str) -> float:
    value = section.get(key)
    if value is None:
        raise ActaError(f"{path}: [{section.name}] has no {key}")
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ActaError(f"{path}: [{section.name}] {key} is {value!r}, but a number of seconds from 0 on is needed")
    return seconds
