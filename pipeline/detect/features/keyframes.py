"""A video's keyframes, the annotated and proposed people on them, and frames in the time of the annotation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pipeline.config.detect_features import KeyframeSettings
from pipeline.detect.annotation.people import Annotation, People
from pipeline.detect.annotation.proposals import read_proposals
from pipeline.media.limits import check_filled
from pipeline.runtime.errors import VideoError
from pipeline.runtime.store import FrameShard
from pipeline.runtime.wheels import file_sha256

_UNCUT = 120.0  # seconds that a cut video may go on after its last keyframe
_SPARSE = 10.0  # seconds between two frames of a thinned-out video
_SLACK = 0.5  # seconds that a keyframe may lie beyond the last frame


class KeyframeTable:
    """Keyframes by video: at times that the annotation or the proposals name, and at regular times.

    Args:
        settings: The regular times.
        label_map: The actions (pbtxt).
        boxes: Annotated boxes (CSV) by split.
        proposals: Detected people (CSV or pickle) by split; empty if a detector finds them.

    Raises:
        ActaError: a file cannot be read or has a bad row.
    """

    def __init__(
        self, settings: KeyframeSettings, label_map: Path, boxes: Mapping[str, Path], proposals: Mapping[str, Path]
    ):
        self._settings = settings
        self._annotations = {split: Annotation(path, label_map) for split, path in boxes.items()}
        self._proposals = {split: read_proposals(path) for split, path in proposals.items()}
        self._proposed: dict[str, dict[str, list[int]]] = {split: {} for split in proposals}
        for split, known in self._proposals.items():
            for video, time in known.frames:
                self._proposed[split].setdefault(video, []).append(time)

    @property
    def videos(self) -> set[str]:
        """The videos that the annotation or the proposals name."""
        named = (known.videos for known in self._annotations.values())
        return set().union(*named, *self._proposed.values())

    def has_proposals(self, split: str) -> bool:
        """Whether proposals are given for any of these splits."""
        return any(part in self._proposals for part in split.split())

    def times(self, video: str, split: str, frames: np.ndarray) -> np.ndarray:
        """(n,) seconds of a video's keyframes, ascending.

        Args:
            video, split: Its id, and the splits that it is in.
            frames: (m,) times of its frames.

        Raises:
            VideoError: the annotation names a keyframe beyond the video's end (the message names file and line), or
                the video has too few frames for the regular times.
        """
        named = [annotation.times(video) for annotation in self._of(self._annotations, split)]
        named += [np.array(proposed.get(video, [])) / 1e6 for proposed in self._of(self._proposed, split)]
        first, last = self._settings.first, self._settings.last
        if first is not None and len(frames):
            end = frames[-1] if last is None else min(last, frames[-1])
            check_filled(len(frames), end - first, _SPARSE)
            named.append(np.arange(first, end + 1e-6, self._settings.step))
        if self._settings.start and len(frames) and any(map(len, named)):
            latest = max(float(each.max()) for each in named if len(each))
            if frames[-1] > latest + _UNCUT:
                raise VideoError(
                    f"it ends {frames[-1] - latest:.0f} s after its last keyframe at {latest:g} s; if it was not cut, "
                    "set `keyframes.start` to 0"
                )
        times = np.unique(np.round(np.concatenate([np.zeros(0), *named]), 6))
        outside = (times < frames[:1] - _SLACK) | (times > frames[-1:] + _SLACK) if len(frames) else times >= 0
        for time in times[outside].tolist():
            for annotation in self._of(self._annotations, split):
                if line := annotation.line_of(video, time):
                    raise VideoError(
                        f"{annotation.path}:{line} annotates it at {time:g} s, but its frames are from "
                        f"{frames[0] if len(frames) else 0:g} to {frames[-1] if len(frames) else 0:g} s"
                    )
        return times[~outside]

    def people(self, video: str, split: str, time: float, actions: int) -> People:
        """The annotated people on a keyframe."""
        for annotation in self._of(self._annotations, split):
            people = annotation.people(video, time)
            if len(people.box):
                return people
        return People(np.zeros((0, 4)), np.zeros((0, actions), bool))

    def proposed(self, video: str, split: str, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (n, 4) and scores (n,) of the proposals on a keyframe."""
        for proposals in self._of(self._proposals, split):
            boxes, scores = proposals.of(video, round(time * 1e6))
            if len(boxes):
                return boxes, scores
        return np.zeros((0, 4)), np.zeros(0)

    @staticmethod
    def _of(by_split: Mapping[str, Any], split: str) -> list[Any]:
        return [by_split[part] for part in split.split() if part in by_split]


def digests_of(label_map: Path, boxes: Mapping[str, Path], proposals: Mapping[str, Path]) -> dict[str, str]:
    """The files of a `KeyframeTable` in the provenance of what is made with it."""
    files = {"label_map": label_map}
    files |= {f"boxes/{split}": path for split, path in boxes.items()}
    files |= {f"proposals/{split}": path for split, path in proposals.items()}
    return {name: file_sha256(path) for name, path in files.items()}


class TimedFrames(FrameShard):
    """A frame shard whose videos begin at ``start`` seconds in the time of their annotation."""

    def __init__(self, path: Path | str, start: float):
        self._start = start
        super().__init__(path)

    def times(self, video: str) -> np.ndarray:
        """Times of a video's frames in the annotation's seconds, (n,)."""
        return super().times(video) + self._start

    def clip_around(self, video: str, time: float, span: int, rate: float) -> Tensor:
        """The raw clip around a keyframe, uint8 (span, 3, height, width): the keyframe is at index ``span // 2``.

        Beyond the video's ends its first and last frame are repeated.
        """
        return self.clip_at(video, time + (np.arange(span) - span // 2) / rate)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_start": self._start}
