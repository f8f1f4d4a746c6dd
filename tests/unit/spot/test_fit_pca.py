"""Principal components: against the singular value decomposition, of training games only, and applied to shards."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.config.tasks.spot import FitPca
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import StoredVideo, create_shard, write_index
from pipeline.spot import pca
from pipeline.spot.extract_frame_features import FRAME_FEATURES_FORMAT, FrameFeatureShard
from pipeline.spot.fit_pca import fit_pca
from pipeline.spot.project_features import project_features
from pipeline.spot.projection import Projection

STAGE = FitPca(components=3, train=("train", "more"))
CHANNELS = 6


def made(frames: int, seed: int, channels: int = CHANNELS, shift: float = 5.0) -> np.ndarray:
    """Correlated features whose variances differ, float32."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(channels, channels)) * np.geomspace(4, 0.5, channels)[:, None]
    return (shift + random.normal(size=(frames, channels)) @ mixing).astype(np.float32)


def save_game(path: Path, name: str, halves: list[np.ndarray], split: str = "train", settings: str = "{}") -> Path:
    """A game's feature shard; values as given, even those that the stage would refuse."""
    videos = [
        StoredVideo(f"{name}/{n}", "", split, 0, 0, np.arange(len(half)) / 2, np.zeros(0), Path())
        for n, half in enumerate(halves, 1)
    ]
    provenance, bad = (
        Provenance("extract_frame_features", settings, name),
        [Quarantined("other", "extract_game_frames", "why")],
    )
    with create_shard(path, FRAME_FEATURES_FORMAT, provenance, bad, 0) as file:
        write_index(file, videos)
        file["frames"].create_dataset("features", data=np.concatenate(halves))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Three training games and one of another split, which lies elsewhere."""
    return [
        save_game(tmp_path / "a.h5", "a", [made(40, 1), made(30, 2)]),
        save_game(tmp_path / "far.h5", "far", [made(50, 3, shift=900.0), made(50, 4)], "test hard"),
        save_game(tmp_path / "b.h5", "b", [made(21, 5), made(1, 6)], "small more"),
        save_game(tmp_path / "c.h5", "c", [made(35, 7), made(35, 8)], "train"),
    ]


def training_rows(shards: list[Path]) -> np.ndarray:
    chosen = [FrameFeatureShard(shards[n]) for n in (0, 2, 3)]
    return np.concatenate([shard.features(video) for shard in chosen for video in shard.ids]).astype(np.float64)


@pytest.mark.parametrize("block", [4096, 7])
def test_components_are_those_of_the_singular_value_decomposition(shards, tmp_path, monkeypatch, block):
    monkeypatch.setattr(pca, "_BLOCK", block)
    fit_pca(shards, tmp_path / "pca.safetensors", STAGE)
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
    assert about["provenance"]["stage"] == "fit_pca"
    projected = found.apply(torch.from_numpy(rows).float())
    assert projected.dtype == torch.float32
    assert projected.numpy() == pytest.approx((rows - rows.mean(0)) @ expected.T, abs=1e-3)


def test_equal_games_give_equal_bytes_whatever_the_threads(shards, tmp_path):
    threads = torch.get_num_threads()
    for name, count in (("one", 1), ("two", 2)):
        torch.set_num_threads(count)
        try:
            fit_pca(shards, tmp_path / f"{name}.safetensors", STAGE)
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

    monkeypatch.setattr(pca, "sha256_text", spy)
    before = len(os.listdir("/proc/self/fd"))
    fit_pca(shards, tmp_path / "pca.safetensors", STAGE)
    assert left == [before]


def test_other_splits_and_their_features_do_not_matter(shards, tmp_path):
    fit_pca(shards, tmp_path / "all.safetensors", STAGE)
    fit_pca([shards[0], *shards[2:]], tmp_path / "train.safetensors", STAGE)
    assert (tmp_path / "all.safetensors").read_bytes() == (tmp_path / "train.safetensors").read_bytes()
    other = save_game(tmp_path / "narrow.h5", "narrow", [made(9, 1, channels=2)], "test")
    fit_pca([*shards, other], tmp_path / "narrow.safetensors", STAGE)
    assert (tmp_path / "all.safetensors").read_bytes() == (tmp_path / "narrow.safetensors").read_bytes()
    fit_pca(shards, tmp_path / "one.safetensors", STAGE.model_copy(update={"train": ("hard",)}))
    assert Projection(tmp_path / "one.safetensors").mean.mean() > 400


def test_large_means_and_constant_channels_lose_no_precision(tmp_path):
    rows = made(300, 1).astype(np.float64)
    rows[:, 0] = 7
    shifted = (rows + 10_000).astype(np.float32)
    fit_pca([save_game(tmp_path / "a.h5", "a", [shifted[:100], shifted[100:]])], tmp_path / "p.safetensors", STAGE)
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
        fit_pca(shards, tmp_path / "pca.safetensors", STAGE.model_copy(update=changes))
    assert not list(tmp_path.glob("*pca*"))


def test_too_few_frames_are_an_error(tmp_path):
    few = [save_game(tmp_path / "few.h5", "few", [made(2, 1), made(1, 2)])]
    with pytest.raises(ActaError, match="3 components need 4 training frames, but there are 3"):
        fit_pca(few, tmp_path / "p.safetensors", STAGE)
    fit_pca(few, tmp_path / "p.safetensors", STAGE.model_copy(update={"components": 2}))
    found = json.loads((tmp_path / "p.json").read_text())
    assert sum(found["explained_variance_ratio"]) == pytest.approx(1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_an_error(shards, tmp_path, value):
    rows = made(20, 1)
    rows[3, 2] = value
    shards.append(save_game(tmp_path / "bad.h5", "bad", [rows]))
    with pytest.raises(ActaError, match="a value that is not finite"):
        fit_pca(shards, tmp_path / "p.safetensors", STAGE)


@pytest.mark.parametrize("how", ["settings", "channels"])
def test_shards_of_different_features_are_an_error(shards, tmp_path, how):
    settings = '{"crop": 224}' if how == "settings" else "{}"
    channels = CHANNELS + (how == "channels")
    shards.append(save_game(tmp_path / "other.h5", "other", [made(20, 1, channels)], settings=settings))
    with pytest.raises(ActaError, match=r"a\.h5 and .*other\.h5 hold different features"):
        fit_pca(shards, tmp_path / "p.safetensors", STAGE)


def test_projected_shards_hold_the_projected_features(shards, tmp_path):
    fit_pca(shards, tmp_path / "p.safetensors", STAGE)
    fitted = Projection(tmp_path / "p.safetensors")
    project_features(shards[1], tmp_path / "p.safetensors", tmp_path / "out.h5")
    found, full = FrameFeatureShard(tmp_path / "out.h5"), FrameFeatureShard(shards[1])
    assert (found.ids, found.splits, found.quarantine) == (full.ids, full.splits, full.quarantine)
    assert found.channels == 3
    for video in full.ids:
        assert np.array_equal(found.times(video), full.times(video))
        expected = (full.features(video) - fitted.mean.numpy()) @ fitted.components.numpy().T
        assert found.features(video) == pytest.approx(expected, abs=1e-3)
    assert found.provenance["inputs"]["features"] == full.digest
    project_features(shards[1], tmp_path / "p.safetensors", tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "out.h5").read_bytes()


def test_other_features_are_not_projected(shards, tmp_path):
    fit_pca(shards, tmp_path / "p.safetensors", STAGE)
    other = save_game(tmp_path / "other.h5", "other", [made(5, 1)], settings='{"crop": 224}')
    with pytest.raises(ActaError, match=r"p\.safetensors was fitted on other features than those of .*other\.h5"):
        project_features(other, tmp_path / "p.safetensors", tmp_path / "out.h5")
    with pytest.raises(ActaError, match="projects 6 channels, not 2"):
        Projection(tmp_path / "p.safetensors").apply(torch.zeros(4, 2))
    assert not list(tmp_path.glob("*out.h5*"))


def test_files_that_are_no_projections(shards, tmp_path):
    path, about = tmp_path / "p.safetensors", tmp_path / "p.json"
    with pytest.raises(ActaError, match=r"cannot read the projection's description .*p\.json"):
        Projection(path)
    about.write_text("[]")
    with pytest.raises(ActaError, match="does not describe a projection: it holds a list"):
        Projection(path)
    about.write_text('{"format": "other"}')
    with pytest.raises(ActaError, match="holds 'other', but 'acta-pca-1' is needed"):
        Projection(path)
    for features in ("null", "[]", "{}", '{"weights": "a"}'):
        about.write_text(f'{{"format": "acta-pca-1", "features": {features}}}')
        with pytest.raises(ActaError, match=r"p\.json does not describe a projection"):
            Projection(path)
    about.write_text('{"format": "acta-pca-1", "features": {"weights": {}}}')
    with pytest.raises(ActaError, match="there is no model file"):
        Projection(path)
    for mean, components in (((3,), (2, 4)), ((), ()), ((3,), (3,)), ((3,), (2, 3, 1)), ((2, 3), (2, 2, 3))):
        save_file({"mean": torch.zeros(mean), "components": torch.zeros(components)}, path)
        with pytest.raises(ActaError, match=r"does not hold a projection's mean \(d,\) and components \(k, d\)"):
            Projection(path)
    save_file({"mean": torch.zeros(3)}, path)
    with pytest.raises(ActaError, match=r"does not hold a projection's mean \(d,\) and components \(k, d\)"):
        Projection(path)
