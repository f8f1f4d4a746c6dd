"""Where the frames or features of games are, and which games have none."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Quarantined
from pipeline.runtime.sealed import Sealed
from pipeline.runtime.store import FRAMES_FORMAT, FrameShard
from pipeline.spot.extract_frame_features import FrameFeatureShard
from pipeline.spot.games import Game


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
