"""Stage `actor-features`: the features of people by a video backbone, with those of objects (Sec. 3.2.2)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from pipeline.config.base import canonical
from pipeline.config.stages import ActorFeaturesStage
from pipeline.data.ava import read_label_map
from pipeline.device import check_device
from pipeline.errors import ActaError, VideoError
from pipeline.features.clips import Boxes, KeyframeClips, boxes_of
from pipeline.features.entities import Actors, FeaturedVideo, Objects, write_features
from pipeline.features.keyframes import KeyframeTable
from pipeline.features.objects import Detected, ObjectShard
from pipeline.models.actor_backbones import ActorNetwork, load_actor_backbone
from pipeline.models.object_detector import PERSON
from pipeline.stages import code_digest
from pipeline.store import FrameShard, Provenance, Quarantined
from pipeline.wheels import file_sha256
from pipeline.workers import split_results


def actor_features(
    frames: Path,
    output: Path,
    settings: ActorFeaturesStage,
    model: Path,
    label_map: Path,
    boxes: Mapping[str, Path],
    proposals: Mapping[str, Path],
    objects: Path | None = None,
    *,
    workers: int = 0,
    max_bad_fraction: float = 1.0,
) -> None:
    """Write the feature shard of a frame shard.

    Args:
        frames: The frame shard.
        output: The feature shard.
        settings: Keyframes, boxes, the rate of a clip's frames.
        model: The actor backbone (`pipeline.models.actor_backbones.load_actor_backbone`).
        label_map: The actions (pbtxt).
        boxes, proposals: Annotated boxes and detected people by split.
        objects: The object shard of the same videos; None: there are no objects, and people come from proposals.
        workers: Processes that load clips; the result does not depend on it.
        max_bad_fraction: More bad videos than this fraction of the shard are an error.

    Raises:
        ActaError: a file cannot be read or does not fit the others, or too many videos are bad.
    """
    check_device(settings.device)
    table = KeyframeTable(settings.keyframes, label_map, boxes, proposals)
    names = read_label_map(label_map).names
    actions = [names[number] for number in sorted(names)]
    shard = FrameShard(frames)
    there = ObjectShard(objects) if objects else None
    if there is None and not proposals:
        raise ActaError("people come from proposals or from an object shard; neither is given")
    person = there.classes.index(PERSON) if there else -1
    network, backbone, outputs = load_actor_backbone(model)
    network = network.to(settings.device).eval()
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    rate = settings.rate or backbone.rate

    def featured() -> Iterator[FeaturedVideo | Quarantined]:
        columns = list(zip(shard.ids, shard.labels, shard.splits, strict=True))
        for video, label, split in tqdm(columns, unit="video", mininterval=1, dynamic_ncols=True):
            try:
                times = table.times(video, split, shard.times(video))
                if there is not None and not np.array_equal(times, there.times(video)):
                    raise VideoError(f"its keyframes are not those of {there.path}: make that anew")
            except (VideoError, KeyError) as error:
                yield Quarantined(video, "actor-features", str(error.args[0]))
                continue
            found = [there.at(video, place) if there else None for place in range(len(times))]
            on_them = []
            for time, each in zip(times.tolist(), found, strict=True):
                known = table.people(video, split, time, len(actions))
                if table.has_proposals or each is None:
                    box, score = table.proposed(video, split, time)
                else:
                    box, score = each.box[each.kind == person], each.score[each.kind == person]
                on_them.append(boxes_of(known, box, score, settings.boxes))
            keys = [(video, time, each.box) for time, each in zip(times.tolist(), on_them, strict=True)]
            clips = KeyframeClips(shard, [key for key in keys if len(key[2])], backbone.span, rate)
            features, scores = _features(network, clips, settings, workers)
            # A classifier for other classes, Kinetics' say, is no baseline.
            if outputs != actions:
                scores = scores[:, :0]
            yield FeaturedVideo(
                video,
                label,
                split,
                times,
                _actors(on_them, features, scores),
                [_objects(each, person) for each in found],
            )

    try:
        videos, bad = split_results(featured(), max_bad_fraction, len(shard.ids), "actor-features")
    finally:
        torch.set_num_threads(threads)
    inputs = {"frames": shard.digest, "label_map": file_sha256(label_map)}
    inputs |= {f"boxes/{split}": file_sha256(path) for split, path in boxes.items()}
    inputs |= {f"proposals/{split}": file_sha256(path) for split, path in proposals.items()}
    if there is not None:
        inputs["objects"] = there.digest
    provenance = Provenance(
        stage="actor-features",
        settings=canonical(settings),
        code=code_digest("actor-features"),
        inputs=inputs,
        weights={"backbone": file_sha256(model)},
        packages=("torch", "torchvision"),
    )
    write_features(output, videos, actions, [*shard.quarantine, *bad], provenance)


def _features(
    network: ActorNetwork, clips: KeyframeClips, settings: ActorFeaturesStage, workers: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features (a, d) and the classifier's scores (a, c) of the boxes of all clips, in their order."""
    loader = DataLoader(
        clips,
        batch_size=settings.batch,
        num_workers=workers,
        multiprocessing_context="forkserver" if workers else None,
        collate_fn=_collate,
    )
    backbone = network.backbone
    kind = np.float16 if settings.half else np.float32
    features, scores = [np.zeros((0, backbone.feature_size), kind)], [np.zeros((0, backbone.classes), np.float32)]
    precise = settings.precision != "bfloat16"
    with torch.inference_mode(), torch.autocast(settings.device, torch.bfloat16, enabled=not precise):
        for pictures, boxes in loader:
            feature, logits = network(pictures.to(settings.device), [box.to(settings.device) for box in boxes])
            features.append(feature.float().cpu().numpy().astype(kind))
            scores.append(logits.float().sigmoid().cpu().numpy())
    return np.concatenate(features), np.concatenate(scores)


def _collate(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
    return torch.stack([clip for clip, _ in items]), [box for _, box in items]


def _actors(boxes: Sequence[Boxes], features: np.ndarray, scores: np.ndarray) -> list[Actors]:
    ends = np.cumsum([len(each.box) for each in boxes])
    return [
        Actors(
            feature=features[end - len(each.box) : end],
            box=each.box,
            score=each.score,
            annotated=each.annotated,
            actions=each.actions,
            baseline=scores[end - len(each.box) : end],
        )
        for each, end in zip(boxes, ends.tolist(), strict=True)
    ]


def _objects(found: Detected | None, person: int) -> Objects:
    if found is None:
        return Objects(np.zeros((0, 0), np.float16), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    kept = found.where(found.kind != person)
    return Objects(kept.feature, kept.box, kept.score)
