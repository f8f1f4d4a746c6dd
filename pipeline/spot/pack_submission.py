"""The archive of predictions for SoccerNet's evaluation server: writing one, and checking one before it is sent."""

import stat
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, atomic
from pipeline.spot.events import CLASSES, Version
from pipeline.spot.game_files import NO_ARCHIVE, GameFiles, found_instead, read_member
from pipeline.spot.game_lists import read_split
from pipeline.spot.official import Cases, Entries, Tally, entries_of, parse_file, predictions_in
from pipeline.spot.soccernet_files import LARGEST, PREDICTIONS, is_game

_PLACE = f"<league>/<season>/<game>/{PREDICTIONS}"
REPLACED = "a later one has their class and half-second"
_ALL = 64  # all files of an archive may have this many times the bytes of the largest


@dataclass
class Submission:
    """What was found in an archive.

    Args:
        problems: What the evaluator cannot read, a line for each kind; or that nothing counts.
        notes: What it reads, but counts as something else or not at all.
        games: How many games have predictions.
        predictions: How many predictions there are …
        counted: … and how many of them count.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    games: int = 0
    predictions: int = 0
    counted: int = 0


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
        raise ActaError(f"{folder} is not a folder")
    with GameFiles(folder) as files, atomic(output) as temporary:
        games = files.games(PREDICTIONS)
        if not games:
            raise ActaError(f"{folder} holds no {_PLACE}")
        with zipfile.ZipFile(temporary, "w") as archive:
            for game in games:
                member = zipfile.ZipInfo(f"{game}/{PREDICTIONS}", (1980, 1, 1, 0, 0, 0))
                member.compress_type = zipfile.ZIP_DEFLATED
                member.create_system = 3  # Unix, on whatever system this runs
                member.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(member, files.read(game, PREDICTIONS)[0])
    return games


def pack_submission(predictions: Path, split: Path, output: Output, version: Literal[1, 2]) -> None:
    """Pack a split's predictions into an archive, unless SoccerNet's server would reject or misread them.

    Args:
        predictions: Folder of SoccerNet's prediction files.
        split: The development kit's file of the split's games.
        output: The archive.
        version: Of the labels.

    Raises:
        ActaError: it would, or the folder holds no predictions; no archive is written then.
    """
    games = read_split(split)
    with atomic(output) as temporary:
        write_submission(predictions, temporary)
        submission = check_submission(temporary, games, version)
        wrong = submission.problems + submission.notes
        if wrong:
            some = "\n".join(f"  {problem}" for problem in wrong[:10])
            raise ActaError(f"{predictions}: {len(wrong)} things that SoccerNet's evaluation would not take:\n{some}")


def check_submission(
    archive: Path, games: Sequence[str] | None, version: Version, largest: int = LARGEST
) -> Submission:
    """Read an archive of predictions as the official evaluator does; it has no problems if that would evaluate it.

    Args:
        archive: The archive.
        games: Games of the split (``<league>/<season>/<game>``), the only ones that the evaluator reads; None: unknown,
            so all games in the archive are read.
        version: Decides the labels.
        largest: Most bytes of one file; all files together may have `_ALL` times as many.

    Raises:
        ActaError: there is no such file.
    """
    if not archive.is_file():
        raise ActaError(f"there is no file {archive}")
    try:
        with zipfile.ZipFile(archive) as opened:
            return _checked(opened, games, version, largest)
    except NO_ARCHIVE as error:
        return Submission([f"{archive} is not a zip archive: {error}"])


def _checked(archive: zipfile.ZipFile, games: Sequence[str] | None, version: Version, largest: int) -> Submission:
    submission = Submission()
    members = {}
    for member in archive.infolist():
        game, _, name = member.filename.rpartition("/")
        if name == PREDICTIONS and is_game(game):
            members[game] = member  # of several of a name the last is read
    if not members:
        instead = found_instead(archive.namelist(), PREDICTIONS)
        return Submission([f"there is no {_PLACE}" + (f"; {instead}" if instead else "")])
    if games is not None:
        submission.problems += [f"{game}: missing" for game in sorted(set(games) - set(members))]
        submission.notes += [
            f"{game}: not a game of the split, so not read" for game in sorted(set(members) - set(games))
        ]
        members = {game: member for game, member in members.items() if game in set(games)}
    times = Counter(member.filename for member in archive.infolist())
    repeated = [f"{game}/{PREDICTIONS}" for game in sorted(members) if times[f"{game}/{PREDICTIONS}"] > 1]
    submission.notes += [f"{name} is there {times[name]} times; only the last is read" for name in repeated]
    tally, renamed, left = Tally(), Cases(), _ALL * largest
    for game, member in sorted(members.items()):
        try:
            content = read_member(archive, member, largest)
            left -= len(content)
            if left < 0:
                submission.problems.append(
                    f"the files have more than {_ALL * largest} bytes together; the rest is not read"
                )
                break
            parsed = parse_file(content, game, marks=False)
            listed = entries_of(parsed, game, "predictions")
        except ActaError as error:
            submission.problems.append(str(error))
            continue
        url = parsed.get("UrlLocal", game)
        if not isinstance(url, str) or url.rstrip("/") != game:
            renamed.add("UrlLocal", f"UrlLocal {url!r:.200} in {game}")
        submission.games += 1
        submission.predictions += len(listed)
        submission.counted += _count(predictions_in(listed, game, version, tally), tally, game)
    submission.problems += [_first(tally.unreadable, kind) for kind in tally.unreadable.counts]
    submission.notes += _of_labels(tally.labels, version)
    for cases, do in ((tally.left_out, "do not count"), (tally.otherwise, "count otherwise")):
        submission.notes += [f"predictions that {do}: {kind}: {_first(cases, kind)}" for kind in cases.counts]
    submission.notes += [f"names of games, which are not looked at: {_first(renamed, kind)}" for kind in renamed.counts]
    if submission.predictions and not submission.counted and not submission.problems:
        submission.problems.append(f"none of the {submission.predictions} predictions counts")
    return submission


def _count(entries: Entries, tally: Tally, game: str) -> int:
    """How many of a file's predictions count: a later one replaces an earlier one of its class and half-second."""
    places = np.array([entries.label, entries.half, entries.frame], np.int64).T
    _, from_the_end = np.unique(places[::-1], axis=0, return_index=True)
    kept = np.zeros(len(places), bool)
    kept[len(places) - 1 - from_the_end] = True
    for position in np.flatnonzero(~kept).tolist():
        tally.left_out.add(REPLACED, f"predictions[{entries.index[position]}] of {game}")
    return int((kept & (np.array(entries.value) >= 0)).sum())


def _first(cases: Cases, kind: str) -> str:
    """The first case of a kind, and how many more there are."""
    others = cases.counts[kind] - 1
    return cases.first[kind] + (f" and {others:,} more" if others else "")


def _of_labels(labels: Cases, version: Version) -> list[str]:
    """One line about all labels that are none of the classes, with a guess at what was meant."""
    if not labels.counts:
        return []
    (common, _), *others = labels.counts.most_common()
    more = f", like {len(others)} more" if others else ""
    count = labels.counts.total()
    line = (
        f"{count:,} {'predictions do' if count > 1 else 'prediction does'} not count: {common!r} is not a label of "
        f"version {version}{more}: {labels.first[common]}"
    )
    other: Version = 1 if version == 2 else 2
    for which in (version, other):
        meant = {name.casefold(): name for name in CLASSES[which]}
        known = [label for label in labels.counts if label.casefold() in meant]
        if known and which == version:
            return [f"{line}; capitals count: {meant[known[0].casefold()]!r}, not {known[0]!r}"]
        if known:
            return [f"{line}; {known[0]!r} is of version {other} (--version {other})"]
    return [line]
