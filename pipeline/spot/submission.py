"""The archive of predictions that SoccerNet's evaluation server takes: writing it, and checking one beforehand."""

import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import ActaError
from pipeline.files import atomic
from pipeline.metrics.average_map import FRAMES, RATE
from pipeline.spot.events import CLASSES, HALVES, Version
from pipeline.spot.soccernet_files import (
    PREDICTIONS,
    GameFiles,
    confidence_of,
    entries,
    game_time,
    half_of,
    is_game,
    label_of,
    need,
    parse_object,
    parse_predictions,
    position_of,
    read_member,
)

T = TypeVar("T")

_PLACE = f"<league>/<season>/<game>/{PREDICTIONS}"
_LARGEST = 4 << 30  # bytes of all files
_END = FRAMES * 1000 // RATE  # milliseconds


def write_submission(folder: Path, output: Path) -> list[str]:
    """Pack all predictions below a folder into a zip archive; the same files give the same bytes.

    Args:
        folder: Holds ``<league>/<season>/<game>/results_spotting.json``; other files are left out.
        output: The archive.

    Returns:
        Its games.

    Raises:
        ActaError: the folder is not there or holds no predictions.
    """
    if not folder.is_dir():
        raise ActaError(f"{folder} is no folder")
    with GameFiles(folder) as files, atomic(output) as temporary:
        games = files.games(PREDICTIONS)
        if not games:
            raise ActaError(f"{folder} holds no {_PLACE}")
        with zipfile.ZipFile(temporary, "w") as archive:
            for game in games:
                member = zipfile.ZipInfo(f"{game}/{PREDICTIONS}", (1980, 1, 1, 0, 0, 0))
                member.compress_type = zipfile.ZIP_DEFLATED
                member.create_system = 3  # Unix, whatever this is
                member.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(member, files.read(game, PREDICTIONS)[0])
    return games


def submit(folder: Path, output: Path, games: Sequence[str], version: Version) -> None:
    """Stage `submit-spots`: pack a split's predictions, unless the evaluation server would reject or misread them.

    Raises:
        ActaError: it would, or the folder holds no predictions; there is no archive then.
    """
    with atomic(output) as temporary:
        write_submission(folder, temporary)
        problems = check_submission(temporary, games, version)
        if problems:
            some = "\n".join(f"  {problem}" for problem in problems[:10])
            raise ActaError(f"{folder}: {len(problems)} things that SoccerNet's evaluation would not take:\n{some}")


def check_submission(archive: Path, games: Sequence[str] | None, version: Version) -> list[str]:
    """What the evaluation server would reject or silently misread, a line each; nothing if all is well.

    Args:
        archive: The archive.
        games: Games of the split (``<league>/<season>/<game>``); None: not known.
        version: Decides the labels.

    Raises:
        ActaError: there is no such file.
    """
    if not archive.is_file():
        raise ActaError(f"there is no file {archive}")
    try:
        with zipfile.ZipFile(archive) as opened:
            return _problems(opened, games, version)
    except (ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        return [f"{archive} is not a zip archive: {error}"]


def describe_submission(archive: Path, version: Version) -> str:
    """What is in an archive, in one line."""
    with GameFiles(archive) as files:
        games = files.games(PREDICTIONS)
        count = sum(len(parse_predictions(*files.read(game, PREDICTIONS), version).spots) for game in games)
    return f"{archive}: {len(games)} {'game' if len(games) == 1 else 'games'}, {count} predictions, version {version}"


def _problems(archive: zipfile.ZipFile, games: Sequence[str] | None, version: Version) -> list[str]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    size = sum(member.file_size for member in members)
    if size > _LARGEST:
        return [f"the files have {size} bytes together, which is more than {_LARGEST}; nothing was read"]
    problems = []
    times = Counter(member.filename for member in members)
    problems += [f"{name} is there {count} times" for name, count in times.items() if count > 1]
    found = {}
    for member in members:
        game, _, name = member.filename.rpartition("/")
        if name == PREDICTIONS and is_game(game):
            found[game] = member
        else:
            problems.append(_misplaced(member.filename))
    if games is None:
        problems += [] if found else [f"there is no {_PLACE}"]
    else:
        problems += [f"{game}: missing" for game in sorted(set(games) - set(found))]
        problems += [f"{game}: not a game of the split" for game in sorted(set(found) - set(games))]
    for game, member in sorted(found.items()):
        try:
            problems += _problems_of_game(read_member(archive, member), game, version)
        except ActaError as error:
            problems.append(str(error))
    return problems


def _misplaced(name: str) -> str:
    if name.startswith("/") or "\\" in name or ".." in name.split("/") or not name.isprintable():
        return f"{name!r} is no safe name; files must be at {_PLACE}"
    top, _, rest = name.partition("/")
    game, _, file = rest.rpartition("/")
    if file == PREDICTIONS and is_game(game):
        return f"{name} is within a folder {top!r}; files must be at {_PLACE}"
    return f"{name} is not at {_PLACE}"


def _problems_of_game(content: bytes, game: str, version: Version) -> list[str]:
    problems = []
    url = parse_object(content, game).get("UrlLocal")
    if not isinstance(url, str) or url.rstrip("/") != game:
        problems.append(f"{game}: UrlLocal is {url!r}" if url is not None else f"{game} has no `UrlLocal`")
    seen: dict[tuple[str, int, int], int] = {}
    for index, entry in enumerate(entries(content, game, "predictions")):
        place = f"{game}: predictions[{index}]"
        wrong, slot = _problems_of_prediction(entry, version)
        problems += [f"{place}: {each}" for each in wrong]
        if slot in seen:
            problems.append(f"{place} replaces [{seen[slot]}], which has its class and half-second")
        if slot is not None:
            seen[slot] = index
    return problems


def _problems_of_prediction(entry: Any, version: Version) -> tuple[list[str], tuple[str, int, int] | None]:
    """What is wrong, and the label, half and frame that only one prediction can have, where they are right."""
    problems: list[str] = []

    def checked(read: Callable[[Any], T]) -> T | None:
        try:
            return read(entry)
        except ValueError as error:
            problems.append(str(error))
            return None

    if not isinstance(entry, dict):
        return [f"{entry!r:.80} is no object"], None
    label, half, position = checked(label_of), checked(_half), checked(_position)
    if label is not None and label not in CLASSES[version]:
        problems.append(f"{label!r} is no label of version {version}")
    has_slot = not problems
    checked(_confidence)
    shown = checked(lambda its: game_time(need(its, "gameTime")))
    if shown and half and shown[0] != half:
        problems.append(f"gameTime {entry['gameTime']!r} is not in half {half}")
    if shown and position is not None and abs(1000 * shown[1] - position) > 1000:
        problems.append(f"gameTime {entry['gameTime']!r} is more than a second off position {position}")
    if not has_slot or label is None or half is None or position is None:
        return problems, None
    return problems, (label, half, int(RATE * (position / 1000)))


def _half(entry: Any) -> int:
    half = half_of(entry)
    if half not in HALVES:
        raise ValueError(f"half {entry['half']!r} is not 1 or 2")
    return half


def _position(entry: Any) -> int:
    position = position_of(entry)
    if position != float(entry["position"]):
        raise ValueError(f"position {entry['position']!r} is not whole")
    if position >= _END:
        raise ValueError(f"position {position} is beyond the 120 minutes that a half can have")
    return position


def _confidence(entry: Any) -> None:
    if not 0 <= confidence_of(entry) <= 1:
        raise ValueError(f"confidence {entry['confidence']!r} is not in [0, 1]")
