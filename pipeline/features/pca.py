"""Stages `fit-pca` and `project-features`: fewer numbers a frame by principal components (Sec. 4.2.1)."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from pipeline.config.base import canonical
from pipeline.config.spot_stages import FitPcaStage
from pipeline.config.stages import NoSettings
from pipeline.device import pinned_threads
from pipeline.errors import ActaError
from pipeline.features.frame_features import FrameFeatureShard, write_frame_features
from pipeline.files import atomic, write_json
from pipeline.models.described import read_content
from pipeline.models.opened import Opened
from pipeline.models.state import read_weights
from pipeline.progress import progress
from pipeline.seals import make_again
from pipeline.stages import code_digest, sha256_text
from pipeline.store import Provenance
from pipeline.wheels import file_sha256

FORMAT = "acta-pca-1"
_BLOCK = 4096  # frames; those of 2,048 channels take 64 MiB in float64


def fit_pca(shards: Sequence[Path], output: Path, settings: FitPcaStage) -> None:
    """Write the principal components of the training games' features: `mean` (d,) and `components` (k, d), float32.

    Mean and covariance are exact, in float64 and in one pass; the components have unit length, are not whitened, come
    in the order of the variance that they explain, and have their entry of the largest magnitude positive. The
    arithmetic is of one thread, so that equal shards in the same order give equal bytes on one kind of processor. The
    JSON beside the output has the explained variance ratios, of which features they are, and the provenance.

    Args:
        shards: Feature shards (`pipeline.features.frame_features`), of which the training games' are used.
        output: The projection (.safetensors).
        settings: How many components, and the names of the training splits.

    Raises:
        ActaError: no game is of the training splits, shards hold different features or values that are not finite,
            there are more components than channels, or no more frames than components.
    """
    count, moments, used, features = settings.components, _Moments(), [], None
    with pinned_threads(1):
        for path in progress(shards, total=len(shards), unit="games", desc="fit-pca"):
            shard = FrameFeatureShard(path)
            training = [
                video
                for video, splits in zip(shard.ids, shard.splits, strict=True)
                if not set(settings.train).isdisjoint(splits.split())
            ]
            if training:
                used.append((path, shard.digest))
                features = features or _features_of(shard)
                if features != _features_of(shard):
                    raise ActaError(f"{used[0][0]} and {path} hold different features; fit a projection for each")
                if count > shard.channels:
                    raise ActaError(f"{count} components, but {path} has only {shard.channels} channels")
                for video in training:
                    for block in _blocks(shard, video):
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
    provenance = Provenance(
        "fit-pca", canonical(settings), code_digest("fit-pca"), inputs=digests, packages=("torch", "safetensors")
    )
    weights = save({"mean": moments.mean.float(), "components": components.float().contiguous()})
    content = {
        "format": FORMAT,
        "weights": hashlib.sha256(weights).hexdigest(),
        "features": features,
        "frames": moments.count,
        "explained_variance_ratio": [value / total if total else 0.0 for value in variances.tolist()],
        "provenance": json.loads(provenance.to_json()),
    }
    write_json(output.with_suffix(".json"), content)
    with atomic(output) as temporary:
        temporary.write_bytes(weights)


class Projection:
    """Reader of a projection.

    Args:
        path: The .safetensors file.

    Attributes:
        mean: float32 (d,).
        components: float32 (k, d).
        features: What it was fitted on: channels, stage, settings and weights of the feature shards.

    Raises:
        ActaError: it or the JSON beside it is missing, damaged or of another format.
    """

    def __init__(self, path: Path):
        self.path = path
        content = read_content(path, FORMAT, "projection")
        features = content.get("features")
        if not isinstance(features, dict) or not isinstance(features.get("weights"), dict):
            raise ActaError(f"{path.with_suffix('.json')} does not describe a projection")
        self.features = features
        if not path.exists():
            raise ActaError(f"there is no model file {path}")
        file = Opened(path, "the projection")
        if content.get("weights") not in (None, file.sha256):  # those of older versions have none
            raise ActaError(f"{path} was changed or damaged since it was written; {make_again(path)}")
        state = read_weights(file)
        shapes = [tuple(state[name].shape) for name in ("mean", "components") if name in state]
        if len(state) != 2 or [len(shape) for shape in shapes] != [1, 2] or shapes[1][1:] != shapes[0]:
            raise ActaError(f"{path} does not hold a projection's mean (d,) and components (k, d)")
        self.mean, self.components = state["mean"], state["components"]

    def apply(self, features: Tensor) -> Tensor:
        """Project features, float32 (n, d), to (n, k).

        Raises:
            ActaError: they have another d.
        """
        if features.shape[1:] != self.mean.shape:
            raise ActaError(f"{self.path} projects {len(self.mean)} channels, not {features.shape[-1]}")
        return (features - self.mean) @ self.components.T

    def check(self, shard: FrameFeatureShard) -> None:
        """Refuse, by an `ActaError`, features that are not those on which it was fitted."""
        if self.features != _features_of(shard):
            raise ActaError(f"{self.path} was fitted on other features than those of {shard.path}; fit it anew")


def project_features(features: Path, projection: Path, output: Path) -> None:
    """Write the shard of projected features, with as many channels as there are components.

    Raises:
        ActaError: a file cannot be read, or the projection was fitted on other features.
    """
    shard, fitted = FrameFeatureShard(features), Projection(projection)
    fitted.check(shard)
    provenance = Provenance(
        stage="project-features",
        settings=canonical(NoSettings()),
        code=code_digest("project-features"),
        inputs={"features": shard.digest, "projection": file_sha256(projection)},
        packages=("torch",),
    )
    with pinned_threads(1):
        write_frame_features(
            output,
            shard,
            len(fitted.components),
            lambda video: (fitted.apply(block).numpy() for block in _blocks(shard, video)),
            provenance,
        )


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


def _blocks(shard: FrameFeatureShard, video: str) -> Iterator[Tensor]:
    first, last = shard.span(video)
    for start in range(0, last - first, _BLOCK):
        yield torch.from_numpy(shard.features(video, start, min(start + _BLOCK, last - first)))


def _features_of(shard: FrameFeatureShard) -> dict[str, Any]:
    """What tells one kind of features from another."""
    made = shard.provenance
    return {"channels": shard.channels} | {key: made[key] for key in ("stage", "settings", "weights")}
