"""The demo's AVA-style dataset: people with real faces among objects, where an action depends on what is around it.

`pipeline.demo.interaction_plan` says what happens; here it is drawn and written.

The layout is AVA's: ``videos/<name>.mp4``, ``<split>.csv`` and ``label_map.pbtxt``; and ``objects.csv``, boxes of the
training videos' keyframes for a detector.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.demo.drawing import FACE, PEOPLE, RATE, WIDTH, background, box, cut_outs, paint, paste, write_video
from pipeline.demo.get_footage import VIDEOS, interaction_names
from pipeline.demo.interaction_plan import (
    ACTIONS,
    SMALL,
    Box,
    Figure,
    Second,
    Seconds,
    actions,
    figure_box,
    imagine,
    keyframes,
    pose_of,
    thing_box,
    transform,
)
from pipeline.runtime.files import atomic
from pipeline.runtime.workers import make_all


@dataclass(frozen=True)
class _Job:
    id: str
    split: str
    number: int
    path: Path


@dataclass(frozen=True)
class _Made:
    """A video that is written, and its rows of ``<split>.csv`` and ``objects.csv``."""

    split: str
    rows: list[str]
    objects: list[str]


def make_interactions(footage: Path, root: Path, workers: int = 1) -> None:
    """Write the videos and their annotations below ``root``.

    Args:
        footage: Folder of the demo footage (`pipeline.demo.get_footage.get_footage`).
        root: Folder to write to.
        workers: Processes; the result does not depend on it.
    """
    jobs = [_Job(n, s, int(n.rpartition("_")[2]), root / f"videos/{n}.mp4") for n, s in interaction_names()]
    rows: dict[str, list[str]] = {split: [] for split in VIDEOS}
    objects: list[str] = []
    for made in make_all(partial(_write, footage=str(footage)), jobs, workers=workers, task="make_interactions"):
        rows[made.split] += made.rows
        objects += made.objects if made.split == "train" else []
    for split in VIDEOS:
        _write_lines(root / f"{split}.csv", rows[split])
    _write_lines(root / "objects.csv", objects)
    entries = [
        f'item {{\n  name: "{name}"\n  id: {number}\n  label_type: {kind}\n}}'
        for number, (name, kind) in enumerate(ACTIONS.items(), 1)
    ]
    _write_lines(root / "label_map.pbtxt", entries)


def _write(job: _Job, footage: str) -> _Made:
    seconds = imagine(job.split, job.number)
    write_video(job.path, draw(seconds, Path(footage)))
    return _Made(job.split, list(_rows(job.id, seconds)), list(_object_rows(job.id, seconds)))


def _write_lines(path: Path, lines: list[str]) -> None:
    with atomic(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))


def _rows(name: str, seconds: Seconds) -> Iterator[str]:
    numbers = {action: number for number, action in enumerate(ACTIONS, 1)}
    for time in keyframes(seconds):
        for figure, done in zip(seconds[time].figures, actions(seconds, time), strict=True):
            for action in done:
                yield f"{name},{time:04d},{_corners(figure_box(figure))},{numbers[action]},{figure.person}"


def _object_rows(name: str, seconds: Seconds) -> Iterator[str]:
    for time in keyframes(seconds):
        boxes = [(figure_box(figure), "person") for figure in seconds[time].figures]
        boxes += [(thing_box(thing), "lit lamp" if thing.lit else thing.kind) for thing in seconds[time].things]
        for corners, kind in boxes:
            yield f"{name},{time:04d},{_corners(corners)},{kind}"


def _corners(corners: Box) -> str:
    return ",".join(f"{value:.3f}" for value in corners)


def draw(seconds: Seconds, footage: Path) -> Iterator[np.ndarray]:
    """The frames of a video, uint8 (height, width, 3): frame k is at k / `RATE` seconds."""
    half = RATE // 2
    for time, second in enumerate(seconds):
        start = 0 if time == 0 else -half
        stop = 0 if time == len(seconds) - 1 else half
        wall = background(np.random.default_rng(second.wall), WIDTH)
        for k in range(start, stop):
            yield _frame(second, k, wall.copy(), str(footage))


def _frame(second: Second, k: int, canvas: np.ndarray, footage: str) -> np.ndarray:
    for figure in sorted(second.figures, key=lambda figure: figure.at[1]):
        pictures = _small(figure.person, footage)
        paste(canvas, pictures[k % len(pictures)], transform(figure, k))
        if figure.talks:
            _mouth(canvas, figure, k)
    for thing in second.things:
        paint(canvas, thing.kind, thing.at, thing.size, thing.colour, thing.lit)
    return canvas


def _mouth(canvas: np.ndarray, figure: Figure, k: int) -> None:
    """A bright bar that opens and closes and changes its colour, so that every frame shows it."""
    size, is_open = FACE * SMALL * figure.scale, k % 2 == 0
    x, y = transform(figure, k)[:, :2] @ (0, 0.3 * FACE * SMALL) + pose_of(figure, k)[0]
    colour = (255, 235, 40) if is_open else (255, 60, 200)
    box(canvas, (x, y), (0.7 * size, (0.4 if is_open else 0.25) * size), -pose_of(figure, k)[1], colour)


@lru_cache(maxsize=len(PEOPLE))
def _small(person: int, footage: str) -> list[np.ndarray]:
    """Cut-outs made small once, by areas: an affine warp would skip pixels."""
    pictures = cut_outs(PEOPLE[person], footage)
    size = (round(pictures[0].shape[1] * SMALL), round(pictures[0].shape[0] * SMALL))
    return [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]
