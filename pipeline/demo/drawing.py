"""What the demo's made videos share: figures with real faces cut out of the footage, walls, and the encoding."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from pipeline.runtime.files import atomic

HEIGHT, WIDTH, RATE = 144, 192, 10
# Without look-ahead x264 gives the same bytes each time; with it, a few videos in a hundred differ.
_ENCODING = {"crf": "18", "preset": "veryfast", "tune": "zerolatency"}
FACE = 42.0  # pixels: a face's height at scale 1
CUT_OUT = (int(3.6 * FACE), int(5.4 * FACE))  # width, height
MIDDLE = (CUT_OUT[0] / 2, 1.2 * FACE)  # of the face in a cut-out
COLOURS = ((250, 230, 40), (40, 230, 90), (60, 140, 255), (255, 255, 255))

# Objects that `paint` knows, and how wide and high each is for its size.
EXTENT = {"ball": (1.0, 1.0), "cup": (1.1, 1.0), "book": (1.3, 0.9), "lamp": (1.1, 1.15)}


@dataclass(frozen=True)
class Person:
    """Where somebody is in a source: file, frames, and the face's box (x1, y1, x2, y2) in pixels."""

    file: str
    frames: tuple[int, ...]
    face: tuple[int, int, int, int]


PEOPLE = (
    Person("giving_speech/obama_speech.mp4", (0, 2, 4, 6, 8, 10, 12, 14), (178, 28, 220, 86)),
    Person("giving_speech/obama_speech.mp4", (80, 82, 84, 86, 88, 90, 92, 94), (67, 49, 103, 99)),
    Person("talking_in_car/carphone_pristine.mp4", (0, 2, 4, 6, 8, 10, 12, 14), (64, 37, 112, 96)),
    Person("astronaut.png", (0,), (178, 70, 272, 192)),
)


def write_video(path: Path, images: Iterable[np.ndarray]) -> None:
    """Encode RGB images (uint8, `HEIGHT` by `WIDTH`) at `RATE` frames per second."""
    with atomic(path) as temporary, av.open(str(temporary), "w") as out:
        stream: Any = out.add_stream("libx264", rate=Fraction(RATE), options=_ENCODING)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = WIDTH, HEIGHT, "yuv420p", 1
        for image in images:
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).astype(np.uint8, copy=False)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(planes, "yuv420p")))
        out.mux(stream.encode(None))


def place(centre: tuple[float, float], scale: float, angle: float, middle: tuple[float, float] = MIDDLE) -> np.ndarray:
    """The affine matrix (2, 3) that brings ``middle`` to ``centre``, turned by this many degrees about it."""
    matrix: np.ndarray = cv2.getRotationMatrix2D(middle, angle, scale)
    matrix[:, 2] += np.subtract(centre, middle)
    return matrix


def paste(canvas: np.ndarray, cut_out: np.ndarray, matrix: np.ndarray) -> None:
    """Blend an RGBA cut-out, moved by an affine matrix (2, 3)."""
    moved = cv2.warpAffine(cut_out, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    alpha = moved[..., 3:].astype(np.float32) / 255
    canvas[:] = (alpha * moved[..., :3] + (1 - alpha) * canvas).round().astype(np.uint8)


def box(
    canvas: np.ndarray,
    centre: tuple[float, float],
    size: tuple[float, float],
    angle: float,
    colour: tuple[int, int, int],
) -> None:
    """Fill a rectangle that is turned by this many degrees."""
    corners = cv2.boxPoints((centre, size, angle))
    cv2.fillConvexPoly(canvas, corners.round().astype(np.int32), colour, cv2.LINE_AA)


def background(random: np.random.Generator, width: int) -> np.ndarray:
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
def cut_outs(person: Person, footage: str) -> list[np.ndarray]:
    """Head and shoulders as RGBA, the face `FACE` pixels high; outlined by an ellipse and a trapezium."""
    x1, y1, x2, y2 = person.face
    middle, face = (x1 + x2) / 2, y2 - y1
    matrix = np.array([[FACE / face, 0, 0], [0, FACE / face, 0]])
    matrix[:, 2] = np.array(MIDDLE) - FACE / face * np.array([middle, (y1 + y2) / 2])
    mask = np.zeros(CUT_OUT[::-1], np.uint8)
    centre = (int(MIDDLE[0]), int(MIDDLE[1]))
    cv2.ellipse(mask, centre, (int(0.46 * FACE), int(0.66 * FACE)), 0, 0, 360, 255, -1, cv2.LINE_AA)
    half, top = 0.5 * FACE, centre[1] + 0.45 * FACE
    outline = [
        (centre[0] - 0.5 * half, top),
        (centre[0] + 0.5 * half, top),
        (centre[0] + 2.2 * half, top + 0.7 * FACE),
        (centre[0] + 2.5 * half, CUT_OUT[1]),
        (centre[0] - 2.5 * half, CUT_OUT[1]),
        (centre[0] - 2.2 * half, top + 0.7 * FACE),
    ]
    cv2.fillPoly(mask, [np.array(outline).round().astype(np.int32)], 255, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.0)
    pictures = []
    for image in _frames(Path(footage, person.file), person.frames):
        picture = cv2.warpAffine(image, matrix, CUT_OUT, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        pictures.append(np.dstack([picture, mask]))
    return pictures


def _frames(path: Path, numbers: tuple[int, ...]) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in numbers:
                yield frame.to_ndarray(format="rgb24")


def paint(
    canvas: np.ndarray, kind: str, at: tuple[float, float], size: float, colour: tuple[int, int, int], lit: bool = False
) -> None:
    """Draw an object around ``at``; only its shape shows what it is, and its light that a lamp is lit."""
    dark = (colour[0] // 4, colour[1] // 4, colour[2] // 4)

    def fill(points: list[tuple[float, float]], paint: tuple[int, int, int]) -> None:
        corners = (np.add(at, np.multiply(points, size)) * 16).round().astype(np.int32)
        cv2.fillPoly(canvas, [corners], paint, cv2.LINE_AA, 4)

    def ring(x: float, y: float, axes: tuple[float, float], paint: tuple[int, int, int], width: float) -> None:
        centre = (round(16 * (at[0] + x * size)), round(16 * (at[1] + y * size)))
        thickness = -1 if width < 0 else max(round(width * size), 1)
        half = (round(16 * axes[0] * size), round(16 * axes[1] * size))
        cv2.ellipse(canvas, centre, half, 0, 0, 360, paint, thickness, cv2.LINE_AA, 4)

    match kind:
        case "ball":
            ring(0, 0, (0.5, 0.5), dark, -1)
            ring(0, 0, (0.42, 0.42), colour, -1)
            ring(0, 0, (0.17, 0.42), dark, 0.08)
        case "cup":
            ring(0.27, 0.0, (0.22, 0.24), dark, 0.12)
            fill([(-0.55, -0.5), (0.35, -0.5), (0.22, 0.5), (-0.42, 0.5)], dark)
            fill([(-0.46, -0.32), (0.26, -0.32), (0.16, 0.42), (-0.36, 0.42)], colour)
        case "book":
            for side in (-1, 1):
                fill([(0, -0.3), (side * 0.65, -0.45), (side * 0.65, 0.3), (0, 0.45)], dark)
                fill([(side * 0.05, -0.2), (side * 0.57, -0.34), (side * 0.57, 0.22), (side * 0.05, 0.34)], colour)
                for y in (-0.1, 0.12):
                    fill([(side * 0.15, y), (side * 0.5, y - 0.08), (side * 0.5, y), (side * 0.15, y + 0.08)], dark)
        case "lamp":
            if lit:
                _glow(canvas, (at[0], at[1] + 0.3 * size), 1.3 * size)
            fill([(-0.1, -0.575), (0.1, -0.575), (0.55, 0.1), (-0.55, 0.1)], dark)
            fill([(-0.06, -0.48), (0.06, -0.48), (0.4, 0.02), (-0.4, 0.02)], colour)
            ring(0, 0.3, (0.27, 0.27), (255, 255, 215) if lit else (25, 25, 30), -1)


def _glow(canvas: np.ndarray, at: tuple[float, float], radius: float) -> None:
    """Light added around a point."""
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]]
    light = 190 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / radius**2)
    canvas[:] = np.minimum(canvas + light[..., None] * np.array([1, 0.9, 0.35]), 255).astype(np.uint8)
