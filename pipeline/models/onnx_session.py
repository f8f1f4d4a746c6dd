"""Networks in onnxruntime: sessions that use one thread, on the device that was asked for."""

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from pipeline.models.opened import Opened, opened
from pipeline.runtime.errors import ActaError

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# Without TensorFloat-32, whose ten bits would move boxes, and without trying which convolution is fastest at each size.
_EXACT = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def start_session(model: bytes, device: str = "cpu") -> Any:
    """A one-thread session of a network with all its weights (`read_onnx`) on ``cpu`` or ``cuda``.

    It is never silently on another device than the one that was asked for, as onnxruntime's own would be.

    Raises:
        ActaError: this onnxruntime has no CUDA, or finds no GPU that it can use.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if device == "cpu":
        return onnxruntime.InferenceSession(model, options, providers=[_CPU])
    offered = onnxruntime.get_available_providers()
    if _CUDA not in offered:
        raise ActaError(
            f"device 'cuda' needs onnxruntime-gpu, but this onnxruntime only has {', '.join(offered)}; it takes the "
            "other's place: pip uninstall onnxruntime, then pip install onnxruntime-gpu"
        )
    with redirect_stdout(StringIO()):  # it lists what it does not find, even if nothing needs that
        onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(model, options, providers=[(_CUDA, _EXACT), _CPU])
    if session.get_providers()[0] != _CUDA:
        raise ActaError(
            "device 'cuda' was asked for, but onnxruntime finds no GPU that it can use, or not the libraries of CUDA "
            "and cuDNN that it was built for; nvidia-smi and `python -c 'import onnxruntime; "
            "onnxruntime.print_debug_info()'` say more"
        )
    return session


def read_onnx(source: Path | Opened) -> onnx.ModelProto:
    """A network from its file, which must hold all its weights: only what was hashed is loaded.

    Raises:
        ActaError: the file cannot be read as ONNX, or keeps weights in other files.
    """
    file = opened(source, "the weights")
    try:
        model = onnx.load_model_from_string(file.content)
    except Exception as error:  # protobuf's errors share no base class with onnx's
        raise ActaError(f"{file.path} cannot be read as ONNX: {error}") from None
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
            raise ActaError(
                f"{file.path} keeps weights in another file, {where!r}, which its hash does not cover; store it whole: "
                "onnx.save(onnx.load(path), path)"
            )
    return model


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Every tensor of a network, in whatever graph, function or attribute."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            if isinstance(part, onnx.TensorProto):
                yield part
            yield from _tensors(part)


def session_of_any_size(weights: Path | Opened, device: str) -> Any:
    """A session that takes images of any size, even if the file fixes one.

    Files of older exporters list their weights among the inputs and fix the input's size; without both, onnxruntime
    folds the batch norms into the convolutions and accepts any size.

    Raises:
        ActaError: the file cannot be read as ONNX, or as `start_session` says.
    """
    model = read_onnx(weights)
    constants = {initializer.name for initializer in model.graph.initializer}
    images = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(images)
    for value in [*model.graph.input, *model.graph.output]:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if axis != 1:
                dimension.dim_param = f"{value.name}_{axis}"
    return start_session(model.SerializeToString(), device)
