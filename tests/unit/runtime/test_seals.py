"""JSON of tasks carries its digest: every flipped bit that changes what is read is found, and the remedy is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.media.manifest import read_manifest
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import write_json
from pipeline.runtime.seals import KEY, digest_of, make_again, sealed, unsealed
from pipeline.runtime.text import read_json, read_made

CONTENT = {"name": "日本 \udce9", "values": [1, 2.5, None, True, 1e-300], "deep": {"a": {"b": "c"}}, "a": ""}
MANIFEST = {
    "provenance": {"task": "build_manifest"},
    "videos": [
        {
            "id": "run/a.mp4",
            "path": "run/a.mp4",
            "label": "run",
            "split": "train",
            "duration": 1.0,
            "frame_rate": 10.0,
            "frames": 10,
            "height": 32,
            "width": 64,
            "rotation": 0,
            "codec": "h264",
            "pixel_format": "yuv420p",
            "mirrored": False,
        }
    ],
    "quarantine": [{"id": "b", "task": "build_manifest", "reason": "empty (0 bytes)"}],
}


def test_content_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", CONTENT)
    assert read_made(tmp_path / "a.json") == read_json(tmp_path / "a.json") == CONTENT
    assert list(json.loads((tmp_path / "a.json").read_text())) == [*CONTENT, KEY]


@pytest.mark.parametrize("content", [{1: "a", None: 2}, {"a": (1, 2)}, {"a": float("nan")}, {}], ids=str)
def test_what_json_turns_into_other_things(tmp_path: Path, content: dict[Any, Any]) -> None:
    write_json(tmp_path / "a.json", content)
    assert json.dumps(read_made(tmp_path / "a.json")) == json.dumps(json.loads(json.dumps(content)))


@pytest.mark.parametrize("content", [[1], 3, None, "text"])
def test_only_objects_have_room_for_a_digest(content: Any) -> None:
    assert sealed(content) == content
    assert unsealed(content, "a.json") == content


def test_files_of_other_programs_have_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_made(tmp_path / "a.json") == {"a": 1}


def test_the_layout_may_change(tmp_path: Path) -> None:
    content = dict(reversed(sealed(CONTENT).items()))
    (tmp_path / "a.json").write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=True))
    assert read_made(tmp_path / "a.json") == CONTENT


@pytest.mark.parametrize(
    "change",
    [{"a": "b"}, {"new": 0}, {"name": None}, {"values": [1, 2.5, None, True]}, {KEY: "0" * 64}, {KEY: 3}],
    ids=str,
)
def test_an_edited_file_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(sealed(CONTENT) | change))
    message = (
        rf"^{path} is damaged or was edited: it does not have its digest acta_sha256; make it again \(in a workflow"
    )
    for read in (read_made, read_json):
        with pytest.raises(ActaError, match=message):
            read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: Expecting value; it is no JSON; make it again"),
        (b'{"a": 1,', "line 1: .*; it is no JSON; make it again"),
        (b"[1]", "holds no JSON object; make it again"),
        (b'{"a": "\xff"}', "line 1: byte 0xff is not UTF-8"),
    ],
    ids=["empty", "cut", "list", "no text"],
)
def test_what_is_no_object_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ActaError, match=rf"a\.json.*{message}"):
        read_made(tmp_path / "a.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"^cannot read the result .*none\.json: No such file or directory$"):
        read_made(tmp_path / "none.json")
    with pytest.raises(ActaError, match=r"^cannot read the audit .*none\.json: No such file or directory$"):
        read_made(tmp_path / "none.json", "the audit")


def test_the_remedy_is_a_command() -> None:
    assert make_again("results/a.json") == "make it again (in a workflow: snakemake --force results/a.json)"


def test_the_digest_is_of_what_json_says() -> None:
    assert digest_of({"b": 1, "a": (2,)}) == digest_of({"a": [2], "b": 1})
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert len({digest_of(content) for content in ({"a": 1}, {"a": 1.0}, {"a": "1"}, {"a": True}, {"b": 1})}) == 5


def test_every_flipped_bit_that_matters_is_found(tmp_path: Path) -> None:
    """Of each bit of a manifest: an error that names the file, even in the digest's own name."""
    path = tmp_path / "manifest.json"
    write_json(path, MANIFEST)
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8) if place % 7 == 0 else (place % 8,):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            with pytest.raises(ActaError, match=path.name):
                read_manifest(path)
