"""`acta detect`: who does what in one video, as a table and as an annotated copy.

The video goes through the same steps as a dataset: frames, detector, backbone, STAGE. Their files are in a private
folder meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from av.video.frame import VideoFrame

from pipeline.config.detect import DetectionSettings
from pipeline.config.tasks.detect import DetectObjects, ExtractActorFeatures
from pipeline.detect.annotation.ava import write_label_map
from pipeline.detect.blocks import Chosen, find_runs
from pipeline.detect.features.detect_objects import detect_objects
from pipeline.detect.features.entities import FeatureShard
from pipeline.detect.features.extract_actor_features import extract_actor_features
from pipeline.detect.scoring import network_scorer, score_runs
from pipeline.detect.stage_file import load_stage
from pipeline.media.decode import orientation, scaled_size, to_rgb
from pipeline.media.encode import rewritten
from pipeline.media.frames import extract_video
from pipeline.media.limits import check_filled
from pipeline.media.manifest import Video
from pipeline.media.picture import like
from pipeline.media.probe import probe
from pipeline.models.opened import Opened
from pipeline.runtime import shown as seen
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.store import write_frames
from pipeline.runtime.temporary import private_folder

_BOX, _TEXT, _SHADE = (255, 90, 60), (255, 255, 255), (30, 30, 30)  # RGB


@dataclass(frozen=True)
class Models:
    """Model files: STAGE, the actor backbone, the detector."""

    stage: Path
    backbone: Path
    detector: Path | Opened


@dataclass(frozen=True)
class Person:
    """Somebody on a keyframe.

    Args:
        time: Seconds of the keyframe.
        box: x1, y1, x2, y2 in [0, 1] of the picture.
        actions: Names and scores in [0, 1], the most confident first.
    """

    time: float
    box: tuple[float, float, float, float]
    actions: list[tuple[str, float]]


def detect_video(
    video: Path, models: Models, settings: DetectionSettings, features: str, device: Literal["cpu", "cuda"] = "cpu"
) -> list[Person]:
    """Everybody whom the detector finds on the video's keyframes, with the score of every action.

    Keyframes are one step (``keyframes.step``) apart, starting after one step; a shorter video has one in its middle.

    Args:
        video: The file.
        models: The networks; they must belong together.
        settings: Sizes, rates and thresholds with which the networks were trained.
        features: The name in ``settings.features`` of the features with which they were trained.
        device: Where to compute.

    Raises:
        VideoError: the video cannot be read.
        ActaError: models that are missing or do not belong together.
    """
    source = settings.features[features].backbone
    if source is None or settings.objects is None:
        raise ActaError(f"features {features!r} come from no backbone and detector, so a video cannot be shown to them")
    stage, about = load_stage(models.stage)
    with private_folder() as work:
        info = probe(video)
        check_filled(info.frames, info.duration)
        entry = Video(video.name, video.name, "", "video", info)
        stored = extract_video(entry, video, work / "frames", settings.sampling, settings.frames)
        write_frames(work / "frames.h5", [stored], [], Provenance("detect", "{}", ""))
        step, end = settings.keyframes.step, float(stored.times[-1])
        first = float(stored.times[0]) + step if end - stored.times[0] >= step else float(stored.times.mean())
        keyframes = settings.keyframes.model_copy(update={"start": 0.0, "first": round(first, 6), "last": None})
        labels = work / "labels.pbtxt"
        write_label_map(labels, about.actions)
        detect_objects(
            work / "frames.h5",
            work / "objects.h5",
            DetectObjects(keyframes=keyframes, objects=settings.objects.model_copy(update={"device": device})),
            labels,
            {},
            {},
            detector=models.detector,
        )
        extract_actor_features(
            work / "frames.h5",
            work / "features.h5",
            ExtractActorFeatures.of(settings.features[features], keyframes).model_copy(update={"device": device}),
            models.backbone,
            labels,
            {},
            {},
            work / "objects.h5",
        )
        shard = FeatureShard(work / "features.h5")
        if shard.quarantine:
            raise VideoError(shard.quarantine[0].reason)
        actors, objects = about.architecture.actors, about.architecture.objects
        if (shard.actor_size, objects if objects is None else shard.object_size) != (actors, objects):
            raise ActaError(
                f"{models.stage} takes features of {actors} and {objects} numbers (actors, objects), but "
                f"{models.backbone} and {models.detector} give {shard.actor_size} and {shard.object_size}"
            )
        scorer = network_scorer(stage.to(device).eval(), about.loss, device, about.step)
        chosen = Chosen(annotated=False, score=about.score)
        people = []
        for scored in score_runs([shard], find_runs([shard], ["video"], about.step), about.clips, chosen, scorer):
            for time, box, scores in zip(scored.time.tolist(), scored.box.tolist(), scored.scores, strict=True):
                order = np.argsort(-scores, kind="stable")
                people.append(Person(time, tuple(box), [(about.actions[k], float(scores[k])) for k in order]))
        return people


def write_table(path: Path, people: Sequence[Person], score: float) -> None:
    """Write a CSV with a header: seconds, box in [0, 1], action, score; only actions with at least this score."""
    rows = [
        [f"{person.time:g}", *(f"{value:.4f}" for value in person.box), name, f"{sure:.4f}"]
        for person in people
        for name, sure in person.actions
        if sure >= score
    ]
    seen.write_table(path, ["seconds", "x1", "y1", "x2", "y2", "action", "score"], rows)


def annotate_video(
    video: Path,
    output: Path,
    people: Sequence[Person],
    step: float,
    score: float,
    progress: Callable[[], object],
    *,
    overwrite: bool = False,
) -> None:
    """Write a copy (`pipeline.media.encode.rewritten`) with everybody's box and actions, as `detect_video` found them.

    Each keyframe's are shown for half a ``step`` (seconds between two keyframes) before and after it; actions below
    ``score`` are not. ``progress`` is called after each frame.
    """
    times = np.array(sorted({person.time for person in people}))
    with rewritten(video, output, overwrite=overwrite) as (pictures, writer):
        for frame in pictures:
            time = frame.time or 0.0
            near = times[np.abs(times - time).argmin()] if len(times) else np.inf
            shown = [person for person in people if person.time == near] if abs(near - time) <= step / 2 else []
            writer.write(_annotated(frame, shown, score) if shown else frame)
            progress()


def _annotated(frame: VideoFrame, people: Sequence[Person], score: float) -> VideoFrame:
    height, width = scaled_size(frame, None)
    picture = to_rgb(frame, height, width)
    unit = max(1, round(min(height, width) / 360))
    scale = min(height, width) / 720 + 0.15
    for person in people:
        x1, y1, x2, y2 = (round(v * side) for v, side in zip(person.box, (width, height, width, height), strict=True))
        cv2.rectangle(picture, (x1, y1), (x2, y2), _BOX, 2 * unit)
        lines = [f"{name} {100 * sure:.0f} %" for name, sure in person.actions if sure >= score]
        sizes = [cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, scale, unit) for line in lines]
        y = max(0, min(y2, height - sum(high + low for (_, high), low in sizes)))  # below the face, if there is room
        for line, ((wide, high), low) in zip(lines, sizes, strict=True):
            left = min(x1, max(0, width - wide))
            cv2.rectangle(picture, (left, y), (left + wide, y + high + low), _SHADE, -1)
            cv2.putText(picture, line, (left, y + high), cv2.FONT_HERSHEY_SIMPLEX, scale, _TEXT, unit, cv2.LINE_AA)
            y += high + low
    drawn = VideoFrame.from_ndarray(orientation(frame).stored(picture), "rgb24")
    return like(drawn.reformat(frame.width, frame.height, frame.format.name), frame)
