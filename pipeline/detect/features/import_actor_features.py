"""Task `import_actor_features`: feature shards from the features that the authors published, in either layout.

``i3d``: ``<clip>/<timestamp>.h5`` with ``features`` (n, c, t, h, w), ``boxes`` (n, 4) and ``labels`` (n, 81), whose
first column is background. ``slowfast``: one file with a group ``<clip>_<timestamp>`` of ``features``, ``boxes`` and
``labels``, where ``<clip>`` may be PySlowFast's number of the video. Objects of both: one file with
``<clip>_<timestamp>_features``, ``…_boxes`` and ``…_cls_prob``, whose first column is background. Boxes are in [0, 1].

Time stamps may have leading zeros, and a video whose name begins with ``-`` may have lost it (`spellings`). A shard's
videos are read and written one by one, and nothing else of the published files is read.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.config.tasks.detect import ImportActorFeatures
from pipeline.detect.annotation.ava import read_label_map
from pipeline.detect.annotation.people import Annotation, People
from pipeline.detect.annotation.proposals import Proposals, read_proposals
from pipeline.detect.features.entities import Actors, FeaturedVideo, no_objects, write_features
from pipeline.detect.features.foreign import find, names_in, open_foreign, place_of, read_array
from pipeline.detect.features.published import PublishedObjects, inside, spellings
from pipeline.media.lists import Listed, read_list
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output
from pipeline.runtime.progress import progress
from pipeline.runtime.provenance import Quarantined, provenance_of
from pipeline.runtime.text import read_lines
from pipeline.runtime.wheels import file_sha256
from pipeline.runtime.workers import good_results

_SAME = 0.001  # how far a corner can move when it is stored as float16 or as text


@dataclass(frozen=True)
class Published:
    """The files of one split, as for `import_actor_features`; ``annotation`` is one of its ``boxes``."""

    actors: Path
    objects: Path | None = None
    annotation: Path | None = None
    proposals: Path | None = None
    frame_list: Path | None = None


def import_actor_features(
    videos: Path,
    output: Output,
    settings: ImportActorFeatures,
    label_map: Path,
    actors: Mapping[str, Path],
    *,
    objects: Mapping[str, Path] | None = None,
    boxes: Mapping[str, Path] | None = None,
    proposals: Mapping[str, Path] | None = None,
    frame_lists: Mapping[str, Path] | None = None,
    max_bad_fraction: float = 1.0,
) -> None:
    """Write the feature shard of a list of videos.

    Args:
        videos: List file of the shard; a video belongs to the splits that it names.
        output: The feature shard.
        settings: Layout and precision.
        label_map: The actions (pbtxt): column ``n`` of 81 is action ``n``, column ``n`` of 80 action ``n + 1``.
        actors: By split the folder (``i3d``) or file (``slowfast``) of the people's features.
        objects: By split the file of objects; none: a graph of actors only.
        boxes: By split which boxes are annotated, and what their people do; none: all are detected.
        proposals: By split where the boxes' scores are; none: all have the score 1.
        frame_lists: By split PySlowFast's list of frames, which numbers the videos; none: groups have their names.
        max_bad_fraction: More videos without features than this fraction are an error.

    Raises:
        ActaError: a file is missing or of another layout, or too many videos have no features.
    """
    listed = read_list(videos)
    published = {
        split: Published(path, *((files or {}).get(split) for files in (objects, boxes, proposals, frame_lists)))
        for split, path in actors.items()
    }
    with ExitStack() as stack:
        sources = {split: _Source(files, label_map, settings.layout, stack) for split, files in published.items()}
        size = max(source.object_size for source in sources.values())
        for source in sources.values():
            source.object_size = size  # of a keyframe without objects, even if its split has none
        actions = next(iter(sources.values())).actions
        inputs = {"list": file_sha256(videos), "label_map": file_sha256(label_map)}
        for split, files in published.items():
            for name, path in vars(files).items():
                if path is not None:
                    whole = name not in ("actors", "objects")
                    inputs[f"{split}/{name}"] = file_sha256(path) if whole else _fingerprint(path)
        provenance = provenance_of(__name__, settings, inputs=inputs)
        known = {video.id for video in listed}.union(*(source.videos for source in sources.values()))
        shown = progress(listed, total=len(listed), unit="videos", desc="import_actor_features")
        quarantine: list[Quarantined] = []
        read = good_results(
            (_one(video, sources, settings, known) for video in shown),
            quarantine,
            max_bad_fraction,
            len(listed),
            "import_actor_features",
        )
        write_features(output, _of_one_size(read), actions, quarantine, provenance)


def _one(
    video: Listed, sources: Mapping[str, "_Source"], settings: ImportActorFeatures, known: Set[str]
) -> FeaturedVideo | Quarantined:
    splits = [split for split in video.split.split() if split in sources]
    if not splits:
        return Quarantined(
            video.id, "import_actor_features", f"no published features are given for its split {video.split!r}"
        )
    try:
        return sources[splits[0]].video(video, np.float16 if settings.half_precision else np.float32, known)
    except VideoError as error:
        return Quarantined(video.id, "import_actor_features", str(error))


def _of_one_size(videos: Iterable[FeaturedVideo]) -> Iterator[FeaturedVideo]:
    """The same videos; features of different sizes are refused."""
    sizes: dict[str, dict[int, str]] = {"actors": {}, "objects": {}}
    for video in videos:
        for kind, found in sizes.items():
            for time, entities in zip(video.times.tolist(), getattr(video, kind), strict=True):
                found.setdefault(entities.feature.shape[1], f"{video.id} at {time:g} s")
            if len(found) > 1:
                shown = ", ".join(f"{size} numbers ({place})" for size, place in found.items())
                raise ActaError(f"features of {kind} have different sizes: {shown}")
        yield video


class _Source:
    """The open files of one split."""

    def __init__(self, files: Published, label_map: Path, layout: str, stack: ExitStack):
        self._files = files
        self.annotation = Annotation(files.annotation, label_map) if files.annotation else None
        names = read_label_map(label_map).names
        self._columns = sorted(names)
        self.actions = [names[number] for number in self._columns]
        self._proposals: Proposals | None = read_proposals(files.proposals) if files.proposals else None
        self._numbers = _video_numbers(files.frame_list) if files.frame_list else {}
        names_there = {video: number for number, video in self._numbers.items()}
        self._objects = PublishedObjects(files.objects, stack, names_there) if files.objects else None
        self.object_size = self._objects.size if self._objects else 0
        self._groups: dict[str, list[tuple[float, Any]]] | None = {} if layout == "slowfast" else None
        if self._groups is None:
            if not files.actors.is_dir():
                raise ActaError(f"{files.actors} is not a folder; the layout i3d is <clip>/<timestamp>.h5")
        else:
            self._file = stack.enter_context(open_foreign(files.actors))
            for key in _groups(self._file):
                clip, _, time = key.rpartition("_")
                if not clip or not _is_number(time):
                    raise ActaError(f"{files.actors}: the group {key!r} is not <clip>_<timestamp>")
                self._groups.setdefault(self._numbers.get(clip, clip), []).append((float(time), key))

    @property
    def videos(self) -> set[str]:
        """The videos that the annotation or the proposals name."""
        proposed = {video for video, _ in self._proposals.frames} if self._proposals else set()
        return proposed | set(self.annotation.videos if self.annotation else ())

    def video(self, video: Listed, kind: type, known: Set[str]) -> FeaturedVideo:
        """A video's keyframes; ``known`` are all videos, of which each has its own name."""
        names = spellings(video.id, known)
        keyframes = sorted(self._keyframes(names), key=lambda entry: entry[0])
        if not keyframes:
            raise VideoError(f"no features of it are in {self._files.actors}")
        times = np.array([time for time, _ in keyframes])
        if (again := times[1:][times[1:] == times[:-1]]).size:
            raise VideoError(f"{self._files.actors} has {video.id} at {again[0]:g} s twice")
        if self._objects is not None and not self._objects.has_any(names, times):
            raise VideoError(f"no objects of it are in {self._files.objects}")
        actors, objects = [], []
        for time, source in keyframes:
            place = f"{video.id} at {time:g} s"
            if isinstance(source, Path):
                try:
                    opened = open_foreign(source)
                except ActaError as error:
                    raise VideoError(str(error)) from None
                with opened as file:
                    actors.append(self._actors(file, video.id, time, place, kind))
            else:
                group = find(self._file, source)
                if not isinstance(group, h5py.Group):
                    raise VideoError(f"{place}: {source!r} in {self._files.actors} is not a group")
                actors.append(self._actors(group, video.id, time, place, kind))
            entry = self._objects.at(names, time, kind) if self._objects else None
            objects.append(entry or no_objects(self.object_size, kind))
        return FeaturedVideo(video.id, video.label, video.split, times, actors, objects)

    def _keyframes(self, names: Sequence[str]) -> list[tuple[float, Any]]:
        """Times of a video's keyframes, and the file or the group of each."""
        groups, folder = self._groups, self._files.actors
        there = [name for name in names if (groups.get(name) if groups is not None else (folder / name).is_dir())]
        if len(there) > 1:
            raise VideoError(
                f"{folder} has both {there[0]!r} and {there[1]!r}: remove the one that is not of this video"
            )
        if not there:
            return []
        if groups is not None:
            return groups[there[0]]
        files = []
        for path in (folder / there[0]).glob("*.h5"):
            if not _is_number(path.stem):
                raise VideoError(f"{path.name} is not <timestamp>.h5")
            files.append((float(path.stem), path))
        return files

    def _actors(self, group: Any, video: str, time: float, place: str, kind: type) -> Actors:
        features, boxes, labels = (read_array(group, name, place) for name in ("features", "boxes", "labels"))
        if features.ndim > 2:  # the last layer before the classifier, averaged in space and time (Sec. 3.2.2)
            features = features.astype(np.float32).mean(tuple(range(2, features.ndim)))
        if labels.ndim != 2 or labels.shape[1] < max(self._columns):
            raise VideoError(f"{place}: labels of shape {labels.shape} have no column for action {max(self._columns)}")
        without_background = labels.shape[1] == max(self._columns)
        columns = [number - without_background for number in self._columns]
        if features.ndim != 2:
            raise VideoError(f"{place}: features of shape {features.shape}, not (n, c) or (n, c, t, h, w)")
        boxes = inside(boxes, place)
        if not len(features) == len(boxes) == len(labels):
            raise VideoError(f"{place}: {len(features)} features, {len(boxes)} boxes and {len(labels)} labels")
        people = self.annotation.people(video, time) if self.annotation else People(np.zeros((0, 4)), labels[:0])
        annotated = np.asarray((_apart(boxes, people.box) <= _SAME).any(1))
        return Actors(
            feature=features.astype(kind),
            box=boxes,
            score=np.where(annotated, 1, self._scores(video, time, boxes)).astype(np.float32),
            annotated=annotated,
            actions=labels[:, columns] > 0,
            baseline=np.zeros((len(boxes), 0), np.float32),
        )

    def _scores(self, video: str, time: float, boxes: np.ndarray) -> np.ndarray:
        """The score of the proposal that equals each box; 0 if none does."""
        if self._proposals is None:
            return np.ones(len(boxes))
        known, scores = self._proposals.of(video, round(time * 1e6))
        if not len(known) or not len(boxes):
            return np.zeros(len(boxes))
        apart = _apart(boxes, known)
        nearest = apart.argmin(1)
        return np.where(apart[np.arange(len(boxes)), nearest] <= _SAME, scores[nearest], 0.0)


def _groups(file: h5py.Group, above: str = "", seen: set[int] | None = None) -> Iterator[str]:
    """Names of the keyframes' groups; slashes in a video's name make groups within groups."""
    seen = {place_of(file)} if seen is None else seen
    for key in names_in(file):
        name = f"{above}{key}"
        # Opening each of 200,000 groups would take a minute.
        if not _is_number(key.rpartition("_")[2]) and isinstance(group := find(file, key), h5py.Group):
            place = place_of(group)
            if place in seen:  # otherwise groups that hold each other would have endless paths
                raise ActaError(f"{file.file.filename}: the group {name!r} has another name too, so it is refused")
            seen.add(place)
            inner = list(_groups(group, f"{name}/", seen))
            yield from inner if any(_is_number(each.rpartition("_")[2]) for each in inner) else [name]
        else:
            yield name


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, m) the largest difference between coordinates of boxes (n, 4) and (m, 4)."""
    distance: np.ndarray = np.abs(first[:, None] - second[None]).max(2, initial=0)
    return distance


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _video_numbers(path: Path) -> dict[str, str]:
    """Names of videos by number, from PySlowFast's ``original_vido_id video_id frame_id path labels``."""
    numbers: dict[str, str] = {}
    for line, text in read_lines(path, "the list of frames"):
        words = text.split()
        if line == 1 and words[:1] == ["original_vido_id"]:
            continue
        if len(words) < 2 or not words[1].isdigit():
            raise ActaError(f"{path}:{line}: {text!r:.200} is not <video> <number> …")
        if numbers.setdefault(words[1], words[0]) != words[0]:
            raise ActaError(f"{path}:{line}: {words[1]} is the number of {numbers[words[1]]!r} already")
    return numbers


def _fingerprint(path: Path) -> str:
    """A file's name and size, or a folder's name; hashing tens of gigabytes would take too long."""
    return path.name if path.is_dir() else f"{path.name} {path.stat().st_size}"
