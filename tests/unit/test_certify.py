"""The certificate adds up the audits of all shards, and refuses to add up what is not alike."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ActaError
from pipeline.privacy.certify import certify
from pipeline.stages import code_digest

TABLE_HEAD = "video\tlabel\tauditor\tframes\tbefore\tafter\tresidual_rate\tframes_with_residual\n"


def provenance(stage: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "stage": stage,
        "settings": settings,
        "code": "0123456789abcdef",
        "inputs": {"before": "a"},
        "weights": {},
        "packages": {"h5py": "3"},
    } | more


def counts(before: int, after: int, frames: int) -> dict[str, int]:
    return {"before": before, "after": after, "frames_with_residual": frames}


def audit(videos: list[dict[str, Any]], quarantine: list[dict[str, str]] | None = None) -> dict[str, Any]:
    settings = {"auditors": {"centerface": 0.2, "pose": 0.5}}
    return {
        "provenance": provenance("audit", settings, weights={"centerface": "12", "pose": "34"}),
        "detect": provenance("detect", {"detector": "retinaface"}),
        "obfuscate": provenance("obfuscate", {"filter": "blur"}),
        "videos": videos,
        "quarantine": quarantine or [],
    }


def video(name: str, frames: int, centerface: dict[str, int], pose: dict[str, int]) -> dict[str, Any]:
    return {"id": name, "label": "run", "frames": frames, "auditors": {"centerface": centerface, "pose": pose}}


FIRST = audit(
    [
        video("c", 10, counts(8, 2, 1), counts(0, 0, 0)),
        video("a", 5, counts(3, 0, 0), counts(0, 1, 1)),
    ],
    [{"id": "z", "stage": "obfuscate", "reason": "no detections"}],
)
SECOND = audit(
    [video("b", 20, counts(1, 1, 1), counts(3, 1, 1))],
    [{"id": "y", "stage": "frames", "reason": "damaged"}],
)


def write(folder: Path, *audits: dict[str, Any]) -> list[Path]:
    paths = [folder / f"{k}-of-{len(audits)}.json" for k in range(len(audits))]
    for path, content in zip(paths, audits, strict=True):
        path.write_text(json.dumps(content))
    return paths


def certified(folder: Path, *audits: dict[str, Any]) -> tuple[dict[str, Any], str]:
    certify(write(folder, *audits), folder / "certificate.json", folder / "audit.tsv")
    texts = [(folder / name).read_text(errors="surrogateescape") for name in ("certificate.json", "audit.tsv")]
    return json.loads(texts[0]), texts[1]


def test_certificate_adds_up_all_shards(tmp_path: Path) -> None:
    content, _ = certified(tmp_path, FIRST, SECOND)
    assert (content["videos"], content["frames"]) == (3, 35)
    assert content["overall"] == {
        "centerface": {"before": 12, "after": 3, "residual_rate": 0.25, "frames_with_residual": 2},
        "pose": {"before": 3, "after": 2, "residual_rate": 0.666667, "frames_with_residual": 2},
    }


def test_certificate_lists_the_quarantined_videos(tmp_path: Path) -> None:
    content, _ = certified(tmp_path, FIRST, SECOND)
    assert content["quarantined"] == [
        {"id": "y", "stage": "frames", "reason": "damaged"},
        {"id": "z", "stage": "obfuscate", "reason": "no detections"},
    ]


def test_certificate_says_what_made_it(tmp_path: Path) -> None:
    content, _ = certified(tmp_path, FIRST, SECOND)
    assert sorted(content["made_by"]) == ["audit", "certify", "detect", "obfuscate"]
    assert content["made_by"]["audit"] == {
        "stage": "audit",
        "settings": {"auditors": {"centerface": 0.2, "pose": 0.5}},
        "code": "0123456789abcdef",
        "weights": {"centerface": "12", "pose": "34"},
        "packages": {"h5py": "3"},
    }
    assert content["made_by"]["certify"] == {"code": code_digest("certify")}


def test_table_has_a_row_for_each_video_and_auditor(tmp_path: Path) -> None:
    _, table = certified(tmp_path, FIRST, SECOND)
    assert table == TABLE_HEAD + (
        "a\trun\tcenterface\t5\t3\t0\t0.0\t0\n"
        "b\trun\tcenterface\t20\t1\t1\t1.0\t1\n"
        "c\trun\tcenterface\t10\t8\t2\t0.25\t1\n"
        "a\trun\tpose\t5\t0\t1\t\t1\n"
        "b\trun\tpose\t20\t3\t1\t0.333333\t1\n"
        "c\trun\tpose\t10\t0\t0\t\t0\n"
        "(all)\t\tcenterface\t35\t12\t3\t0.25\t2\n"
        "(all)\t\tpose\t35\t3\t2\t0.666667\t2\n"
    )


def test_rate_is_empty_where_nothing_was_there_before(tmp_path: Path) -> None:
    content, table = certified(tmp_path, audit([video("a", 5, counts(0, 2, 2), counts(0, 0, 0))]))
    assert content["overall"]["centerface"]["residual_rate"] is None
    assert table.splitlines()[1] == "a\trun\tcenterface\t5\t0\t2\t\t2"


def test_shards_in_another_order_give_the_same_files(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    assert certified(tmp_path / "1", FIRST, SECOND) == certified(tmp_path / "2", SECOND, FIRST)


def test_no_videos_are_certified_as_none(tmp_path: Path) -> None:
    content, table = certified(tmp_path, audit([]))
    assert (content["videos"], content["frames"]) == (0, 0)
    assert content["overall"]["pose"] == {"before": 0, "after": 0, "residual_rate": None, "frames_with_residual": 0}
    assert table == TABLE_HEAD + "(all)\t\tcenterface\t0\t0\t0\t\t0\n(all)\t\tpose\t0\t0\t0\t\t0\n"


def test_names_with_tabs_and_newlines_stay_one_cell(tmp_path: Path) -> None:
    _, table = certified(tmp_path, audit([video("a\tb\nc", 5, counts(1, 0, 0), counts(1, 0, 0))]))
    assert table.splitlines()[1:3] == ['"a\tb', 'c"\trun\tcenterface\t5\t1\t0\t0.0\t0']


def test_name_that_is_not_utf8_is_certified(tmp_path: Path) -> None:
    content, _ = certified(tmp_path, audit([video("k\udce9", 5, counts(1, 0, 0), counts(1, 0, 0))]))
    assert content["videos"] == 1


def changed(where: str, value: Any) -> dict[str, Any]:
    other = copy.deepcopy(SECOND)
    part = other
    *keys, last = where.split(".")
    for key in keys:
        part = part[key]
    part[last] = value
    return other


@pytest.mark.parametrize(
    "where",
    [
        "provenance.settings.auditors.pose",
        "provenance.code",
        "provenance.weights.pose",
        "provenance.packages.h5py",
        "detect.settings.detector",
        "detect.code",
        "detect.weights",
        "obfuscate.settings.filter",
        "obfuscate.code",
    ],
)
def test_mixed_audits_are_refused(tmp_path: Path, where: str) -> None:
    first, second = write(tmp_path, FIRST, changed(where, "other"))
    with pytest.raises(ActaError) as caught:
        certify([first, second], tmp_path / "certificate.json", tmp_path / "audit.tsv")
    assert str(caught.value) == f"{second} was made with other settings, code or weights than {first}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-of-2.json", "1-of-2.json"]


@pytest.mark.parametrize("part", ["provenance", "detect", "obfuscate"])
def test_shards_differ_in_their_inputs(tmp_path: Path, part: str) -> None:
    content, _ = certified(tmp_path, FIRST, changed(f"{part}.inputs", {"before": "b"}))
    assert content["videos"] == 3


def test_no_audits(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="no audits to certify"):
        certify([], tmp_path / "certificate.json", tmp_path / "audit.tsv")


def test_same_audits_give_the_same_bytes(tmp_path: Path) -> None:
    texts = []
    for _ in range(2):
        certified(tmp_path, FIRST, SECOND)
        texts.append((tmp_path / "certificate.json").read_bytes())
    assert texts[0] == texts[1]
