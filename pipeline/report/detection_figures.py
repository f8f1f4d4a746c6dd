"""Figures 3.4 to 3.6: which actions gain most, and keyframes on which STAGE is right and wrong.

Figures 3.5 and 3.6 show original frames, so they belong in a private folder.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from pipeline.config.tasks.report import DrawDetection
from pipeline.detect.annotation.ava import LabelMap, Rows, read_label_map, read_rows
from pipeline.detect.features.entities import FeatureShard
from pipeline.privacy.boxes import iou
from pipeline.report import style
from pipeline.report.catalogue import note, other_data
from pipeline.report.detection_results import Measured, Pick, gains
from pipeline.report.intervals import Mean, mean_of
from pipeline.report.thesis_detection import BACKBONE, GREATEST_GAINS, I3D, STAGE, kind_of
from pipeline.runtime.errors import ActaError
from pipeline.runtime.store import FrameShard, Shard

_PANELS = (("person-object", "Person–object interactions"), ("person-person", "Person–person interactions"))
_SHOWN = 5  # classes of a panel
_RIGHT, _WRONG = 9, 6  # keyframes
_OVERLAP = 0.5
_SURE_OBJECT = 0.8
_TIME = 1e-3  # seconds: how far a time may be off by having been rounded when it was written
# The lines of boxes: colour, width in points, dashes.
_ACTOR, _OBJECT, _ANNOTATED = (style.RED, 3.2, "-"), (style.BLUE, 1.8, ":"), (style.YELLOW, 2.4, "--")


def draw_gains(results: Path, settings: DrawDetection, label_map: Path, output: Path) -> None:
    """Draw the actions that gain most by STAGE (Figure 3.4), PNG: means over the seeds with the 95 % interval.

    The first features that the thesis's I3D is compared with are shown, or the first of all where there are none. The
    label map (pbtxt) gives the actions' groups.

    Raises:
        ActaError: an evaluation is missing, or no interaction has an average precision.
    """
    known = {name: like for name, like in settings.features.items() if name not in settings.without_backbone}
    if not known:
        raise ActaError("no features have a classifier of the backbone's own, so there is nothing to gain over")
    features = next((name for name, like in known.items() if kind_of(like) == I3D), next(iter(known)))
    measured, actions = Measured(results, settings), read_label_map(label_map)
    greatest = {group: _greatest(measured, features, actions, group) for group, _ in _PANELS}
    if not any(greatest.values()):
        raise ActaError(f"{label_map}: no action between people, or of one with an object, has been evaluated")
    with style.figure(output, 9, 11) as figure:
        axes = figure.subplots(2, sharex=True)
        for axis, (group, title) in zip(axes, _PANELS, strict=True):
            _bars(axis, greatest[group], (f"{features} + STAGE", features))
            axis.set_title(title)
        axes[0].set_xlim(0, 1.15 * max(gain.top for some in greatest.values() for gain in some) or 1.0)
        axes[1].set_xlabel("Average precision in %")
        style.legend(figure)
        like_thesis = kind_of(settings.features[features]) == I3D
        printed = ", ".join(f"{name} {value:+.1f}" for name, value in GREATEST_GAINS.items()) if like_thesis else ""
        style.note(
            figure,
            "Numbers: gains. Bars in black: 95 % interval over the seeds (Student's t), where there are several.",
            f"Thesis: {printed}." if printed else None,
            note(other_data("figure_3_4", settings.dataset)) if printed else None,
        )


@dataclass(frozen=True)
class _Gain:
    name: str
    before: float
    after: Mean
    gain: float

    @property
    def top(self) -> float:
        """The highest of its bars and of the interval."""
        return max(self.before, self.after.value or 0.0, self.after.high or 0.0)


def _greatest(measured: Measured, features: str, actions: LabelMap, group: str) -> list[_Gain]:
    gained = []
    for number, name in actions.names.items():
        if actions.groups[number] != group:
            continue
        before, after = (measured.values(features, network, _of_class(name)) for network in (BACKBONE, STAGE))
        if before and after:
            gained.append(_Gain(name, before[0], mean_of(after), float(np.mean(gains(after, before)))))
    return sorted(gained, key=lambda gain: (-gain.gain, gain.name))[:_SHOWN]


def _of_class(name: str) -> Pick:
    return lambda evaluation: evaluation["classes"].get(name)


def _bars(axis: Axes, gains_shown: Sequence[_Gain], labels: tuple[str, str]) -> None:
    axis.grid(visible=False, axis="y")
    if not gains_shown:
        axis.text(0.5, 0.5, "none annotated", ha="center", transform=axis.transAxes)
        axis.set_yticks([])
        return
    places = np.arange(len(gains_shown))
    after = [gain.after.value or 0.0 for gain in gains_shown]
    before = [gain.before for gain in gains_shown]
    axis.barh(places - 0.2, after, 0.38, label=style.plain(labels[0]), **style.LOOKS[1].filled)
    axis.barh(places + 0.2, before, 0.38, label=style.plain(labels[1]), **style.LOOKS[0].filled)
    for place, gain in zip(places.tolist(), gains_shown, strict=True):
        style.interval(axis, place - 0.2, gain.after.low, gain.after.high, across=True)
        text = f"{round(gain.gain, 1) + 0.0:+.1f}"
        axis.annotate(text, (gain.top, place), (6, 0), textcoords="offset points", va="center")
    axis.set_yticks(places, [style.wrapped(gain.name, 22) for gain in gains_shown])
    axis.set_ylim(max(len(gains_shown), 2) - 0.4, -0.6)


def draw_examples(
    name: str,
    detections: Path,
    truth: Path,
    label_map: Path,
    frames: Sequence[Path],
    features: Sequence[Path],
    output: Path,
    start: float = 0.0,
) -> None:
    """Draw the most confident detections that are right (Figure 3.5) or wrong (Figure 3.6), one of an action, PNG.

    Right ones of interactions come first, then poses. Only frames that the annotations name are looked at. The
    picture's folder becomes private (mode 0700).

    Args:
        name: ``figure_3_5`` or ``figure_3_6``.
        detections: Detected boxes with actions and scores (CSV).
        truth: Annotated boxes (CSV).
        label_map: The actions that count (pbtxt).
        frames: Frame shards, original frames.
        features: Feature shards: their confident objects are shown, or all where fewer than three are confident.
        output: The picture.
        start: The annotation's time at a video's beginning, in seconds.

    Raises:
        ActaError: a file cannot be read, or no shard has a video that is to be shown.
    """
    wrong = name == "figure_3_6"
    actions, detected, annotated = read_label_map(label_map), read_rows(detections), read_rows(truth)
    counts, right = judge(detected, annotated, actions)
    positions = _most_confident(detected, counts & (~right if wrong else right), actions, interactions_first=not wrong)
    positions = positions[: _WRONG if wrong else _RIGHT]
    columns = min(3, max(1, len(positions)))
    lines = -(-max(1, len(positions)) // columns)
    with style.figure(output, 5 * columns, (5.1 if wrong else 4.4) * lines + 0.6, private=True) as figure:
        axes = figure.subplots(lines, columns, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        if not positions:
            axes.flat[0].text(0.5, 0.5, f"No detection is {'wrong' if wrong else 'right'}", ha="center")
        videos = {detected.frames[detected.frame[row]][0] for row in positions}
        pictures, entities = _places(frames, videos, FrameShard), _places(features, videos, FeatureShard)
        for axis, row in zip(axes.flat, positions, strict=False):
            video, moment = detected.frames[detected.frame[row]]
            time = moment / 1e6
            picture = _reader(pictures, video, FrameShard, "frame").clip_at(video, [time - start])[0]
            picture = picture.permute(1, 2, 0).numpy()
            axis.set_axis_on()
            style.show(axis, picture)
            size = np.array([picture.shape[1], picture.shape[0]] * 2)
            for box in _objects(_reader(entities, video, FeatureShard, "feature"), video, time):
                _frame(axis, box * size, *_OBJECT)
            theirs = _annotations(annotated, (video, moment))
            if wrong:
                for box, action in theirs:
                    if action == detected.action[row]:
                        _frame(axis, box * size, *_ANNOTATED)
            _frame(axis, detected.box[row] * size, *_ACTOR)
            title = f"{actions.names[int(detected.action[row])]}: {detected.score[row]:.2f}"
            axis.set_title(style.wrapped(title, 34))
            said = style.wrapped(said_of(detected.box[row], theirs, actions), 38) + "\n" if wrong else ""
            axis.set_xlabel(said + style.wrapped(f"{video[-24:]}, {time:g} s", 38))
        keys = [(_ACTOR, "detected actor, with its score"), (_OBJECT, "object")]
        keys += [(_ANNOTATED, "annotated with this action")] if wrong else []
        style.legend(figure, [Patch(**style.outline(*line), label=label) for line, label in keys])


def judge(detected: Rows, truth: Rows, actions: LabelMap) -> tuple[np.ndarray, np.ndarray]:
    """Which of n detections count, and which of them are right.

    Returns:
        (n,) whether it is of one of the actions and on a frame that the annotations name; (n,) whether it overlaps an
        annotated box of its action on its frame by half. If several detections overlap one box, each is right.
    """
    numbers = {frame: number for number, frame in enumerate(truth.frames)}
    frame = np.array([numbers.get(name, -1) for name in detected.frames], np.int64)[detected.frame]
    counts: np.ndarray = np.isin(detected.action, list(actions.names)) & (frame >= 0)
    right = np.zeros(len(frame), bool)
    theirs = _by_frame(truth.frame, len(truth.frames))
    counted = np.flatnonzero(counts)
    for number, rows in enumerate(_by_frame(frame[counted], len(truth.frames))):
        here = theirs[number]
        if len(rows) and len(here):
            rows = counted[rows]
            same = detected.action[rows][:, None] == truth.action[here][None]
            right[rows] = (same & (iou(detected.box[rows], truth.box[here]) >= _OVERLAP)).any(1)
    return counts, right


def said_of(box: np.ndarray, annotations: Sequence[tuple[np.ndarray, int]], actions: LabelMap) -> str:
    """What is annotated where a box was detected: the actions of the annotated box that it overlaps most."""
    if annotations:
        boxes = np.stack([corners for corners, _ in annotations])
        overlaps = iou(box[None], boxes)[0]
        best = int(overlaps.argmax())
        if overlaps[best] >= _OVERLAP:
            shown = [action for corners, action in annotations if np.array_equal(corners, boxes[best])]
            return "annotated: " + ", ".join(actions.names.get(action, f"action {action}") for action in shown)
    return "annotated: nobody here"


def _by_frame(frame: np.ndarray, count: int) -> list[np.ndarray]:
    """The rows of each frame."""
    order = np.argsort(frame, kind="stable")
    return np.split(order, np.searchsorted(frame[order], np.arange(1, count)))


def _most_confident(detected: Rows, these: np.ndarray, actions: LabelMap, *, interactions_first: bool) -> list[int]:
    """The most confident of the detections of each action, the most confident of all first."""
    rows = np.flatnonzero(these)
    rows = rows[np.argsort(-detected.score[rows], kind="stable")]
    _, first = np.unique(detected.action[rows], return_index=True)
    best = rows[np.sort(first)].tolist()
    if interactions_first:
        best.sort(key=lambda row: actions.groups[int(detected.action[row])] == "pose")
    return best


def _annotations(truth: Rows, frame: tuple[str, int]) -> list[tuple[np.ndarray, int]]:
    number = truth.frames.index(frame)
    return [(truth.box[row], int(truth.action[row])) for row in np.flatnonzero(truth.frame == number)]


def _places(paths: Sequence[Path], videos: set[str], reader: Callable[[Path], Shard]) -> dict[str, Path]:
    """The shard of each video."""
    shards: dict[str, Path] = {}
    for path in paths:
        shard = reader(path)
        shards |= dict.fromkeys(videos.intersection(shard.ids), path)
        shard.close()  # a thousand shards are more files than a process may have open
    return shards


def _reader(places: dict[str, Path], video: str, reader: Callable[[Path], Any], what: str) -> Any:
    if video not in places:
        raise ActaError(f"none of the {what} shards has the video {video!r}, which is to be shown")
    return reader(places[video])


def _objects(shard: FeatureShard, video: str, time: float) -> Iterator[np.ndarray]:
    """Boxes of the confident objects of a keyframe, however few."""
    times = shard.times(video)
    place = int(np.abs(times - time).argmin()) if len(times) else -1
    if place < 0 or abs(times[place] - time) > _TIME:
        raise ActaError(f"{shard.path} has no keyframe of {video!r} at {time:g} s")
    objects = shard.keyframes(video, place, place + 1).objects
    yield from objects.box[objects.score > _SURE_OBJECT]


def _frame(axis: Axes, box: np.ndarray, colour: str, width: float, line: str) -> None:
    x1, y1, x2, y2 = box.tolist()
    rectangle = Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, **style.outline(colour, width, line))
    rectangle.set_clip_on(False)  # an edge along the picture's is as wide as the others
    axis.add_patch(rectangle)
