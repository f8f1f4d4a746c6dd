"""Task `project_features`: a game's features with fewer numbers per frame (Sec. 4.2.1)."""

from pathlib import Path

from pipeline.runtime.device import pinned_threads
from pipeline.runtime.files import Output
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.wheels import file_sha256
from pipeline.spot.extract_frame_features import FrameFeatureShard, write_frame_features
from pipeline.spot.projection import Projection, blocks


def project_features(features: Path, projection: Path, output: Output) -> None:
    """Write the shard of projected features, with as many channels as there are components.

    Args:
        features: The game's features.
        projection: What `fit_pca` wrote.
        output: The shard to write.

    Raises:
        ActaError: a file cannot be read, or the projection was fitted on other features.
    """
    shard, fitted = FrameFeatureShard(features), Projection(projection)
    fitted.check(shard)
    provenance = provenance_of(
        __name__, inputs={"features": shard.digest, "projection": file_sha256(projection)}, packages=("torch",)
    )
    with pinned_threads(1):
        write_frame_features(
            output,
            shard,
            len(fitted.components),
            lambda video: (fitted.apply(block).numpy() for block in blocks(shard, video)),
            provenance,
        )
