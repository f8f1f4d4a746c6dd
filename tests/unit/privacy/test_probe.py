"""Settings that hide nothing, or too little, and auditors that see nothing are refused; unusual ones are named."""

from typing import Any

import numpy as np
import pytest

from pipeline.config.privacy import ObfuscateSettings, SearchSettings
from pipeline.privacy import probe
from pipeline.privacy.instances import Instances
from pipeline.privacy.probe import check_auditors, check_hiding, check_search
from pipeline.privacy.unusual import unusual
from pipeline.runtime.errors import ActaError

WHAT = ("faces", "bodies")


def search(config: Any, what: str, **changes: Any) -> SearchSettings:
    return config.privacy.detect.search(what).model_copy(update=changes)


def hiding(config: Any, what: str = "faces", **changes: Any) -> ObfuscateSettings:
    return getattr(config.privacy.obfuscate, what).model_copy(update=changes)


@pytest.mark.parametrize("what", WHAT)
def test_the_shipped_settings_find_and_hide(config, what) -> None:
    check_hiding(what, search(config, what), hiding(config, what))
    check_auditors(getattr(config.privacy.audit, what))


@pytest.mark.parametrize("detector", ["retinaface", "centerface"])
def test_each_detector_of_faces_finds_the_face(config, detector) -> None:
    check_search("faces", search(config, "faces", detector=detector))


@pytest.mark.parametrize("detector", ["ssdlite", "selfie"])
def test_each_detector_of_bodies_finds_the_person(config, detector) -> None:
    check_search("bodies", search(config, "bodies", detector=detector))


@pytest.mark.parametrize(
    ("what", "detector", "changes", "message"),
    [
        ("faces", "centerface", {"threshold": 1.0}, "centerface, from a score of 1 on, in pictures of at most 1280 "),
        ("faces", "retinaface", {"threshold": 1.0}, "retinaface, from a score of 1 on, in pictures of at most 1280 "),
        (
            "faces",
            "centerface",
            {"threshold": 0.95, "long_side": None},
            "centerface, from a score of 0.95 on, does not",
        ),
        (
            "faces",
            "retinaface",
            {"long_side": 64},
            "retinaface, from its own score of 0.4 on, in pictures of at most 6",
        ),
        (
            "bodies",
            "ssdlite",
            {"threshold": 1.0},
            "ssdlite, from a score of 1 on, in pictures of at most 640",
        ),
        ("bodies", "selfie", {"threshold": 1.0}, "selfie, from a score of 1 on"),
    ],
)
def test_settings_that_find_nothing(config, what, detector, changes, message) -> None:
    with pytest.raises(
        ActaError, match=rf"^{message}.* find the (face|person) on a clear photograph, so it would hide"
    ):
        check_search(what, search(config, what, detector=detector, **changes))


def test_bodies_are_not_enough_where_faces_are_not_found(config) -> None:
    faces = config.privacy.detect.search("bodies").faces
    blind = search(config, "bodies", faces=faces.model_copy(update={"threshold": 1.0}))
    with pytest.raises(ActaError, match=r"^centerface, from a score of 1 on, .* find the face"):
        check_search("bodies", blind)


def test_a_detector_that_fails_has_its_reason_told(config, monkeypatch) -> None:
    class Broken:
        def input_size(self, height: int, width: int) -> tuple[int, int]:
            return height, width

        def __call__(self, image: np.ndarray) -> Instances:
            raise RuntimeError("bad\n kernel")

    monkeypatch.setattr(probe, "make_detector", lambda settings: Broken())
    with pytest.raises(ActaError, match=r"photograph \(bad kernel\), so"):
        check_search("faces", search(config, "faces"))


def test_an_instance_elsewhere_is_not_the_face(config, monkeypatch) -> None:
    boxes = {"there": [0.36, 0.13, 0.53, 0.34], "elsewhere": [0.6, 0.13, 0.8, 0.34], "all": [0, 0, 1, 1]}
    for name, box in boxes.items():
        found = Instances.of(np.array([box]), np.ones(1))
        monkeypatch.setattr(probe, "_search", lambda detect, found=found: found)
        if name == "there":
            check_search("faces", search(config, "faces"))
        else:
            with pytest.raises(ActaError, match="does not find the face"):
                check_search("faces", search(config, "faces"))


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize(
    "changes",
    [
        {"filter": "solid", "enlarge": 1.0},
        {"filter": "frame", "kernel": 1.0},
        {"filter": "pixelate", "enlarge": 1.5, "blocks": 4},
        {"filter": "pixelate", "enlarge": 1.5, "blocks": 4, "shape": "ellipse"},
        {"filter": "blur", "enlarge": 1.0, "kernel": 0.5},
        {"filter": "blur", "enlarge": 1.0, "kernel": 1.0, "shape": "ellipse"},
    ],
)
def test_settings_that_hide(config, what, changes) -> None:
    check_hiding(what, search(config, what), hiding(config, what, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kernel": 0.1},
            r"^blur with enlarge 1\.5, kernel 0\.1 and blocks 4 leaves .*, or change `kernel`$",
        ),
        ({"kernel": 0.2, "enlarge": 1.0}, "^blur .* leaves the face on a clear photograph recognisable"),
        ({"filter": "pixelate", "blocks": 16}, r"^pixelate .* and blocks 16 leaves .*, or change `blocks`$"),
        ({"filter": "pixelate", "blocks": 64, "enlarge": 2.5}, "^pixelate .* leaves"),
        ({"filter": "pixelate", "blocks": 64, "shape": "ellipse"}, "^pixelate .* leaves"),
        ({"filter": "frame", "kernel": 0.01}, "^frame .* leaves .*, or change `kernel`$"),
    ],
)
def test_settings_that_leave_the_face_recognisable(config, changes, message) -> None:
    with pytest.raises(ActaError, match=message):
        check_hiding("faces", search(config, "faces"), hiding(config, **changes))


def test_bodies_in_a_fine_mosaic_leave_the_face_recognisable(config) -> None:
    with pytest.raises(ActaError, match=r"correlation 0\.\d\d of its detail, at most 0\.4 may stay"):
        check_hiding("bodies", search(config, "bodies"), hiding(config, "bodies", filter="pixelate", blocks=64))


def test_frame_needs_no_detector(config, monkeypatch) -> None:
    monkeypatch.setattr(probe, "make_detector", None)
    check_hiding("faces", search(config, "faces", threshold=1.0), hiding(config, filter="frame"))


def test_of_a_face_that_is_not_hidden_all_detail_is_left() -> None:
    image = probe._photograph()
    assert probe._correlation(image, image) == pytest.approx(1)
    assert probe._correlation(image, 255 - image) == pytest.approx(-1, abs=0.01)
    assert probe._untouched(image, image) == 1
    face = image[33:87, 92:136]
    assert probe._face(image).shape == face.shape
    hidden = image.copy()
    hidden[33:60] = 0
    assert probe._untouched(image, hidden) == pytest.approx(0.5, abs=0.01)


def test_a_box_that_holds_half_of_the_face_does_not_cover_it(config, monkeypatch) -> None:
    half = Instances.of(np.array([[0.36, 0.13, 0.53, 0.24]]), np.ones(1))
    monkeypatch.setattr(probe, "_search", lambda detect: half)
    with pytest.raises(ActaError, match=r"^what is found of the face .* does not cover it: 4\d % of it"):
        check_hiding("faces", search(config, "faces"), hiding(config, filter="solid", enlarge=1.0))
    check_hiding("faces", search(config, "faces"), hiding(config, filter="solid", enlarge=3.0))


@pytest.mark.parametrize(("what", "auditor"), [("faces", "centerface"), ("faces", "retinaface"), ("bodies", "pose")])
def test_auditors_that_find_nothing(config, what, auditor) -> None:
    check_auditors({auditor: 0.5})
    name = "face" if what == "faces" else "person"
    with pytest.raises(ActaError, match=rf"^the auditor {auditor}, from a score of 1 on, does not find the {name} on"):
        check_auditors({"retinaface": 0.4, auditor: 1.0})


def test_a_changed_photograph_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(probe, "_SHA256", "0" * 64)
    probe._photograph.cache_clear()
    with pytest.raises(ActaError, match=r"probe\.jpg is another photograph than it was: install acta again"):
        probe._photograph()
    monkeypatch.undo()
    assert probe._photograph().shape == (256, 256, 3)


def test_nothing_of_the_shipped_settings_is_unusual(config) -> None:
    for what in WHAT:
        detect, obfuscate = search(config, what).model_dump(), hiding(config, what).model_dump()
        assert unusual(detect, obfuscate, getattr(config.privacy.audit, what)) == []


def test_each_unusual_setting_is_a_phrase(config) -> None:
    faces = config.privacy.detect.faces.model_dump() | {"threshold": 0.21}
    detect = search(config, "bodies").model_dump() | {
        "threshold": 0.3,
        "long_side": 320,
        "interval": 0.5,
        "faces": faces,
    }
    obfuscate = hiding(config, "bodies").model_dump()
    assert unusual(detect, obfuscate | {"kernel": 0.9, "enlarge": 1.1}, {"pose": 0.51, "retinaface": 0.4}) == [
        "the blur's kernel is 0.9 of the longer side (usual: 1)",
        "boxes are enlarged 1.1 times (usual: 1.2 and more)",
        "ssdlite counts from a score of 0.3 on (its own: 0.2)",
        "ssdlite sees pictures of at most 320 pixels (usual: 640 and more)",
        "centerface counts from a score of 0.21 on (its own: 0.2)",
        "frames are searched at least every 0.5 s (usual: 0.1 s)",
        "the auditor pose counts from a score of 0.51 on (its own: 0.5)",
    ]
    assert unusual(detect, obfuscate | {"filter": "frame", "kernel": 0.5, "enlarge": 1.0, "blocks": 9}, {}) == [
        "the blur's kernel is 0.5 of the longer side (usual: 1)"
    ]
    usual = search(config, "faces").model_dump()
    assert unusual(usual, obfuscate | {"filter": "pixelate", "blocks": 5, "kernel": 0.1}, {}) == [
        "a mosaic has 5 blocks along the longer side (usual: 4)"
    ]
    assert unusual(usual, obfuscate | {"filter": "solid", "blocks": 5, "kernel": 0.1}, {}) == []


def test_a_setting_just_as_usual_is_no_phrase(config) -> None:
    detect = search(config, "faces").model_dump() | {"threshold": 0.2, "long_side": 640, "interval": 0.1}
    obfuscate = hiding(config).model_dump() | {"enlarge": 1.2, "kernel": 1.0, "blocks": 4}
    for name in ("blur", "pixelate", "solid", "frame"):
        assert unusual(detect, obfuscate | {"filter": name}, {"pose": 0.5, "retinaface": 0.1}) == []
    lax = obfuscate | {"enlarge": 1.19}
    for name in ("blur", "pixelate", "solid"):
        assert unusual(detect, lax | {"filter": name}, {}) == ["boxes are enlarged 1.19 times (usual: 1.2 and more)"]
    assert unusual(detect | {"threshold": 0.9}, lax | {"filter": "frame"}, {}) == []
