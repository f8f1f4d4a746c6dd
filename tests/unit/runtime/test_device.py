"""A job says at once that it has no GPU that it can use, and why."""

import os
from types import SimpleNamespace

import pynvml
import pytest
import torch

from pipeline.runtime.device import check_device, deterministic_algorithms
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


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_needs_a_gpu(precision):
    with pytest.raises(ActaError, match=f"precision '{precision}' needs device 'cuda'"):
        check_device("cpu", precision)


def test_a_gpu_without_bfloat16_is_told_of_float16(gpu):
    gpu()
    check_device("cuda", "float16")
    with pytest.raises(ActaError, match=r"Tesla V100 .* has no bfloat16, .*: set `precision: float16`"):
        check_device("cuda", "bfloat16")


def now() -> tuple[bool, bool, bool, str | None]:
    cudnn, workspace = torch.backends.cudnn, os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    return torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark, workspace


@pytest.mark.parametrize(
    ("workspace", "used"), [(None, ":4096:8"), (":16:8", ":16:8"), (":0:0", ":4096:8"), (":4096:8", ":4096:8")]
)
def test_deterministic_algorithms_while_the_block_runs(monkeypatch, workspace, used):
    """A workspace with which cuBLAS is deterministic stays the user's own."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if workspace is not None:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", workspace)
    before = now()
    with deterministic_algorithms(False):
        assert now() == before
    with deterministic_algorithms(True):
        assert now() == (True, True, False, used)
    assert now() == before == (False, False, True, workspace)
    with pytest.raises(ValueError, match="as it is"), deterministic_algorithms(True):
        raise ValueError("as it is")
    assert now() == before


def test_an_operation_without_a_deterministic_algorithm_is_named():
    said = "avg_pool3d_backward_cuda does not have a deterministic implementation, but you set it. You can turn it off"
    with (
        pytest.raises(
            ActaError, match=r"`deterministic: true` cannot be kept: avg_pool3d_backward_cuda .* set it; set"
        ),
        deterministic_algorithms(True),
    ):
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="out of memory"), deterministic_algorithms(True):
        raise RuntimeError("CUDA out of memory")
