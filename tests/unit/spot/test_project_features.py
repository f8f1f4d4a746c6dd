"""Projected features of a game, and of other features none."""

import numpy as np
import pytest
import torch

from pipeline.runtime.errors import ActaError
from pipeline.spot.extract_frame_features import FrameFeatureShard
from pipeline.spot.fit_pca import fit_pca
from pipeline.spot.project_features import project_features
from pipeline.spot.projection import Projection
from tests.unit.spot.feature_shards import SETTINGS, made, save_game


def test_projected_shards_hold_the_projected_features(shards, tmp_path):
    fit_pca(shards, tmp_path / "p.safetensors", SETTINGS)
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
    fit_pca(shards, tmp_path / "p.safetensors", SETTINGS)
    other = save_game(tmp_path / "other.h5", "other", [made(5, 1)], settings='{"crop": 224}')
    with pytest.raises(ActaError, match=r"p\.safetensors was fitted on other features than those of .*other\.h5"):
        project_features(other, tmp_path / "p.safetensors", tmp_path / "out.h5")
    with pytest.raises(ActaError, match="projects 6 channels, not 2"):
        Projection(tmp_path / "p.safetensors").apply(torch.zeros(4, 2))
    assert not list(tmp_path.glob("*out.h5*"))
