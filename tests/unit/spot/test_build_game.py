"""SoccerNet's folders: split files, names, lists of a game's files, video.ini."""

import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.spot import SpotDataSettings
from pipeline.data.games import game_key, list_games
from pipeline.media.lists import Listed, game_texts, read_game_list, write_texts
from pipeline.runtime.errors import ActaError
from pipeline.spot.game_lists import read_ini, read_split

GAMES = {"train": {"first_league": {"2014-2015": ["A 1 - 1 B", "C 2 - 0 D"]}}, "test": {"other": {"2015-2016": ["E"]}}}
CHELSEA = "england_epl/2014-2015/2015-02-21 - 18-00 Chelsea 1 - 1 Burnley"
INI = "[1_HQ.mkv]\nstart_time_second = 287\nduration_second = 2775.06\n[2_HQ.mkv]\nstart_time_second = 0\n"


def settings(there: Path, **changes: Any) -> SpotDataSettings:
    splits = {name: str(there / f"{name}.json") for name in GAMES}
    values = {
        "adapter": "soccernet",
        "root": str(there),
        "version": 2,
        "splits": splits,
        "videos": "HQ.mkv",
        "use_video_ini": True,
        "max_bad_fraction": 0.1,
    }
    return SpotDataSettings.model_validate(values | changes)


@pytest.fixture
def root(tmp_path):
    for name, games in GAMES.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(games))
    folder = tmp_path / "first_league/2014-2015/A 1 - 1 B"
    folder.mkdir(parents=True)
    (folder / "1_HQ.mkv").write_bytes(b"12345")
    os.utime(folder / "1_HQ.mkv", (1_000, 1_000))
    return tmp_path


def test_keys_are_readable_file_names():
    assert re.fullmatch(r"england_epl-2014-2015-2015-02-21-18-00-chelsea-1-1-burnley-[0-9a-f]+", game_key(CHELSEA))
    assert game_key("l/s/Málaga 0 - 0 Köln").startswith("l-s-malaga-0-0-koln-")


@pytest.mark.parametrize("game", ["a/b/c", "A/b-c/", "é/b/c", "a/b/" + "long " * 100, "中/文/名", "-/-/-", "\udcff"])
def test_every_key_fits_a_wildcard(game):
    assert re.fullmatch(r"[a-z0-9_-]+", game_key(game))
    assert len(game_key(game)) < 200


def test_games_alike_have_different_keys():
    games = ["a/b/c d", "a/b/c-d", "A/b/c d", "a/b c/d", "á/b/c d", "中/b/c", "文/b/c"]
    assert len({game_key(game) for game in games}) == len(games)


def test_split_is_read_in_its_order(root):
    assert read_split(root / "train.json") == ["first_league/2014-2015/A 1 - 1 B", "first_league/2014-2015/C 2 - 0 D"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_split_with_a_mark(tmp_path, encoding):
    path = tmp_path / "games.json"
    path.write_bytes('{"league":\r\n{"season": ["gäme"]}}'.encode(encoding))
    assert read_split(path) == ["league/season/gäme"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1: Expecting property name enclosed in double quotes; it is no JSON"),
        ('{"league": {"season": []}, "league": {}}', "'league' stands twice in an object"),
        ("[]", "leagues are []"),
        ('{"league": []}', "the seasons of 'league' are []"),
        ('{"league": {"season": "game"}}', "are 'game', but a list"),
        ('{"league": {"season": [7]}}', "'league/season/7' is not like"),
        ('{"league": {"season": [""]}}', "'league/season/' is not like"),
        ('{"league": {"..": ["game"]}}', "'league/../game' is not like"),
        ('{"/etc": {"season": ["game"]}}', "'/etc/season/game' is not like"),
        ('{"league": {"season": ["game", "other", "game"]}}', "'league/season/game' is listed twice"),
    ],
)
def test_malformed_split_names_file_and_value(tmp_path, content, message):
    path = tmp_path / "games.json"
    path.write_text(content)
    with pytest.raises(ActaError, match=re.escape(message)) as caught:
        read_split(path)
    assert str(path) in str(caught.value)


def test_missing_split_is_an_error(tmp_path):
    with pytest.raises(ActaError, match=r"none\.json: No such file"):
        read_split(tmp_path / "none.json")


def test_every_file_that_counts_is_listed(root):
    games = list_games(settings(root), ["ResNET_PCA512.npy"])
    assert list(games) == [game_key(g) for n in GAMES for g in read_split(root / f"{n}.json")]
    rows = games[game_key("first_league/2014-2015/A 1 - 1 B")]
    assert rows[0] == Listed("video/1", "first_league/2014-2015/A 1 - 1 B/1_HQ.mkv", "", "train", 5, 1000)
    assert [(row.id, Path(row.path).name) for row in rows] == [
        ("video/1", "1_HQ.mkv"),
        ("video/2", "2_HQ.mkv"),
        ("ini", "video.ini"),
        ("labels", "Labels-v2.json"),
        ("features/ResNET_PCA512.npy/1", "1_ResNET_PCA512.npy"),
        ("features/ResNET_PCA512.npy/2", "2_ResNET_PCA512.npy"),
    ]
    assert {(row.size, row.modified) for row in rows[1:]} == {(-1, 0)}
    assert {row.split for row in games[game_key("other/2015-2016/E")]} == {"test"}


def test_only_files_that_are_used_are_listed(root):
    def roles(**changes: Any) -> list[tuple[str, str]]:
        rows = list_games(settings(root, **changes), [])[game_key("other/2015-2016/E")]
        return [(row.id, Path(row.path).name) for row in rows]

    assert roles(videos=None, version=1) == [("labels", "Labels.json")]
    videos = [("video/1", "1_224p.mkv"), ("video/2", "2_224p.mkv")]
    assert roles(videos="224p.mkv", use_video_ini=False) == [*videos, ("labels", "Labels-v2.json")]


def test_game_in_two_splits_is_an_error(root):
    (root / "test.json").write_text(json.dumps(GAMES["train"]))
    with pytest.raises(ActaError, match=r"'first_league/2014-2015/A 1 - 1 B' is in two splits .*: train and test"):
        list_games(settings(root), [])


def test_missing_root_is_an_error(root):
    with pytest.raises(ActaError, match=r"spot\.data\.root '.*none' is not a folder"):
        list_games(settings(root, root=str(root / "none")), [])


@pytest.fixture
def demo(monkeypatch):
    matches = types.ModuleType("pipeline.demo.match_plan")
    matches.splits = lambda: {"train": ["l/s/one"], "valid": ["l/s/two"]}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pipeline.demo.match_plan", matches)


def test_games_of_the_demo_are_known_before_they_are_there(demo):
    games = list_games(settings(Path("nowhere"), adapter="demo", splits={"valid": "x"}), [])
    assert list(games) == [game_key("l/s/two")]
    rows = games[game_key("l/s/two")]
    assert rows[0] == Listed("video/1", "l/s/two/1_HQ.mkv", "", "valid", 0, 0)
    assert {(row.size, row.modified) for row in rows} == {(0, 0)}


def test_demo_lacks_a_split(demo):
    with pytest.raises(ActaError, match=r"no split 'challenge' .*it has train, valid"):
        list_games(settings(Path("nowhere"), adapter="demo", splits={"challenge": "x"}), [])


def test_lists_are_written_only_when_they_change(root):
    folder = root / "lists"
    first, second, third = write_texts(game_texts(list_games(settings(root), [])), folder)
    for path in folder.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    (root / "first_league/2014-2015/A 1 - 1 B/Labels-v2.json").write_text("{}")
    (root / "test.json").write_text("{}")
    assert write_texts(game_texts(list_games(settings(root), [])), folder) == [first, second]
    assert (folder / f"{first}.json").stat().st_mtime_ns != 10**18
    assert (folder / f"{second}.json").stat().st_mtime_ns == 10**18
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{first}.json", f"{second}.json"])
    assert third not in (first, second)


def test_list_is_read_back(root):
    games = list_games(settings(root), ["ResNET_PCA512.npy"])
    for key in write_texts(game_texts(games), root / "lists"):
        game, rows = read_game_list(root / "lists" / f"{key}.json")
        assert rows == games[key]
        assert game_key(game) == key


@pytest.mark.parametrize("content", ["[]", "{}", '{"game": "a/b/c", "files": [[1]]}', "nothing"])
def test_damaged_list_is_an_error(tmp_path, content):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(ActaError, match="is not a list of a game's files"):
        read_game_list(tmp_path / "list.json")
    with pytest.raises(ActaError, match="cannot read the list"):
        read_game_list(tmp_path / "none.json")


def test_ini_says_where_the_halves_are(tmp_path):
    path = tmp_path / "video.ini"
    text = "[other]\nx = 100 %\n" + INI + "duration_second = 2800\nhas_error = False\n"
    for content in (
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
    ):
        path.write_bytes(content)
        assert read_ini(path) == {1: (287.0, 2775.06), 2: (0.0, 2800.0)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (INI, "[2_HQ.mkv] has no duration_second"),
        (INI.split("[2")[0], "no section of half 2"),
        (INI + "duration_second = 5\n[2_224p.mkv]\n", "two sections of half 2"),
        (INI + "duration_second = an hour\n", "[2_HQ.mkv] duration_second is 'an hour'"),
        (INI + "duration_second = -1\n", "[2_HQ.mkv] duration_second is '-1'"),
        (INI + "duration_second = nan\n", "[2_HQ.mkv] duration_second is 'nan'"),
        (INI + "duration_second =\n", "[2_HQ.mkv] duration_second is ''"),
        ("start_time_second = 5\n", "is not an ini file"),
        (INI + "duration_second = 5\n[2_HQ.mkv]\n", "is not an ini file"),
        (b"\xff\xfe\x00", ", line 1: byte 0x00 is not UTF-16; save the file as UTF-8"),
        (b"[a]\n\xe9 = 1", ", line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    ],
)
def test_bad_ini_names_file_section_and_value(tmp_path, content, message):
    path = tmp_path / "video.ini"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ActaError, match=re.escape(message)) as caught:
        read_ini(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_ini_is_an_error(tmp_path):
    with pytest.raises(ActaError, match=r"cannot read .*video\.ini: No such file"):
        read_ini(tmp_path / "video.ini")


def test_planning_imports_nothing_heavy():
    code = "import sys, pipeline.data.games; print({'torch', 'av', 'cv2', 'numpy', 'h5py'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
