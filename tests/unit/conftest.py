"""Fixtures of the unit tests."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

import pipeline.runtime.wheels
from tests.clips import write_clip
from tests.unit.sources import Index


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of three frames."""
    return write_clip(tmp_path_factory.mktemp("short") / "clip.mp4", frames=3)


@pytest.fixture
def recordings(tmp_path: Path, short_clip: Path) -> Path:
    """A folder with three videos, one of them deeper, and a photograph."""
    for name in ("a.mp4", "b.mp4", "deep/c.mp4"):
        (tmp_path / "recordings" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(short_clip, tmp_path / "recordings" / name)
    Image.new("RGB", (64, 48), (90, 90, 90)).save(tmp_path / "recordings/d.png")
    return tmp_path / "recordings"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    """A package index in place of the one that pip asks."""
    index = Index()
    monkeypatch.setattr(pipeline.runtime.wheels, "_download", index.download)
    return index
