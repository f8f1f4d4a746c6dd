"""What a training leaves: metrics, the model, and no checkpoint but one that another job goes on from."""

import json
from pathlib import Path

import pytest
import torch

from pipeline.runtime.errors import ActaError
from pipeline.training.checkpoint import Progress
from pipeline.training.distributed import Group
from pipeline.training.job import Job, seeded, start_job
from tests.networks import train_settings

HISTORY = [
    {"epoch": 1, "loss": 2.0, "validation": 0.5, "data_seconds": 1.0, "compute_seconds": 2.0},
    {
        "epoch": 2,
        "loss": 1.0,
        "validation": 0.5,
        "data_seconds": 0.0,
        "compute_seconds": 1.0,
        "validation_seconds": 3.0,
    },
]


def job(config, folder: Path, rank: int = 0) -> Job:
    (folder / "last.ckpt").write_bytes(b"state")
    group = Group(rank, 1, torch.device("cpu"))
    return Job(folder / "model.safetensors", train_settings(config).training, group, 0, 300.0)


def test_metrics_come_before_the_model_and_the_checkpoint_goes_last(config, tmp_path):
    def save() -> None:
        found = json.loads((tmp_path / "metrics.json").read_text())
        assert found.pop("acta_sha256")
        assert found == {
            "seconds": 7.0,
            "data_share": 0.25,
            "clips": 7,
            "best_epoch": 1,
            "validation_mAP": 0.5,
            "history": HISTORY,
        }
        assert (tmp_path / "last.ckpt").exists()
        saved.append(True)

    saved: list[bool] = []
    job(config, tmp_path).finish(Progress(history=HISTORY), {"clips": 7}, save)
    assert saved
    assert not (tmp_path / "last.ckpt").exists()


def test_without_validation_there_is_no_best_epoch(config, tmp_path):
    history = [{name: value for name, value in epoch.items() if name != "validation"} for epoch in HISTORY]
    job(config, tmp_path).finish(Progress(history=history), {}, lambda: None)
    assert json.loads((tmp_path / "metrics.json").read_text()).keys().isdisjoint({"best_epoch", "validation_mAP"})


def test_the_state_is_kept_for_another_job(config, tmp_path):
    job(config, tmp_path).finish(Progress(), {}, lambda: None, tmp_path / "state.ckpt")
    assert (tmp_path / "state.ckpt").read_bytes() == b"state"
    assert not (tmp_path / "last.ckpt").exists()


def test_only_the_first_process_writes(config, tmp_path):
    job(config, tmp_path, rank=1).finish(Progress(), {}, lambda: pytest.fail("it saved"))
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_what_the_machine_cannot_do_is_refused_at_once(config, tmp_path):
    training = train_settings(config, training__precision="bfloat16").training
    with (
        pytest.raises(ActaError, match="precision 'bfloat16' needs device 'cuda'"),
        start_job(tmp_path / "model.safetensors", training, 0, 300.0),
    ):
        pytest.fail("it began")


def test_the_seed_decides_and_the_caller_s_random_state_is_kept():
    before, drawn = torch.random.get_rng_state(), []
    for seed in (1, 1, 2):
        with seeded(seed):
            drawn.append(torch.rand(1).item())
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(torch.random.get_rng_state(), before)
