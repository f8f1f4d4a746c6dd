"""``acta evaluate detections``: which frames and rows count, and what is refused."""

import csv
import io
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import main

LABELS = """item {
  name: "stand"
  id: 12
}
item {
  name: "answer phone"
  id: 17
}
item {
  name: "dance"
  id: 4
}
"""
TRUTH = """v,0902,0.0,0.0,0.5,1.0,12,0
v,0902,0.0,0.0,0.5,1.0,17,0
v,0903,0.1,0.1,0.9,0.9,12,0
v,0904
v,0905,0.1,0.1,0.9,0.9,80,0
"""
FOUND = """v,902,0.0,0.0,0.5,1.0,12,0.9
v,903,0.1,0.1,0.9,0.9,12,0.2
v,904,0.1,0.1,0.9,0.9,12,0.8
v,906,0.1,0.1,0.9,0.9,12,0.7
v,902,0.0,0.0,0.5,1.0,80,0.9
"""


@pytest.fixture
def evaluate(tmp_path, capsys):
    def run(*options: str, truth: str = TRUTH, found: str = FOUND, exclusions: str | None = None, labels: str = LABELS):
        files = {"labelmap": labels, "groundtruth": truth, "detections": found, "exclusions": exclusions}
        arguments = []
        for name, text in files.items():
            if text is not None:
                (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
                arguments += [f"--{name}", str(tmp_path / name)]
        status = main(["evaluate", "detections", *arguments, *options])
        return status, capsys.readouterr()

    return run


def values(result) -> dict:
    status, printed = result
    assert status == 0, printed.err
    return json.loads(printed.out)


def test_frames_that_the_annotations_name_count(evaluate):
    """904 is named without boxes, so its detection is wrong; 906 is not named. Hits at ranks 1 and 3 of 2 boxes."""
    found = values(evaluate())
    assert found["classes"] == {"stand": pytest.approx((1 + 2 / 3) / 2), "answer phone": 0.0, "dance": None}
    assert found["mAP"] == pytest.approx((1 + 2 / 3) / 4)
    assert found["groups"] == {"pose": pytest.approx(5 / 6), "person-person": None, "person-object": 0.0}
    assert found["counts"] == {
        "frames": 2,
        "annotated": 3,
        "detected": 3,
        "annotated_left_out": 1,
        "detected_left_out": 2,
    }


def test_with_exclusions_all_other_frames_count(evaluate):
    """906 is now a wrong detection before the second hit, and 904 is left out."""
    found = values(evaluate(exclusions="v,0904\n"))
    assert found["classes"]["stand"] == pytest.approx((1 + 2 / 3) / 2)
    assert values(evaluate(exclusions="w,1\n"))["classes"]["stand"] == pytest.approx((1 + 2 / 4) / 2)


def test_capacity(evaluate):
    many = "".join(f"v,903,0.0,0.0,0.{n + 10},0.1,17,0.9\n" for n in range(50))
    assert values(evaluate(found=FOUND + many))["classes"]["stand"] == pytest.approx(0.5)
    assert values(evaluate("--capacity", "0", found=FOUND + many))["classes"]["stand"] == pytest.approx(5 / 6)


def test_numbers_of_actions_may_be_large(evaluate):
    """Beyond 16 bits they are sorted by rank, lest they and frames and places together outgrow 64."""

    def far(text: str) -> str:
        return text.replace(",12,", ",120000000,").replace(",17,", ",170000000,")

    large = LABELS.replace("id: 12", "id: 120000000").replace("id: 17", "id: 170000000")
    assert (
        values(evaluate(labels=large, truth=far(TRUTH), found=far(FOUND)))["classes"] == values(evaluate())["classes"]
    )


def test_no_detections(evaluate):
    assert values(evaluate(found=""))["mAP"] == 0.0


@pytest.mark.parametrize("name", ["labels", "truth", "found", "exclusions"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "crlf", "cr", "no last newline"])
def test_texts_of_editors(evaluate, name, encoding):
    files = {"labels": LABELS, "truth": TRUTH, "found": FOUND, "exclusions": "v,0904\n"}
    text = files[name]
    ends = {"crlf": text.replace("\n", "\r\n"), "cr": text.replace("\n", "\r"), "no last newline": text.rstrip("\n")}
    content = ends[encoding].encode() if encoding in ends else text.encode(encoding)
    assert values(evaluate(**files | {name: content})) == values(evaluate(**files))


# ---- what is said of what does not count


def said(result) -> list[str]:
    """What is on stderr, without the file's folder."""
    status, printed = result
    assert status == 0, printed.err
    return [line[line.index("detections: ") + len("detections: ") :] for line in printed.err.splitlines()]


def test_nothing_is_said_where_all_counts(evaluate):
    assert said(evaluate(found="v,902,0.0,0.0,0.5,1.0,12,0.9\n")) == []
    assert said(evaluate(found="")) == ["it holds no detections"]


def test_a_missing_score_is_one_and_is_said(evaluate):
    """As for the evaluator; but an eighth column must be a number."""
    bare = "".join(line.rpartition(",")[0] + "\n" for line in FOUND.splitlines()[:2])
    result = evaluate(found="\n" + bare + "v,904,0.1,0.1,0.9,0.9,12,0.8\n")
    assert said(result) == [
        "2 of 3 detections have no score, as at line 2; they count as 1, as for the official evaluator"
    ]
    assert values(result)["classes"]["stand"] == 1.0
    ones = bare.replace(",12\n", ",12,1\n")
    assert values(evaluate(found=ones)) == values(evaluate(found=bare))


BOX = "box 0.1, 0.1, 0.9, 0.9, action"
HALF = "box 0, 0, 0.5, 1, action"
WIDE = "box 0, 0, 160, 320, action 12"
ACTION = "detections do not count, as the label map does not have their action: line"
VIDEO = "detections do not count, as the annotations do not name their video: line"
TIME = "detections do not count, as the annotations do not name their time: line"
EXCLUDED = "detections do not count, as their frames are excluded: line"
EMPTY = "detections do not count, as their boxes are empty or inside out: line"
WRONG = "all 2 detections that count are wrong, as the annotations name none of their frames: line"
PIXELS = "detections have boxes in pixels, but those of the annotations are in [0, 1] of the picture: line"
THEIRS = "its boxes are in [0, 1] of the picture, but those of the annotations in pixels: line"


@pytest.mark.parametrize(
    ("found", "exclusions", "lines"),
    [
        (FOUND, None, [f"1 of 5 {ACTION} 5: 'v' at 902 s, {HALF} 80", f"1 of 5 {TIME} 4: 'v' at 906 s, {BOX} 12"]),
        (
            "w,902,0.1,0.1,0.9,0.9,12,1\nv,902.5,0.1,0.1,0.9,0.9,12,1\nw,903,0.1,0.1,0.9,0.9,80,1\n",
            None,
            [
                f"1 of 3 {ACTION} 3: 'w' at 903 s, {BOX} 80",
                f"1 of 3 {VIDEO} 1: 'w' at 902 s, {BOX} 12",
                f"1 of 3 {TIME} 2: 'v' at 902.5 s, {BOX} 12",
            ],
        ),
        (
            FOUND,
            "v,0902\nv,0904\n",
            [f"1 of 5 {ACTION} 5: 'v' at 902 s, {HALF} 80", f"2 of 5 {EXCLUDED} 1: 'v' at 902 s, {HALF} 12"],
        ),
        (
            "u,902,0.1,0.1,0.9,0.9,12,1\nw,902,0.1,0.1,0.9,0.9,12,1\n",
            "x,1\n",
            [f"{WRONG} 1: 'u' at 902 s, {BOX} 12"],
        ),
        ("u,902,0.1,0.1,0.9,0.9,12,1\nv,902,0.1,0.1,0.9,0.9,12,1\n", "x,1\n", []),
        (
            "v,902,0,0,160,320,12,1\nv,903,0.1,0.1,0.9,0.9,12,1\nv,903,-1,0,2,2,12,1\nv,903,-2.1,0,2,2,12,1\n",
            None,
            [f"2 of 4 {PIXELS} 1: 'v' at 902 s, {WIDE}"],
        ),
        (
            "v,902,0.5,0,0.5,1,12,1\nv,902,0,1,0.5,1,12,1\nv,902,-0.1,0,2,2,12,1\nv,902,0.6,0,0.5,1,12,1\n",
            None,
            [f"3 of 4 {EMPTY} 1: 'v' at 902 s, box 0.5, 0, 0.5, 1, action 12"],
        ),
    ],
)
def test_why_detections_do_not_count(evaluate, found, exclusions, lines):
    assert said(evaluate(found=found, exclusions=exclusions)) == lines


def test_annotations_in_pixels(evaluate):
    found = "v,902,0.0,0.0,0.5,1.0,12,0.9\n"
    pixels = TRUTH.replace("0.5,1.0", "160.0,320.0")
    assert said(evaluate(found=found, truth=pixels)) == [f"{THEIRS} 1: 'v' at 902 s, {WIDE}"]
    assert said(evaluate(found=found.replace("0.5,1.0", "160.0,320.0"), truth=pixels)) == []
    assert said(evaluate(found="", truth=pixels)) == ["it holds no detections"]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"truth": "v,0904\n"}, (), "annotates no box"),
        ({"truth": "v,1,0.5,0,0.4,1,12\n"}, (), r"groundtruth:1: the box [0.5, 0.0, 0.4, 1.0] is inside out"),
        ({"found": "v,1,0.5\n"}, (), "detections:1: 3 columns"),
        ({"found": FOUND + "\nv,902,0,0,1,1,12,\n"}, (), "detections:7: score is '', not a number"),
        ({"found": "v,902,0,0,1,1,12,nan\n"}, (), "detections:1: score is 'nan', not a number"),
        ({"found": "v,902,0,0,1,1,12\nv,902,0,0,1,1,12, NaN\n"}, (), "detections:2: score is ' NaN', not a number"),
        ({"found": "v,902,0,0,1,1,12,\x1c0.5\n"}, (), "detections:1: score is '\\x1c0.5', not a number"),
        ({"found": "v,902,0,0,1,1,12,\u00a00.5\n"}, (), "detections:1: score is '\\xa00.5', not a number"),
        ({"found": "v,902,0,0,1,1,12,inf\n"}, (), "detections:1: score is 'inf', not a number"),
        ({"found": "v,902,0,0,1,1,12,-inf\n"}, (), "detections:1: score is '-inf', not a number"),
        ({"found": "v,902,nan,0,1,1,12,1\n"}, (), "detections:1: x1 is 'nan', not a number"),
        (
            {"found": FOUND.encode("latin-1") + b"v\xe9,902,0,0,1,1,12,1\n"},
            (),
            "detections, line 6: byte 0xe9 is not UTF-8",
        ),
        ({"labels": LABELS.encode("utf-16-le")}, (), "labelmap, line 1: it has a zero byte"),
        ({}, ("--iou", "0"), "--iou 0.0 is not in (0, 1]"),
        ({}, ("--capacity", "-1"), "--capacity -1 is below 0"),
    ],
)
def test_what_is_refused(evaluate, changes, options, message):
    status, printed = evaluate(*options, **changes)
    assert status == 1
    assert message in printed.err
    assert printed.out == ""


def test_a_missing_file(tmp_path, capsys):
    missing = str(tmp_path / "none")
    files = (f"--{name}={missing}" for name in ("labelmap", "groundtruth", "detections"))
    assert main(["evaluate", "detections", *files]) == 1
    assert f"cannot read the file {Path(missing)}" in capsys.readouterr().err


PEOPLE = "".join(
    f"w,{time / 25:.6f},{place},12,{person}\n"
    for time in range(12)
    for person, place in enumerate(("0,0,0.4,1", "0.6,0,1,1"))
)


def test_video_map(evaluate):
    """Two actors of a class; one is found in 6 of 12 frames, and a tube of 6 frames is too short."""
    truth = PEOPLE + "w,0.5\n"
    found = [line.rpartition(",")[0] for line in PEOPLE.splitlines()]
    half = [f"{line},0.9\n" for line in found[::2]] + [f"{line},0.5\n" for line in found[1:13:2]]
    assert "video_mAP" not in values(evaluate(truth=truth, found="".join(half)))
    tubes = values(evaluate("--video-map", truth=truth, found="".join(half)))["video_mAP"]
    assert tubes == pytest.approx({"0.2": 0.5, "0.5": 0.5, "0.5:0.95": 0.5})
    whole = "".join(f"{line},0.9\n" for line in found)
    assert values(evaluate("--video-map", truth=truth, found=whole))["video_mAP"]["0.5:0.95"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("v,1,0,0,1,1,12,0\nv,2,0,0,1,1,12\n", "groundtruth:2: no number of a person"),
        ("v,1,0,0,1,1,12,0.5\n", "groundtruth:1: no number of a person"),
        ("v,1,0,0,1,1,12,3\n\nv,1,0,0,1,0.5,12,3\n", "groundtruth:3: person 3 has this action in this frame already"),
    ],
)
def test_video_map_needs_people_that_are_told_apart(evaluate, truth, message):
    status, printed = evaluate("--video-map", truth=truth)
    assert status == 1
    assert message in printed.err


# ---- anything

CELLS = (
    "",
    "x",
    "nan",
    "-inf",
    "-1",
    "1e-3",
    "1e400",
    "1_0",
    "902.5",
    "12.0",
    "true",
    "٣",
    " 0.5 ",
    '"0.5"',
    '"',
    "9" * 99,
)


def mutated(source: random.Random) -> str:
    rows = [line.split(",") for line in FOUND.splitlines()]
    for _ in range(source.choice((1, 1, 2))):
        row = source.choice(rows)
        place = source.randrange(len(row))
        row[place : place + source.choice((0, 1, 1, 1))] = [source.choice((*CELLS, "902", "903", "12", "0.25", "w"))]
    return "\n".join(",".join(row) for row in rows)


def read_by_the_rules(text: str) -> list[tuple[str, float, list[float], int, float]] | None:
    """Rows of detections as Python reads them; None where a number is none that is plain and finite."""
    found = []
    for row in csv.reader(io.StringIO(text)):
        try:
            assert all(re.fullmatch(r"[-+.0-9eE]+", cell.strip()) for cell in row[1:])
            numbers = [float(cell) for cell in row[1:]]
            assert np.isfinite(numbers).all()
            assert row[0]
            if len(row) != 2:
                time, *box, action, score = (numbers + [1.0])[:7]
                assert len(row) in (7, 8)
                assert action == int(action) >= 0
                assert abs(time) < 1e11
                assert action < 2**31
                found.append((row[0], time, box, int(action), score))
        except (AssertionError, ValueError):
            return None
    return found


def test_mutations(evaluate):
    """No traceback; what is plain is read, and counts as it does row by row."""
    source, good = random.Random(0), 0
    for _ in range(120):
        text = mutated(source)
        rows = read_by_the_rules(text)
        status, printed = evaluate(found=text, exclusions="w,0902\n")
        assert (status, "error: a bug" in printed.err) == (int(rows is None), False), text
        if rows is not None:
            good += 1
            plain = "".join(f"{v},{t},{','.join(map(repr, box))},{action},{s!r}\n" for v, t, box, action, s in rows)
            assert json.loads(printed.out) == values(evaluate(found=plain, exclusions="w,0902\n")), text
    assert 25 < good < 100
