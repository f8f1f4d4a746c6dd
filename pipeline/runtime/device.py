"""Checks of the machine at a job's start, so that it fails there and not after an hour on a CPU."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.runtime.errors import ActaError
from pipeline.runtime.gpus import take_gpu

# Less of a GPU's memory free than this share: somebody else's process is on it.
_FREE = 0.8
_HALF = ("bfloat16", "float16")
_BFLOAT16 = 8  # the compute capability from which GPUs have it; older ones imitate it, slowly
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (":4096:8", ":16:8")  # the settings with which cuBLAS is deterministic, the faster one first


def check_device(device: str, precision: str = "float32", *, alone: bool = False) -> None:
    """Refuse what this machine cannot do, and print the GPU that this process is to use.

    Args:
        device: cpu or cuda.
        precision: Of a training: float32, bfloat16, float16 or float64.
        alone: The process needs a GPU to itself. In a Slurm job a shared one is then an error, elsewhere a warning.

    Raises:
        ActaError: no GPU was given to the job, the driver is too old for this torch or torch has no code for the GPU,
            its memory is taken, the precision needs a GPU, or the GPU has no such precision. The message says which,
            and what to do.
    """
    if device == "cpu":
        if precision in _HALF:
            raise ActaError(f"precision {precision!r} needs device 'cuda'")
        return
    take_gpu()
    if not torch.cuda.is_available():
        raise ActaError(f"device 'cuda' was asked for, but torch sees no GPU: {_why_none()}")
    # Of several processes on a node each checks its own: another may have begun to use its memory.
    local = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0"
    print(_check_gpu(int(local) % torch.cuda.device_count(), precision, alone), file=sys.stderr)


def _why_none() -> str:
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA; install a build with it"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1", "NoDevFiles"):
        return "CUDA_VISIBLE_DEVICES is empty, so the job was given none; ask for one (resource gpu or gres)"
    driver = _driver_cuda()
    if driver is None:
        return "there is no NVIDIA driver on this node; is it the right partition?"
    if driver < int(torch.version.cuda.split(".")[0]):
        return f"its driver is for CUDA {driver}, torch {torch.__version__} needs CUDA {torch.version.cuda}"
    return f"its driver is for CUDA {driver}, as torch needs; nvidia-smi on the node may say more"


def _driver_cuda() -> int | None:
    """The newest major version of CUDA that the driver serves: newer minor ones are compatible."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlSystemGetCudaDriverVersion() // 1000)
    except pynvml.NVMLError:
        return None


def _check_gpu(number: int, precision: str, alone: bool) -> str:
    properties = torch.cuda.get_device_properties(number)
    name = f"GPU {number}, {properties.name} (compute capability {properties.major}.{properties.minor})"
    known = torch.cuda.get_arch_list()
    # Code for sm_80 also runs on 8.6; code kept as PTX (compute_80) on everything newer.
    runs = any(
        (kind == "sm" and int(arch) // 10 == properties.major and int(arch) % 10 <= properties.minor)
        or (kind == "compute" and int(arch) <= 10 * properties.major + properties.minor)
        for kind, _, arch in (entry.rstrip("af").partition("_") for entry in known)
    )
    if not runs:
        raise ActaError(f"{name}: torch {torch.__version__} has no code for it, only for {', '.join(known)}")
    if precision == "bfloat16" and properties.major < _BFLOAT16:
        raise ActaError(f"{name} has no bfloat16, which begins with 8.0: set `precision: float16`")
    free, total = torch.cuda.mem_get_info(number)
    if alone and free < _FREE * total:
        problem = f"{name}: only {free / 2**30:.1f} of {total / 2**30:.1f} GiB are free: another process has it"
        if "SLURM_JOB_ID" in os.environ:
            raise ActaError(f"{problem}, ask for GPUs that are not shared")
        return problem
    return f"{name}: {total / 2**30:.1f} GiB, torch {torch.__version__} for CUDA {torch.version.cuda}"


@contextmanager
def pinned_threads(threads: int) -> Iterator[None]:
    """Compute with this many threads, on which the last bits of a result depend, and then as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """If ``wanted``, let torch, cuDNN and cuBLAS take only algorithms that give the same bytes each time.

    On a GPU, enter it before anything is computed: cuBLAS reads its setting (``CUBLAS_WORKSPACE_CONFIG``) once. The
    state before it comes back at the end.

    Raises:
        ActaError: an operation has no such algorithm on this device; the message says which.
    """
    if not wanted:
        yield
        return
    cudnn, workspace = torch.backends.cudnn, os.environ.get(_WORKSPACE)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    chosen = cudnn.deterministic, cudnn.benchmark
    os.environ[_WORKSPACE] = workspace if workspace in _WORKSPACES else _WORKSPACES[0]
    try:
        cudnn.deterministic, cudnn.benchmark = True, False
        torch.use_deterministic_algorithms(True)
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        said = str(error).splitlines()[0].partition(". ")[0]
        raise ActaError(f"`deterministic: true` cannot be kept: {said}; set it to false") from None
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = chosen
        if workspace is None:
            del os.environ[_WORKSPACE]
        else:
            os.environ[_WORKSPACE] = workspace
