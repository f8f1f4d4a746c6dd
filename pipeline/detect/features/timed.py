"""Frames in the time of their annotation."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.runtime.store import FrameShard


class TimedFrames(FrameShard):
    """A frame shard whose videos begin at ``start`` seconds in the time of their annotation."""

    def __init__(self, path: Path | str, start: float):
        self._start = start
        super().__init__(path)

    def times(self, video: str) -> np.ndarray:
        """Times of a video's frames in the annotation's seconds, (n,)."""
        return super().times(video) + self._start

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_start": self._start}
