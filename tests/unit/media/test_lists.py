"""Lists of videos: stable shards, files rewritten only when their content changes."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.build_manifest import build_manifest
from pipeline.media.lists import (
    Listed,
    PlansLists,
    list_texts,
    read_list,
    shard_name,
    shard_names,
    shard_of,
    write_lists,
)
from pipeline.media.manifest import read_manifest
from pipeline.runtime.errors import ActaError

LONG_AGO = 1_000_000_000_000_000_000  # nanoseconds


def listed(name: str, size: int = 10) -> Listed:
    return Listed(name, f"run/{name}.mp4", "run", "train", size, 7)


def altered(video: Listed, **changes: Any) -> Listed:
    fields = {name: getattr(video, name) for name in ("id", "path", "label", "split", "size", "modified")}
    return Listed(**fields | changes)


def three_in_two_shards() -> list[Listed]:
    """Two videos of shard 0 of 2 and one of shard 1."""
    videos = [listed(name) for name in ("v1", "v2", "v3", "v4", "v5", "v6")]
    first = [video for video in videos if shard_of(video.id, 2) == 0]
    second = [video for video in videos if shard_of(video.id, 2) == 1]
    assert len(first) >= 2
    assert len(second) >= 1
    return [*first[:2], second[0]]


def age(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, ns=(LONG_AGO, LONG_AGO))


def rewritten(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.stat().st_mtime_ns != LONG_AGO}


@pytest.mark.parametrize(
    ("video", "shards", "shard"),
    [
        ("run/a.mp4", 1, 0),
        ("run/a.mp4", 2, 0),
        ("run/a.mp4", 1024, 408),
        ("v_ApplyEyeMakeup_g08_c01", 1024, 768),
        ("日本.mp4", 1024, 572),
        ("k\udce9.mp4", 1024, 43),
    ],
)
def test_shard_of_a_video_never_changes(video: str, shards: int, shard: int) -> None:
    """These numbers stand for existing results: another hash would move every video to another shard."""
    assert shard_of(video, shards) == shard


def test_shards_are_of_similar_size() -> None:
    counts = [0] * 8
    for k in range(4000):
        counts[shard_of(f"video{k}", 8)] += 1
    assert min(counts) > 400
    assert max(counts) < 600


@pytest.mark.parametrize(
    ("index", "shards", "name"),
    [(0, 1, "0-of-1"), (7, 1024, "0007-of-1024"), (1023, 1024, "1023-of-1024"), (9, 10, "09-of-10")],
)
def test_shard_name(index: int, shards: int, name: str) -> None:
    assert shard_name(index, shards) == name


def test_list_file_is_an_array_of_rows_by_id(tmp_path: Path) -> None:
    assert write_lists([listed("b"), listed("a", -1)], tmp_path, 1) == ["0-of-1"]
    assert (tmp_path / "0-of-1.json").read_text() == (
        '[["a", "run/a.mp4", "run", "train", -1, 7], ["b", "run/b.mp4", "run", "train", 10, 7]]\n'
    )


def test_only_shards_with_videos_are_listed(tmp_path: Path) -> None:
    video = listed("run/a.mp4")
    assert write_lists([video], tmp_path, 1024) == ["0408-of-1024"]
    assert [path.name for path in tmp_path.iterdir()] == ["0408-of-1024.json"]


def test_every_video_is_in_its_shard(tmp_path: Path) -> None:
    videos = [listed(f"v{k}") for k in range(50)]
    names = write_lists(videos, tmp_path, 4)
    assert names == shard_names(tmp_path) == ["0-of-4", "1-of-4", "2-of-4", "3-of-4"]
    for k, name in enumerate(names):
        assert {video.id for video in read_list(tmp_path / f"{name}.json")} == {
            video.id for video in videos if shard_of(video.id, 4) == k
        }


def test_order_of_the_videos_does_not_matter(tmp_path: Path) -> None:
    videos = [listed(f"v{k}") for k in range(20)]
    write_lists(videos, tmp_path / "a", 3)
    write_lists(reversed(videos), tmp_path / "b", 3)
    for name in shard_names(tmp_path / "a"):
        assert (tmp_path / "a" / f"{name}.json").read_bytes() == (tmp_path / "b" / f"{name}.json").read_bytes()


def test_same_videos_again_rewrite_nothing(tmp_path: Path) -> None:
    write_lists(three_in_two_shards(), tmp_path, 2)
    age(tmp_path)
    write_lists(three_in_two_shards(), tmp_path, 2)
    assert rewritten(tmp_path) == set()


def test_one_video_more_rewrites_its_shard_only(tmp_path: Path) -> None:
    first, second, other = three_in_two_shards()
    write_lists([first, other], tmp_path, 2)
    untouched = (tmp_path / "1-of-2.json").read_bytes()
    age(tmp_path)
    write_lists([first, second, other], tmp_path, 2)
    assert rewritten(tmp_path) == {"0-of-2.json"}
    assert (tmp_path / "1-of-2.json").read_bytes() == untouched
    assert read_list(tmp_path / "0-of-2.json") == [first, second]


def test_one_video_less_rewrites_its_shard_only(tmp_path: Path) -> None:
    first, second, other = three_in_two_shards()
    write_lists([first, second, other], tmp_path, 2)
    age(tmp_path)
    write_lists([second, other], tmp_path, 2)
    assert rewritten(tmp_path) == {"0-of-2.json"}
    assert read_list(tmp_path / "0-of-2.json") == [second]


@pytest.mark.parametrize("change", [{"size": 11}, {"modified": 8}, {"label": "walk"}, {"split": "val"}, {"path": "x"}])
def test_changed_video_rewrites_its_shard_only(tmp_path: Path, change: dict[str, Any]) -> None:
    first, second, other = three_in_two_shards()
    write_lists([first, second, other], tmp_path, 2)
    age(tmp_path)
    write_lists([first, second, altered(other, **change)], tmp_path, 2)
    assert rewritten(tmp_path) == {"1-of-2.json"}


def test_shard_without_videos_loses_its_list(tmp_path: Path) -> None:
    first, second, other = three_in_two_shards()
    write_lists([first, second, other], tmp_path, 2)
    assert write_lists([first, second], tmp_path, 2) == ["0-of-2"]
    assert shard_names(tmp_path) == ["0-of-2"]


def test_another_number_of_shards_replaces_all_lists(tmp_path: Path) -> None:
    write_lists([listed(f"v{k}") for k in range(20)], tmp_path, 2)
    write_lists([listed(f"v{k}") for k in range(20)], tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["0-of-1.json"]


def test_no_videos_leave_no_lists(tmp_path: Path) -> None:
    write_lists([listed("a")], tmp_path, 1)
    assert write_lists([], tmp_path, 1) == []
    assert shard_names(tmp_path) == []


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_lists([listed("a")], tmp_path, 1)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_two_videos_of_one_id_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"two videos have the id 'a': 'run/a\.mp4' and 'walk/a\.mp4'"):
        write_lists([listed("a"), altered(listed("a"), path="walk/a.mp4")], tmp_path, 4)


def test_two_videos_of_one_id_leave_the_lists_as_they_were(tmp_path: Path) -> None:
    write_lists([listed("a")], tmp_path, 1)
    age(tmp_path)
    with pytest.raises(ActaError):
        write_lists([listed("b"), listed("b")], tmp_path, 1)
    assert rewritten(tmp_path) == set()


STRANGE = ["a\tb", "a\nb", "a\r\nb", 'a"b\\', "日本語.mp4", "a\u2028b", "k\udce9.mp4", " a ", "", "😀", "a\x85b"]


@pytest.mark.parametrize("name", STRANGE, ids=ascii)
def test_strange_names_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    video = Listed(name, f"run/{name}", name, name, 1, 2)
    (shard,) = write_lists([video, listed("plain")], tmp_path, 1)
    assert sorted(read_list(tmp_path / f"{shard}.json"), key=lambda v: v.modified) == [video, listed("plain")]


@pytest.mark.parametrize("name", STRANGE, ids=ascii)
def test_strange_names_rewrite_nothing_the_second_time(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        write_lists([listed(name)], tmp_path, 1)
        changed = rewritten(tmp_path)
        age(tmp_path)
    assert changed == set()


def test_name_that_is_not_utf8_goes_through_the_manifest(tmp_path: Path) -> None:
    """One such name must not take the other videos of its shard with it."""
    write_lists([listed("k\udce9"), listed("plain")], tmp_path, 1)
    build_manifest(tmp_path / "0-of-1.json", tmp_path, tmp_path / "manifest.json", max_bad_fraction=1)
    assert [entry.id for entry in read_manifest(tmp_path / "manifest.json").quarantine] == ["k\udce9", "plain"]


@pytest.mark.parametrize(
    "content", ["", "no json", '[["a", "b"]]', "5", "null", "[5]", '[["a", "b", "c", "d", 1, 2, 3]]', '[["a", "b"']
)
def test_damaged_list(tmp_path: Path, content: str) -> None:
    (tmp_path / "0-of-1.json").write_text(content)
    with pytest.raises(ActaError, match=r"0-of-1\.json is not a list of videos: "):
        read_list(tmp_path / "0-of-1.json")


def test_missing_list(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"cannot read the list .*0-of-1\.json: No such file or directory"):
        read_list(tmp_path / "0-of-1.json")


# ---- lists that another plan reads


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lock"


def texts(count: int, shards: int) -> dict[str, str]:
    return list_texts([listed(f"v{k}") for k in range(count)], shards)


def contents(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in folder.glob("*.json")}


def test_a_plan_alone_writes_its_lists(tmp_path: Path, lock: Path) -> None:
    plan = PlansLists(tmp_path / "results", lock, looking=True)
    assert plan.write("lists", texts(9, 2)) == ["0-of-2", "1-of-2"]
    assert contents(tmp_path / "results/lists") == texts(9, 2)
    assert plan.path("lists", "0-of-2") == str(tmp_path / "results/lists/0-of-2.json")
    plan.share()
    plan.check()


def test_a_second_plan_writes_aside_what_differs(tmp_path: Path, lock: Path) -> None:
    first = PlansLists(tmp_path / "results", lock, looking=False)
    first.write("lists", texts(9, 2))
    first.share()
    second = PlansLists(tmp_path / "results", lock, looking=False)
    wanted = texts(9, 2) | {"1-of-2": "other", "new": "new"}
    assert second.write("lists", wanted) == ["0-of-2", "1-of-2", "new"]
    second.share()
    assert contents(tmp_path / "results/lists") == texts(9, 2)
    paths = {name: Path(second.path("lists", name)) for name in wanted}
    assert {name: path.read_text() for name, path in paths.items()} == wanted
    assert paths["0-of-2"] == tmp_path / "results/lists/0-of-2.json"
    assert not paths["new"].is_relative_to(tmp_path)
    first.check()
    message = r"^another Snakemake reads the lists in .*/results/lists, which this run would change; start"
    with pytest.raises(ActaError, match=message):
        second.check()


@pytest.mark.parametrize("change", ["more", "less", "other"])
def test_lists_that_were_changed_meanwhile_are_noticed_before_a_run(tmp_path: Path, lock: Path, change: str) -> None:
    plan = PlansLists(tmp_path / "results", lock, looking=False)
    plan.write("lists", texts(9, 2))
    match change:
        case "more":
            (tmp_path / "results/lists/0-of-1.json").write_text("")
        case "less":
            (tmp_path / "results/lists/0-of-2.json").unlink()
        case "other":
            (tmp_path / "results/lists/0-of-2.json").write_text("other")
    with pytest.raises(ActaError, match="another Snakemake reads the lists"):
        plan.check()


def test_two_plans_with_the_same_lists_run_at_once(tmp_path: Path, lock: Path) -> None:
    for _ in range(2):
        plan = PlansLists(tmp_path / "results", lock, looking=False)
        plan.write("lists", texts(9, 2))
        plan.share()
        plan.check()


@pytest.mark.parametrize("looking", [True, False])
def test_without_locks_looking_alone_changes_nothing(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch, looking: bool
) -> None:
    def fail(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    write_lists([listed("a")], tmp_path / "results/lists", 1)
    plan = PlansLists(tmp_path / "results", lock, looking=looking)
    plan.write("lists", texts(9, 2))
    plan.share()
    assert set(contents(tmp_path / "results/lists")) == ({"0-of-1"} if looking else {"0-of-2", "1-of-2"})


def test_what_is_written_aside_is_gone_with_the_process(tmp_path: Path, lock: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.media.lists import PlansLists\n"
        "plan = PlansLists(Path(sys.argv[1]), Path(sys.argv[2]), looking=True)\n"
        "plan.write('lists', {'a': 'text'}); print(Path(plan.path('lists', 'a')).read_text())"
    )
    held = PlansLists(tmp_path / "results", lock, looking=False)
    held.share()
    (tmp_path / "aside").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "aside")}
    command = [sys.executable, "-c", code, str(tmp_path / "results"), str(lock)]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout == "text\n"
    assert list((tmp_path / "aside").iterdir()) == []
    assert not (tmp_path / "results/lists").exists()


def test_a_planted_lock_is_not_followed(tmp_path: Path, lock: Path) -> None:
    lock.parent.mkdir()
    lock.symlink_to(tmp_path / "diary")
    with pytest.raises(OSError, match="symbolic links"):
        PlansLists(tmp_path / "results", lock, looking=False)
    assert not (tmp_path / "diary").exists()


def test_a_list_is_written_through_no_link_that_is_there_beforehand(tmp_path: Path) -> None:
    """As a neighbour could plant one where the temporary file used to lie."""
    (tmp_path / "diary").write_text("precious")
    (tmp_path / "0-of-1.tmp").symlink_to("diary")
    write_lists([listed("a")], tmp_path, 1)
    assert (tmp_path / "diary").read_text() == "precious"
    assert read_list(tmp_path / "0-of-1.json") == [listed("a")]
