"""Task `fit_pca`: the principal components of features (Sec. 4.2.1)."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from pipeline.config.tasks.spot import FitPca
from pipeline.models.described import write_described
from pipeline.runtime.device import pinned_threads
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.progress import progress
from pipeline.runtime.provenance import provenance_of, sha256_text
from pipeline.spot.extract_frame_features import FrameFeatureShard
from pipeline.spot.projection import FORMAT, blocks, features_of


def fit_pca(shards: Sequence[Path], output: Output, settings: FitPca) -> None:
    """Write the principal components of the training games' features: `mean` (d,) and `components` (k, d), float32.

    Mean and covariance are exact, in float64 and in one pass; the components have unit length, are not whitened, are
    sorted by the variance that they explain, and have their entry of the largest magnitude positive. Only one thread
    computes, so that equal shards in the same order give equal bytes on one kind of processor. The JSON next to the
    output has the explained variance ratios, the kind of features, and the provenance.

    Args:
        shards: Feature shards (`pipeline.spot.extract_frame_features`); only training games are used.
        output: The projection (.safetensors).
        settings: How many components, and the names of the training splits.

    Raises:
        ActaError: no game is in the training splits, shards hold different features or values that are not finite,
            there are more components than channels, or no more frames than components.
    """
    count, moments, used, features = settings.components, _Moments(), [], None
    with pinned_threads(1):
        for path in progress(shards, total=len(shards), unit="games", desc="fit_pca"):
            shard = FrameFeatureShard(path)
            training = [
                video
                for video, splits in zip(shard.ids, shard.splits, strict=True)
                if not set(settings.train).isdisjoint(splits.split())
            ]
            if training:
                used.append((path, shard.digest))
                features = features or features_of(shard)
                if features != features_of(shard):
                    raise ActaError(f"{used[0][0]} and {path} hold different features; fit a projection for each")
                if count > shard.channels:
                    raise ActaError(f"{count} components, but {path} has only {shard.channels} channels")
                for video in training:
                    for block in blocks(shard, video):
                        moments.add(block)
            shard.close()
        if features is None:
            raise ActaError(
                f"none of the {len(shards)} feature shards holds a game of the splits {', '.join(settings.train)}, on "
                "which a projection is fitted"
            )
        # Around their mean, n frames span n - 1 directions at most.
        if moments.count <= count:
            raise ActaError(f"{count} components need {count + 1} training frames, but there are {moments.count}")
        if not moments.scatter.isfinite().all():
            raise ActaError(f"the training games' features have a value that is not finite, in {len(used)} shards")
        variances, vectors = torch.linalg.eigh(moments.scatter)
    variances, components = variances.flip(0)[:count].clamp(min=0), vectors.T.flip(0)[:count]
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    components = components * largest.sign()
    total = float(moments.scatter.trace())
    digests = {"features": sha256_text(json.dumps([digest for _, digest in used]))}
    provenance = provenance_of(__name__, settings, inputs=digests, packages=("torch", "safetensors"))
    weights = save({"mean": moments.mean.float(), "components": components.float().contiguous()})
    content = {
        "format": FORMAT,
        "weights": hashlib.sha256(weights).hexdigest(),
        "features": features,
        "frames": moments.count,
        "explained_variance_ratio": [value / total if total else 0.0 for value in variances.tolist()],
        "provenance": provenance.content,
    }
    write_described(output, content, weights)


class _Moments:
    """Mean and scatter matrix of rows that come in blocks (Chan, Golub and LeVeque, 1983): stable, in one pass."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.scatter = torch.zeros((), dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        rows = rows.double()
        mean = rows.mean(0)
        rows -= mean
        share = len(rows) / (self.count + len(rows))
        apart = mean - self.mean
        self.scatter = self.scatter + rows.T @ rows + self.count * share * torch.outer(apart, apart)
        self.mean = self.mean + share * apart
        self.count += len(rows)
