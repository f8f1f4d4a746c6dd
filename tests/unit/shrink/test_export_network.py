"""Exported networks: they run without this project, and say the same."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from pipeline.config.classify import ViewSettings
from pipeline.config.tasks.shrink import ExportNetwork
from pipeline.models.architecture import Architecture, frames_needed, parse_reductions
from pipeline.models.backbones import build, pathways
from pipeline.models.classifier_file import Description, load_model, save_model
from pipeline.runtime.errors import ActaError
from pipeline.shrink import export_network as export
from pipeline.shrink.export_network import Packaged, export_network

SETTINGS = ExportNetwork(device="cpu", threads=1)
NETWORKS = {
    "r2plus1d": Architecture("r2plus1d_18", 3, 0.05, (2, 1, 1, 1), 8),
    "r3d": Architecture("r3d_18", 3, 0.05, (1, 1, 1, 1), 8, parse_reductions("c,f,s")),
    "slowfast": Architecture("slowfast_4x16_r50", 3, 0.05, (1, 1, 1, 1), 64, parse_reductions("c,s,t,s,f")),
}


def write(folder: Path, architecture: Architecture) -> Path:
    path = folder / "model.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(architecture)
        for module in model.modules():  # as after a training, not as at the start
            if isinstance(module, torch.nn.BatchNorm3d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr, operator]
    view = ViewSettings(size=(40, 48), short_side=None, crop=32)
    save_model(path, model, Description(architecture, ["a", "b", "c"], "none", 5.0, view, {}))
    return path


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    model = write(folder, NETWORKS[request.param])
    export_network(model, model, folder / "export", SETTINGS)
    return model, folder / "export"


def test_both_files_say_what_the_network_says(exported):
    model, folder = exported
    network, description = load_model(model)
    architecture = description.architecture
    about = json.loads((folder / "export.json").read_text())
    assert about["clip"]["positions"] == frames_needed([architecture])
    shape = (3, len(about["clip"]["positions"]), 3, about["clip"]["side"], about["clip"]["side"])
    clips = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    base = Architecture(
        architecture.backbone, 3, architecture.width, architecture.blocks, architecture.frames,
        tuple(r for r in architecture.reductions if r.operator != "s"),
    )  # fmt: skip
    with torch.inference_mode():
        # The clips have the network's own size, so they are shown to it as to one that is not spatially reduced.
        wanted = network.eval()(pathways(torch.from_numpy(clips), about["clip"]["positions"], base)).numpy()
        program = torch.export.load(folder / "model.pt2").module()(torch.from_numpy(clips)).numpy()
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    (onnx,) = session.run(None, {"clips": clips})
    (single,) = session.run(None, {"clips": clips[:1]})
    assert np.abs(wanted).max() > 1e-3
    assert np.abs(wanted - program).max() < 1e-4
    assert np.abs(wanted - onnx).max() < 1e-4
    assert np.abs(wanted[:1] - single).max() < 1e-4


def test_what_is_said_about_it(exported):
    about = json.loads((exported[1] / "export.json").read_text())
    assert about["classes"] == ["a", "b", "c"]
    assert about["clip"]["frames_per_second"] == 5.0
    assert max(about["agreement"]["largest_difference"].values()) < 1e-4
    for network in (about["cost"]["network"], about["cost"]["base"]):
        assert network["latency_ms"] > 0
        assert network["latency_ms_quartiles"][0] <= network["latency_ms"] <= network["latency_ms_quartiles"][1]
        assert network["peak_memory_mb"] > 0
    assert about["cost"]["network"]["peak_memory_mb"] == about["cost"]["base"]["peak_memory_mb"]


def test_the_program_runs_without_the_project(exported, tmp_path):
    """In a Python that cannot import `pipeline`."""
    side = json.loads((exported[1] / "export.json").read_text())["clip"]
    script = (
        "import sys, torch\n"
        "assert not any('pipeline' in name for name in sys.modules)\n"
        f"program = torch.export.load({str(exported[1] / 'model.pt2')!r}).module()\n"
        f"clip = torch.zeros(1, {len(side['positions'])}, 3, {side['side']}, {side['side']}, dtype=torch.uint8)\n"
        "assert program(clip).shape == (1, 3)\n"
        "assert not any(name.split('.')[0] == 'pipeline' for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, check=True)


def test_a_file_that_disagrees_is_an_error(tmp_path, monkeypatch):
    model = write(tmp_path, NETWORKS["r2plus1d"])
    monkeypatch.setattr(export, "_run_program", lambda path, clips: np.full((8, 3), np.nan, np.float32))
    with pytest.raises(
        ActaError, match=r"model.safetensors: the exported torch.export file differs from PyTorch by nan"
    ):
        export_network(model, model, tmp_path / "export", SETTINGS)
    assert not (tmp_path / "export" / "export.json").exists()


def test_packaging_normalises_as_the_pathways_do():
    architecture = NETWORKS["slowfast"]
    seen = []

    class Listener(torch.nn.Module):
        def forward(self, views):
            seen.extend(views)
            return torch.zeros(1, 3)

    positions = frames_needed([architecture])
    clips = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, len(positions), 3, 9, 9), dtype=np.uint8))
    Packaged(Listener(), architecture)(clips)
    unreduced = Architecture("slowfast_4x16_r50", 3, 0.05, (1, 1, 1, 1), 64, parse_reductions("c,t,f"))
    for ours, theirs in zip(seen, pathways(clips, positions, unreduced), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
