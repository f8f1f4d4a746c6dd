"""Small frame shards for tests: videos whose frames are given as arrays or numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg

from pipeline.runtime.provenance import Provenance
from pipeline.runtime.store import StoredVideo, write_frames
from tests.clips import numbered_image


def stored(
    folder: Path,
    name: str,
    images: Sequence[np.ndarray],
    *,
    label: str = "run",
    split: str = "train",
    start: float = 0.0,
) -> StoredVideo:
    """A video of these images, uint8 (height, width, 3), at 10 frames per second."""
    data = [simplejpeg.encode_jpeg(np.ascontiguousarray(image), 95, "RGB") for image in images]
    folder.mkdir(parents=True, exist_ok=True)
    spooled = folder / f"{name.replace('/', '_')}.jpegs"
    spooled.write_bytes(b"".join(data))
    times = start + np.arange(len(images)) / 10
    sizes = np.array([len(part) for part in data], np.uint64)
    return StoredVideo(name, label, split, *images[0].shape[:2], times, sizes, spooled)


def numbered(count: int, first: int = 0, size: tuple[int, int] = (32, 64)) -> list[np.ndarray]:
    """Frames that `tests.clips.read_number` can tell apart."""
    return [numbered_image(number, *size) for number in range(first, first + count)]


def write_shard(path: Path, videos: Sequence[StoredVideo], code: str = "test") -> Path:
    """Write a frame shard."""
    write_frames(path, videos, [], Provenance(task="extract_frames", settings="{}", code=code))
    return path
