"""What a network takes of its device during a whole evaluation: means over clips, shares of the device."""

import json
from pathlib import Path

import pytest
import torch

from pipeline.config.classify import SplitSettings, ViewSettings
from pipeline.config.tasks.shrink import MeasureResources
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.classifier_file import Description, save_model
from pipeline.runtime.errors import ActaError
from pipeline.shrink import measure_resources as module
from pipeline.shrink.measure_resources import cpu_sampler, gpu_sampler, measure_resources
from tests.networks import LABELS, write_dataset


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[Path]:
    """Three test videos of six frames."""
    return write_dataset(tmp_path_factory.mktemp("frames"), train=1, test=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    architecture = Architecture("r3d_18", 3, 0.05, (1, 1, 1, 1), 4)
    view = ViewSettings(size=(36, 48), short_side=None, crop=32)
    save_model(path, build(architecture), Description(architecture, list(LABELS), "none", None, view, {}))
    return path


def settings(test: str = "test", short_videos: str = "repeat") -> MeasureResources:
    split = SplitSettings(train="train", test=test)
    return MeasureResources(split=split, short_videos=short_videos, device="cpu", threads=1)  # type: ignore[arg-type]


def test_every_clip_is_measured_and_the_mean_is_written(model, shards, tmp_path, monkeypatch):
    samples = iter([(10.0, 1.0), (20.0, 3.0), (60.0, 2.0)])
    monkeypatch.setattr(module, "cpu_sampler", lambda: lambda: next(samples))
    measure_resources(model, shards, tmp_path / "resources.json", settings(), workers=2)
    found = json.loads((tmp_path / "resources.json").read_text())
    assert (found["utilisation_percent"], found["memory_percent"], found["clips"]) == (30.0, 2.0, 3)
    assert (found["device"], found["name"], found["workers"]) == ("cpu", "CPU", 0), "a CPU loads in the same process"


def test_shares_of_this_machine(model, shards, tmp_path):
    measure_resources(model, shards, tmp_path / "resources.json", settings())
    found = json.loads((tmp_path / "resources.json").read_text())
    assert 0 < found["utilisation_percent"] <= 101
    assert 0 < found["memory_percent"] < 100


def test_a_cpu_s_shares_are_of_all_cores_and_all_memory(monkeypatch):
    """Of 4 cores 0.5 s of computing in 2 s; 256 of 1,024 pages."""
    times, computed = iter([10.0, 12.0]), iter([1.0, 1.5])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(module.time, "process_time", lambda: next(computed))
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(module.os, "sysconf", lambda _: 1024)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "999 256 3 4")
    assert cpu_sampler()() == (6.25, 25.0)


def test_a_gpu_s_memory_is_a_share_of_all_it_has(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (24, 32))
    monkeypatch.setattr(torch.cuda, "utilization", lambda _: 39)
    assert gpu_sampler(torch.device("cuda"))() == (39.0, 25.0)


@pytest.mark.cuda
def test_on_a_gpu(model, shards, tmp_path):
    on_gpu = settings().model_copy(update={"device": "cuda"})
    measure_resources(model, shards, tmp_path / "resources.json", on_gpu)
    found = json.loads((tmp_path / "resources.json").read_text())
    assert found["device"] == "cuda"
    assert 0 <= found["utilisation_percent"] <= 100
    assert 0 < found["memory_percent"] <= 100


def test_a_split_without_videos_is_an_error(model, shards, tmp_path):
    with pytest.raises(ActaError, match="split 'other' has no video to evaluate, so nothing can be measured"):
        measure_resources(model, shards, tmp_path / "resources.json", settings("other"))
    assert not (tmp_path / "resources.json").exists()
