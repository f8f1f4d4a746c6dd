"""Where face detectors run: the choice of onnxruntime's provider, with a stand-in for the GPU that is not here."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from pipeline.models import onnx_session as module
from pipeline.models.weights import cache_folder, open_weights
from pipeline.privacy.detectors import make_auditor
from pipeline.privacy.face_detectors import CenterFace, OnnxModel, RetinaFace
from pipeline.runtime.errors import ActaError
from tests import PROJECT

DETECTORS = [RetinaFace, CenterFace, OnnxModel]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network of which only its input matters."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("boxes", "scores")]
    nodes = [helper.make_node("Identity", ["image"], [name]) for name in ("boxes", "scores")]
    graph = helper.make_graph(nodes, "made", [image], outputs)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


class Gpu:
    """Stands in for onnxruntime-gpu; it remembers what it was asked for."""

    SessionOptions = onnxruntime.SessionOptions

    def __init__(self, found: bool = True):
        self.calls: list[Any] = []
        self._found = found

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self) -> None:
        print("Failed to load libcudart.so")
        self.calls.append("libraries")

    def InferenceSession(self, model: Any, options: Any, providers: list[Any]) -> Any:  # noqa: N802
        self.calls.append(providers)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        if self._found:
            session.get_providers = self.get_available_providers  # type: ignore[method-assign]
        return session


@pytest.mark.parametrize("detector", DETECTORS)
def test_on_a_gpu_it_is_asked_for_first_and_exactly(detector: Any, model: Path, monkeypatch: Any, capsys: Any) -> None:
    gpu = Gpu()
    monkeypatch.setattr(module, "onnxruntime", gpu)
    detector(model, 0.5, "cuda")
    exact = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    assert gpu.calls == ["libraries", [("CUDAExecutionProvider", exact), "CPUExecutionProvider"]]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("detector", DETECTORS)
def test_on_the_cpu_no_gpu_is_asked_for(detector: Any, model: Path, monkeypatch: Any) -> None:
    gpu = Gpu()
    monkeypatch.setattr(module, "onnxruntime", gpu)
    detector(model, 0.5)
    assert gpu.calls == [["CPUExecutionProvider"]]


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_gpu_that_cannot_be_used_is_an_error_and_no_slow_success(
    detector: Any, model: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "onnxruntime", Gpu(found=False))
    with pytest.raises(ActaError, match="onnxruntime finds no GPU that it can use"):
        detector(model, 0.5, "cuda")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="onnxruntime-gpu is here")
@pytest.mark.parametrize("detector", DETECTORS)
def test_without_onnxruntime_gpu_the_error_says_how_to_get_it(detector: Any, model: Path) -> None:
    with pytest.raises(ActaError, match=r"needs onnxruntime-gpu.* pip install onnxruntime-gpu"):
        detector(model, 0.5, "cuda")


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["retinaface", "centerface"])
def test_boxes_on_a_gpu_are_those_on_the_cpu(footage: Path, name: str) -> None:
    image = np.ascontiguousarray(cv2.imread(str(footage / "astronaut.png"))[..., ::-1])
    kind = RetinaFace if name == "retinaface" else CenterFace
    here, there = make_auditor(name, 0.4)(image), kind(open_weights(name), 0.4, "cuda")(image)
    assert here.boxes == pytest.approx(there.boxes, abs=1e-3)


def test_the_runtime_reports_to_nobody(tmp_path) -> None:
    """onnxruntime would keep a number for the device in the home folder, and one for the session with the rest."""
    made = "from pipeline.privacy.detectors import make_auditor; make_auditor('retinaface', 0.5)"
    places = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "ACTA_CACHE": str(cache_folder().parent)}
    kept = {
        name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    subprocess.run([sys.executable, "-c", made], check=True, env=kept | places, cwd=PROJECT)
    assert list(tmp_path.rglob("*")) == []
