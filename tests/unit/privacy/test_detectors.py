"""Each detector on real footage or on a model made for the test; results independent of threads and of frame size."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np
import pytest

from pipeline.config.detectors import DETECTORS, detectors_of
from pipeline.config.privacy import Auditor, FindSettings, SearchSettings
from pipeline.config.whole import Config
from pipeline.models.weights import WEIGHTS
from pipeline.privacy.boxes import iou
from pipeline.privacy.detect_people import detect_frame
from pipeline.privacy.detectors import _CODE, make_auditor, make_detector, runtimes
from pipeline.privacy.filters import hide
from pipeline.privacy.instances import Instances
from pipeline.runtime.errors import ActaError
from tests.unit.privacy.searching import settings, write_constant_model


@pytest.mark.parametrize("detector", ["retinaface", "centerface"])
def test_face_detectors_find_the_two_faces_of_every_frame(speech, detector):
    for frame in speech:
        found = detect_frame(make_detector(settings(detector)), frame, settings(detector))
        assert len(found) == 2
        left, right = found.boxes[found.boxes[:, 0].argsort()]
        assert 0.1 < left[0] < left[2] < 0.5 < right[0] < right[2] < 0.8


def test_the_two_face_detectors_agree(speech):
    for frame in speech:
        first, second = (
            detect_frame(make_detector(settings(d)), frame, settings(d)) for d in ("retinaface", "centerface")
        )
        assert (iou(first.boxes, second.boxes).max(axis=1) > 0.6).all()


def test_boxes_are_relative_so_they_hold_at_any_resolution(speech):
    found = [
        detect_frame(make_detector(settings("retinaface")), speech[0], settings("retinaface", long_side=s))
        for s in (None, 256)
    ]
    assert (
        np.abs(found[0].boxes[found[0].boxes[:, 0].argsort()] - found[1].boxes[found[1].boxes[:, 0].argsort()]).max()
        < 0.03
    )


@pytest.mark.parametrize("name", ["retinaface", "centerface", "ssdlite", "selfie", "pose"])
def test_results_do_not_depend_on_the_number_of_threads(speech, name):
    detector = make_auditor(name, 0.3)
    height, width = detector.input_size(240, 320)
    images = [f.to_ndarray(format="rgb24", width=width, height=height) for f in speech] * 2
    alone = [detector(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector, images))
    for first, second in zip(alone, together, strict=True):
        assert np.array_equal(first.boxes, second.boxes)
        assert np.array_equal(first.scores, second.scores)


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file that finds nothing: in a frame of 32 x 48 pixels no score reaches 0.5."""
    return write_constant_model(tmp_path_factory.mktemp("nobody") / "nobody.onnx", 0.1)


def search(config: Config, **changes: object) -> SearchSettings:
    """The shipped search for bodies with another detector of bodies."""
    return config.privacy.detect.search("bodies").model_copy(update=changes)


@pytest.mark.parametrize("detector", ["ssdlite", "selfie", "onnx"])
def test_whatever_finds_bodies_finds_what_faces_finds(config, speech, nobody, detector):
    """Faces of 25 pixels in a large picture, of which selfie sees 256 x 256 pixels, ssdlite 640, and onnx 32 x 48."""
    picture = np.full((720, 960, 3), 90, np.uint8)
    picture[300:444, 400:592] = cv2.resize(
        speech[1].to_ndarray(format="rgb24"), (192, 144), interpolation=cv2.INTER_AREA
    )
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    settings_ = search(config, detector=detector, weights=str(nobody) if detector == "onnx" else None)
    people = detect_frame(make_detector(settings_), frame, settings_)
    only = config.privacy.detect.search("faces")
    faces = detect_frame(make_detector(only), frame, only)
    assert len(faces) == 2
    white = np.full((720, 960), 255, np.uint8)
    hide([white], white.shape, people, config.privacy.obfuscate.bodies.model_copy(update={"filter": "solid"}), [0])
    bare = np.full((720, 960), 255, np.uint8)
    hide([bare], bare.shape, faces, config.privacy.obfuscate.faces.model_copy(update={"filter": "solid"}), [0])
    assert (white[bare == 0] == 0).all()
    for x1, _, x2, y2 in faces.boxes * [960, 720, 960, 720]:
        assert (white[int(y2) : int(y2) + 24, int(x1) : int(x2)] == 0).all(), "the body below the face"
    assert (white == 0).mean() < 0.2


def test_every_person_is_one_instance(config, speech):
    settings_ = search(config)
    for frame in speech:
        assert len(detect_frame(make_detector(settings_), frame, settings_)) == 2


def test_faces_of_bodies_are_found_with_their_own_settings(config, speech):
    """A threshold that no score reaches finds none, in bodies and in faces each by itself."""
    shipped = search(config)
    assert shipped.faces is not None
    none = shipped.faces.model_copy(update={"threshold": 1.0})
    without_bodies = search(config, threshold=1.0)
    assert len(detect_frame(make_detector(without_bodies), speech[0], without_bodies)) == 2
    without_both = search(config, threshold=1.0, faces=none)
    assert len(detect_frame(make_detector(without_both), speech[0], without_both)) == 0
    small = shipped.faces.model_copy(update={"long_side": 64})
    too_small = search(config, threshold=1.0, faces=small)
    assert len(detect_frame(make_detector(too_small), speech[0], too_small)) == 1


@pytest.mark.parametrize("what", ["faces", "bodies"])
def test_settings_that_say_nothing_of_faces_make_no_detector(config, what):
    """They would find bodies without their faces."""
    with pytest.raises(AttributeError, match="networks"):
        make_detector(getattr(config.privacy.detect, what))


def test_missing_weights_of_the_faces_are_an_error_of_bodies(config, tmp_path):
    shipped = search(config)
    assert shipped.faces is not None
    faces = shipped.faces.model_copy(update={"weights": str(tmp_path / "none.onnx")})
    with pytest.raises(ActaError, match=r"none\.onnx' of detector 'centerface' are not there"):
        make_detector(search(config, faces=faces))


@pytest.mark.parametrize(
    ("bodies", "faces", "packages"),
    [
        ("ssdlite", "centerface", ("onnxruntime",)),
        ("selfie", "retinaface", ("ai-edge-litert", "onnxruntime")),
        ("maskrcnn", "onnx", ("torch", "torchvision", "onnxruntime")),
        ("onnx", "onnx", ("onnxruntime",)),
    ],
)
def test_packages_that_run_detectors(bodies, faces, packages):
    assert runtimes([bodies, faces]) == packages


def test_every_detector_of_the_table_can_be_chosen_and_made():
    choices = get_args(FindSettings.model_fields["detector"].annotation)
    assert sorted(choices) == sorted(name for name, kind in DETECTORS.items() if kind.finds)
    assert set(get_args(Auditor)) <= DETECTORS.keys()
    assert _CODE.keys() == DETECTORS.keys()
    assert {name for kind in DETECTORS.values() for name in kind.weights} <= WEIGHTS.keys()


@pytest.mark.parametrize(
    ("what", "names"),
    [("faces", ("retinaface", "centerface", "onnx")), ("bodies", ("maskrcnn", "ssdlite", "selfie", "onnx"))],
)
def test_detectors_of_a_variant(what, names):
    assert detectors_of(what) == names


@pytest.mark.parametrize("name", ["ssdlite", "selfie"])
def test_detectors_for_the_cpu_alone(name):
    with pytest.raises(ActaError, match=f"detector '{name}' runs on the cpu, not on 'cuda'"):
        make_detector(settings(name, device="cuda"))


@pytest.mark.parametrize(
    ("name", "threshold"),
    [("retinaface", 0.4), ("centerface", 0.2), ("ssdlite", 0.2), ("selfie", 0.3), ("maskrcnn", 0.5), ("onnx", 0.5)],
)
def test_threshold_of_a_detector_where_the_settings_say_none(monkeypatch, tmp_path, name, threshold):
    (tmp_path / "weights").touch()
    made = []
    monkeypatch.setitem(_CODE, name, lambda *how: made.append(how))
    for given in (None, 0.0):
        make_detector(settings(name, weights=str(tmp_path / "weights"), threshold=given))
    assert [(file.path, *how) for file, *how in made] == [
        (tmp_path / "weights", threshold, "cpu"),
        (tmp_path / "weights", 0.0, "cpu"),
    ]


def test_weights_that_change_after_they_were_hashed_are_not_used(monkeypatch, tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    monkeypatch.setitem(_CODE, "onnx", lambda *how: "detector")
    how = settings("onnx", weights=str(path), threshold=0.3)
    stated = {"onnx": hashlib.sha256(b"one").hexdigest()}
    path.write_bytes(b"two")
    with pytest.raises(ActaError, match="the weights of 'onnx' were changed during the run; start it again"):
        make_detector(how, stated)
    assert make_detector(how, {"onnx": hashlib.sha256(b"two").hexdigest()}) == "detector"


def test_selfie_masks_cover_the_faces(speech):
    body = settings("selfie")
    for frame in speech:
        people = detect_frame(make_detector(body), frame, body)
        faces = detect_frame(make_detector(settings("retinaface")), frame, settings("retinaface"))
        canvas = np.zeros((256, 256), bool)
        for box, mask in zip(people.boxes, people.masks, strict=True):
            x1, y1, x2, y2 = (box * 256).round().astype(int)
            canvas[y1:y2, x1:x2] |= mask
        for box in faces.boxes:
            x1, y1, x2, y2 = (box * 256).round().astype(int)
            assert canvas[y1:y2, x1:x2].mean() > 0.8


def test_nothing_is_found_where_there_is_nothing():
    grey = np.full((256, 256, 3), 127, np.uint8)
    for name in ("retinaface", "centerface", "ssdlite", "selfie", "pose"):
        image = cv2.resize(grey, make_auditor(name, 0.3).input_size(256, 256)[::-1])
        assert len(make_auditor(name, 0.3)(image)) == 0


def test_a_failing_detector_marks_the_frame(speech):
    class Broken:
        def input_size(self, height: int, width: int) -> tuple[int, int]:
            return height, width

        def __call__(self, image: np.ndarray) -> Instances:
            raise RuntimeError("out of scratch memory")

    assert detect_frame(Broken(), speech[0], settings("retinaface")).failed
