"""What is in a game's folder, and every way in which it cannot be used."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.config.tasks.spot import BuildGame
from pipeline.media.lists import Listed
from pipeline.runtime.errors import ActaError
from pipeline.spot.build_game import build_game
from pipeline.spot.events import Event
from pipeline.spot.games import Game, GameFeatures, GameHalf, read_game, read_games
from tests.clips import write_clip

NAME = "league/2014-2015/A 1 - 1 B"
KIND = "ResNET_PCA512.npy"
RATE = 5  # of the clips, frames per second
SIZE = (32, 64)
INI = """
[1_HQ.mkv]
start_time_second = 1.5
duration_second = 6.2
[2_HQ.mkv]
start_time_second = 0
duration_second = 8
"""
ANNOTATIONS = [("1 - 00:03", "Goal", "visible"), ("2 - 00:07", "Corner", "not shown"), ("2 - 00:09", "Foul", "visible")]


def settings_of(**changes: Any) -> BuildGame:
    values = {
        "version": 2,
        "use_video_ini": True,
        "rate": 2.0,
        "videos": "HQ.mkv",
        "imported": (KIND,),
        "annotated": ("train",),
    }
    return BuildGame.model_validate(values | changes)


def write_list(path: Path, settings: BuildGame, split: str = "train", name: str = NAME) -> Path:
    roles = {"labels": f"Labels{'-v2' if settings.version == 2 else ''}.json"}
    if settings.videos:
        roles |= {"video/1": f"1_{settings.videos}", "video/2": f"2_{settings.videos}", "ini": "video.ini"}
    roles |= {f"features/{kind}/{half}": f"{half}_{kind}" for kind in settings.imported for half in (1, 2)}
    rows = [Listed(role, f"{name}/{file}", "", split, 1, 2) for role, file in roles.items()]
    path.write_text(json.dumps({"game": name, "files": rows}))
    return path


def write_labels(path: Path, annotations: list[tuple[str, str, str]]) -> None:
    rows = [{"gameTime": time, "label": label, "visibility": seen} for time, label, seen in annotations]
    path.write_text(json.dumps({"annotations": rows}))


def write_features(folder: Path, rows: tuple[int, int], kind: str = KIND) -> None:
    for half, count in zip((1, 2), rows, strict=True):
        np.save(folder / f"{half}_{kind}", np.zeros((count, 16), np.float32))


def write_audio(path: Path) -> None:
    with av.open(str(path), "w") as out:
        sound: Any = out.add_stream("aac", rate=44100, layout="mono")
        for k in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 44100, k * 1024
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one game that is as it should be: halves of 6.2 and 8 seconds."""
    root = tmp_path_factory.mktemp("whole")
    folder = root / NAME
    write_clip(folder / "1_HQ.mkv", 40, RATE, SIZE)
    write_clip(folder / "2_HQ.mkv", 40, RATE, SIZE)
    (folder / "video.ini").write_text(INI)
    write_labels(folder / "Labels-v2.json", ANNOTATIONS)
    write_features(folder, (12, 16))
    return root


@pytest.fixture
def root(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "root"))


def build(root: Path, split: str = "train", **changes: Any) -> Game:
    settings = settings_of(**changes)
    output = root / "game.json"
    build_game(write_list(root / "list.json", settings, split), root, output, settings)
    return read_game(output)


def reason(game: Game) -> str:
    (entry,) = game.quarantine
    assert (entry.id, entry.task) == (NAME, "build_game")
    assert (game.name, game.halves, game.events) == (NAME, (), ())
    return entry.reason


def test_game_as_it_should_be(root):
    game = build(root)
    assert game.quarantine == ()
    assert (game.name, game.splits, game.annotated, game.unknown) == (NAME, ("train",), True, {})
    assert game.halves == (
        GameHalf(1, f"{NAME}/1_HQ.mkv", 1.5, 6.2, 13, {KIND: GameFeatures(f"{NAME}/1_{KIND}", 12, 16)}),
        GameHalf(2, f"{NAME}/2_HQ.mkv", 0.0, 8.0, 16, {KIND: GameFeatures(f"{NAME}/2_{KIND}", 16, 16)}),
    )
    assert game.events == (
        Event(1, 3.0, "Goal"),
        Event(2, 7.0, "Corner", visible=False),
        Event(2, 9.0, "Foul"),
    )
    assert game.beyond == 1


def test_manifest_does_not_depend_on_the_place_or_on_workers(root, tmp_path):
    first = build(root)
    other = Path(shutil.copytree(root, tmp_path / "elsewhere"))
    build_game(other / "list.json", other, other / "game.json", settings_of(), workers=2)
    assert read_game(other / "game.json").digest == first.digest
    for folder in (root, other):
        (folder / NAME / "video.ini").unlink()
    build_game(other / "list.json", other, other / "game.json", settings_of())
    bad = build(root)
    assert bad.digest == read_game(other / "game.json").digest
    assert reason(bad) == "cannot read the file video.ini: No such file or directory"


def test_without_ini_the_videos_are_the_halves(root):
    write_features(root / NAME, (16, 16))
    halves = build(root, use_video_ini=False).halves
    assert [(half.start, half.duration, half.frames) for half in halves] == [(0, 8, 16), (0, 8, 16)]


def test_times_count_from_the_container_not_from_its_first_time_stamp(root):
    times = [700 + 200 * k for k in range(40)]
    write_clip(root / NAME / "1_HQ.mkv", 40, RATE, SIZE, times=times)
    halves = build(root, use_video_ini=False, imported=()).halves
    assert [half.duration for half in halves] == pytest.approx([8.0, 8.0], abs=0.01)


def test_what_comes_before_the_first_picture_counts(root):
    times = [1000 + 200 * k for k in range(40)]
    write_clip(root / NAME / "1_HQ.mkv", 40, RATE, SIZE, times=times, audio=True)
    half = build(root, use_video_ini=False, imported=()).halves[0]
    assert half.duration == pytest.approx(9.0, abs=0.05)


@pytest.mark.parametrize(("seconds", "frames"), [(5.5, 11), (5.5000002, 11), (5.51, 12), (6.0, 12), (0.1, 1), (0, 1)])
def test_frames_lie_before_the_end(root, seconds, frames):
    (root / NAME / "video.ini").write_text(INI.replace("6.2", str(seconds)))
    assert build(root, imported=()).halves[0].frames == frames


def test_one_frame_is_a_half(root):
    write_clip(root / NAME / "1_HQ.mkv", 1, RATE, SIZE)
    half = build(root, use_video_ini=False, imported=()).halves[0]
    assert (half.duration, half.frames) == (pytest.approx(0.2), 1)


def test_features_alone_say_how_long_a_half_is(root):
    for name in ("1_HQ.mkv", "2_HQ.mkv", "video.ini"):
        (root / NAME / name).unlink()
    game = build(root, videos=None)
    assert [(half.video, half.start, half.duration, half.frames) for half in game.halves] == [
        (None, 0.0, 6.0, 12),
        (None, 0.0, 8.0, 16),
    ]
    assert game.beyond == 1


def test_split_that_needs_no_labels(root):
    (root / NAME / "Labels-v2.json").unlink()
    game = build(root, split="challenge")
    assert (game.quarantine, game.annotated, game.events, len(game.halves)) == ((), False, (), 2)


def test_version_1_passes_over_other_events(root):
    labels = [("1 - 00:01", "soccer-ball", ""), ("1 - 00:02", "corner", ""), ("2 - 00:03", "y-card", "")]
    write_labels(root / NAME / "Labels.json", labels)
    game = build(root, version=1)
    assert [event.label for event in game.events] == ["soccer", "card"]
    assert game.unknown == {"corner": 1}


def cut(folder: Path) -> None:
    path = folder / "2_HQ.mkv"
    os.truncate(path, path.stat().st_size * 3 // 4)


def save(array: Any) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / f"1_{KIND}", array)


BAD: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "2_HQ.mkv").unlink(), "2_HQ.mkv: missing"),
    (lambda f: (f / "1_HQ.mkv").write_text("no video"), "1_HQ.mkv: cannot be opened"),
    (lambda f: write_audio(f / "1_HQ.mkv"), "1_HQ.mkv: no video stream (only audio)"),
    (cut, "2_HQ.mkv: truncated"),
    (
        lambda f: (f / "video.ini").write_text(INI.replace("= 6.2", "= 7.6")),
        "1_HQ.mkv: truncated: it ends at 8.00 s, the half at 9.10 s (video.ini)",
    ),
    (lambda f: (f / "video.ini").write_text(INI.split("[2")[0]), "video.ini: no section of half 2"),
    (lambda f: (f / "Labels-v2.json").unlink(), "Labels-v2.json: missing, but the split train needs labels"),
    (lambda f: (f / "Labels-v2.json").write_text("{}"), "Labels-v2.json has no list"),
    (
        lambda f: write_labels(f / "Labels-v2.json", [("1 - 00:01", "Own goal", "visible")]),
        "Labels-v2.json: events of ",
    ),
    (lambda f: (f / f"2_{KIND}").unlink(), f"2_{KIND}: missing"),
    (lambda f: (f / f"1_{KIND}").write_text("text"), f"1_{KIND}: not readable as .npy"),
    (lambda f: (f / f"1_{KIND}").write_bytes(b""), f"1_{KIND}: not readable as .npy"),
    (lambda f: os.truncate(f / f"1_{KIND}", 300), f"1_{KIND}: not readable as .npy"),
    (lambda f: (f / f"1_{KIND}").write_bytes(b"PK\x03\x04"), f"1_{KIND}: not readable as .npy"),
    (lambda f: ((f / f"1_{KIND}").unlink(), (f / f"1_{KIND}").mkdir()), f"1_{KIND}: not readable as .npy: Is a dir"),
    (save(np.array([{}, []], dtype=object)), f"1_{KIND}: not readable as .npy"),
    (save(np.zeros(12, np.float32)), f"1_{KIND}: float32 of shape (12,), but floats (frames, channels) are needed"),
    (save(np.zeros((12, 4), np.int64)), f"1_{KIND}: int64 of shape (12, 4), but"),
    (
        lambda f: (np.savez(f / "a.npz", np.zeros((12, 4))), (f / "a.npz").rename(f / f"1_{KIND}")),
        f"1_{KIND}: not readable as .npy",
    ),
    (lambda f: write_features(f, (24, 16)), f"1_{KIND}: 24 rows, 12.0 s, but the half has 6.2 s"),
    (lambda f: write_features(f, (12, 5)), f"2_{KIND}: 5 rows, 2.5 s, but the half has 8.0 s"),
]


@pytest.mark.parametrize(("spoil", "expected"), BAD, ids=[expected[:40] for _, expected in BAD])
def test_bad_game_has_its_reason(root, spoil, expected):
    spoil(root / NAME)
    found = reason(build(root))
    assert found.startswith(expected)
    assert str(root) not in found


def test_features_without_a_frame_are_no_half(root):
    write_features(root / NAME, (12, 0))
    said = f"2_{KIND}: float32 of shape (0, 16), but floats (frames, channels) are needed"
    assert reason(build(root, videos=None)) == said


def test_label_outside_the_classes_is_named(root):
    write_labels(root / NAME / "Labels-v2.json", [("1 - 00:01", "Own goal", "visible")])
    assert "'Own goal'" in reason(build(root))


def test_features_may_differ_by_five_seconds(root):
    write_features(root / NAME, (22, 26))
    assert build(root).quarantine == ()
    write_features(root / NAME, (22, 27))
    assert reason(build(root)).startswith(f"2_{KIND}: 27 rows")


def test_features_of_two_kinds_must_agree(root):
    other = "baidu.npy"
    write_features(root / NAME, (12, 26), other)
    game = build(root, videos=None, imported=(KIND, other))
    assert list(game.halves[1].features) == [KIND, other]
    write_features(root / NAME, (12, 27), other)
    game = build(root, videos=None, imported=(KIND, other))
    assert reason(game) == f"2_{other}: 27 rows, 13.5 s, but the half has 8.0 s"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds no JSON object; make it again"),
        ("nothing", ", line 1: .* it is no JSON; make it again"),
        ("{}", "is not the manifest of a game"),
        ('{"halves": [1]}', "is not the manifest of a game"),
    ],
)
def test_what_is_no_manifest_is_an_error(tmp_path, content, message):
    (tmp_path / "game.json").write_text(content)
    with pytest.raises(ActaError, match=rf"game\.json ?({message})"):
        read_game(tmp_path / "game.json")
    with pytest.raises(ActaError, match=r"cannot read the game .*none\.json: No such"):
        read_game(tmp_path / "none.json")


def write_manifests(folder: Path, games: dict[str, tuple[str, bool]]) -> list[Path]:
    """Manifests of games by name: their split and whether they are good."""
    paths = []
    for name, (split, good) in games.items():
        entries = [] if good else [{"id": name, "task": "build_game", "reason": "spoilt"}]
        content = {"name": name, "splits": [split], "halves": [], "events": [], "annotated": True, "unknown": {}}
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(content | {"beyond": 0, "quarantine": entries}))
    return paths


def test_games_of_splits_come_in_order(tmp_path, capsys):
    games = {"d": ("train", True), "c": ("test", True), "b": ("valid", True), "a": ("train", False)}
    paths = write_manifests(tmp_path, games)
    assert [game.name for game in read_games(paths, ["valid", "train"], 0.0)] == ["d", "b"]
    assert capsys.readouterr().err == "left out: a: spoilt\n"
    assert [game.name for game in read_games(paths, ["test"], 0.0)] == ["c"]
    assert capsys.readouterr().err == ""


def test_too_many_bad_games_are_an_error(tmp_path):
    paths = write_manifests(tmp_path, {str(k): ("train", k >= 12) for k in range(30)})
    assert len(read_games(paths, ["train"], 0.4)) == 18
    with pytest.raises(ActaError, match=r"12 of the 30 games of train are bad, .*max_bad_fraction = 0\.39") as caught:
        read_games(paths, ["train"], 0.39)
    assert str(caught.value).count("spoilt") == 10


def test_split_without_games_is_an_error(tmp_path):
    paths = write_manifests(tmp_path, {"a": ("train", True), "b": ("valid", False)})
    with pytest.raises(ActaError, match=r"the split 'challenge' has no game$"):
        read_games(paths, ["train", "challenge"], 0.0)
    with pytest.raises(ActaError, match="the split 'valid' has no game that is not bad"):
        read_games(paths, ["valid"], 0.0)
