"""Task `export_network`: a network as files that run without this project, and its cost compared with the base network.

``model.pt2`` is a `torch.export` program, ``model.onnx`` the same for ONNX runtimes. Both take uint8 RGB clips
(n, t, 3, side, side) and give logits (n, classes), whose softmax are the classes' scores; ``export.json`` says which
frames of a video, at which frame rate and size, make such a clip, and names the classes.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.config.tasks.shrink import ExportNetwork
from pipeline.models.activations import peak_activations
from pipeline.models.architecture import BASES, Architecture, frames_needed
from pipeline.models.classifier_file import Description, load_model
from pipeline.models.opened import Opened
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, atomic, write_json
from pipeline.runtime.wheels import file_sha256

_CLIPS = 8
_TOLERANCE = 1e-4
_ROUNDS = 30


class Packaged(nn.Module):
    """A network with what comes before it: normalisation and the choice of each pathway's frames."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, architecture: Architecture):
        super().__init__()
        self.network = network
        base = BASES[architecture.backbone]
        self.register_buffer("mean", torch.tensor(base.mean).view(3, 1, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(base.std).view(3, 1, 1, 1) * 255)
        order = {position: index for index, position in enumerate(frames_needed([architecture]))}
        self._views = [[order[position] for position in pathway] for pathway in architecture.pathways]

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (n, classes) of uint8 RGB clips (n, t, 3, side, side)."""
        frames = (clips.float().transpose(1, 2) - self.mean) / self.std
        views = [frames[:, :, wanted] for wanted in self._views]
        logits: Tensor = self.network(views)
        return logits


def export_network(model: Path, base: Path, output: Output, settings: ExportNetwork) -> None:
    """Write ``model.pt2``, ``model.onnx`` and ``export.json`` into a folder.

    Args:
        model: Model file of the network.
        base: Model file of the network that it was made from, for the comparison.
        output: The folder to write.
        settings: Where and on how many threads latency is measured.

    Raises:
        ActaError: an exported file does not agree with PyTorch to 1e-4 on random clips.
    """
    file = Opened(model, "the model file")
    network, description = load_model(file)
    architecture = description.architecture
    packaged = Packaged(network, architecture).eval()
    clips = random_clips(description, _CLIPS)
    with pinned_threads(settings.threads):
        with torch.inference_mode():
            wanted = packaged(clips).numpy()
        program = torch.export.export(packaged, (clips,), dynamic_shapes=({0: torch.export.Dim("clips")},))
        with atomic(output / "model.pt2") as temporary:
            torch.export.save(program, temporary)
        differences = {
            "torch.export": _difference(wanted, _run_program(output / "model.pt2", clips)),
            "onnx": _difference(wanted, _run_onnx(program, clips, output / "model.onnx", settings.threads)),
        }
        for name, difference in differences.items():
            if not difference <= _TOLERANCE:
                raise ActaError(f"{model}: the exported {name} file differs from PyTorch by {difference:.2g}")
        measured = measure([model, base], settings)
    view = description.view.test
    write_json(
        output / "export.json",
        {
            "classes": description.classes,
            "clip": {
                "frames_per_second": description.rate,
                "positions": frames_needed([architecture]),
                "resize": {"size": view.size, "short_side": view.short_side and view.short_side[0]},
                "crop": view.crop,
                "side": architecture.pixels(view.crop),
                "pixels": "uint8 RGB (n, t, 3, side, side): resized, the centre cropped, and resized to side",
            },
            "agreement": {"clips": _CLIPS, "largest_difference": differences, "tolerance": _TOLERANCE},
            "cost": {**settings.model_dump(include={"device", "threads"}), "network": measured[0], "base": measured[1]},
            "model": {"sha256": file.sha256, "base": file_sha256(base)},
        },
    )


def random_clips(description: Description, count: int) -> Tensor:
    """Uniform noise as a network's exported file takes it, the same in every run."""
    architecture = description.architecture
    side = architecture.pixels(description.view.test.crop)
    shape = (count, len(frames_needed([architecture])), 3, side, side)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def measure(models: Sequence[Path], settings: ExportNetwork) -> list[dict[str, Any]]:
    """Latency and memory of networks on one clip, measured in turns, so that all see the same machine.

    Returns:
        For each: ``latency_ms`` (median), ``latency_ms_quartiles``, ``peak_memory_mb`` (the largest total of
        activations alive at once, as measured in a run; on a GPU the allocator's peak, its weights included),
        ``weights_mb``.
    """
    device = torch.device(settings.device)
    check_device(device.type)
    networks = []
    for model in models:
        network, description = load_model(model)
        packaged = Packaged(network, description.architecture).eval()
        networks.append((packaged, random_clips(description, 1).to(device)))
    seconds: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        peaks = [_peak_memory(network, clip) for network, clip in networks]
        for network, _ in networks:
            network.to(device)
        for turn in range(_ROUNDS + 3):
            for number, (network, clip) in enumerate(networks):
                began = time.perf_counter()
                _run(network, clip)
                if turn >= 3:  # the first rounds choose algorithms and fill caches
                    seconds[number].append(time.perf_counter() - began)
    return [
        {
            "latency_ms": 1e3 * statistics.median(times),
            "latency_ms_quartiles": [1e3 * value for value in statistics.quantiles(times, n=4)[::2]],
            "weights_mb": sum(p.nbytes for p in network.parameters()) / 1e6,
            "peak_memory_mb": peak / 1e6,
        }
        for (network, _), times, peak in zip(networks, seconds, peaks, strict=True)
    ]


def _run(network: nn.Module, clip: Tensor) -> None:
    network(clip)
    if clip.is_cuda:
        torch.cuda.synchronize(clip.device)


def _peak_memory(network: nn.Module, clip: Tensor) -> int:
    """Bytes, with no other network on the device; the network is left on the CPU."""
    if not clip.is_cuda:
        return peak_activations(lambda: network(clip))
    network.to(clip.device)
    torch.cuda.reset_peak_memory_stats(clip.device)
    _run(network, clip)
    peak = torch.cuda.max_memory_allocated(clip.device)
    network.to("cpu")
    return peak


def _run_program(path: Path, clips: Tensor) -> np.ndarray:
    with torch.inference_mode():
        logits: np.ndarray = torch.export.load(path).module()(clips).numpy()
    return logits


def _run_onnx(program: torch.export.ExportedProgram, clips: Tensor, path: Path, threads: int) -> np.ndarray:
    import onnxruntime

    exported = torch.onnx.export(program, input_names=["clips"], output_names=["logits"], verbose=False)
    assert exported is not None
    with atomic(path) as temporary:
        exported.save(str(temporary))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    logits: np.ndarray = session.run(None, {session.get_inputs()[0].name: clips.numpy()})[0]
    return logits


def _difference(wanted: np.ndarray, outputs: np.ndarray) -> float:
    return float(np.abs(wanted - outputs).max()) if wanted.shape == outputs.shape else float("inf")
