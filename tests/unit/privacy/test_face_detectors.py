"""An own ONNX model as a detector of faces: the documented contract, and files that do not keep to it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.privacy.detect_people import detect_frame
from pipeline.privacy.detectors import make_detector
from pipeline.runtime.errors import ActaError
from tests.unit.privacy.searching import settings, write_constant_model


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file of the documented contract: two boxes with a mask, the score of the first is the mean brightness."""
    return write_constant_model(tmp_path_factory.mktemp("onnx") / "own.onnx", 1.0)


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
