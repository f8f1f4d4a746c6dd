"""Task `train_backbone`: an actor backbone fine-tuned on annotated boxes, as I3D is on AVA (Sec. 3.2.2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config.tasks.detect import TrainBackbone
from pipeline.detect.annotation.people import Annotation
from pipeline.detect.features.keyframes import TimedFrames, digests_of
from pipeline.models.actor_backbones import (
    ActorBackbone,
    build_actor_backbone,
    freeze,
    load_published,
    save_actor_backbone,
)
from pipeline.models.opened import Opened
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.scratch import near
from pipeline.runtime.store import digest_of
from pipeline.training.job import seeded, start_job
from pipeline.training.loop import fit
from pipeline.training.steering import SgdSchedule


def train_backbone(
    shards: Sequence[Path],
    output: Output,
    settings: TrainBackbone,
    label_map: Path,
    boxes: Mapping[str, Path],
    *,
    workers: int = 0,
    save_every: float = 300.0,
) -> None:
    """Train a backbone on annotated people and write ``output`` (.safetensors, with a .json) and ``metrics.json``.

    Args:
        shards: Frame shards that hold the videos.
        output: The model file.
        settings: Backbone and training.
        label_map: The actions (pbtxt).
        boxes: Annotated boxes (CSV) of the training splits.
        workers: Processes that load clips; the result does not depend on it.
        save_every: Seconds between checkpoints.

    Raises:
        ActaError: bad annotation, no annotated video in the shards, weights that do not fit, or a loss that is not
            finite.
    """
    training, chosen = settings.training, settings.backbone
    with start_job(output, training, workers, save_every) as job:
        if not boxes:
            raise ActaError("no annotated boxes are given; a backbone is trained on them")
        annotations = [Annotation(path, label_map) for path in boxes.values()]
        actions = annotations[0].actions
        backbone = ActorBackbone(chosen.name, len(actions), chosen.width, chosen.frames)
        clips = Clips([TimedFrames(near(path), settings.start) for path in shards], annotations, backbone, settings)
        with seeded(training.seed):
            model = build_actor_backbone(backbone, training.dropout)
            initial = None if training.initial is None else Opened(Path(training.initial))
            if initial is not None:
                model.load_state_dict(load_published(initial, backbone)[0].state_dict())
        if training.trainable == "mixed_5":
            freeze(model, backbone)
        provenance = provenance_of(
            __name__,
            settings,
            inputs={"frames": digest_of(shards)} | digests_of(label_map, boxes, {}),
            weights={"initial": initial.stated} if initial else {},
            packages=("torch", "torchvision", "simplejpeg"),
        )
        steering, identity = SgdSchedule(training, training), provenance.digest
        done = fit(job, model, clips, losses, training, training.seed, steering, identity, collate=collate)
        job.finish(
            done,
            {"keyframes": len(clips)},
            lambda: save_actor_backbone(output, model, backbone, actions, provenance.content),
        )


class Clips:
    """The training set for the loop: keyframes with annotated people, half of them mirrored."""

    def __init__(
        self,
        shards: Sequence[TimedFrames],
        annotations: Sequence[Annotation],
        backbone: ActorBackbone,
        settings: TrainBackbone,
    ):
        self._shards, self._annotations = shards, annotations
        self._backbone, self._rate = backbone, settings.rate or backbone.rate
        self._flip, self._seed = settings.training.flip, settings.training.seed
        self._keys = [
            (number, video, time, which)
            for number, shard in enumerate(shards)
            for video in shard.ids
            for which, annotation in enumerate(annotations)
            for time in annotation.times(video).tolist()
            if annotation.line_of(video, time) and time <= shard.times(video)[-1]
        ]
        if not self._keys:
            names = ", ".join(str(annotation.path) for annotation in annotations)
            raise ActaError(f"{names} annotate no box in the videos of the frame shards")

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        number, video, time, which = self._keys[key[1]]
        people = self._annotations[which].people(video, time)
        clip = self._shards[number].clip_around(video, time, self._backbone.span, self._rate)
        box = torch.from_numpy(people.box).float()
        if self._flip and np.random.default_rng([self._seed, *key]).random() < 0.5:
            clip = clip.flip(3)
            box = torch.stack([1 - box[:, 2], box[:, 1], 1 - box[:, 0], box[:, 3]], 1)
        return {"clip": clip, "box": box, "actions": torch.from_numpy(people.actions)}


def collate(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Clips of one size; boxes and actions of all people, and how many people each clip has.

    Raises:
        ActaError: pictures of different sizes.
    """
    sizes = {tuple(item["clip"].shape[2:]) for item in items}
    if len(sizes) > 1:
        raise ActaError(f"clips of different sizes {sorted(sizes)} in one batch; set an exact `size` of the frames")
    return {
        "clips": torch.stack([item["clip"] for item in items]),
        "box": torch.cat([item["box"] for item in items]),
        "actions": torch.cat([item["actions"] for item in items]),
        "counts": torch.tensor([len(item["box"]) for item in items]),
    }


def losses(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Binary cross entropy of each action."""
    dtype = next(model.parameters()).dtype
    boxes = batch["box"].to(dtype).split(batch["counts"].tolist())
    _, logits = model(batch["clips"], list(boxes))
    loss = F.binary_cross_entropy_with_logits(logits, batch["actions"].to(logits.dtype))
    return loss, {"actors": batch["counts"].sum().to(dtype)}
