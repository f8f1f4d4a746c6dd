"""The file of a projection of features to fewer numbers per frame (Sec. 4.2.1), and what it was fitted on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.models.described import described_weights, read_content
from pipeline.runtime.errors import ActaError
from pipeline.spot.extract_frame_features import FrameFeatureShard

FORMAT = "acta-pca-1"
_BLOCK = 4096  # frames; with 2,048 channels they take 64 MiB in float64


class Projection:
    """Reader of a projection.

    Args:
        path: The .safetensors file.

    Attributes:
        mean: float32 (d,).
        components: float32 (k, d).
        features: What it was fitted on: channels, task, settings and weights of the feature shards.

    Raises:
        ActaError: it or its JSON is missing, damaged or of another format.
    """

    def __init__(self, path: Path):
        self.path = path
        content = read_content(path, FORMAT, "projection")
        features = content.get("features")
        if not isinstance(features, dict) or not isinstance(features.get("weights"), dict):
            raise ActaError(f"{path.with_suffix('.json')} does not describe a projection")
        self.features = features
        state = described_weights(path, content.get("weights"))
        shapes = [tuple(state[name].shape) for name in ("mean", "components") if name in state]
        if len(state) != 2 or [len(shape) for shape in shapes] != [1, 2] or shapes[1][1:] != shapes[0]:
            raise ActaError(f"{path} does not hold a projection's mean (d,) and components (k, d)")
        self.mean, self.components = state["mean"], state["components"]

    def apply(self, features: Tensor) -> Tensor:
        """Project features, float32 (n, d), to (n, k); an `ActaError` if they have another d."""
        if features.shape[1:] != self.mean.shape:
            raise ActaError(f"{self.path} projects {len(self.mean)} channels, not {features.shape[-1]}")
        return (features - self.mean) @ self.components.T

    def check(self, shard: FrameFeatureShard) -> None:
        """Raise an `ActaError` if it was not fitted on this kind of features."""
        if self.features != features_of(shard):
            raise ActaError(f"{self.path} was fitted on other features than those of {shard.path}; fit it again")


def blocks(shard: FrameFeatureShard, video: str) -> Iterator[Tensor]:
    """A video's features in blocks, float32 (n, d)."""
    first, last = shard.span(video)
    for start in range(0, last - first, _BLOCK):
        yield torch.from_numpy(shard.features(video, start, min(start + _BLOCK, last - first)))


def features_of(shard: FrameFeatureShard) -> dict[str, Any]:
    """What identifies a kind of features."""
    made = shard.provenance
    return {"channels": shard.channels} | {key: made[key] for key in ("task", "settings", "weights")}
