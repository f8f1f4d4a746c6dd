"""Where clips are read from: files, shards or memory; their events; games that are left out; open files."""

import os
import pickle
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import FrameShard, write_frames
from pipeline.spot import sources
from pipeline.spot.events import CLASSES, Event
from pipeline.spot.extract_frame_features import write_frame_features
from pipeline.spot.games import Game, GameFeatures, GameHalf
from pipeline.spot.halves import Anchor, Half, halves_of
from pipeline.spot.sources import (
    Inputs,
    array_source,
    games_there,
    imported_source,
    open_source,
    picture_source,
    shard_source,
)
from tests.clips import read_number
from tests.shards import numbered, stored

KIND = "ResNET.npy"
NAMES = ("league/2016-2017/One 1 - 0 Other", "league/2016-2017/Other 2 - 2 One", "league/s/Third", "league/s/Fourth")
EVENTS = (
    Event(1, 0.5, "soccer"),
    Event(2, 0.0, "subs"),
    Event(2, 0.9, "card"),
    Event(2, 1.0, "subs"),
    Event(1, 99.25, "subs"),
    Event(1, 0.0, "subs"),
)


def game(name: str = NAMES[0], rows: tuple[int, int] = (6, 4), events: tuple[Event, ...] = (), columns: int = 3):
    halves = tuple(
        GameHalf(
            number,
            None,
            0.0,
            count / 2,
            # The released features may have a few frames more or fewer than the video.
            count + 1,
            {KIND: GameFeatures(f"{name}/{number}_{KIND}", count, columns)},
        )
        for number, count in zip((1, 2), rows, strict=True)
    )
    return Game(name, ("train",), halves, events, True, {}, 0, (), f"digest of {name}")


def values(name: str, number: int, rows: int, columns: int = 3) -> np.ndarray:
    """A half's features, unlike any other's."""
    first = 1000.0 * NAMES.index(name) + 100 * number
    return (first + np.arange(rows * columns)).reshape(rows, columns)


def save_features(root: Path, games: list[Game], kind: type = np.float32) -> None:
    for each in games:
        for half in each.halves:
            there = half.features[KIND]
            (root / there.path).parent.mkdir(parents=True, exist_ok=True)
            np.save(root / there.path, values(each.name, half.number, there.rows, there.columns).astype(kind))


def save_frames(path: Path, each: Game, size: tuple[int, int] = (32, 64), reason: str | None = None) -> Path:
    """A game's frame shard; with a reason, an empty one."""
    rows = [half.features[KIND].rows for half in each.halves]
    names = [f"{each.name}/{half.number}" for half in each.halves]
    halves = zip(names, rows, strict=True)
    videos = [] if reason else [stored(path.parent / "s", name, numbered(n, size=size)) for name, n in halves]
    bad = [Quarantined(each.name, "extract_game_frames", reason)] if reason else []
    write_frames(path, videos, bad, Provenance("extract_game_frames", "{}", path.stem))
    return path


def save_shard(path: Path, each: Game, columns: int = 3, reason: str | None = None) -> Path:
    """A game's feature shard."""
    frames = FrameShard(save_frames(path.with_suffix(".frames.h5"), each, reason=reason))

    def featured(video: str) -> list[np.ndarray]:
        first, last = frames.span(video)
        return [values(each.name, int(video[-1]), last - first, columns).astype(np.float32)]

    write_frame_features(path, frames, columns, featured, Provenance("extract_frame_features", "{}", path.stem))
    return path


@pytest.mark.parametrize(("version", "subs", "goal"), [(1, "subs", "soccer"), (2, "Substitution", "Goal")])
def test_events_lie_on_the_time_axis_of_their_half(version, subs, goal):
    names = {"soccer": goal, "subs": subs, "card": CLASSES[version][0]}
    events = tuple(replace(event, label=names[event.label]) for event in EVENTS)
    first, second = halves_of([game(events=events)], version, 2.0)
    number = CLASSES[version].index
    assert first == Half(
        NAMES[0], 1, 7, (Anchor(1.0, number(goal)), Anchor(198.5, number(subs)), Anchor(0.0, number(subs)))
    )
    assert (second.number, second.frames) == (2, 5)
    assert second.anchors == (Anchor(0.0, number(subs)), Anchor(1.8, 0), Anchor(2.0, number(subs)))
    kept = halves_of([game(events=events)], version, 2.0, halftime_substitutions=False)
    assert kept[0] == first, "only at half time"
    assert kept[1].anchors == second.anchors[1:]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_imported_features_are_read_as_float32(tmp_path, kind):
    games = [game(), game(NAMES[1], (5, 5))]
    save_features(tmp_path, games, kind)
    source = imported_source(games, halves_of(games, 1, 2.0), KIND, tmp_path)
    assert source.channels == 3
    assert [(half.game, half.number, half.frames) for half in source.halves] == [
        (NAMES[0], 1, 6),
        (NAMES[0], 2, 4),
        (NAMES[1], 1, 5),
        (NAMES[1], 2, 5),
    ], "a half has as many frames as its file has rows"
    clip = source.read(2, 1, 4)
    assert clip.dtype == torch.float32
    assert clip.tolist() == values(NAMES[1], 1, 5)[1:4].tolist()
    clip += 1
    assert source.read(2, 1, 4).tolist() == values(NAMES[1], 1, 5)[1:4].tolist(), "a clip is a copy"
    for start, stop in ((-1, 2), (0, 7), (3, 2)):
        with pytest.raises(IndexError, match=f"frames {start}:{stop} of .*, which has 6"):
            source.read(0, start, stop)


def test_imported_features_are_mapped_once_and_not_read_whole(tmp_path, monkeypatch):
    save_features(tmp_path, [game()])
    source, loaded = imported_source([game()], halves_of([game()], 1, 2.0), KIND, tmp_path), []
    load = np.load

    def spy(*args, **options):
        loaded.append(load(*args, **options))
        return loaded[-1]

    monkeypatch.setattr(np, "load", spy)
    source.read(0, 0, 2)
    source.read(0, 3, 5)
    assert [type(array) for array in loaded] == [np.memmap]


def test_imported_features_that_do_not_fit(tmp_path):
    halves = halves_of([game()], 1, 2.0)
    with pytest.raises(ActaError, match=f"half 1 of {NAMES[0]} has no features 'other.npy'"):
        imported_source([game()], halves, "other.npy", tmp_path)
    wider = [game(), game(NAMES[1], columns=4)]
    with pytest.raises(ActaError, match=r"One.*has 3 columns, but .*Other.*has 4"):
        imported_source(wider, halves_of(wider, 1, 2.0), KIND, tmp_path)
    with pytest.raises(ActaError, match="no halves"):
        imported_source([], [], KIND, tmp_path)
    source = imported_source([game()], halves, KIND, tmp_path)
    with pytest.raises(ActaError, match=f"cannot read the features .*1_{KIND}"):
        source.read(0, 0, 1)
    save_features(tmp_path, [game(rows=(7, 4))])
    with pytest.raises(ActaError, match=r"1_ResNET.npy holds \(7, 3\), but its game's manifest says \(6, 3\)"):
        source.read(0, 0, 1)
    np.save(tmp_path / NAMES[0] / f"1_{KIND}", np.array([{"any": "thing"}], object), allow_pickle=True)
    with pytest.raises(ActaError, match="cannot read the features"):
        source.read(0, 0, 1)


def test_features_of_shards(tmp_path):
    games = [game(), game(NAMES[1], (5, 7))]
    shards = {each.name: save_shard(tmp_path / f"{n}.h5", each) for n, each in enumerate(games)}
    source = shard_source(halves_of(games, 1, 2.0), shards)
    assert source.channels == 3
    assert [half.frames for half in source.halves] == [6, 4, 5, 7]
    assert source.read(3, 2, 6).tolist() == values(NAMES[1], 2, 7)[2:6].tolist()
    assert source.read(1, 0, 4).dtype == torch.float32
    with pytest.raises(IndexError):
        source.read(1, 0, 5)


def test_shards_that_do_not_fit(tmp_path):
    games = [game(), game(NAMES[1])]
    halves, one = halves_of(games, 1, 2.0), save_shard(tmp_path / "one.h5", games[0])
    with pytest.raises(ActaError, match=f"no shard of {NAMES[1]}"):
        shard_source(halves, {NAMES[0]: one})
    with pytest.raises(ActaError, match=f"{NAMES[1]}/1' is not in .*one.h5"):
        shard_source(halves, dict.fromkeys(NAMES, one))
    wide = save_shard(tmp_path / "wide.h5", games[1], columns=4)
    with pytest.raises(ActaError, match=r"one.h5 has 3 channels, but .*wide.h5 has 4"):
        shard_source(halves, {NAMES[0]: one, NAMES[1]: wide})
    pictures = [save_frames(tmp_path / f"{n}.h5", each, (32, 64 + 16 * n)) for n, each in enumerate(games)]
    with pytest.raises(ActaError, match=r"0.h5 has \(32, 64\) pixels, but .*1.h5 has \(32, 80\)"):
        picture_source(halves, dict(zip(NAMES[:2], pictures, strict=True)))


def test_pictures_of_shards(tmp_path):
    source = picture_source(halves_of([game()], 1, 2.0), {NAMES[0]: save_frames(tmp_path / "f.h5", game())})
    assert (source.size, source.channels, [half.frames for half in source.halves]) == ((32, 64), 3, [6, 4])
    clip = source.read(0, 2, 5)
    assert (clip.dtype, tuple(clip.shape)) == (torch.uint8, (3, 3, 32, 64))
    assert [read_number(picture.permute(1, 2, 0).numpy()) for picture in clip] == [2, 3, 4]


def test_features_in_memory():
    halves = [Half(NAMES[0], 1, 6), Half(NAMES[0], 2, 4)]
    arrays = [values(NAMES[0], 1, 6), values(NAMES[0], 2, 4)]
    source = array_source(halves, arrays)
    assert (source.channels, source.halves) == (3, tuple(halves))
    assert source.read(1, 1, 3).tolist() == arrays[1][1:3].tolist()
    assert source.read(1, 1, 3).dtype == torch.float32
    with pytest.raises(IndexError):
        source.read(1, 1, 5)
    with pytest.raises(ActaError, match=f"half 2 of {NAMES[0]} has 4 frames, but 6 features"):
        array_source(halves, [arrays[0], arrays[0]])
    with pytest.raises(ActaError, match=r"/1 has 3 columns, but .*/2 has 2"):
        array_source(halves, [arrays[0], arrays[1][:, :2]])


def opened_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", ["imported", "features", "frames"])
def test_few_files_are_open_at_a_time(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sources, "OPEN_FILES", 3)
    names = [f"league/2016-2017/{number}" for number in range(8)]
    games = [game(name, (2, 2)) for name in names]
    monkeypatch.setattr("tests.unit.spot.test_sources.NAMES", names)
    if kind == "imported":
        save_features(tmp_path, games)
        inputs = Inputs((), KIND, tmp_path)
    else:
        save = save_shard if kind == "features" else save_frames
        inputs = Inputs(tuple(save(tmp_path / f"{n}.h5", each) for n, each in enumerate(games)))
    before = opened_files()
    source, _ = open_source(games, inputs, 1, 2.0)
    assert opened_files() == before, "nothing stays open of looking at the files"
    order = np.random.default_rng(0).permutation(2 * list(range(16))).tolist()
    for half in order:
        clip = source.read(half, 1, 2)
        assert opened_files() <= before + 3
        if kind != "frames":
            assert clip.tolist() == values(names[half // 2], half % 2 + 1, 2)[1:].tolist()
    assert opened_files() == before + 3


def read_first(source) -> list[list[float]]:
    return [source.read(half, 0, 1).flatten().tolist() for half in range(len(source.halves))]


@pytest.mark.parametrize("kind", ["imported", "features", "memory"])
def test_a_source_goes_to_other_processes_without_what_is_open(tmp_path, kind):
    games, halves = [game()], halves_of([game()], 1, 2.0)
    if kind == "imported":
        save_features(tmp_path, games)
        source = imported_source(games, halves, KIND, tmp_path)
    elif kind == "features":
        source = shard_source(halves, {NAMES[0]: save_shard(tmp_path / "f.h5", games[0])})
    else:
        whole = [replace(half, frames=half.frames - 1) for half in halves]
        source = array_source(whole, [values(NAMES[0], 1, 6), values(NAMES[0], 2, 4)])
    expected = [[100.0, 101.0, 102.0], [200.0, 201.0, 202.0]]
    assert read_first(source) == expected
    before = opened_files()
    copy = pickle.loads(pickle.dumps(source))
    assert opened_files() == before
    assert read_first(copy) == expected
    if kind == "features":  # HDF5 must not be read through what a fork inherits
        with get_context("fork").Pool(1) as pool:
            assert pool.apply(read_first, (source,)) == expected


def test_games_in_quarantine_are_left_out_and_said(tmp_path, capsys):
    games = [game(events=EVENTS), game(NAMES[1])]
    shards = (
        save_shard(tmp_path / "bad.h5", games[1], reason="2_224p.mkv: truncated"),
        save_shard(tmp_path / "good.h5", games[0]),
    )
    inputs = Inputs(shards)
    source, there = open_source(games, inputs, 1, 2.0, halftime_substitutions=False)
    assert there == [games[0]]
    assert [half.game for half in source.halves] == [NAMES[0]] * 2
    assert [len(half.anchors) for half in source.halves] == [3, 2]
    assert f"left out: {NAMES[1]}: 2_224p.mkv: truncated\n1 of 2 games are left out" in capsys.readouterr().err
    entry = Quarantined(NAMES[1], "extract_game_frames", "2_224p.mkv: truncated")
    assert games_there(games, inputs) == ([games[0]], [entry])
    assert inputs.digests(games) == [sources.FrameFeatureShard(shards[1]).digest]
    with pytest.raises(ActaError, match=r"none of the 1 games can be read: 2_224p\.mkv: truncated"):
        open_source(games[1:], inputs, 1, 2.0)
    with pytest.raises(ActaError, match=f"'{NAMES[1]}' is in none of the 1 shards, such as .*good.h5"):
        open_source(games, Inputs(shards[1:]), 1, 2.0)


def test_too_many_games_in_quarantine_are_an_error(tmp_path):
    """As many may be missing as the configuration says, and one always."""
    games = [game(name) for name in NAMES]
    bad = [save_shard(tmp_path / f"{n}.h5", games[n], reason="truncated") for n in range(2)]
    inputs = Inputs((*bad, *(save_shard(tmp_path / f"{n}.h5", games[n]) for n in (2, 3))))
    _, there = open_source(games, inputs, 1, 2.0, max_bad_fraction=0.5)
    assert there == games[2:]
    with pytest.raises(ActaError, match=r"2 of 4 games are left out, more than spot.data.max_bad_fraction = 0.25"):
        open_source(games, inputs, 1, 2.0, max_bad_fraction=0.25)
    _, there = open_source(games[1:], inputs, 1, 2.0, max_bad_fraction=0.0)
    assert there == games[2:]


def test_inputs_know_what_they_hold(tmp_path):
    frames, features = save_frames(tmp_path / "i.h5", game()), save_shard(tmp_path / "f.h5", game())
    assert [Inputs((path,)).pictures for path in (frames, features)] == [True, False]
    source, there = open_source([game()], Inputs((frames,)), 1, 2.0)
    assert isinstance(source, sources.FrameSource)
    assert there == [game()]
    save_features(tmp_path, [game()])
    imported = Inputs(imported=KIND, root=tmp_path)
    source, there = open_source([game()], imported, 1, 2.0)
    assert (source.channels, there, imported.digests(there)) == (3, [game()], [KIND])
    with pytest.raises(ActaError, match=r"`root` is not given"):
        open_source([game()], Inputs(imported=KIND), 1, 2.0)
    with pytest.raises(ActaError, match="acta-frames-2"):
        open_source([game()], Inputs((features, frames)), 1, 2.0)
    with pytest.raises(ActaError, match=r"cannot read .*none\.h5"):
        open_source([game()], Inputs((tmp_path / "none.h5",)), 1, 2.0)


@pytest.mark.parametrize("kind", ["imported", "features", "frames"])
def test_copies_on_the_nodes_own_disk_are_read(tmp_path, monkeypatch, kind):
    used: list[Path] = []

    def copy(path: Path) -> Path:
        used.append(path)
        there = tmp_path / "near" / path.name
        there.parent.mkdir(exist_ok=True)
        path.rename(there)
        return there

    monkeypatch.setattr(sources, "near", copy)
    if kind == "imported":
        save_features(tmp_path, [game()])
        inputs = Inputs(imported=KIND, root=tmp_path)
    else:
        inputs = Inputs(((save_shard if kind == "features" else save_frames)(tmp_path / "f.h5", game()),))
    source, _ = open_source([game()], inputs, 1, 2.0, copied=True)
    assert len(source.read(1, 0, 4)) == 4
    assert len(used) == len(set(used)) == (2 if kind == "imported" else 1)
