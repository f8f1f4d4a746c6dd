"""``acta evaluate-detections``: which frames and rows count, and what is refused."""

import json
from pathlib import Path

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
                (tmp_path / name).write_text(text)
                arguments += [f"--{name}", str(tmp_path / name)]
        status = main(["evaluate-detections", *arguments, *options])
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
        return text.replace(",12,", ",1200000000000000,").replace(",17,", ",1700000000000000,")

    large = LABELS.replace("id: 12", "id: 1200000000000000").replace("id: 17", "id: 1700000000000000")
    assert (
        values(evaluate(labels=large, truth=far(TRUTH), found=far(FOUND)))["classes"] == values(evaluate())["classes"]
    )


def test_no_detections(evaluate):
    assert values(evaluate(found=""))["mAP"] == 0.0


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"truth": "v,0904\n"}, (), "annotates no box"),
        ({"truth": "v,1,0.5,0,0.4,1,12\n"}, (), r"groundtruth:1: the box [0.5, 0.0, 0.4, 1.0] is inside out"),
        ({"found": "v,1,0.5\n"}, (), "detections:1: 3 columns"),
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
    assert (
        main(
            [
                "evaluate-detections",
                *(x for n in ("labelmap", "groundtruth", "detections") for x in (f"--{n}", missing)),
            ]
        )
        == 1
    )
    assert f"cannot read {Path(missing)}" in capsys.readouterr().err


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
