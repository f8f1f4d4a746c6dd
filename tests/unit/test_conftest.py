"""Tests that need a GPU are skipped without one, or fail where one is expected."""

from types import SimpleNamespace
from typing import Any

import onnxruntime
import pynvml
import pytest

from tests import conftest

MISSING = "there is no onnxruntime-gpu"


def set_up(monkeypatch: pytest.MonkeyPatch, reason: str, *, marked: bool = True, expected: str | None = None) -> None:
    monkeypatch.setattr(conftest, "without_cuda", lambda: reason)
    monkeypatch.delenv("ACTA_EXPECT_CUDA", raising=False)
    if expected is not None:
        monkeypatch.setenv("ACTA_EXPECT_CUDA", expected)
    item: Any = SimpleNamespace(get_closest_marker=lambda name: name if marked and name == "cuda" else None)
    conftest.pytest_runtest_setup(item)


@pytest.mark.parametrize("expected", [None, "0", ""])
def test_without_a_gpu_they_are_skipped(monkeypatch: pytest.MonkeyPatch, expected: str | None) -> None:
    with pytest.raises(pytest.skip.Exception, match=f"^{MISSING}$"):
        set_up(monkeypatch, MISSING, expected=expected)


def test_where_a_gpu_is_expected_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"^ACTA_EXPECT_CUDA=1, but {MISSING}$"):
        set_up(monkeypatch, MISSING, expected="1")


@pytest.mark.parametrize("expected", [None, "1"])
@pytest.mark.parametrize(("reason", "marked"), [("", True), (MISSING, False)])
def test_otherwise_they_run(monkeypatch: pytest.MonkeyPatch, expected: str | None, reason: str, marked: bool) -> None:
    set_up(monkeypatch, reason, marked=marked, expected=expected)


@pytest.mark.parametrize(
    ("providers", "count", "reason"),
    [
        (["CPUExecutionProvider"], 1, MISSING),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], 1, ""),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], 0, "there is no GPU"),
    ],
)
def test_what_is_there_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, providers: list[str], count: int, reason: str
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: count)
    assert conftest.without_cuda() == reason


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    assert conftest.without_cuda().startswith("there is no GPU: NVML Shared Library Not Found")
