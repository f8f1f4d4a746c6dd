"""Games' features whose variances differ, as shards, and how a projection is fitted on them."""

from pathlib import Path

import numpy as np

from pipeline.config.tasks.spot import FitPca
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import StoredVideo, create_shard, write_index
from pipeline.spot.extract_frame_features import FRAME_FEATURES_FORMAT

SETTINGS = FitPca(components=3, train=("train", "more"))
CHANNELS = 6


def made(frames: int, seed: int, channels: int = CHANNELS, shift: float = 5.0) -> np.ndarray:
    """Correlated features whose variances differ, float32."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(channels, channels)) * np.geomspace(4, 0.5, channels)[:, None]
    return (shift + random.normal(size=(frames, channels)) @ mixing).astype(np.float32)


def save_game(path: Path, name: str, halves: list[np.ndarray], split: str = "train", settings: str = "{}") -> Path:
    """A game's feature shard; values as given, even those that no task would write."""
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


def write_games(folder: Path) -> list[Path]:
    """Three training games and one of another split, which lies elsewhere."""
    return [
        save_game(folder / "a.h5", "a", [made(40, 1), made(30, 2)]),
        save_game(folder / "far.h5", "far", [made(50, 3, shift=900.0), made(50, 4)], "test hard"),
        save_game(folder / "b.h5", "b", [made(21, 5), made(1, 6)], "small more"),
        save_game(folder / "c.h5", "c", [made(35, 7), made(35, 8)], "train"),
    ]
