"""A job says at once that it has no GPU that it can use, and why."""

from types import SimpleNamespace

import pynvml
import pytest
import torch

from pipeline.runtime.device import check_device
from pipeline.runtime.errors import ActaError


@pytest.fixture
def gpu(monkeypatch):
    """A machine with one GPU of compute capability 7.0, as torch would describe it; changes by keyword."""

    def pretend(*, cuda="12.6", there=True, visible="0", driver=12060, free=0.99, arches=("sm_70", "sm_80")) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(
            torch.cuda, "get_device_properties", lambda number: SimpleNamespace(name="Tesla V100", major=7, minor=0)
        )
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(arches))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (int(free * 16 * 2**30), 16 * 2**30))

        def init() -> None:
            if driver is None:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

        monkeypatch.setattr(pynvml, "nvmlInit", init)
        monkeypatch.setattr(pynvml, "nvmlSystemGetCudaDriverVersion", lambda: driver)

    return pretend


def test_what_was_found_is_printed(gpu, capsys):
    gpu()
    check_device("cuda")
    assert "GPU 0, Tesla V100 (compute capability 7.0): 16.0 GiB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"there": False, "cuda": None}, "was built without CUDA"),
        ({"there": False, "visible": ""}, "CUDA_VISIBLE_DEVICES is empty"),
        ({"there": False, "driver": None}, "there is no NVIDIA driver on this node"),
        ({"there": False, "driver": 11040}, r"its driver is for CUDA 11, torch \S+ needs CUDA 12.6"),
        ({"there": False}, "as torch needs; nvidia-smi"),
        ({"arches": ("sm_80", "sm_90", "compute_90")}, "has no code for it, only for sm_80, sm_90, compute_90"),
        ({"free": 0.5}, "only 8.0 of 16.0 GiB are free: another process has it"),
    ],
)
def test_a_gpu_that_is_of_no_use(gpu, changes, message, monkeypatch):
    gpu(**changes)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with pytest.raises(ActaError, match=message):
        check_device("cuda", alone=True)


def test_a_shared_gpu_is_no_error_outside_slurm_or_for_what_may_share(gpu, monkeypatch, capsys):
    gpu(free=0.5)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    check_device("cuda", alone=True)
    assert "only 8.0 of 16.0 GiB are free: another process has it" in capsys.readouterr().err
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    check_device("cuda")


@pytest.mark.parametrize("arches", [("sm_60", "compute_60"), ("sm_70",)])
def test_code_of_the_same_generation_or_kept_as_ptx_runs(gpu, arches):
    gpu(arches=arches)
    check_device("cuda")


def test_bfloat16_needs_a_gpu():
    check_device("cpu")
    with pytest.raises(ActaError, match="precision 'bfloat16' needs device 'cuda'"):
        check_device("cpu", "bfloat16")
