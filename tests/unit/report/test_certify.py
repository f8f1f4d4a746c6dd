"""The certificate adds up the audits of all shards, and refuses to add up what is not alike."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.certify import certify
from pipeline.runtime.digest import code_digest
from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import sealed

TABLE_HEAD = "video,label,auditor,frames,before,after,residual_rate,frames_with_residual\n"


def provenance(task: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "task": task,
        "settings": settings,
        "code": "0123456789abcdef",
        "inputs": {"before": "a"},
        "weights": {},
        "packages": {"h5py": "3"},
    } | more


DETECT = {
    "detector": "retinaface",
    "threshold": None,
    "long_side": 1280,
    "interval": 0.1,
    "search_rotated": False,
    "fill_gap": 10,
    "faces": None,
}
HIDE = {"filter": "blur", "shape": "box", "enlarge": 1.5, "kernel": 1.0, "blocks": 4}


def counts(before: int, after: int, frames: int) -> dict[str, int]:
    return {"before": before, "after": after, "frames_with_residual": frames}


def audit(videos: list[dict[str, Any]], quarantine: list[dict[str, str]] | None = None) -> dict[str, Any]:
    settings = {"auditors": {"centerface": 0.2, "pose": 0.5}}
    return {
        "provenance": provenance("audit", settings, weights={"centerface": "12", "pose": "34"}),
        "detect": provenance("detect_people", {"what": "faces", "detect": DETECT}, weights={"retinaface": "56" * 32}),
        "obfuscate": provenance("obfuscate", {"obfuscate": HIDE}),
        "videos": videos,
        "quarantine": quarantine or [],
    }


def video(name: str, frames: int, centerface: dict[str, int], pose: dict[str, int]) -> dict[str, Any]:
    return {
        "id": name,
        "label": "run",
        "sha256": f"of {name}",
        "frames": frames,
        "auditors": {"centerface": centerface, "pose": pose},
    }


FIRST = audit(
    [
        video("c", 10, counts(8, 2, 1), counts(0, 0, 0)),
        video("a", 5, counts(3, 0, 0), counts(0, 1, 1)),
    ],
    [{"id": "z", "task": "obfuscate", "reason": "no detections"}],
)
SECOND = audit(
    [video("b", 20, counts(1, 1, 1), counts(3, 1, 1))],
    [{"id": "y", "task": "extract_frames", "reason": "damaged"}],
)


def write(folder: Path, *audits: dict[str, Any]) -> list[Path]:
    paths = [folder / f"{k}-of-{len(audits)}.json" for k in range(len(audits))]
    for path, content in zip(paths, audits, strict=True):
        path.write_text(json.dumps(content))
    return paths


def certified(folder: Path, *audits: dict[str, Any]) -> tuple[dict[str, Any], str]:
    certify(write(folder, *audits), folder / "certificate.json", folder / "audit.csv")
    texts = [(folder / name).read_text(errors="surrogateescape") for name in ("certificate.json", "audit.csv")]
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
        {"id": "y", "task": "extract_frames", "reason": "damaged"},
        {"id": "z", "task": "obfuscate", "reason": "no detections"},
    ]


def test_certificate_names_the_files(tmp_path: Path) -> None:
    content, _ = certified(tmp_path, FIRST, SECOND)
    assert content["sources"] == {"a": "of a", "b": "of b", "c": "of c"}
    assert content["shards"] == [{"before": "a"}, {"before": "a"}]


def test_a_damaged_audit_is_named(tmp_path: Path) -> None:
    paths = write(tmp_path, FIRST, sealed(SECOND) | {"quarantine": []})
    with pytest.raises(ActaError, match=r"1-of-2\.json is damaged or was edited: .*; make it again"):
        certify(paths, tmp_path / "certificate.json", tmp_path / "audit.csv")


def test_certificate_says_what_made_it(tmp_path: Path) -> None:
    content, _ = certified(tmp_path, FIRST, SECOND)
    assert sorted(content["made_by"]) == ["audit", "certify", "detect", "obfuscate"]
    assert content["made_by"]["audit"] == {
        "task": "audit",
        "settings": {"auditors": {"centerface": 0.2, "pose": 0.5}},
        "code": "0123456789abcdef",
        "weights": {"centerface": "12", "pose": "34"},
        "packages": {"h5py": "3"},
    }
    assert content["made_by"]["certify"] == {"code": code_digest("pipeline.report.certify")}


def test_table_has_a_row_for_each_video_and_auditor(tmp_path: Path) -> None:
    _, table = certified(tmp_path, FIRST, SECOND)
    assert table == TABLE_HEAD + (
        "a,run,centerface,5,3,0,0.0000,0\n"
        "b,run,centerface,20,1,1,1.0000,1\n"
        "c,run,centerface,10,8,2,0.2500,1\n"
        "a,run,pose,5,0,1,–,1\n"
        "b,run,pose,20,3,1,0.3333,1\n"
        "c,run,pose,10,0,0,–,0\n"
        "(all),–,centerface,35,12,3,0.2500,2\n"
        "(all),–,pose,35,3,2,0.6667,2\n"
    )


def paged(folder: Path, *audits: dict[str, Any]) -> str:
    """The page's text, in one line."""
    certified(folder, *audits)
    return " ".join((folder / "certificate.html").read_text().split())


def test_page_says_what_was_found(tmp_path: Path) -> None:
    said = paged(tmp_path, FIRST, SECOND)
    assert "<h1>Certificate: faces hidden in 3 videos</h1>" in said
    assert "<p>The faces in 3 videos with 35 frames were found by the detector retinaface and hidden." in said
    assert (
        "<strong>centerface</strong>, from a score of 0.2 on: 12 found before, <strong>3 after</strong> (25.00 %). "
        "Something is left in 2 of 35 frames and in 2 of 3 videos." in said
    )
    assert "3 found before, <strong>2 after</strong> (66.67 %)" in said


def test_page_says_how_it_was_hidden_and_what_made_it(tmp_path: Path) -> None:
    said = paged(tmp_path, FIRST)
    for text in (
        "<dt><strong>Faces found by</strong></dt> <dd>retinaface, from its own score of 0.4 on, in pictures of at most "
        "1280 pixels along the longer side</dd>",
        "<dd>at least every 0.1 s</dd>",
        "<dt><strong>Turned pictures</strong></dt> <dd>not searched</dd>",
        "<dd>the detector&#x27;s outline where it gives one, else the box</dd>",
        "<dd>what is missed for at most 10 frames between two detections</dd>",
        "<dd>enlarged 1.5 times</dd>",
        "<dd>a box filter over each, its side 1 of the box&#x27;s longer side</dd>",
        f"SHA-256 of the weights of retinaface</strong></dt> <dd>{'56' * 32}</dd>",
        "<dd>h5py 3</dd>",
        code_digest("pipeline.report.certify"),
    ):
        assert text in said


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"filter": "pixelate"}, "a mosaic of 4 blocks along the box&#x27;s longer side"),
        ({"filter": "solid"}, "<dd>black</dd>"),
        ({"filter": "frame", "kernel": 0.5}, "over the whole of every frame, its side 0.5 of the longer side"),
        ({"filter": "frame"}, "<dt><strong>Shape</strong></dt> <dd>the whole frame</dd>"),
        ({"shape": "ellipse"}, "where it gives one, else an ellipse that holds the box, with a soft edge</dd>"),
        (
            {"search_rotated": True},
            "<dt><strong>Turned pictures</strong></dt> <dd>searched too, by 90, 180 and 270 degrees</dd>",
        ),
        ({"interval": 0}, "<dd>every frame</dd>"),
        ({"long_side": None}, "on, in pictures of the video&#x27;s own size</dd>"),
        ({"threshold": 0.25}, "<dd>retinaface, from a score of 0.25 on, in"),
        ({"detector": "centerface"}, "<dd>centerface, from its own score of 0.2 on, in"),
    ],
)
def test_page_of_other_settings(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    content = copy.deepcopy(FIRST)
    part = (
        content["obfuscate"]["settings"]["obfuscate"]
        if changes.keys() & HIDE.keys()
        else content["detect"]["settings"]["detect"]
    )
    part.update(changes)
    assert text in paged(tmp_path, content)


def test_page_of_bodies_names_both_networks_and_what_is_assumed(tmp_path: Path) -> None:
    content = copy.deepcopy(FIRST)
    faces = {"detector": "centerface", "threshold": 0.3, "long_side": None}
    content["detect"]["settings"] = {"what": "bodies", "detect": DETECT | {"detector": "ssdlite", "faces": faces}}
    said = paged(tmp_path, content)
    found_by = "found by the detector ssdlite, their faces by centerface, and hidden. Then other detectors"
    assert f"<p>The bodies in 2 videos with 15 frames were {found_by}" in said
    found = said.split("How it was hidden")[1].split("Videos left out")[0]
    assert re.findall("<dt><strong>(.*?)</strong></dt> <dd>(.*?)</dd>", found)[:4] == [
        (
            "Bodies found by",
            "ssdlite, from its own score of 0.2 on, in pictures of at most 1280 pixels along the longer side",
        ),
        ("Faces found by", "centerface, from a score of 0.3 on, in pictures of the video&#x27;s own size"),
        (
            "Face without a body",
            "a body in the proportions of somebody upright is assumed below it and hidden",
        ),
        ("Searched", "at least every 0.1 s"),
    ]


def test_page_lists_the_videos_with_most_left_first(tmp_path: Path) -> None:
    videos = [video(f"v{k:02d}", 50, counts(50, k, k), counts(0, 0, 0)) for k in range(30)]
    said = paged(tmp_path, audit(videos))
    assert re.findall(r"<th scope=\"row\"[^>]*>(v\d+)</th>", said) == [f"v{k:02d}" for k in range(29, 9, -1)]
    assert "The others (9) are in the table of the audit." in said


def test_page_without_residue_and_quarantine(tmp_path: Path) -> None:
    said = paged(tmp_path, audit([video("a", 1, counts(1, 0, 0), counts(0, 0, 0))]))
    assert "No auditor found anything in the anonymised frames of any video." in said
    assert "None: all videos of these shards were anonymised." in said
    assert "in 1 video<" in said


def test_page_names_the_videos_left_out(tmp_path: Path) -> None:
    said = paged(tmp_path, FIRST, SECOND)
    assert "2 videos could not be processed." in said
    assert "<td>damaged</td>" in said


def test_page_says_what_is_not_proved(tmp_path: Path) -> None:
    said = paged(tmp_path, FIRST).split("What this does not prove")[1]
    for text in ("proves presence, not absence", "gait, voices and places", "question of law", "sound"):
        assert text in said


def test_page_stands_alone(tmp_path: Path) -> None:
    """Names of videos are text, whatever they hold; nothing is loaded or run."""
    said = paged(tmp_path, audit([video("<script>k\udce9", 5, counts(2, 1, 1), counts(1, 0, 0))]))
    assert "&lt;script&gt;k\\udce9" in said
    for forbidden in ("<script", "<link", "<img", "src=", "http:", "https:", "@import"):
        assert forbidden not in said
    assert 'name="viewport"' in said


def test_rate_is_missing_where_nothing_was_there_before(tmp_path: Path) -> None:
    content, table = certified(tmp_path, audit([video("a", 5, counts(0, 2, 2), counts(0, 0, 0))]))
    assert content["overall"]["centerface"]["residual_rate"] is None
    assert table.splitlines()[1] == "a,run,centerface,5,0,2,–,2"


def test_shards_in_another_order_give_the_same_files(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    assert certified(tmp_path / "1", FIRST, SECOND) == certified(tmp_path / "2", SECOND, FIRST)


def test_no_videos_are_certified_as_none(tmp_path: Path) -> None:
    content, table = certified(tmp_path, audit([]))
    assert (content["videos"], content["frames"]) == (0, 0)
    assert content["overall"]["pose"] == {"before": 0, "after": 0, "residual_rate": None, "frames_with_residual": 0}
    assert table == TABLE_HEAD + "(all),–,centerface,0,0,0,–,0\n(all),–,pose,0,0,0,–,0\n"


def test_names_with_commas_and_newlines_stay_one_cell(tmp_path: Path) -> None:
    _, table = certified(tmp_path, audit([video("a,b\nc", 5, counts(1, 0, 0), counts(1, 0, 0))]))
    assert table.splitlines()[1:3] == ['"a,b', 'c",run,centerface,5,1,0,0.0000,0']


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
        "detect.settings.detect.detector",
        "detect.code",
        "detect.weights",
        "obfuscate.settings.obfuscate.filter",
        "obfuscate.code",
    ],
)
def test_mixed_audits_are_refused(tmp_path: Path, where: str) -> None:
    first, second = write(tmp_path, FIRST, changed(where, "other"))
    with pytest.raises(ActaError) as caught:
        certify([first, second], tmp_path / "certificate.json", tmp_path / "audit.csv")
    assert str(caught.value) == f"{second} was made with other settings, code or weights than {first}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-of-2.json", "1-of-2.json"]


@pytest.mark.parametrize("part", ["provenance", "detect", "obfuscate"])
def test_shards_differ_in_their_inputs(tmp_path: Path, part: str) -> None:
    content, _ = certified(tmp_path, FIRST, changed(f"{part}.inputs", {"before": "b"}))
    assert content["videos"] == 3


def test_no_audits(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="no audits to certify"):
        certify([], tmp_path / "certificate.json", tmp_path / "audit.csv")


def test_same_audits_give_the_same_bytes(tmp_path: Path) -> None:
    texts = []
    for _ in range(2):
        certified(tmp_path, FIRST, SECOND)
        texts.append([(tmp_path / f"certificate.{end}").read_bytes() for end in ("json", "html")])
    assert texts[0] == texts[1]


def test_unusual_settings_are_said_first(tmp_path: Path) -> None:
    content, _ = certified(tmp_path, FIRST, SECOND)
    assert content["unusual"] == []
    assert "than usual" not in (tmp_path / "certificate.html").read_text()
    lax = copy.deepcopy(FIRST)
    lax["detect"]["settings"]["detect"] |= {"threshold": 0.9}
    lax["provenance"]["settings"]["auditors"]["pose"] = 0.75
    content, _ = certified(tmp_path, lax)
    assert content["unusual"] == [
        "retinaface counts from a score of 0.9 on (its own: 0.4)",
        "the auditor pose counts from a score of 0.75 on (its own: 0.5)",
    ]
    page = (tmp_path / "certificate.html").read_text()
    line = "<p><strong>Less is found or hidden than usual:</strong> retinaface counts from a score of 0.9 on"
    assert page.index(line) < page.index("What independent detectors find")
