"""`acta clean`: shards and games that no plan needs go, and nothing else does."""

import fcntl
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.config.whole import load_over
from pipeline.dag import paths
from pipeline.data.clean import OF_DETECTION, OF_GAMES, OF_SHARDS
from pipeline.media.lists import record_path, shard_of
from tests import PROJECT
from tests.unit.runtime.outputs import NOBODY, needs_root, process

RESULTS = Path("results/clips")
HDF5 = b"\x89HDF\r\n\x1a\n rest"
OF_A_LOST_GAME = "some-league-some-game-0123456789"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, two videos of shard 0 of 2, and results of both shards and of three."""
    monkeypatch.chdir(tmp_path)
    kept = [f"train/run/{k}.mp4" for k in range(40) if shard_of(f"train/run/{k}.mp4", 2) == 0][:2]
    for video in kept:
        Path("videos", video).parent.mkdir(parents=True, exist_ok=True)
        Path("videos", video).write_bytes(b"video")
    Path("my.yaml").write_text(
        json.dumps({"dataset": "clips", "base": "demo", "data": {"adapter": "folder", "root": "videos", "shards": 2}})
    )
    leave_record()
    for kind in OF_SHARDS + OF_DETECTION:
        for shard in ("0-of-2", "1-of-2", "2-of-3"):
            made(RESULTS / kind.replace("{shard}", shard).replace("*", "faces"))
    for kind in OF_GAMES:
        made(RESULTS / kind.replace("{game}", OF_A_LOST_GAME).replace("*", "train"))
    return tmp_path


def leave_record() -> None:
    """What a plan leaves."""
    record = record_path("clips")
    record.parent.mkdir(exist_ok=True)
    record.write_text(load_over([Path("my.yaml")]).model_dump_json())


def made(path: Path) -> None:
    """A file such as the workflow writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(HDF5 if path.suffix == ".h5" else b'{"provenance": {}}')


def everything() -> set[str]:
    return {str(path) for path in Path("results").rglob("*") if not path.is_dir() or path.is_symlink()}


def clean(*arguments: str) -> int:
    return main(["clean", "--configfile", "my.yaml", *arguments])


def unneeded() -> set[str]:
    return {
        *(
            str(RESULTS / kind.replace("{shard}", shard).replace("*", "faces"))
            for kind in OF_SHARDS
            for shard in ("1-of-2", "2-of-3")
        ),
        *(str(RESULTS / kind.replace("{shard}", "2-of-3").replace("*", "faces")) for kind in OF_DETECTION),
        *(str(RESULTS / kind.replace("{game}", OF_A_LOST_GAME).replace("*", "train")) for kind in OF_GAMES),
    }


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize("change", [{"shards": 3}, {"root": "elsewhere"}, None])
def test_another_configuration_than_the_last_plans_removes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object] | None, dry: list[str]
) -> None:
    """Snakemake reads files that acta clean is not given: the folder's own config.yaml, --config, a profile's."""
    if change is None:
        record_path("clips").unlink()
    else:
        config = json.loads(Path("my.yaml").read_text())
        Path("my.yaml").write_text(json.dumps(config | {"data": config["data"] | change}))
    before = everything()
    assert clean(*dry) == 1
    assert "the last plan of 'clips' here had another configuration, or there was none" in capsys.readouterr().err
    assert everything() == before


def test_a_dry_run_lists_what_would_go_and_removes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything()
    assert clean("--dry-run") == 0
    assert everything() == before
    *lines, total = capsys.readouterr().out.splitlines()
    assert {line.split(": ")[0].split()[2] for line in lines} == unneeded()
    assert f"     13 B  {RESULTS}/frames/faces/1-of-2.h5: no video of the data set is in this shard" in lines
    assert f"     18 B  {RESULTS}/detect/manifest/2-of-3.json: no annotated video is in this shard" in lines
    assert f"     18 B  {RESULTS}/spot/games/{OF_A_LOST_GAME}.json: the data set has no such game" in lines
    assert re.fullmatch(r" +\d+ B  in 25 files and folders to remove; acta clean without --dry-run does it", total)


def test_what_no_plan_needs_goes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything()
    assert clean() == 0
    assert everything() == before - unneeded()
    assert capsys.readouterr().out.splitlines()[-1].endswith("in 25 files and folders removed")
    assert clean() == 0
    assert capsys.readouterr().out == "      0 B  in 0 files and folders removed\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("frames/faces/1-of-2.h5", b"no HDF5"),
        ("frames/faces/1-of-2.h5", b""),
        ("manifest/1-of-2.json", b"no JSON"),
        ("manifest/1-of-2.json", b'{"mine": 1}'),
        ("manifest/1-of-2.json", b"5"),
        ("frames/faces/1-of-2.h5.bak", HDF5),
        ("frames/faces/1-of-2.mine.h5", HDF5),
        ("frames/faces/x1-of-2.h5", HDF5),
        ("frames/1-of-2.h5", HDF5),
        ("mine/1-of-2.h5", HDF5),
        ("1-of-2.json", b"[]"),
        ("spot/games/my-game.json", b'{"game": 1}'),
        ("private/highlights/my_cut.mp4", b"video"),
        ("private/highlights/notes.txt", b"mine"),
        (".mine.tmp", b"mine"),
        (".out.h5.host.1.tmp.h5", b"mine"),
    ],
)
def test_what_is_not_actas_own_stays(here: Path, name: str, content: bytes) -> None:
    clean()
    path = RESULTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert clean() == 0
    assert path.read_bytes() == content


def test_a_link_into_a_cache_goes_and_what_it_leads_to_stays(here: Path) -> None:
    Path("cache.h5").write_bytes(HDF5)
    shard = RESULTS / "frames/faces/1-of-2.h5"
    shard.unlink()
    shard.symlink_to(here / "cache.h5")
    assert clean() == 0
    assert not shard.is_symlink()
    assert Path("cache.h5").read_bytes() == HDF5


def test_a_folder_and_a_pipe_stay(here: Path) -> None:
    clean()
    (RESULTS / "frames/faces/1-of-2.h5").mkdir()
    os.mkfifo(RESULTS / "manifest/1-of-2.json")
    assert clean() == 0
    assert (RESULTS / "frames/faces/1-of-2.h5").is_dir()
    assert (RESULTS / "manifest/1-of-2.json").is_fifo()


@needs_root
def test_what_another_user_owns_stays(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = RESULTS / "frames/faces/1-of-2.h5"
    os.chown(shard, NOBODY, NOBODY)
    assert clean() == 0
    assert shard.is_file()
    assert str(shard) not in capsys.readouterr().out


def test_leftovers_go_if_their_process_has_surely_ended(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean()
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = RESULTS / "frames/none"
    dead = folder / f".0-of-2.h5.{process(ended.pid)}.tmpabcdefgh"
    living = folder / f".0-of-2.h5.{process(os.getppid())}.tmpabcdefgh"
    elsewhere = folder / f".0-of-2.h5.{process(ended.pid, host='elsewhere')}.tmpabcdefgh"
    for each in (dead, living, elsewhere):
        each.mkdir(parents=True)
        (each / "0.jpegs").write_bytes(bytes(5_000_000))
    capsys.readouterr()
    assert clean() == 0
    assert sorted(folder.iterdir()) == sorted([living, elsewhere])
    *lines, total = capsys.readouterr().out.splitlines()
    assert f"   5.0 MB  {dead}: left by a killed process" in lines
    kept = "in use, or left by a process of another machine or container; KEPT"
    assert {f"   5.0 MB  {living}: {kept}", f"   5.0 MB  {elsewhere}: {kept}"} < set(lines)
    assert total == "   5.0 MB  in 1 files and folders removed"


def test_while_a_plan_has_the_lists_nothing_is_removed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".snakemake").mkdir(exist_ok=True)
    before = everything()
    with Path(".snakemake/acta.lists.clips").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert clean() == 1
        assert "a Snakemake works on results/clips; clean it when that one has ended" in capsys.readouterr().err
        assert clean("--dry-run") == 0
    assert everything() == before


@pytest.mark.parametrize("gone", ["videos", "videos/train"])
def test_a_disk_that_is_not_there_costs_nothing(here: Path, gone: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(gone).rename("elsewhere")
    before = everything()
    assert clean() == 1
    assert "videos" in capsys.readouterr().err
    assert everything() == before


def test_without_results_there_is_nothing_to_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["clean"]) == 1
    assert capsys.readouterr().err == "error: there is no results/demo here; call acta clean where you call snakemake\n"
    assert list(tmp_path.iterdir()) == []


def test_every_place_of_a_shard_or_game_is_known() -> None:
    """What the workflow writes for each shard and game is what is looked through."""
    rules = "\n".join(path.read_text() for path in (PROJECT / "workflow").rglob("*.smk"))
    named = set(re.findall(r'"([a-z_{}./]+\{(?:shard|game)\}\.(?!log)\w+)"', rules))
    for name, path in vars(paths).items():
        if not isinstance(path, str) or not re.search(r"\{(shard|game)\}", path):
            continue
        endings = re.findall(rf"\bpaths\.{name}\}}(\.\w+)", rules)  # of a place that names no kind of file
        named |= {f"{path}{ending}" for ending in endings} or {path}
    wanted = {re.sub(r"\{(?!shard|game)\w+\}", "*", path) for path in named}
    wanted -= {"detections/faces/{shard}.h5", "frames/none/{shard}.h5"}  # one of each kind
    known = {*OF_SHARDS, *OF_DETECTION, *OF_GAMES}
    assert wanted - {"lists/{shard}.json"} == known - {path for path in known if "lists/" in path}
