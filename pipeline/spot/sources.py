"""Where the frames or features of games are: SoccerNet's .npy files, shards, or arrays in memory; and reading them.

A source is pickled to the processes that load clips. Each opens files when it reads them, and keeps the last few open.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Quarantined
from pipeline.runtime.scratch import near
from pipeline.runtime.sealed import Sealed
from pipeline.runtime.store import FRAMES_FORMAT, FrameShard, Shard
from pipeline.spot.events import Version
from pipeline.spot.extract_frame_features import FrameFeatureShard
from pipeline.spot.games import Game, allowed_bad
from pipeline.spot.halves import Half, halves_of

OPEN_FILES = 384  # of a source in a process; the usual limit of a process is 1,024, and a training has two sources


@dataclass(frozen=True)
class Inputs:
    """Where a network's input is: in shards, or in SoccerNet's own files.

    Args:
        shards: Feature shards or frame shards, in any order; both halves of a game are in one of them.
        imported: Otherwise the kind of features, whose files the manifests name …
        root: … and the folder with the leagues.
    """

    shards: tuple[Path, ...] = ()
    imported: str | None = None
    root: Path | None = None

    def check(self) -> None:
        """Raise an `ActaError` if neither or both of shards and imported features are given."""
        if bool(self.shards) == (self.imported is not None and self.root is not None):
            raise ActaError("give --shards, or --imported and --root")

    @cached_property
    def pictures(self) -> bool:
        """Whether the shards hold pictures; the first one tells."""
        if not self.shards:
            return False
        return Sealed(self.shards[0]).attributes.get("format") == FRAMES_FORMAT

    @cached_property
    def _by_game(self) -> dict[str, tuple[Path, str] | Quarantined]:
        """By game its shard and the shard's digest, or why the game is in quarantine."""
        places: dict[str, tuple[Path, str] | Quarantined] = {}
        for path in self.shards:
            shard = FrameShard(path) if self.pictures else FrameFeatureShard(path)
            places |= {video.rpartition("/")[0]: (path, shard.digest) for video in shard.ids}
            places |= {entry.id: entry for entry in shard.quarantine}
            shard.close()
        return places

    @property
    def quarantine(self) -> list[Quarantined]:
        """The games that the shards have left out."""
        return [entry for entry in self._by_game.values() if isinstance(entry, Quarantined)]

    def shard_of(self, game: str) -> tuple[Path, str] | Quarantined:
        """A game's shard and its digest, or why the game is in quarantine.

        Raises:
            ActaError: no shard knows the game.
        """
        if game not in self._by_game:
            some = f", such as {self.shards[0]}" if self.shards else ""
            raise ActaError(f"{game!r} is in none of the {len(self.shards)} shards{some}")
        return self._by_game[game]

    def digests(self, games: Sequence[Game]) -> list[str]:
        """The input of these games in provenance; a manifest's digest covers the imported features that it names."""
        if self.imported is not None:
            return [self.imported]
        return [place[1] for game in games if not isinstance(place := self.shard_of(game.name), Quarantined)]


def games_there(games: Sequence[Game], inputs: Inputs) -> tuple[list[Game], list[Quarantined]]:
    """The games whose input can be read, and why the others' cannot.

    Raises:
        ActaError: no shard knows a game.
    """
    if inputs.imported is not None:
        return list(games), []
    places = [inputs.shard_of(game.name) for game in games]
    bad = [place for place in places if isinstance(place, Quarantined)]
    return [game for game, place in zip(games, places, strict=True) if not isinstance(place, Quarantined)], bad


class _File(Protocol):
    """A file that is opened when it is read."""

    def close(self) -> None: ...


class _Features(_File, Protocol):
    def features(self, video: str, start: int, stop: int) -> np.ndarray: ...


FileT = TypeVar("FileT", bound=_File)
ShardT = TypeVar("ShardT", bound=Shard)
ValueT = TypeVar("ValueT")


class _Source(Generic[FileT]):
    """Halves and the file of each; the files that were read last stay open."""

    def __init__(self, halves: Sequence[Half], files: Sequence[FileT]):
        self.halves, self._files = tuple(halves), list(files)
        self._open: OrderedDict[int, FileT] = OrderedDict()

    def _file(self, half: int) -> FileT:
        file = self._files[half]
        self._open[id(file)] = file
        self._open.move_to_end(id(file))
        if len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return file

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_open": OrderedDict()}


class FeatureSource(_Source[_Features]):
    """Features of halves, float32 (t, channels); a `pipeline.spot.halves.Source`."""

    def __init__(self, halves: Sequence[Half], files: Sequence[_Features], channels: int):
        super().__init__(halves, files)
        self.channels = channels

    def read(self, half: int, start: int, stop: int) -> Tensor:
        return torch.from_numpy(self._file(half).features(video_id(self.halves[half]), start, stop))


class FrameSource(_Source[FrameShard]):
    """Pictures of halves, uint8 (t, 3, height, width); a `pipeline.spot.halves.Source`. ``size``: height and width."""

    channels = 3

    def __init__(self, halves: Sequence[Half], shards: Sequence[FrameShard], size: tuple[int, int]):
        super().__init__(halves, shards)
        self.size = size

    def read(self, half: int, start: int, stop: int) -> Tensor:
        return self._file(half).clip(video_id(self.halves[half]), start, stop)


def open_source(
    games: Sequence[Game],
    inputs: Inputs,
    version: Version,
    rate: float,
    *,
    max_bad_fraction: float = 1.0,
    halftime_substitutions: bool = True,
    copied: bool = False,
) -> tuple[FeatureSource | FrameSource, list[Game]]:
    """The frames or features of games; games whose input is in quarantine are left out, with a line on stderr.

    Args:
        games: Good games (`pipeline.spot.games.read_games`).
        inputs: Where their frames or features are.
        version, rate: Of the labels; frames per second.
        max_bad_fraction: The fraction of the games that may be left out; one always may.
        halftime_substitutions: As in `halves_of`.
        copied: Read copies on the node's own disk, within `pipeline.runtime.scratch.scratch`.

    Returns:
        The source, and the games whose halves it has.

    Raises:
        ActaError: too few games are left, no shard knows a game, or halves do not fit together; the message names one.
    """
    kept, bad = games_there(games, inputs)
    for entry in bad:
        print(f"left out: {entry.id}: {entry.reason}", file=sys.stderr)
    if bad:
        print(f"{len(bad)} of {len(games)} games are left out, {len(kept)} remain", file=sys.stderr)
    if len(bad) > allowed_bad(len(games), max_bad_fraction):
        raise ActaError(
            f"{len(bad)} of {len(games)} games are left out, more than spot.data.max_bad_fraction = {max_bad_fraction} "
            f"allows: {bad[0].id}: {bad[0].reason}"
        )
    if not kept:
        raise ActaError(f"none of the {len(games)} games can be read" + (f": {bad[0].reason}" if bad else ""))
    halves = halves_of(kept, version, rate, halftime_substitutions=halftime_substitutions)
    if inputs.imported is not None:
        if inputs.root is None:
            raise ActaError(f"where are the files of {inputs.imported}? Their `root` is not given")
        return imported_source(kept, halves, inputs.imported, inputs.root, copied=copied), kept
    places = {game.name: inputs.shard_of(game.name) for game in kept}
    shards = {name: place[0] for name, place in places.items() if not isinstance(place, Quarantined)}
    return (picture_source if inputs.pictures else shard_source)(halves, shards, copied=copied), kept


def imported_source(
    games: Sequence[Game], halves: Sequence[Half], name: str, root: Path, *, copied: bool = False
) -> FeatureSource:
    """SoccerNet's own features ``name`` in ``root``, the folder with the leagues; ``copied`` as in `open_source`.

    The files are mapped into memory, not read. A half has as many frames as its file has rows.

    Raises:
        ActaError: a game has no such features, or two files have different numbers of columns.
    """
    kinds = {(game.name, half.number): half.features for game in games for half in game.halves}
    files, counted = [], []
    for half in halves:
        features = kinds[half.game, half.number].get(name)
        if features is None:
            raise ActaError(f"half {half.number} of {half.game} has no features {name!r} in its manifest")
        path = root / features.path
        files.append(_Npy(near(path) if copied else path, features.rows, features.columns))
        counted.append(replace(half, frames=features.rows))
    return FeatureSource(counted, files, _common([(file.path, file.columns) for file in files], "columns"))


def shard_source(halves: Sequence[Half], shards: Mapping[str, Path], *, copied: bool = False) -> FeatureSource:
    """Feature shards by game; a half has as many frames as it has there; ``copied`` as in `open_source`.

    Raises:
        ActaError: a game has no shard, its shard lacks a half, or two shards have different numbers of channels.
    """
    counted, files, sizes = _in_shards(FrameFeatureShard, lambda shard, _: shard.channels, halves, shards, copied)
    return FeatureSource(counted, files, _common(sizes, "channels"))


def picture_source(halves: Sequence[Half], shards: Mapping[str, Path], *, copied: bool = False) -> FrameSource:
    """Frame shards, all of pictures of one size; otherwise as `shard_source`."""
    counted, files, sizes = _in_shards(FrameShard, FrameShard.size, halves, shards, copied)
    return FrameSource(counted, files, _common(sizes, "pixels"))


def array_source(halves: Sequence[Half], arrays: Sequence[np.ndarray]) -> FeatureSource:
    """Features in memory, (frames, channels) of each half.

    Raises:
        ActaError: their rows are not the halves' frames, or their columns differ.
    """
    for half, array in zip(halves, arrays, strict=True):
        if len(array) != half.frames:
            raise ActaError(f"half {half.number} of {half.game} has {half.frames} frames, but {len(array)} features")
    columns = _common([(video_id(half), array.shape[1]) for half, array in zip(halves, arrays, strict=True)], "columns")
    return FeatureSource(halves, [_Array(array) for array in arrays], columns)


def video_id(half: Half) -> str:
    """What a half is called in a shard."""
    return f"{half.game}/{half.number}"


class _Array:
    """Features in memory."""

    def __init__(self, array: np.ndarray):
        self._array = array

    def features(self, video: str, start: int, stop: int) -> np.ndarray:
        """A copy as float32."""
        if not 0 <= start <= stop <= len(self._array):
            raise IndexError(f"frames {start}:{stop} of {video!r}, which has {len(self._array)}")
        return np.array(self._array[start:stop], np.float32)

    def close(self) -> None:
        pass


class _Npy:
    """A half's .npy file, mapped when it is first read."""

    def __init__(self, path: Path, rows: int, columns: int):
        self.path, self.rows, self.columns = path, rows, columns
        self._mapped: _Array | None = None

    def features(self, video: str, start: int, stop: int) -> np.ndarray:
        if self._mapped is None:
            self._mapped = _Array(self.map())
        return self._mapped.features(video, start, stop)

    def map(self) -> np.memmap:
        """The file as an array whose parts are read when they are used."""
        try:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ActaError(f"cannot read the features {self.path}: {error}") from None
        if array.shape != (self.rows, self.columns):
            raise ActaError(
                f"{self.path} holds {array.shape}, but its game's manifest says {(self.rows, self.columns)}: the file "
                "has changed since"
            )
        return array

    def close(self) -> None:
        self._mapped = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_mapped": None}


def _in_shards(
    kind: type[ShardT],
    measure: Callable[[ShardT, str], ValueT],
    halves: Sequence[Half],
    shards: Mapping[str, Path],
    copied: bool,
) -> tuple[list[Half], list[ShardT], list[tuple[Path, ValueT]]]:
    """Halves with the frames that they have in their shards; the shard of each, closed; and its path and measure."""
    opened: dict[str, ShardT] = {}
    counted, sizes = [], []
    for half in halves:
        if half.game not in shards:
            raise ActaError(f"there is no shard of {half.game}")
        if half.game not in opened:
            opened[half.game] = kind(near(shards[half.game]) if copied else shards[half.game])
        shard = opened[half.game]
        try:
            first, last = shard.span(video_id(half))
        except KeyError as error:
            raise ActaError(error.args[0]) from None
        counted.append(replace(half, frames=last - first))
        sizes.append((shard.path, measure(shard, video_id(half))))
        shard.close()
    return counted, [opened[half.game] for half in halves], sizes


def _common(sizes: Sequence[tuple[object, ValueT]], what: str) -> ValueT:
    """The one size that all have."""
    if not sizes:
        raise ActaError("there are no halves to read")
    first, size = sizes[0]
    for other, its in sizes:
        if its != size:
            raise ActaError(f"{first} has {size} {what}, but {other} has {its}; a network needs one number")
    return size
