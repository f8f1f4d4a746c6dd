"""Folders and archives of SoccerNet's files, also those made to take memory."""

import json
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.runtime.errors import ActaError
from pipeline.spot.events import Spot
from pipeline.spot.game_files import GameFiles, found_instead
from pipeline.spot.soccernet_files import LABELS, PREDICTIONS, write_predictions

GAME = "england_epl/2014-2015/2015-05-17 - 18-00 Manchester United 1 - 1 Arsenal"
RAISE = "(--max-megabytes raises this)"


def packed(folder: Path, archive: Path, **options: Any) -> Path:
    with zipfile.ZipFile(archive, "w", **options) as opened:
        for path in sorted(folder.rglob("*.json")):
            opened.write(path, path.relative_to(folder))
    return archive


def test_folders_and_archives(tmp_path):
    tree = tmp_path / "tree"
    for game in (GAME, "a/b/c", "a/b/d"):
        write_predictions(tree, game, [])
    (tree / "a/b/d" / PREDICTIONS).rename(tree / "a/b" / PREDICTIONS)
    (tree / "a/b/d" / LABELS[2]).write_text("{}")
    for place in (tree, packed(tree, tmp_path / "packed")):
        with GameFiles(place) as opened:
            assert opened.games(PREDICTIONS) == ["a/b/c", GAME]
            assert opened.games(LABELS[2]) == ["a/b/d"]
            content, where = opened.read("a/b/c", PREDICTIONS)
            assert json.loads(content)["UrlLocal"] == "a/b/c"
            assert where.startswith(str(place))
            assert where.endswith(f"a/b/c/{PREDICTIONS}")
            with pytest.raises(ActaError, match=r"a/b/e/results_spotting.json"):
                opened.read("a/b/e", PREDICTIONS)


def test_neither_folder_nor_archive(tmp_path):
    (tmp_path / "text").write_text("PK")
    for name in ("text", "none"):
        with pytest.raises(ActaError, match=f"{name} is neither a folder nor a zip archive"):
            GameFiles(tmp_path / name)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (
            ["a/b/c/other.json", "spots/a/b/c/r.json"],
            "found 1 too deep, such as 'spots/a/b/c/r.json': give what is within 'spots'",
        ),
        (
            ["x/y/a/b/c/r.json", "x/y/a/b/d/r.json"],
            "found 2 too deep, such as 'x/y/a/b/c/r.json': give what is within 'x/y'",
        ),
        (
            ["a/b/c/s.json", "a/b/c/P-v2.json", "a/b/d/P-v2.json"],
            "found 2 called 'P-v2.json', such as 'a/b/c/P-v2.json': rename them if they are these",
        ),
        (["b/c/r.json"], "found 1 elsewhere, such as 'b/c/r.json'"),
        (["a/b/r.txt"], ""),
        ([], ""),
    ],
)
def test_what_is_there_instead(tmp_path, names, found):
    assert found_instead(names, "r.json") == found
    for name in names:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text("{}")
    (tmp_path / "tree").mkdir(exist_ok=True)
    for place in (tmp_path / "tree", packed(tmp_path / "tree", tmp_path / "x.zip")):
        with GameFiles(place) as opened:
            said = re.sub("'a/b/[cd]/P", "'a/b/c/P", re.sub("a/b/d/r.json'", "a/b/c/r.json'", opened.instead("r.json")))
            assert said == found


def test_damaged_and_large_members(tmp_path):
    path = write_predictions(tmp_path / "tree", "a/b/c", [Spot(1, 1.0, "Goal", 0.5)])
    archive = packed(tmp_path / "tree", tmp_path / "x.zip")
    size = path.stat().st_size
    for place in (archive, tmp_path / "tree"):
        with GameFiles(place, size - 1) as opened, pytest.raises(ActaError) as error:
            opened.read("a/b/c", PREDICTIONS)
        assert str(error.value).endswith(
            f"{PREDICTIONS} has more than {size - 1} bytes, the most that are read {RAISE}"
        )
        with GameFiles(place, 32 * size) as opened:
            assert opened.read("a/b/c", PREDICTIONS)[0] == path.read_bytes()
    archive.write_bytes(archive.read_bytes().replace(b"UrlLocal", b"UrlLocaL"))
    with GameFiles(archive) as opened, pytest.raises(ActaError, match=r"cannot read a/b/c/.*: Bad CRC-32"):
        opened.read("a/b/c", PREDICTIONS)


def lying(archive: Path, size: int) -> None:
    """Have the directory and the header of an archive's only file say that it has this many bytes."""
    content = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = content.index(mark) + offset
        content[place : place + 4] = struct.pack("<I", size)
    archive.write_bytes(content)


@pytest.mark.parametrize("size", [1000, 0xFFFFFFFE, None])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_inflated_is_bounded(tmp_path, size, method):
    """Also where the archive says that a file is small: 32 MB in some kilobytes take a few MB."""
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", method) as opened, opened.open(f"a/b/c/{PREDICTIONS}", "w") as file:
        for _ in range(32):
            file.write(b" " * (1 << 20))
    if size is not None:
        lying(archive, size)
    tracemalloc.start()
    with GameFiles(archive, 1 << 20) as opened, pytest.raises(ActaError) as error:
        opened.read("a/b/c", PREDICTIONS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    large = f"has more than {1 << 20} bytes, the most that are read {RAISE}"
    assert str(error.value).endswith(large if size != 1000 else "Bad CRC-32 for file 'a/b/c/results_spotting.json'")
    assert peak < (16 << 20)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_of_packing(tmp_path, method):
    spots = [Spot(1, n / 10, "Goal", (n % 7) / 7) for n in range(3000)]
    path = write_predictions(tmp_path / "tree", "a/b/c", spots)
    archive = packed(tmp_path / "tree", tmp_path / "x.zip", compression=method)
    with GameFiles(archive) as opened:
        assert opened.read("a/b/c", PREDICTIONS)[0] == path.read_bytes()
    lying(archive, path.stat().st_size - 1)
    with GameFiles(archive) as opened, pytest.raises(ActaError, match="Bad CRC-32"):
        opened.read("a/b/c", PREDICTIONS)


def test_lzma_that_asks_for_much_memory(tmp_path):
    path = write_predictions(tmp_path / "tree", "a/b/c", [])
    archive = packed(tmp_path / "tree", tmp_path / "x.zip", compression=zipfile.ZIP_LZMA)
    content = bytearray(archive.read_bytes())
    place = content.index(PREDICTIONS.encode()) + len(PREDICTIONS) + 5  # the size of the dictionary
    assert struct.unpack_from("<I", content, place) == (1 << 23,)
    struct.pack_into("<I", content, place, 1 << 29)
    archive.write_bytes(content)
    with GameFiles(archive) as opened, pytest.raises(ActaError, match="Memory usage limit exceeded"):
        opened.read("a/b/c", PREDICTIONS)
    with GameFiles(archive, 256 << 20) as opened:
        assert opened.read("a/b/c", PREDICTIONS)[0] == path.read_bytes()


def test_methods_that_are_not_known(tmp_path):
    archive = packed(tmp_path, tmp_path / "x.zip")
    write_predictions(tmp_path / "tree", "a/b/c", [])
    packed(tmp_path / "tree", archive)
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x09\0"))
    assert archive.read_bytes() != content
    with GameFiles(archive) as opened, pytest.raises(ActaError, match=r"compression (method|type 9)"):
        opened.read("a/b/c", PREDICTIONS)
