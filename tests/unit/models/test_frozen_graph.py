"""Frozen graphs, written here field by field: each operation, what is taken of a graph, and files that are none."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from pipeline.models.frozen_graph import onnx_of_frozen_graph
from pipeline.runtime.errors import ActaError


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def real(number: int, value: float) -> bytes:
    return varint(number << 3 | 5) + struct.pack("<f", value)


def node(name: str, op: str, inputs: Sequence[str] = (), **attributes: bytes) -> bytes:
    content = field(1, name) + field(2, op) + b"".join(field(3, source) for source in inputs)
    return field(1, content + b"".join(field(5, field(1, k) + field(2, v)) for k, v in attributes.items()))


def constant(name: str, values: np.ndarray, kind: int = 1) -> bytes:
    shape = b"".join(field(2, field(1, side)) for side in values.shape)
    return node(name, "Const", value=field(8, field(1, kind) + field(2, shape) + field(4, values.tobytes())))


def steps(*numbers: int) -> bytes:
    return field(1, field(3, b"".join(varint(number) for number in numbers)))


def convolution(name: str, op: str, inputs: Sequence[str], down: int = 1, right: int = 1, **changes: bytes) -> bytes:
    usual = {"strides": steps(1, down, right, 1), "dilations": steps(1, 1, 1, 1), "padding": field(2, "SAME")}
    return node(name, op, inputs, **(usual | changes))


RANDOM = np.random.default_rng(3)
IMAGE = RANDOM.normal(size=(1, 3, 7, 9)).astype(np.float32)


def weights(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def run(tmp_path: Path, graph: bytes, outputs: Sequence[str] = ("out",), image: np.ndarray = IMAGE) -> list[np.ndarray]:
    (tmp_path / "graph.pb").write_bytes(graph)
    model = onnx_of_frozen_graph(tmp_path / "graph.pb", "image", outputs)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": image})


def padded(image: np.ndarray, low: tuple[int, int], high: tuple[int, int]) -> torch.Tensor:
    return torch.nn.functional.pad(torch.from_numpy(image), (low[1], high[1], low[0], high[0]))


@pytest.mark.parametrize(
    ("down", "right", "high"),
    [(1, 1, (1, 1)), (2, 2, (1, 1)), (2, 1, (1, 1))],
)
def test_convolution_pads_as_tensorflow_does(tmp_path: Path, down: int, right: int, high: tuple[int, int]) -> None:
    kernel = weights(3, 3, 3, 4)
    (out,) = run(tmp_path, constant("w", kernel) + convolution("out", "Conv2D", ["image", "w"], down, right))
    moved = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    expected = torch.nn.functional.conv2d(padded(IMAGE, (1, 1), high), moved, stride=(down, right))
    assert out == pytest.approx(expected.numpy(), abs=1e-5)


def test_padding_of_an_even_picture_is_at_its_end(tmp_path: Path) -> None:
    image = weights(1, 3, 8, 8)
    kernel = weights(3, 3, 3, 2)
    graph = constant("w", kernel) + convolution("out", "Conv2D", ["image", "w"], 2, 2)
    (out,) = run(tmp_path, graph, image=image)
    moved = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    expected = torch.nn.functional.conv2d(padded(image, (0, 0), (1, 1)), moved, stride=2)
    assert out == pytest.approx(expected.numpy(), abs=1e-5)


def test_convolution_without_padding(tmp_path: Path) -> None:
    kernel = weights(2, 3, 3, 2)
    valid = convolution("out", "Conv2D", ["image", "w"], padding=field(2, "VALID"))
    (out,) = run(tmp_path, constant("w", kernel) + valid)
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(IMAGE), torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    )
    assert out.shape == (1, 2, 6, 7)
    assert out == pytest.approx(expected.numpy(), abs=1e-5)


def test_depthwise_convolution_with_two_kernels_a_channel(tmp_path: Path) -> None:
    kernel = weights(3, 3, 3, 2)
    graph = constant("w", kernel) + convolution("out", "DepthwiseConv2dNative", ["image", "w"])
    (out,) = run(tmp_path, graph)
    for channel in range(3):
        for k in range(2):
            one = torch.from_numpy(kernel[:, :, channel, k].copy())[None, None]
            expected = torch.nn.functional.conv2d(torch.from_numpy(IMAGE[:, channel : channel + 1]), one, padding=1)
            assert out[0, 2 * channel + k] == pytest.approx(expected.numpy()[0, 0], abs=1e-5)


def test_batch_norm(tmp_path: Path) -> None:
    scale, shift, mean, variance = weights(3), weights(3), weights(3), np.abs(weights(3))
    graph = b"".join(constant(n, v) for n, v in zip("abcd", (scale, shift, mean, variance), strict=True))
    (out,) = run(tmp_path, graph + node("out", "FusedBatchNorm", ["image", *"abcd"], epsilon=real(4, 0.25)))
    per_channel = [v[:, None, None] for v in (scale, shift, mean, variance)]
    expected = (IMAGE - per_channel[2]) / np.sqrt(per_channel[3] + 0.25) * per_channel[0] + per_channel[1]
    assert out == pytest.approx(expected, abs=1e-5)


def test_bias_sum_and_limits(tmp_path: Path) -> None:
    bias = np.array([-1, 0.5, 10], np.float32)
    graph = (
        constant("frozen", bias)
        + node("b", "Identity", ["frozen"])
        + node("biased", "BiasAdd", ["image", "b"])
        + node("same", "Identity", ["biased"])
        + node("sum", "Add", ["same", "image"])
        + node("out", "Relu6", ["sum"])
    )
    biased, out = run(tmp_path, graph, ["same", "out"])
    assert biased == pytest.approx(IMAGE + bias[:, None, None], abs=1e-6)
    assert out == pytest.approx(np.clip(2 * IMAGE + bias[:, None, None], 0, 6), abs=1e-6)
    assert out.max() == 6


def test_sides_whose_numbers_take_two_bytes(tmp_path: Path) -> None:
    """128 is written as 0x80 0x01."""
    image, bias = weights(1, 128, 2, 2), weights(128)
    (out,) = run(tmp_path, constant("b", bias) + node("out", "BiasAdd", ["image", "b"]), image=image)
    assert out == pytest.approx(image + bias[:, None, None], abs=1e-6)


def test_images_of_any_size_and_number(tmp_path: Path) -> None:
    image = weights(2, 3, 5, 4)
    (out,) = run(tmp_path, node("out", "Relu6", ["image"]), image=image)
    assert out == pytest.approx(np.clip(image, 0, 6))


def test_only_what_leads_to_the_outputs_is_converted(tmp_path: Path) -> None:
    graph = node("before", "Resize") + node("image", "Sub", ["before"]) + node("out", "Relu6", ["image"])
    (tmp_path / "graph.pb").write_bytes(graph + node("after", "Softmax", ["out"]))
    model = onnx_of_frozen_graph(tmp_path / "graph.pb", "image", ["out"])
    assert [made.op_type for made in model.graph.node] == ["Clip"]
    assert [value.name for value in model.graph.input] == ["image"]


def test_nodes_come_in_any_order_and_once(tmp_path: Path) -> None:
    graph = node("out", "Add", ["a", "b"]) + node("b", "Relu6", ["a"]) + node("a", "Relu6", ["image"])
    (out,) = run(tmp_path, graph)
    assert out == pytest.approx(2 * np.clip(IMAGE, 0, 6))


def test_fields_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    """The versions at a graph's end, and numbers of 32 and 64 bits that nothing here reads."""
    others = field(4, field(1, 22)) + varint(9 << 3 | 1) + bytes(8) + varint(10 << 3 | 5) + bytes(4) + field(3, 300)
    (out,) = run(tmp_path, others + node("out", "Relu6", ["image"]) + others)
    assert out == pytest.approx(np.clip(IMAGE, 0, 6))


KERNEL = constant("w", np.ones((1, 1, 3, 1), np.float32))


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (b"", "KeyError('out')"),
        (b"no graph at all", "ValueError('a field of type 6')"),
        (node("out", "Relu6", ["image"])[:-1], "ValueError('it ends too early')"),
        (b"\x0a\xff", "IndexError"),
        (node("out", "Relu6", ["absent"]), "KeyError('absent')"),
        (node("out", "Relu6", ["a"]) + node("a", "Add", ["image", "out"]), "'out' leads to itself"),
        (node("out", "Softmax", ["image"]), "the operation 'Softmax' of 'out' is unknown"),
        (KERNEL + convolution("out", "Conv2D", ["image", "w"], dilations=steps(1, 2, 1, 1)), "the dilation of 'out'"),
        (KERNEL + convolution("out", "Conv2D", ["image", "w"], padding=field(2, "EXPLICIT")), "EXPLICIT"),
        (node("w", "Variable") + convolution("out", "Conv2D", ["image", "w"]), "'w' is no constant"),
        (
            constant("w", np.ones((1, 1, 3, 1), np.int32), 3) + convolution("out", "Conv2D", ["image", "w"]),
            "'w' does not hold numbers of 32 bits",
        ),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path: Path, graph: bytes, reason: str) -> None:
    with pytest.raises(ActaError) as caught:
        run(tmp_path, graph)
    assert str(caught.value).startswith(
        f"{tmp_path / 'graph.pb'} is no frozen graph that leads from 'image' to ['out']: "
    )
    assert reason in str(caught.value)
