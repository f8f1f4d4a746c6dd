"""Each detector on real footage or on a model made for the test; results independent of threads and of frame size."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

from pipeline.config.detectors import DETECTORS, detectors_of
from pipeline.config.privacy import Auditor, FindSettings, SearchSettings
from pipeline.config.whole import Config
from pipeline.models.weights import WEIGHTS
from pipeline.privacy.body_detectors import MaskRCNN
from pipeline.privacy.boxes import iou
from pipeline.privacy.detect_people import detect_frame
from pipeline.privacy.detectors import _CODE, make_auditor, make_detector, runtimes
from pipeline.privacy.filters import hide
from pipeline.privacy.instances import Instances
from pipeline.runtime.errors import ActaError


def settings(detector: str, **changes: object) -> SearchSettings:
    """A search with one network, of every picture at its own size."""
    values = {
        "weights": None,
        "threshold": None,
        "long_side": None,
        "interval": 0.0,
        "turned": False,
        "fill_gap": 0,
        "device": "cpu",
        "faces": None,
    } | changes
    return SearchSettings(detector=detector, **values)


@pytest.fixture(scope="module")
def speech(footage: Path) -> list[av.VideoFrame]:
    with av.open(str(footage / "giving_speech/obama_speech.mp4")) as container:
        return [frame for k, frame in enumerate(container.decode(video=0)) if k % 35 == 0]


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
    return _constant_model(tmp_path_factory.mktemp("nobody") / "nobody.onnx", 0.1)


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


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file of the documented contract: two boxes with a mask, the score of the first is the mean brightness."""
    return _constant_model(tmp_path_factory.mktemp("onnx") / "own.onnx", 1.0)


def _constant_model(path: Path, brightest: float) -> Path:
    boxes = np.array([[0.25, 0.25, 0.75, 0.5], [0, 0, 0.1, 0.1]], np.float32)
    masks = np.zeros((2, 4, 4), np.float32)
    masks[:, :2] = 1
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "full"], ["share"]),
        helper.make_node("Reshape", ["share", "one"], ["first"]),
        helper.make_node("Concat", ["first", "low"], ["scores"], axis=0),
        helper.make_node("Identity", ["all_boxes"], ["boxes"]),
        helper.make_node("Identity", ["all_masks"], ["masks"]),
    ]
    constants = {
        "full": np.float32(255 / brightest),
        "one": np.array([1], np.int64),
        "low": np.array([0.05], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 48])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [2, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("masks", TensorProto.FLOAT, [2, 4, 4]),
        ],
        [
            onnx.numpy_helper.from_array(np.asarray(v), k)
            for k, v in (constants | {"all_boxes": boxes, "all_masks": masks}).items()
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def test_an_own_onnx_model_is_used_as_documented(own_model, speech):
    own = settings("onnx", weights=str(own_model), threshold=0.1)
    found = detect_frame(make_detector(own), speech[0], own)
    assert found.boxes.tolist() == [[0.25, 0.25, 0.75, 0.5]]
    assert found.masks[0] is not None
    assert found.masks[0].tolist() == [[True] * 4] * 2 + [[False] * 4] * 2
    assert make_detector(own).input_size(720, 1280) == (32, 48)


def test_onnx_without_weights_says_what_is_missing():
    with pytest.raises(ActaError, match="'onnx' needs `weights`"):
        make_detector(settings("onnx"))


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "bad.onnx").write_text("no model")
    for name in ("onnx", "retinaface"):
        with pytest.raises(ActaError, match=r"bad\.onnx cannot be (loaded|read) as ONNX"):
            make_detector(settings(name, weights=str(tmp_path / "bad.onnx")))


def test_a_model_with_other_outputs_is_refused(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["features"])],
        "other",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), tmp_path / "other.onnx"
    )
    with pytest.raises(ActaError, match=r"outputs \['features'\]; one image in, `boxes` and `scores`"):
        make_detector(settings("onnx", weights=str(tmp_path / "other.onnx")))


@pytest.mark.parametrize("place", ["graph", "node", "branch", "function"])
def test_onnx_with_weights_in_other_files_is_refused(tmp_path, place):
    """Its hash would not cover them, and they are opened wherever the file says."""
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    constant = helper.make_node("Constant", [], ["x"], value=tensor)
    branch = helper.make_graph([constant], "branch", [], [])
    nodes = [helper.make_node("If", ["a"], ["b"], then_branch=branch)] if place == "branch" else []
    graph = helper.make_graph(nodes, "g", [], [])
    model = helper.make_model(graph)
    if place == "graph":
        model.graph.initializer.append(tensor)
    elif place == "node":
        model.graph.node.append(constant)
    elif place == "function":
        model.functions.append(helper.make_function("d", "f", [], ["x"], [constant], []))
    (tmp_path / "outside.onnx").write_bytes(model.SerializeToString())
    for name in ("onnx", "retinaface", "centerface"):
        with pytest.raises(ActaError) as caught:
            make_detector(settings(name, weights=str(tmp_path / "outside.onnx")))
        assert str(caught.value) == (
            f"{tmp_path / 'outside.onnx'} keeps weights in another file, '../secret', which its hash does not cover; "
            "store it whole: onnx.save(onnx.load(path), path)"
        )


@pytest.fixture(scope="module")
def maskrcnn_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of the right shape; its numbers are random, so only the plumbing is tested (no weights ship)."""
    path = tmp_path_factory.mktemp("maskrcnn") / "weights.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    torch.save(model.state_dict(), path)
    return path


def test_maskrcnn_keeps_people_only_with_masks_over_their_boxes(maskrcnn_weights):
    detector = MaskRCNN(maskrcnn_weights, 0.0)
    height, width = 60, 80
    full = torch.zeros(2, 1, height, width)
    full[0, 0, 10:30, 20:40] = 0.9

    def answer(images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        assert images[0].shape == (3, height, width)
        assert float(images[0].max()) <= 1
        boxes = torch.tensor([[20.0, 10, 40, 50], [0, 0, 10, 10]])
        return [{"boxes": boxes, "labels": torch.tensor([1, 17]), "scores": torch.tensor([0.8, 0.9]), "masks": full}]

    detector._model = answer  # what the network says is given; what is made of it is tested
    found = detector(np.full((height, width, 3), 255, np.uint8))
    assert found.boxes.tolist() == [[0.25, pytest.approx(1 / 6), 0.5, pytest.approx(5 / 6)]]
    assert found.masks[0] is not None
    assert found.masks[0].shape == (40, 20)
    assert found.masks[0][:20].all()
    assert not found.masks[0][20:].any()


def test_maskrcnn_runs_on_a_state_dict_and_refuses_others(maskrcnn_weights, tmp_path):
    found = MaskRCNN(maskrcnn_weights, 0.9)(np.zeros((64, 64, 3), np.uint8))
    assert isinstance(found, Instances)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ActaError, match=r"other\.pth holds the weights of another architecture: 363 missing"):
        MaskRCNN(tmp_path / "other.pth", 0.5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_maskrcnn_on_cuda_without_a_gpu_is_an_error(maskrcnn_weights):
    with pytest.raises(ActaError, match="torch sees no GPU"):
        MaskRCNN(maskrcnn_weights, 0.5, "cuda")


def test_a_failing_detector_marks_the_frame(speech):
    class Broken:
        def input_size(self, height: int, width: int) -> tuple[int, int]:
            return height, width

        def __call__(self, image: np.ndarray) -> Instances:
            raise RuntimeError("out of scratch memory")

    assert detect_frame(Broken(), speech[0], settings("retinaface")).failed
