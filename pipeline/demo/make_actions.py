"""The demo's action dataset: short labelled videos with real faces on moving figures, made from the demo footage.

Eight classes. Four lie in the figure's motion (approaching, bouncing, leaning, swaying), two in what is around it
(juggling: a ball; riding: posts that pass by), two in the face region alone (brushing, drinking: a thing at the
mouth), so that hiding faces or bodies costs what it should. Everything is drawn from (class, number); positions, sizes,
speeds, colours and people vary.

The layout is that of any folder of videos, ``train/<class>/<number>.mp4`` and ``test/…``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.demo.drawing import (
    COLOURS,
    FACE,
    HEIGHT,
    PEOPLE,
    RATE,
    WIDTH,
    background,
    box,
    cut_outs,
    paste,
    place,
    write_video,
)
from pipeline.demo.get_footage import ACTIONS, action_names
from pipeline.runtime.workers import make_all

FRAMES = 36


@dataclass(frozen=True)
class _Job:
    id: str
    label: str
    number: int
    path: Path


def make_actions(footage: Path, root: Path, workers: int = 1) -> None:
    """Write all videos below ``root``.

    Args:
        footage: Folder of the demo footage (`pipeline.demo.get_footage.get_footage`).
        root: Folder to write to.
        workers: Processes; the result does not depend on it.
    """
    jobs = [_Job(name, label, k, root / name) for k, (name, label, _) in enumerate(action_names())]
    make_all(partial(_write, footage=str(footage)), jobs, workers=workers, task="make_actions")


def _write(job: _Job, footage: str) -> None:
    write_video(job.path, draw(job.label, job.number, Path(footage)))


def draw(label: str, number: int, footage: Path) -> Iterator[np.ndarray]:
    """The frames of one video, uint8 (height, width, 3)."""
    random = np.random.default_rng([ACTIONS.index(label), number])
    person = cut_outs(PEOPLE[int(random.integers(len(PEOPLE)))], str(footage))
    scale = random.uniform(0.95, 1.15)
    x, y = WIDTH * random.uniform(0.4, 0.6), HEIGHT * random.uniform(0.36, 0.44)
    speed, phase = random.uniform(0.7, 1.1), random.uniform(0, 2 * np.pi)
    wall = background(random, 3 * WIDTH)
    offset, pace = random.uniform(0, WIDTH), random.choice([-1, 1]) * random.uniform(7, 11)
    colour = COLOURS[int(random.integers(len(COLOURS)))]
    side = random.choice([-1, 1])
    beat = int(random.integers(8))
    for k in range(FRAMES):
        wave = np.sin(2 * np.pi * speed * k / RATE + phase)
        dx, dy, angle, grow = 0.0, 0.0, 0.0, 1.0
        match label:
            case "approaching":
                grow = 0.55 + 1.0 * k / (FRAMES - 1)
            case "bouncing":
                dy = 18 * wave
            case "leaning":
                angle = 22 * wave
            case "swaying":
                dx = 36 * wave
        canvas = np.roll(wall, -int(offset + (pace * k if label == "riding" else 0)), axis=1)[:, :WIDTH].copy()
        if label == "riding":
            for post in range(3):
                left = int((offset + post * WIDTH / 2 - pace * k) % (1.5 * WIDTH)) - 10
                cv2.rectangle(canvas, (left, 0), (left + 10, HEIGHT), colour, -1)
        centre = (x + dx, y + dy)
        paste(canvas, person[(k + beat) % len(person)], place(centre, scale * grow, angle))
        unit = FACE * scale
        match label:
            case "juggling":
                ball = (int(x + side * 1.6 * unit), int(y + 0.4 * unit - 1.4 * unit * abs(wave)))
                cv2.circle(canvas, ball, int(0.38 * unit), colour, -1, cv2.LINE_AA)
            case "brushing":
                box(canvas, (x + 0.4 * unit * wave, y + 0.28 * unit), (0.85 * unit, 0.24 * unit), 0, colour)
            case "drinking":
                box(canvas, (x, y + 0.35 * unit), (0.5 * unit, 0.7 * unit), 10 * wave, colour)
        yield canvas
