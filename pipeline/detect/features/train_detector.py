"""Task `train_detector`: a detector of people and objects, trained on boxes with the names of what is in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.config.tasks.detect import TrainDetector
from pipeline.detect.features.keyframes import TimedFrames
from pipeline.models.object_detector import ObjectDetector, build_detector, save_detector, start_from_imagenet
from pipeline.models.opened import Opened
from pipeline.models.weights import open_weights
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.store import FrameShard, digest_of
from pipeline.runtime.text import read_rows
from pipeline.runtime.wheels import file_sha256
from pipeline.training.job import seeded, start_job
from pipeline.training.loop import fit
from pipeline.training.steering import SgdSchedule

_SLACK = 0.5  # seconds that a picture may lie beyond the last frame
# By (video, microseconds): boxes (n, 4) in [0, 1], and places (n,) among the classes.
NamedBoxes = dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]


def train_detector(
    shards: Sequence[Path],
    boxes: Path,
    output: Output,
    settings: TrainDetector,
    *,
    workers: int = 0,
    save_every: float = 300.0,
) -> None:
    """Train a detector and write ``output`` (.safetensors, with a .json next to it) and ``metrics.json``.

    Args:
        shards: Frame shards that hold the videos.
        boxes: CSV of ``video,timestamp,x1,y1,x2,y2,class``, corners in [0, 1] of the picture.
        output: The model file.
        settings: Of the detector and its training.
        workers: Processes that load pictures; the result does not depend on it.
        save_every: Seconds between checkpoints.

    Raises:
        ActaError: a bad row, no picture of the boxes is in the shards, or a loss that is not finite.
    """
    training = settings.detector
    with start_job(output, training, workers, save_every) as job:
        named = read_named_boxes(boxes, training.classes)
        pictures = Pictures([TimedFrames(path, settings.start) for path in shards], named, boxes, training.seed)
        weights = Opened(Path(training.initial)) if training.initial else open_weights("mobilenet_v2")
        detector = ObjectDetector("mobilenet_v2_fpn", training.classes, training.short_side, training.feature_size)
        with seeded(training.seed):
            model = build_detector(detector)
        start_from_imagenet(model, weights)
        provenance = provenance_of(
            __name__,
            settings,
            inputs={"frames": digest_of(shards), "boxes": file_sha256(boxes)},
            weights={"initial": weights.stated},
            packages=("torch", "torchvision"),
        )
        steering, identity = SgdSchedule(training, training), provenance.digest
        done = fit(job, model, pictures, detector_losses, training, training.seed, steering, identity, collate=collate)
        job.finish(done, {}, lambda: save_detector(output, model, detector, provenance.content))


def read_named_boxes(path: Path, classes: Sequence[str]) -> NamedBoxes:
    """Read the boxes.

    Raises:
        ActaError: the file cannot be read, or a row has no area in [0, 1] or an unknown class; the message names the
            line.
    """
    boxes: dict[tuple[str, int], list[tuple[list[float], int]]] = {}
    places = {name: place for place, name in enumerate(classes)}
    for line, row in read_rows(path):
        try:
            video, time, *corners, name = row
            x1, y1, x2, y2 = (float(corner) for corner in corners)
            key = (video, round(float(time) * 1e6))
            if not video or not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
                raise ValueError
            boxes.setdefault(key, []).append(([x1, y1, x2, y2], places[name.strip()]))
        except (ValueError, OverflowError, KeyError):
            raise ActaError(
                f"{path}:{line}: {','.join(row)!r} is not video,timestamp,x1,y1,x2,y2,class with a "
                f"box in [0, 1] and one of the classes {', '.join(classes)}"
            ) from None
    return {key: (np.array([b for b, _ in rows]), np.array([k for _, k in rows])) for key, rows in boxes.items()}


class Pictures:
    """The training set for the loop: annotated keyframes, half of them mirrored."""

    def __init__(self, shards: Sequence[FrameShard], boxes: NamedBoxes, source: Path, seed: int):
        self._shards, self._boxes, self._seed = shards, boxes, seed
        places = {video: number for number, shard in enumerate(shards) for video in shard.ids}
        self._keys = [(places[video], video, time) for video, time in boxes if video in places]
        self._keys.sort()
        for place, video, time in self._keys:
            end = float(shards[place].times(video)[-1])
            if time / 1e6 > end + _SLACK:
                raise ActaError(
                    f"{source} has boxes of {video!r} at {time / 1e6:g} s, but its last frame is at {end:g} s"
                )
        if not self._keys:
            raise ActaError(f"none of the {len(boxes)} pictures of {source} is among the videos")

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        epoch, number = key
        place, video, time = self._keys[number]
        picture = self._shards[place].clip_at(video, [time / 1e6])[0]
        corners, kinds = self._boxes[video, time]
        height, width = picture.shape[1:]
        box = torch.from_numpy(corners * np.array([width, height, width, height])).float()
        if np.random.default_rng([self._seed, epoch, number]).random() < 0.5:
            picture = picture.flip(2)
            box = torch.stack([width - box[:, 2], box[:, 1], width - box[:, 0], box[:, 3]], 1)
        return {"picture": picture, "box": box, "kind": torch.from_numpy(kinds)}


def collate(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Pictures padded to one size, with their own sizes; all boxes, each with its picture (``owner``)."""
    height, width = (max(item["picture"].shape[side] for item in items) for side in (1, 2))
    pictures = torch.zeros(len(items), 3, height, width, dtype=torch.uint8)
    for row, item in enumerate(items):
        pictures[row, :, : item["picture"].shape[1], : item["picture"].shape[2]] = item["picture"]
    return {
        "pictures": pictures,
        "sizes": torch.tensor([item["picture"].shape[1:] for item in items]),
        "box": torch.cat([item["box"] for item in items]),
        "kind": torch.cat([item["kind"] for item in items]),
        "owner": torch.repeat_interleave(torch.tensor([len(item["box"]) for item in items])),
    }


def detector_losses(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of Faster R-CNN's four losses, and each of them."""
    dtype = next(model.parameters()).dtype
    sizes = batch["sizes"].tolist()
    images = [p[:, :h, :w].to(dtype) / 255 for p, (h, w) in zip(batch["pictures"], sizes, strict=True)]
    targets = []
    for row in range(len(images)):
        mine = batch["owner"] == row
        targets.append({"boxes": batch["box"][mine].to(dtype), "labels": batch["kind"][mine] + 1})
    losses = model(images, targets)
    return sum(losses.values()), {name.removeprefix("loss_"): loss for name, loss in losses.items()}
