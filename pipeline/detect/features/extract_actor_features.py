"""Task `extract_actor_features`: the features of people by a video backbone, with those of objects (Sec. 3.2.2)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pipeline.config.detect_features import BoxSettings
from pipeline.config.tasks.detect import ExtractActorFeatures
from pipeline.detect.annotation.ava import read_label_map
from pipeline.detect.annotation.people import People, label_detected
from pipeline.detect.features.entities import Actors, FeaturedVideo, Objects, no_objects, write_features
from pipeline.detect.features.keyframes import KeyframeTable, TimedFrames, digests_of
from pipeline.detect.features.objects import Detected, ObjectShard
from pipeline.models.actor_backbones import ActorNetwork, load_actor_backbone
from pipeline.models.object_detector import PERSON
from pipeline.models.opened import Opened, opened
from pipeline.models.precision import mixed
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output
from pipeline.runtime.progress import Progress
from pipeline.runtime.provenance import Quarantined, provenance_of
from pipeline.runtime.workers import good_results

Key = tuple[str, float, np.ndarray]  # video, seconds, boxes (n, 4)


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
    check_device(settings.device, settings.precision)
    names = read_label_map(label_map).names
    actions = [names[number] for number in sorted(names)]
    shard = TimedFrames(frames, settings.keyframes.start)
    there = ObjectShard(objects) if objects else None
    if not proposals and (there is None or PERSON not in there.classes):
        raise ActaError("people come from proposals or from an object shard that knows them; neither is given")
    table = KeyframeTable(settings.keyframes, label_map, boxes, proposals)
    keyframes = _Keyframes(table, shard, there, settings.boxes, len(actions))
    file = opened(model, "the model file")
    network, outputs = _load(file, settings)
    inputs = {"frames": shard.digest} | digests_of(label_map, boxes, proposals)
    if there is not None:
        inputs["objects"] = there.digest
    provenance = provenance_of(
        __name__, settings, inputs=inputs, weights={"backbone": file.stated}, packages=("torch", "torchvision")
    )
    quarantine = list(shard.quarantine)
    with pinned_threads(settings.threads):
        featured = _featured(network, outputs == actions, keyframes, settings, workers)
        videos = good_results(featured, quarantine, max_bad_fraction, len(shard.ids), "extract_actor_features")
        write_features(output, videos, actions, quarantine, provenance)


def _load(file: Opened, settings: ExtractActorFeatures) -> tuple[ActorNetwork, list[str]]:
    """The backbone in evaluation mode, and the actions of its own classifier; refuses another network."""
    network, backbone, outputs = load_actor_backbone(file)
    wanted = settings.network
    if (backbone.name, backbone.width) != (wanted.name, wanted.width) or wanted.frames not in (None, backbone.span):
        raise ActaError(
            f"{file.path} holds {backbone.name} of width {backbone.width:g} on {backbone.span} frames, but the "
            f"settings' `network` is {wanted.name} of width {wanted.width:g} on {wanted.frames or 'the published'} "
            "frames"
        )
    return network.to(settings.device).eval(), outputs


@dataclass(frozen=True)
class _Keyframes:
    """What is known of videos' keyframes before the backbone sees them.

    ``there`` are detected objects, perhaps including people; ``boxes`` says which people count.
    """

    table: KeyframeTable
    shard: TimedFrames
    there: ObjectShard | None
    boxes: BoxSettings
    actions: int

    def look_up(self, video: str, label: str, split: str) -> FeaturedVideo | Quarantined:
        """The people of a video, without their features, and its objects; or why it is left out."""
        table, there = self.table, self.there
        person = there.classes.index(PERSON) if there and PERSON in there.classes else -1
        try:
            times = table.times(video, split, self.shard.times(video))
            if person < 0 and not table.has_proposals(split):
                raise ActaError(f"no proposals are given for {video} of split {split!r}, nor a detector")
            if there is not None and not np.array_equal(times, there.times(video)):
                raise VideoError(f"its keyframes are not those of {there.path}: make that again")
        except (VideoError, KeyError) as error:
            return Quarantined(video, "extract_actor_features", str(error.args[0]))
        found = [there.at(video, place) if there else None for place in range(len(times))]
        people = []
        for time, each in zip(times.tolist(), found, strict=True):
            known = table.people(video, split, time, self.actions)
            if table.has_proposals(split) or each is None:
                box, score = table.proposed(video, split, time)
            else:
                box, score = each.box[each.kind == person], each.score[each.kind == person]
            people.append(actors_of(known, box, score, self.boxes))
        return FeaturedVideo(video, label, split, times, people, [_objects(each, person) for each in found])


def actors_of(people: People, box: np.ndarray, score: np.ndarray, rule: BoxSettings) -> Actors:
    """Annotated people, then those detected boxes (n, 4) with a score (n,) of at least ``rule.score``; no features.

    Source: Sec. 3.2.2.
    """
    kept = score >= rule.score
    box, score = box[kept], score[kept]
    known, count = len(people.box), len(people.box) + len(box)
    return Actors(
        feature=np.zeros((count, 0)),
        box=np.concatenate([people.box, box]).astype(np.float32),
        score=np.concatenate([np.ones(known), score]).astype(np.float32),
        annotated=np.arange(count) < known,
        actions=np.concatenate([people.actions, label_detected(box, people, rule.iou)]),
        baseline=np.zeros((count, 0)),
    )


def _objects(found: Detected | None, person: int) -> Objects:
    if found is None:
        return no_objects(0, np.float16)
    kept = found.where(found.kind != person)
    return Objects(kept.feature, kept.box, kept.score)


def _featured(
    network: ActorNetwork, has_baseline: bool, keyframes: _Keyframes, settings: ExtractActorFeatures, workers: int
) -> Iterator[FeaturedVideo | Quarantined]:
    """Every video with its features, and with the classifier's scores if those are of the same actions."""
    shard = keyframes.shard
    videos = [keyframes.look_up(*column) for column in zip(shard.ids, shard.labels, shard.splits, strict=True)]
    keys = [_keys(video) for video in videos if isinstance(video, FeaturedVideo)]
    with Progress(total=sum(map(len, keys)), unit="keyframes", desc="extract_actor_features") as bar:
        results = _features(network, shard, keys, settings, workers, bar)
        for video in videos:
            if isinstance(video, Quarantined):
                yield video
                continue
            features, scores = next(results)
            ends = np.cumsum([len(actors.box) for actors in video.actors], dtype=int)
            parts = (np.split(column, ends)[:-1] for column in (features, scores if has_baseline else scores[:, :0]))
            columns = zip(video.actors, *parts, strict=True)
            yield replace(video, actors=[replace(a, feature=own, baseline=said) for a, own, said in columns])


def _keys(video: FeaturedVideo) -> list[Key]:
    """The keyframes with people."""
    places = zip(video.times.tolist(), video.actors, strict=True)
    return [(video.id, time, actors.box) for time, actors in places if len(actors.box)]


class KeyframeClips(torch.utils.data.Dataset):
    """Clips with boxes, by number, for a loader."""

    def __init__(self, shard: TimedFrames, keys: Sequence[Key], span: int, rate: float):
        self._shard, self._keys, self._span, self._rate = shard, keys, span, rate

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        video, time, box = self._keys[number]
        return self._shard.clip_around(video, time, self._span, self._rate), torch.from_numpy(box)


def _features(
    network: ActorNetwork,
    shard: TimedFrames,
    videos: Sequence[Sequence[Key]],
    settings: ExtractActorFeatures,
    workers: int,
    bar: Progress,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each video the features (a, d) and the classifier's scores (a, c) of its keyframes' boxes, in their order.

    All videos share one loader, whose processes start once; a batch is of one video, since sizes may differ.
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
    for of_video in batches:
        features, scores = [np.zeros((0, backbone.feature_size), kind)], [np.zeros((0, backbone.classes), np.float32)]
        for batch in of_video:
            pictures, boxes = next(loaded)
            with torch.inference_mode(), mixed(settings.device, settings.precision):
                feature, logits = network(pictures.to(settings.device), [box.to(settings.device) for box in boxes])
            features.append(feature.float().cpu().numpy().astype(kind))
            scores.append(logits.float().sigmoid().cpu().numpy())
            bar.update(len(batch))
        yield np.concatenate(features), np.concatenate(scores)


def _collate(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[Tensor]]:
    return torch.stack([clip for clip, _ in items]), [box for _, box in items]
