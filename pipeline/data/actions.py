"""The demo's action dataset: short labelled videos with real faces on moving figures, made from the demo footage.

Eight classes. Four lie in the figure's motion (approaching, bouncing, leaning, swaying), two in what is around it
(juggling: a ball; riding: posts that pass by), two in the face region alone (brushing, drinking: a thing at the
mouth), so that hiding faces or bodies costs what it should. Everything is drawn from (class, number); positions, sizes,
speeds, colours and people vary.

The layout is that of any folder of videos, ``train/<class>/<number>.mp4`` and ``test/…``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from pipeline.data.demo import ACTIONS, action_names
from pipeline.errors import ActaError
from pipeline.files import atomic
from pipeline.store import Quarantined
from pipeline.workers import map_videos

HEIGHT, WIDTH, FRAMES, RATE = 144, 192, 36, 10
# Without look-ahead x264 gives the same bytes each time; with it, a few videos in a hundred differ.
_ENCODING = {"crf": "18", "preset": "veryfast", "tune": "zerolatency"}
_FACE = 42.0  # pixels: a face's height at scale 1
_CUT_OUT = (int(3.6 * _FACE), int(5.4 * _FACE))  # width, height
_MIDDLE = (_CUT_OUT[0] / 2, 1.2 * _FACE)  # of the face in a cut-out


@dataclass(frozen=True)
class _Person:
    """Where somebody is in a source: file, frames, and the face's box (x1, y1, x2, y2) in pixels."""

    file: str
    frames: tuple[int, ...]
    face: tuple[int, int, int, int]


_COLOURS = ((250, 230, 40), (40, 230, 90), (60, 140, 255), (255, 255, 255))
PEOPLE = (
    _Person("giving_speech/obama_speech.mp4", (0, 2, 4, 6, 8, 10, 12, 14), (178, 28, 220, 86)),
    _Person("giving_speech/obama_speech.mp4", (80, 82, 84, 86, 88, 90, 92, 94), (67, 49, 103, 99)),
    _Person("talking_in_car/carphone_pristine.mp4", (0, 2, 4, 6, 8, 10, 12, 14), (64, 37, 112, 96)),
    _Person("astronaut.png", (0,), (178, 70, 272, 192)),
)


@dataclass(frozen=True)
class _Job:
    id: str
    label: str
    number: int
    path: Path


def make_actions(footage: Path, root: Path, workers: int = 1) -> None:
    """Write all videos below ``root``.

    Args:
        footage: Folder of the demo footage (`pipeline.data.demo.get_footage`).
        root: Folder to write to.
        workers: Processes; the result does not depend on it.
    """
    jobs = [_Job(name, label, k, root / name) for k, (name, label, _) in enumerate(action_names())]
    for made in map_videos(partial(_write, footage=str(footage)), jobs, workers=workers, stage="make-actions"):
        if isinstance(made, Quarantined):
            raise ActaError(f"{made.id} could not be made: {made.reason}")


def _write(job: _Job, footage: str) -> _Job:
    with atomic(job.path) as temporary, av.open(str(temporary), "w") as out:
        stream: Any = out.add_stream("libx264", rate=Fraction(RATE), options=_ENCODING)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = WIDTH, HEIGHT, "yuv420p", 1
        for image in draw(job.label, job.number, Path(footage)):
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).astype(np.uint8, copy=False)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(planes, "yuv420p")))
        out.mux(stream.encode(None))
    return job


def draw(label: str, number: int, footage: Path) -> Iterator[np.ndarray]:
    """The frames of one video, uint8 (height, width, 3)."""
    random = np.random.default_rng([ACTIONS.index(label), number])
    person = _cut_out(PEOPLE[int(random.integers(len(PEOPLE)))], str(footage))
    scale = random.uniform(0.95, 1.15)
    x, y = WIDTH * random.uniform(0.4, 0.6), HEIGHT * random.uniform(0.36, 0.44)
    speed, phase = random.uniform(0.7, 1.1), random.uniform(0, 2 * np.pi)
    background = _background(random, 3 * WIDTH)
    offset, pace = random.uniform(0, WIDTH), random.choice([-1, 1]) * random.uniform(7, 11)
    colour = _COLOURS[int(random.integers(len(_COLOURS)))]
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
        canvas = np.roll(background, -int(offset + (pace * k if label == "riding" else 0)), axis=1)[:, :WIDTH].copy()
        if label == "riding":
            for post in range(3):
                left = int((offset + post * WIDTH / 2 - pace * k) % (1.5 * WIDTH)) - 10
                cv2.rectangle(canvas, (left, 0), (left + 10, HEIGHT), colour, -1)
        centre = (x + dx, y + dy)
        _paste(canvas, person[(k + beat) % len(person)], centre, scale * grow, angle)
        unit = _FACE * scale
        match label:
            case "juggling":
                ball = (int(x + side * 1.6 * unit), int(y + 0.4 * unit - 1.4 * unit * abs(wave)))
                cv2.circle(canvas, ball, int(0.38 * unit), colour, -1, cv2.LINE_AA)
            case "brushing":
                _box(canvas, (x + 0.4 * unit * wave, y + 0.28 * unit), (0.85 * unit, 0.24 * unit), 0, colour)
            case "drinking":
                _box(canvas, (x, y + 0.35 * unit), (0.5 * unit, 0.7 * unit), 10 * wave, colour)
        yield canvas


def _paste(canvas: np.ndarray, cut_out: np.ndarray, centre: tuple[float, float], scale: float, angle: float) -> None:
    """Blend an RGBA cut-out so that the face lies at ``centre``."""
    matrix = cv2.getRotationMatrix2D(_MIDDLE, angle, scale)
    matrix[:, 2] += np.subtract(centre, _MIDDLE)
    moved = cv2.warpAffine(cut_out, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    alpha = moved[..., 3:].astype(np.float32) / 255
    canvas[:] = (alpha * moved[..., :3] + (1 - alpha) * canvas).round().astype(np.uint8)


def _box(
    canvas: np.ndarray,
    centre: tuple[float, float],
    size: tuple[float, float],
    angle: float,
    colour: tuple[int, int, int],
) -> None:
    corners = cv2.boxPoints((centre, size, angle))
    cv2.fillConvexPoly(canvas, corners.round().astype(np.int32), colour, cv2.LINE_AA)


def _background(random: np.random.Generator, width: int) -> np.ndarray:
    """A wall of muted colours: a gradient, blocks and noise."""
    base = random.integers(80, 160)
    top, bottom = (base + random.integers(-20, 21, 3) for _ in range(2))
    ramp = np.linspace(0, 1, HEIGHT)[:, None, None]
    picture = np.broadcast_to((1 - ramp) * top + ramp * bottom, (HEIGHT, width, 3)).astype(np.uint8).copy()
    for _ in range(14):
        left, upper = int(random.integers(width)), int(random.integers(HEIGHT))
        right, lower = left + int(random.integers(10, 60)), upper + int(random.integers(10, 60))
        shade = base + random.integers(-25, 26, 3)
        cv2.rectangle(picture, (left, upper), (right, lower), shade.tolist(), -1)
    noise = random.normal(0, 6, (HEIGHT, width, 1))
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 1.0) + noise, 0, 255).astype(np.uint8)


@lru_cache(maxsize=len(PEOPLE))
def _cut_out(person: _Person, footage: str) -> list[np.ndarray]:
    """Head and shoulders as RGBA, the face `_FACE` pixels high; outlined by an ellipse and a trapezium."""
    x1, y1, x2, y2 = person.face
    middle, face = (x1 + x2) / 2, y2 - y1
    matrix = np.array([[_FACE / face, 0, 0], [0, _FACE / face, 0]])
    matrix[:, 2] = np.array(_MIDDLE) - _FACE / face * np.array([middle, (y1 + y2) / 2])
    mask = np.zeros(_CUT_OUT[::-1], np.uint8)
    centre = (int(_MIDDLE[0]), int(_MIDDLE[1]))
    cv2.ellipse(mask, centre, (int(0.46 * _FACE), int(0.66 * _FACE)), 0, 0, 360, 255, -1, cv2.LINE_AA)
    half, top = 0.5 * _FACE, centre[1] + 0.45 * _FACE
    outline = [
        (centre[0] - 0.5 * half, top),
        (centre[0] + 0.5 * half, top),
        (centre[0] + 2.2 * half, top + 0.7 * _FACE),
        (centre[0] + 2.5 * half, _CUT_OUT[1]),
        (centre[0] - 2.5 * half, _CUT_OUT[1]),
        (centre[0] - 2.2 * half, top + 0.7 * _FACE),
    ]
    cv2.fillPoly(mask, [np.array(outline).round().astype(np.int32)], 255, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.0)
    cut_outs = []
    for image in _frames(Path(footage, person.file), person.frames):
        picture = cv2.warpAffine(image, matrix, _CUT_OUT, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        cut_outs.append(np.dstack([picture, mask]))
    return cut_outs


def _frames(path: Path, numbers: tuple[int, ...]) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in numbers:
                yield frame.to_ndarray(format="rgb24")
