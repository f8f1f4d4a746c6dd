"""Settings of a search, and a network of their own."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.config.privacy import SearchSettings


def settings(detector: str, **changes: object) -> SearchSettings:
    """A search with one network, of every picture at its own size."""
    values = {
        "weights": None,
        "threshold": None,
        "long_side": None,
        "interval": 0.0,
        "search_rotated": False,
        "fill_gap": 0,
        "device": "cpu",
        "faces": None,
    } | changes
    return SearchSettings(detector=detector, **values)


def write_constant_model(path: Path, brightest: float) -> Path:
    """Two boxes with a mask; their scores are the mean brightness times ``brightest``, and 0.05."""
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
            numpy_helper.from_array(np.asarray(v), k)
            for k, v in (constants | {"all_boxes": boxes, "all_masks": masks}).items()
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path
