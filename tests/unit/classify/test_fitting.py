"""Where a network's weights come from before it is trained."""

import hashlib
import io
from pathlib import Path

import pytest
import torch

from pipeline.classify.fitting import open_initial, start_from
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.weights import WEIGHTS, Url, Weights, fetch_weights
from pipeline.runtime.errors import ActaError

PUBLISHED = Architecture("r3d_18", 5, 0.05, (1, 1, 1, 1), 4)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights of five classes as torchvision publishes them, in a cache, registered as `small`."""
    state = build(PUBLISHED).state_dict()
    torch.save(state, content := io.BytesIO())
    digits = hashlib.sha256(content.getvalue()).hexdigest()[:8]
    monkeypatch.setenv("ACTA_CACHE", str(tmp_path))
    monkeypatch.setitem(WEIGHTS, "small", Weights("small.pth", Url("https://example.org/small.pth", digits), "MIT", ""))
    (tmp_path / "weights").mkdir(mode=0o700)
    (tmp_path / "weights/small.pth").write_bytes(content.getvalue())
    fetch_weights(["small"], trust_first=True)
    return state


def test_published_weights_and_a_classifier_for_other_classes(published: dict[str, torch.Tensor]) -> None:
    ours = Architecture("r3d_18", 3, 0.05, (1, 1, 1, 1), 4)
    model = build(ours)
    classifier = model.state_dict()["fc.weight"].clone()
    start_from(model, open_initial("small"), ours)
    state = model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in published.items() if not name.startswith("fc."))
    assert torch.equal(state["fc.weight"], classifier)


@pytest.mark.usefixtures("published")
def test_published_weights_of_another_network() -> None:
    ours = Architecture("r3d_18", 3, 0.1, (1, 1, 1, 1), 4)
    with pytest.raises(ActaError, match=r"small\.pth holds the weights of another architecture"):
        start_from(build(ours), open_initial("small"), ours)


def test_weights_that_were_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTA_CACHE", str(tmp_path))
    with pytest.raises(ActaError, match="get them with: acta weights fetch r2plus1d_18"):
        open_initial("r2plus1d_18")
