"""Convolutional networks in TensorFlow's frozen graphs (``.pb``), as ONNX models.

TensorFlow itself is not needed: a graph is a protocol buffer of nodes (tensorflow/core/framework/graph.proto), read
here field by field. Only the part between some tensors is converted, so that what each detector does in its own way,
scaling before and suppression after, stays outside.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pipeline.models.opened import Opened, opened
from pipeline.runtime.errors import ActaError

_FLOAT = 1  # DT_FLOAT
# The number of constants at the end of a node's inputs.
_CONSTANTS = {"Conv2D": 1, "DepthwiseConv2dNative": 1, "BiasAdd": 1, "FusedBatchNorm": 4}


@dataclass(frozen=True)
class _Node:
    name: str
    op: str
    inputs: list[str]
    attributes: dict[str, bytes]


def onnx_of_frozen_graph(source: Path | Opened, image: str, outputs: Sequence[str]) -> onnx.ModelProto:
    """The part of a frozen graph between a tensor and some others, for images of any size.

    Args:
        source: The graph.
        image: Name of the tensor to feed: (n, height, width, channels) there, (n, channels, height, width) here.
        outputs: Names of the tensors to give, in the same layouts.

    Raises:
        ActaError: the file is no frozen graph, lacks a tensor, or has an operation that is not known here.
    """
    file = opened(source, "the weights")
    try:
        return _convert({node.name: node for node in _nodes(file.content)}, image, outputs)
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise ActaError(
            f"{file.path} is no frozen graph that leads from {image!r} to {list(outputs)}: {error!r}"
        ) from None


def _convert(nodes: dict[str, _Node], image: str, outputs: Sequence[str]) -> onnx.ModelProto:
    made: list[onnx.NodeProto] = []
    weights: dict[str, np.ndarray] = {}
    done, opened, waiting = {image}, set[str](), list(outputs)
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        node = nodes[name]
        data = node.inputs[: len(node.inputs) - _CONSTANTS.get(node.op, 0)]
        missing = [source for source in data if source not in done]
        if missing and name in opened:
            raise ValueError(f"{name!r} leads to itself")
        if missing:
            opened.add(name)
            waiting += [name, *missing]
            continue
        made.append(_translated(node, nodes, weights))
        done.add(name)
    axes = ["count", "channels", "height", "width"]
    graph = helper.make_graph(
        made,
        "frozen",
        [helper.make_tensor_value_info(image, onnx.TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _translated(node: _Node, nodes: dict[str, _Node], weights: dict[str, np.ndarray]) -> onnx.NodeProto:
    """The ONNX node of the same name; its constants are added to ``weights`` in ONNX's layout."""
    count = _CONSTANTS.get(node.op, 0)
    constants = [_constant(nodes, name) for name in node.inputs[len(node.inputs) - count :]]
    options: dict[str, Any] = {}
    match node.op:
        case "Conv2D":
            constants = [constants[0].transpose(3, 2, 0, 1)]  # height, width, in, out -> out, in, height, width
            op, options = "Conv", _window(node)
        case "DepthwiseConv2dNative":
            groups = constants[0].shape[2]
            kernels = constants[0].transpose(2, 3, 0, 1)
            constants = [kernels.reshape(-1, 1, *kernels.shape[2:])]
            op, options = "Conv", _window(node) | {"group": groups}
        case "FusedBatchNorm":
            (epsilon,) = struct.unpack("<f", _only(node.attributes["epsilon"], 4))
            op, options = "BatchNormalization", {"epsilon": epsilon}
        case "BiasAdd":
            op, constants = "Add", [constants[0].reshape(1, -1, 1, 1)]
        case "Relu6":
            op, constants = "Clip", [np.array(0, np.float32), np.array(6, np.float32)]
        case "Add" | "Identity":
            op = node.op
        case _:
            raise ValueError(f"the operation {node.op!r} of {node.name!r} is unknown")
    names = [f"{node.name}:{k}" for k in range(len(constants))]
    weights.update(zip(names, constants, strict=True))
    return helper.make_node(op, [*node.inputs[: len(node.inputs) - count], *names], [node.name], **options)


def _window(node: _Node) -> dict[str, Any]:
    """Strides and padding of a convolution."""
    _, down, right, _ = _integers(_only(_only(node.attributes["strides"], 1), 3))
    padding = {b"SAME": "SAME_UPPER", b"VALID": "VALID"}[_only(node.attributes["padding"], 2)]
    if any(step != 1 for step in _integers(_only(_only(node.attributes["dilations"], 1), 3))):
        raise ValueError(f"the dilation of {node.name!r} is unknown")
    return {"strides": [down, right], "auto_pad": padding}


def _constant(nodes: dict[str, _Node], name: str) -> np.ndarray:
    node = nodes[name]
    while node.op == "Identity":
        node = nodes[node.inputs[0]]
    if node.op != "Const":
        raise ValueError(f"{name!r} is no constant")
    tensor = dict(_fields(_only(node.attributes["value"], 8)))
    if tensor[1] != _FLOAT:
        raise ValueError(f"{name!r} does not hold numbers of 32 bits")
    shape = [_only(size, 1) for _, size in _fields(tensor[2])]
    return np.frombuffer(tensor[4], "<f4").reshape(shape)


def _nodes(content: bytes) -> Iterator[_Node]:
    for number, value in _fields(content):
        if number != 1:
            continue
        inputs, attributes, texts = [], {}, {}
        for part, field in _fields(value):
            if part == 3:
                inputs.append(field.decode())
            elif part == 5:
                attributes[_only(field, 1).decode()] = _only(field, 2)
            else:
                texts[part] = field.decode()
        yield _Node(texts[1], texts[2], inputs, attributes)


def _only(message: bytes, number: int) -> Any:
    """The field of that number; the last one where there are several."""
    return dict(_fields(message))[number]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of every field of a message; a value is an int or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"a field of type {kind}")
        size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        at += size
        if at > len(message):
            raise ValueError("it ends too early")
        yield key >> 3, message[at - size : at]


def _integers(packed: bytes) -> list[int]:
    numbers, at = [], 0
    while at < len(packed):
        number, at = _varint(packed, at)
        numbers.append(number)
    return numbers


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            return value, at
