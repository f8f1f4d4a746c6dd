"""Principal components: against the singular value decomposition, and of training games only."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.runtime.errors import ActaError
from pipeline.spot import fit_pca as module
from pipeline.spot import projection
from pipeline.spot.extract_frame_features import FrameFeatureShard
from pipeline.spot.fit_pca import fit_pca
from pipeline.spot.projection import Projection
from tests.unit.spot.feature_shards import CHANNELS, SETTINGS, made, save_game


def training_rows(shards: list[Path]) -> np.ndarray:
    chosen = [FrameFeatureShard(shards[n]) for n in (0, 2, 3)]
    return np.concatenate([shard.features(video) for shard in chosen for video in shard.ids]).astype(np.float64)


@pytest.mark.parametrize("block", [4096, 7])
def test_components_are_those_of_the_singular_value_decomposition(shards, tmp_path, monkeypatch, block):
    monkeypatch.setattr(projection, "_BLOCK", block)
    fit_pca(shards, tmp_path / "pca.safetensors", SETTINGS)
    found, rows = Projection(tmp_path / "pca.safetensors"), training_rows(shards)
    assert found.mean.numpy() == pytest.approx(rows.mean(0), rel=1e-6)
    _, values, vectors = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    expected = vectors[:3]
    expected *= np.sign(expected[range(3), np.abs(expected).argmax(1)])[:, None]
    assert found.components.dtype == found.mean.dtype == torch.float32
    assert found.components.numpy() == pytest.approx(expected, abs=1e-5)
    about = json.loads((tmp_path / "pca.json").read_text())
    assert about["explained_variance_ratio"] == pytest.approx((values**2 / (values**2).sum())[:3].tolist())
    assert about["frames"] == len(rows)
    assert about["format"] == "acta-pca-1"
    assert about["provenance"]["task"] == "fit_pca"
    projected = found.apply(torch.from_numpy(rows).float())
    assert projected.dtype == torch.float32
    assert projected.numpy() == pytest.approx((rows - rows.mean(0)) @ expected.T, abs=1e-3)


def test_equal_games_give_equal_bytes_whatever_the_threads(shards, tmp_path):
    threads = torch.get_num_threads()
    for name, count in (("one", 1), ("two", 2)):
        torch.set_num_threads(count)
        try:
            fit_pca(shards, tmp_path / f"{name}.safetensors", SETTINGS)
            assert torch.get_num_threads() == count
        finally:
            torch.set_num_threads(threads)
    for kind in ("safetensors", "json"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_shards_do_not_stay_open(shards, tmp_path, monkeypatch):
    """A season has more games than a process may have open files."""
    left: list[int] = []

    def spy(text: str) -> str:
        left.append(len(os.listdir("/proc/self/fd")))
        return text

    monkeypatch.setattr(module, "sha256_text", spy)
    before = len(os.listdir("/proc/self/fd"))
    fit_pca(shards, tmp_path / "pca.safetensors", SETTINGS)
    assert left == [before]


def test_other_splits_and_their_features_do_not_matter(shards, tmp_path):
    fit_pca(shards, tmp_path / "all.safetensors", SETTINGS)
    fit_pca([shards[0], *shards[2:]], tmp_path / "train.safetensors", SETTINGS)
    assert (tmp_path / "all.safetensors").read_bytes() == (tmp_path / "train.safetensors").read_bytes()
    other = save_game(tmp_path / "narrow.h5", "narrow", [made(9, 1, channels=2)], "test")
    fit_pca([*shards, other], tmp_path / "narrow.safetensors", SETTINGS)
    assert (tmp_path / "all.safetensors").read_bytes() == (tmp_path / "narrow.safetensors").read_bytes()
    fit_pca(shards, tmp_path / "one.safetensors", SETTINGS.model_copy(update={"train": ("hard",)}))
    assert Projection(tmp_path / "one.safetensors").mean.mean() > 400


def test_large_means_and_constant_channels_lose_no_precision(tmp_path):
    rows = made(300, 1).astype(np.float64)
    rows[:, 0] = 7
    shifted = (rows + 10_000).astype(np.float32)
    fit_pca([save_game(tmp_path / "a.h5", "a", [shifted[:100], shifted[100:]])], tmp_path / "p.safetensors", SETTINGS)
    exact = shifted.astype(np.float64)
    _, _, vectors = np.linalg.svd(exact - exact.mean(0), full_matrices=False)
    found = Projection(tmp_path / "p.safetensors").components.numpy()
    assert np.abs((found * vectors[:3]).sum(1)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": ("no-such", "neither")}, "none of the 4 feature shards .* splits no-such, neither"),
        ({"components": 7}, r"7 components, but .*a\.h5 has only 6 channels"),
    ],
)
def test_settings_that_do_not_fit_the_features(shards, tmp_path, changes, message):
    with pytest.raises(ActaError, match=message):
        fit_pca(shards, tmp_path / "pca.safetensors", SETTINGS.model_copy(update=changes))
    assert not list(tmp_path.glob("*pca*"))


def test_too_few_frames_are_an_error(tmp_path):
    few = [save_game(tmp_path / "few.h5", "few", [made(2, 1), made(1, 2)])]
    with pytest.raises(ActaError, match="3 components need 4 training frames, but there are 3"):
        fit_pca(few, tmp_path / "p.safetensors", SETTINGS)
    fit_pca(few, tmp_path / "p.safetensors", SETTINGS.model_copy(update={"components": 2}))
    found = json.loads((tmp_path / "p.json").read_text())
    assert sum(found["explained_variance_ratio"]) == pytest.approx(1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_an_error(shards, tmp_path, value):
    rows = made(20, 1)
    rows[3, 2] = value
    shards.append(save_game(tmp_path / "bad.h5", "bad", [rows]))
    with pytest.raises(ActaError, match="a value that is not finite"):
        fit_pca(shards, tmp_path / "p.safetensors", SETTINGS)


@pytest.mark.parametrize("how", ["settings", "channels"])
def test_shards_of_different_features_are_an_error(shards, tmp_path, how):
    settings = '{"crop": 224}' if how == "settings" else "{}"
    channels = CHANNELS + (how == "channels")
    shards.append(save_game(tmp_path / "other.h5", "other", [made(20, 1, channels)], settings=settings))
    with pytest.raises(ActaError, match=r"a\.h5 and .*other\.h5 hold different features"):
        fit_pca(shards, tmp_path / "p.safetensors", SETTINGS)
