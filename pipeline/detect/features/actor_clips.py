"""Keyframes with their clips and boxes, out of frame shards: what actor backbones are trained on and asked about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.config.detect_features import BoxSettings
from pipeline.detect.annotation.people import People, label_detected
from pipeline.runtime.store import FrameShard


@dataclass(frozen=True)
class Boxes:
    """People on one keyframe: annotated ones first.

    Args:
        box: float32 (n, 4) in [0, 1].
        score: float32 (n,) of the detector; 1 for annotated boxes.
        annotated: (n,) whether the box is annotated.
        actions: (n, c) what they do.
    """

    box: np.ndarray
    score: np.ndarray
    annotated: np.ndarray
    actions: np.ndarray


def boxes_of(people: People, box: np.ndarray, score: np.ndarray, rule: BoxSettings) -> Boxes:
    """Annotated people, and of the detected boxes (n, 4) those with a score (n,) of at least ``rule.score``.

    Source: Sec. 3.2.2.
    """
    kept = score >= rule.score
    box, score = box[kept], score[kept]
    count = len(people.box)
    return Boxes(
        box=np.concatenate([people.box, box]).astype(np.float32),
        score=np.concatenate([np.ones(count), score]).astype(np.float32),
        annotated=np.arange(count + len(box)) < count,
        actions=np.concatenate([people.actions, label_detected(box, people, rule.iou)]),
    )


def clip_at(shard: FrameShard, video: str, time: float, span: int, rate: float) -> Tensor:
    """The raw clip around a keyframe, uint8 (span, 3, height, width): the keyframe is at index ``span // 2``.

    Beyond the video's ends its first and last frame are repeated.
    """
    return shard.clip_at(video, time + (np.arange(span) - span // 2) / rate)


class KeyframeClips(torch.utils.data.Dataset):
    """Clips with boxes, by number, for a loader."""

    def __init__(self, shard: FrameShard, keys: Sequence[tuple[str, float, np.ndarray]], span: int, rate: float):
        self._shard, self._keys, self._span, self._rate = shard, keys, span, rate

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        video, time, box = self._keys[number]
        return clip_at(self._shard, video, time, self._span, self._rate), torch.from_numpy(box)
