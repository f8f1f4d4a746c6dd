"""The demo's games: files as announced, labels that tell one story in both versions, videos that can be cut by it."""

import configparser
import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.demo import match_plan
from pipeline.demo.make_matches import make_matches, match_files, write_labels
from pipeline.demo.match_drawing import HEIGHT, WIDTH
from pipeline.demo.match_pitch import Wide
from pipeline.demo.match_plan import GAMES, Game, HalfJob, PlayedHalf, games, splits
from pipeline.demo.match_scenes import Studio
from pipeline.demo.match_shots import DELAYS, Broadcast, direct
from pipeline.demo.match_video import RATE, sound, write_half
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Quarantined

CUES = {
    "Goal": {"celebration", "flags", "replay"},
    "Yellow card": {"yellow card", "player"},
    "Red card": {"red card", "player"},
    "Substitution": {"board", "running on", "bench"},
}
OLD = {"Goal": "soccer-ball", "Yellow card": "y-card", "Red card": "r-card", "Substitution": "substitution-in"}


def _all_games() -> list[Game]:
    return [game for split in GAMES for game in games(split)]


def _all_halves() -> list[tuple[Game, PlayedHalf]]:
    return [(game, half) for game in _all_games() for half in game.halves]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("matches")
    with pytest.MonkeyPatch.context() as patch:
        _shorten(patch)
        make_matches(root)
    return root


def _shorten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(match_plan, "GAMES", {"train": 1, "test": 1})
    patch.setattr(match_plan, "LENGTH", (1.5, 2.5))
    patch.setattr(match_plan, "plan", match_plan.plan.__wrapped__)


def test_names_are_soccernets_and_tell_the_score() -> None:
    names = [name for found in splits().values() for name in found]
    assert [len(found) for found in splits().values()] == [9, 5, 7]
    assert list(splits()) == ["train", "valid", "test"]
    assert len(set(names)) == len(names)
    for name, game in zip(names, _all_games(), strict=True):
        league, season, title = name.split("/")
        assert (league, season) == ("demo_league", "2026-2027")
        match = re.fullmatch(r"20\d\d-\d\d-\d\d - \d\d-\d\d ([A-Z]\w+ \w+) (\d+) - (\d+) ([A-Z]\w+ \w+)", title)
        assert match, title
        goals = [moment for half in game.halves for moment in half.moments if moment.event.label == "Goal"]
        assert int(match[2]) + int(match[3]) == len(goals)
        assert int(match[2]) == sum(goal.team == 0 for goal in goals)
        assert match[1] != match[4]


def test_names_need_neither_pictures_nor_networks() -> None:
    """The workflow asks for them whenever it starts."""
    code = (
        "import sys; from pipeline.demo.make_matches import match_files; match_files(); "
        "print(*{'cv2', 'av', 'torch', 'h5py'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_files_are_those_announced(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(match_files()) == 5 * 21 + 3
    _shorten(monkeypatch)
    there = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert there == set(match_files())
    for split, names in splits().items():
        listed = json.loads((made / f"games_{split}.json").read_text())
        assert [f"{lg}/{s}/{g}" for lg, seasons in listed.items() for s, gs in seasons.items() for g in gs] == names


def test_both_versions_of_the_labels_tell_the_same(tmp_path: Path) -> None:
    for game in _all_games():
        write_labels(tmp_path, game)
        old, new = (json.loads((tmp_path / name).read_text()) for name in ("Labels.json", "Labels-v2.json"))
        assert old["UrlLocal"] == new["UrlLocal"] == f"{game.name}/"
        assert (old["gameScore"], old["gameHomeTeam"]) == ("{} - {}".format(*game.goals), game.clubs[0])
        shared = [one for one in new["annotations"] if one["label"] != "Kick-off"]
        assert [one["gameTime"] for one in old["annotations"]] == [one["gameTime"] for one in shared]
        assert [one["label"] for one in old["annotations"]] == [OLD[one["label"]] for one in shared]
        assert [one["team"] for one in old["annotations"]] == [one["team"] for one in shared]
        for one in new["annotations"]:
            number, minutes, seconds = map(int, re.fullmatch(r"([12]) - (\d\d):(\d\d)", one["gameTime"]).groups())  # type: ignore[union-attr]
            assert int(one["position"]) == 1000 * (60 * minutes + seconds)
            assert int(one["position"]) <= 1000 * game.halves[number - 1].length
            assert one["team"] in ("home", "away")
            assert one["visibility"] in ("visible", "not shown")
        kick_offs = [one["gameTime"] for one in new["annotations"] if one["label"] == "Kick-off"]
        assert kick_offs == ["1 - 00:00", "2 - 00:00"]


def test_events_are_many_and_of_every_class_and_some_are_awkward() -> None:
    halves = _all_halves()
    events = [moment.event for _, half in halves for moment in half.moments]
    for label in OLD:
        assert sum(event.label == label for event in events) >= (10 if label == "Red card" else 60)
    times = [[m.event.time for m in half.moments if m.event.time > 0] for _, half in halves]
    assert 6 <= np.mean([len(row) for row in times]) <= 8.5
    gaps = np.concatenate([np.diff(row) for row in times])
    assert gaps.min() >= 8
    assert 0.05 < (gaps < 15).mean() < 0.3
    assert sum(row[0] < 6 for row in times) >= 3
    assert sum(half.length - row[-1] < 5 for (_, half), row in zip(halves, times, strict=True)) >= 3
    at_half_time = [event for event in events if event.time == 0 and event.label == "Substitution"]
    assert 3 <= len(at_half_time) <= 10
    assert all(event.half == 2 and not event.visible for event in at_half_time)
    assert 0.03 < np.mean([not event.visible for event in events]) < 0.2


def test_video_ini_says_where_the_half_is(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _shorten(monkeypatch)
    for name, game in zip([name for found in splits().values() for name in found], _all_played(), strict=True):
        ini = configparser.ConfigParser()
        ini.read(made / name / "video.ini")
        assert ini.sections() == ["1_HQ.mkv", "2_HQ.mkv"]
        starts = set()
        for half, section in zip(game.halves, ini.sections(), strict=True):
            start, duration = (float(ini[section][key]) for key in ("start_time_second", "duration_second"))
            starts.add(start)
            assert (start, duration) == (half.before, half.length)
            seconds = _video(made / name / section)[0]
            assert start >= 4
            assert start + duration + 3 <= seconds + 0.1
        assert len(starts) == 2


def _all_played() -> list[Game]:
    return [game for split in match_plan.GAMES for game in games(split)]


def _video(path: Path) -> tuple[float, float, float, tuple[int, int]]:
    """Seconds of pictures, first time stamp, mean volume, (height, width)."""
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        shape = (container.streams.video[0].height, container.streams.video[0].width)
        start = (container.start_time or 0) / 1e6
    assert np.allclose(np.diff(times), 1 / RATE, atol=0.0011)
    assert times[0] == pytest.approx(start)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].layout.name == "mono"
        volume = np.concatenate([np.abs(frame.to_ndarray()).mean(1) for frame in container.decode(audio=0)])
    return len(times) / RATE, start, float(volume.mean()), shape


def test_videos_begin_when_they_should_and_have_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len({half.start_time for _, half in _all_halves()}) > 1
    assert any(half.start_time == 0 for _, half in _all_halves())
    _shorten(monkeypatch)
    game = games("train")[0]
    for start_time in (0.0, 1.4):
        half = replace(game.halves[0], start_time=start_time)
        write_half(HalfJob("half", tmp_path / "half.mkv", game, half))
        seconds, start, volume, shape = _video(tmp_path / "half.mkv")
        assert start == pytest.approx(start_time)
        assert seconds == pytest.approx(half.before + half.length + half.after, abs=0.1)
        assert volume > 0.001
        assert shape == (HEIGHT, WIDTH)


def test_the_same_bytes_each_time(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _shorten(monkeypatch)
    game = games("test")[0]
    write_half(HalfJob("half", tmp_path / "half.mkv", game, game.halves[1]))
    assert (tmp_path / "half.mkv").read_bytes() == (made / game.name / "2_HQ.mkv").read_bytes()
    assert games("test")[0] == game
    assert games("train")[0] != game


def test_a_half_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pipeline.runtime.workers.map_videos", lambda *_, **__: [Quarantined("a/1", "make_matches", "no room")]
    )
    _shorten(monkeypatch)
    with pytest.raises(ActaError, match=r"a/1 could not be made: no room"):
        make_matches(tmp_path)


def test_broadcasts_have_no_gaps_and_cues_come_after_events() -> None:
    for game, half in _all_halves():
        shots = direct(game, half).shots
        assert shots[0].start == -half.before
        assert shots[-1].stop == pytest.approx(half.length + half.after)
        assert all(one.stop == other.start for one, other in pairwise(shots))
        assert all(shot.start < shot.stop for shot in shots)
        times = [(moment.event.time, moment.event.label) for moment in half.moments]
        for shot in shots:
            if shot.kind in ("celebration", "flags", "board", "running on", "yellow card", "red card"):
                time, label = max(one for one in times if one[0] < shot.start)
                assert shot.kind in CUES[label]
                assert DELAYS[label] - 0.71 <= shot.start - time <= 12


def test_every_event_has_its_first_cue_at_about_the_same_delay() -> None:
    delays: dict[str, list[float]] = {label: [] for label in OLD}
    for game, half in _all_halves():
        shots = direct(game, half).shots
        for moment in half.moments:
            event = moment.event
            if event.time > 0:
                begins = [shot.start - event.time for shot in shots if shot.start > event.time]
                delays[event.label] += begins[:1]
    for label, found in delays.items():
        assert abs(np.mean(found) - DELAYS[label]) < 0.15
        assert np.std(found) < 0.4


def test_everything_around_events_happens_without_them_too() -> None:
    kinds = [shot.kind for game, half in _all_halves() for shot in direct(game, half).shots]
    for usual in ("play", "miss", "foul", "throw-in", "player", "referee", "bench", "crowd", "greeting", "warm-up"):
        assert kinds.count(usual) > 40, usual
    captions = [one.kind for game, half in _all_halves() for one in direct(game, half).captions]
    assert set(captions) == {*OLD, "statistics"}


def test_every_shot_can_be_drawn_and_moves() -> None:
    left = {"kick-off", "play", "goal", "miss", "foul", "throw-in", "change", "replay", "crowd", "bench", "greeting"}
    left |= {"player", "referee", "warm-up"} | set.union(*CUES.values())
    for game, half in _all_halves():
        broadcast = direct(game, half)
        kinds = [shot for shot in broadcast.shots if shot.kind in left and shot.stop - shot.start > 1.5]
        if not kinds:
            continue
        studio = Studio(game, half, broadcast)
        for shot in kinds:
            if shot.kind in left:
                one, other = studio.picture(shot.start + 0.2), studio.picture(shot.start + 1.3)
                assert one.shape == (HEIGHT, WIDTH, 3)
                assert one.dtype == np.uint8
                assert one.std() > 15
                assert (one != other).any() or shot.kind == "bench"
                left.remove(shot.kind)
    assert not left


def test_a_card_shows_and_a_gesture_does_not() -> None:
    game = games("train")[0]
    half = game.halves[0]
    shots = direct(game, half).shots
    pictures = []
    for kind in ("referee", "yellow card"):
        shot = replace(shots[0], kind=kind, start=0.0, stop=9.0)
        pictures.append(Studio(game, half, Broadcast((shot,), ())).picture(1.0)[20:].astype(int))
    yellow = [((p[..., 0] > 190) & (p[..., 1] > 160) & (p[..., 2] < 60)).sum() for p in pictures]
    assert yellow[0] < 20 < yellow[1]


def test_the_ball_crosses_the_line_at_the_time_of_the_goal() -> None:
    game = games("train")[0]
    half = game.halves[0]
    studio = Studio(game, half, direct(game, half))
    for team in (0, 1):
        wide = Wide(np.random.default_rng(team), studio.pitch, studio.teams, "goal", team, 4.0, 10.0, 1.0)
        before, at = abs(wide.ball(np.array([9.7, 10.0])))
        assert before[0] < 52.5 < at[0]
        assert at[1] < 3.66
        wide = Wide(np.random.default_rng(team), studio.pitch, studio.teams, "miss", team, 4.0, 10.0, 1.0)
        assert abs(wide.ball(np.array([10.0])))[0, 1] > 3.66


def test_the_stadium_is_loud_after_a_goal_only() -> None:
    game, half, time = next(
        (game, half, m.event.time)
        for game, half in _all_halves()
        for m in half.moments
        if m.event.label == "Goal" and 20 < m.event.time < half.length - 20
    )
    heard = sound(half, direct(game, half), game.seed)
    quiet, loud = (
        heard[int((half.before + at) * 16_000) :][: 3 * 16_000].astype(float).std() for at in (time - 4, time + 1)
    )
    assert len(heard) == int((half.before + half.length + half.after) * 16_000)
    assert loud > 3 * quiet
