"""Task `extract_actor_features`: the features of people by a video backbone, with those of objects (Sec. 3.2.2)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pipeline.config.detect_features import ActorBackboneSettings, BoxSettings
from pipeline.config.tasks.detect import ExtractActorFeatures
from pipeline.detect.annotation.ava import read_label_map
from pipeline.detect.features.actor_clips import Boxes, KeyframeClips, boxes_of
from pipeline.detect.features.entities import Actors, FeaturedVideo, Objects, write_features
from pipeline.detect.features.keyframes import KeyframeTable
from pipeline.detect.features.objects import Detected, ObjectShard
from pipeline.detect.features.timed import TimedFrames
from pipeline.models.actor_backbones import ActorBackbone, ActorNetwork, load_actor_backbone
from pipeline.models.object_detector import PERSON
from pipeline.models.opened import opened
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output
from pipeline.runtime.progress import Progress, progress
from pipeline.runtime.provenance import Quarantined, provenance_of
from pipeline.runtime.wheels import file_sha256
from pipeline.runtime.workers import split_results

Key = tuple[str, float, np.ndarray]  # video, seconds, boxes (n, 4)


@dataclass(frozen=True)
class _Prepared:
    """A video with everything but what the backbone says; ``people`` and ``objects`` have one entry per keyframe."""

    id: str
    label: str
    split: str
    times: np.ndarray
    people: Sequence[Boxes]
    objects: Sequence[Objects]

    def keys(self) -> list[Key]:
        """Its keyframes with people."""
        places = zip(self.times.tolist(), self.people, strict=True)
        return [(self.id, time, each.box) for time, each in places if len(each.box)]


def extract_actor_features(
    frames: Path,
    output: Output,
    settings: ExtractActorFeatures,
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
    shard = TimedFrames(frames, settings.keyframes.start)
    there = ObjectShard(objects) if objects else None
    person = there.classes.index(PERSON) if there and PERSON in there.classes else -1
    if person < 0 and not proposals:
        raise ActaError("people come from proposals or from an object shard that knows them; neither is given")
    file = opened(model, "the model file")
    network, backbone, outputs = load_actor_backbone(file)
    _check_network(model, backbone, settings.network)
    network = network.to(settings.device).eval()
    known = _Known(table, shard, there, person, len(actions), settings.boxes)

    def featured() -> Iterator[FeaturedVideo | Quarantined]:
        columns = zip(shard.ids, shard.labels, shard.splits, strict=True)
        prepared = [known.of(*column) for column in columns]
        keys = [each.keys() for each in prepared if isinstance(each, _Prepared)]
        with progress(total=sum(map(len, keys)), unit="keyframes", desc="extract_actor_features") as bar:
            results = _features(network, shard, keys, settings, workers, bar)
            for each in prepared:
                if isinstance(each, Quarantined):
                    yield each
                    continue
                features, scores = next(results)
                # A classifier for other classes, Kinetics' say, is no baseline.
                if outputs != actions:
                    scores = scores[:, :0]
                actors = _actors(each.people, features, scores)
                yield FeaturedVideo(each.id, each.label, each.split, each.times, actors, each.objects)

    with pinned_threads(settings.threads):
        videos, bad = split_results(featured(), max_bad_fraction, len(shard.ids), "extract_actor_features")
    inputs = {"frames": shard.digest, "label_map": file_sha256(label_map)}
    inputs |= {f"boxes/{split}": file_sha256(path) for split, path in boxes.items()}
    inputs |= {f"proposals/{split}": file_sha256(path) for split, path in proposals.items()}
    if there is not None:
        inputs["objects"] = there.digest
    provenance = provenance_of(
        __name__, settings, inputs=inputs, weights={"backbone": file.stated}, packages=("torch", "torchvision")
    )
    write_features(output, videos, actions, [*shard.quarantine, *bad], provenance)


def _check_network(model: Path, backbone: ActorBackbone, wanted: ActorBackboneSettings) -> None:
    if (backbone.name, backbone.width) != (wanted.name, wanted.width) or wanted.frames not in (None, backbone.span):
        raise ActaError(
            f"{model} holds {backbone.name} of width {backbone.width:g} on {backbone.span} frames, but the settings' "
            f"`network` is {wanted.name} of width {wanted.width:g} on {wanted.frames or 'the published'} frames"
        )


@dataclass(frozen=True)
class _Known:
    """What is known of the people and objects on the keyframes of a shard's videos."""

    table: KeyframeTable
    shard: TimedFrames
    objects: ObjectShard | None
    person: int
    actions: int
    boxes: BoxSettings

    def of(self, video: str, label: str, split: str) -> _Prepared | Quarantined:
        """A video's keyframes, or why it has none."""
        table, objects = self.table, self.objects
        try:
            times = table.times(video, split, self.shard.times(video))
            if self.person < 0 and not table.has_proposals(split):
                raise ActaError(f"no proposals are given for {video} of split {split!r}, nor a detector")
            if objects is not None and not np.array_equal(times, objects.times(video)):
                raise VideoError(f"its keyframes are not those of {objects.path}: make that anew")
        except (VideoError, KeyError) as error:
            return Quarantined(video, "extract_actor_features", str(error.args[0]))
        found = [objects.at(video, place) if objects else None for place in range(len(times))]
        people = []
        for time, each in zip(times.tolist(), found, strict=True):
            annotated = table.people(video, split, time, self.actions)
            if table.has_proposals(split) or each is None:
                box, score = table.proposed(video, split, time)
            else:
                box, score = each.box[each.kind == self.person], each.score[each.kind == self.person]
            people.append(boxes_of(annotated, box, score, self.boxes))
        return _Prepared(video, label, split, times, people, [_objects(each, self.person) for each in found])


def _features(
    network: ActorNetwork,
    shard: TimedFrames,
    videos: Sequence[Sequence[Key]],
    settings: ExtractActorFeatures,
    workers: int,
    bar: Progress,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each video features (a, d) and the classifier's scores (a, c) of the boxes of its keyframes, in their order.

    All videos have one loader, whose processes start once; a batch is of one video, as sizes may differ.
    """
    backbone = network.backbone
    clips = KeyframeClips(
        shard, [key for keys in videos for key in keys], backbone.span, settings.rate or backbone.rate
    )
    firsts = np.cumsum([0, *map(len, videos)]).tolist()
    batches = [
        [range(first, min(first + settings.batch, end)) for first in range(start, end, settings.batch)]
        for start, end in pairwise(firsts)
    ]
    loader = DataLoader(
        clips,
        batch_sampler=[list(batch) for of_video in batches for batch in of_video],
        num_workers=workers if len(clips) else 0,
        multiprocessing_context="forkserver" if workers and len(clips) else None,
        prefetch_factor=1 if workers and len(clips) else None,  # a batch of long clips is tens of megabytes a keyframe
        collate_fn=_collate,
    )
    loaded = iter(loader)
    kind = np.float16 if settings.half_precision else np.float32
    precise = settings.precision != "bfloat16"
    for of_video in batches:
        features, scores = [np.zeros((0, backbone.feature_size), kind)], [np.zeros((0, backbone.classes), np.float32)]
        for batch in of_video:
            pictures, boxes = next(loaded)
            with torch.inference_mode(), torch.autocast(settings.device, torch.bfloat16, enabled=not precise):
                feature, logits = network(pictures.to(settings.device), [box.to(settings.device) for box in boxes])
            features.append(feature.float().cpu().numpy().astype(kind))
            scores.append(logits.float().sigmoid().cpu().numpy())
            bar.update(len(batch))
        yield np.concatenate(features), np.concatenate(scores)


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
