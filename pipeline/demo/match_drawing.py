"""Figures of the demo's games: shapes at parts of pixels, people, crowds, blurred backgrounds, lettering.

Images are uint8 (`HEIGHT`, `WIDTH`, 3), RGB; places are (x, y) in pixels, y downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, radians, sin

import cv2
import numpy as np

HEIGHT, WIDTH = 128, 228
SKINS = ((255, 220, 190), (235, 185, 145), (190, 135, 95), (125, 80, 55), (90, 60, 45))
HAIRS = ((40, 30, 25), (90, 60, 35), (200, 165, 90), (60, 60, 65), (150, 70, 40))
DARK, WHITE, GRASS = (25, 25, 30), (245, 245, 245), (62, 138, 58)

Image = np.ndarray
Random = np.random.Generator
Colour = tuple[int, int, int]
Place = tuple[float, float]
Arm = tuple[float, float]
DOWN, ON_HEAD, UP, OUT = (12.0, 6.0), (135.0, 235.0), (165.0, 175.0), (75.0, 95.0)


@dataclass(frozen=True)
class Look:
    """How somebody looks."""

    shirt: Colour
    shorts: Colour
    skin: Colour
    hair: Colour


def look(random: Random, shirt: Colour, shorts: Colour = DARK) -> Look:
    """Somebody in these clothes."""
    return Look(shirt, shorts, SKINS[int(random.integers(5))], HAIRS[int(random.integers(5))])


def bright(random: Random) -> Colour:
    """Any colour of clothes."""
    red, green, blue = random.integers(30, 240, 3).tolist()
    return red, green, blue


def fill(canvas: Image, points: Sequence[Place] | np.ndarray, colour: Colour) -> None:
    """Fill a convex polygon."""
    cv2.fillConvexPoly(canvas, np.asarray(np.multiply(points, 16), np.int32), colour, cv2.LINE_AA, 4)


def disc(canvas: Image, at: Place, axes: Place, colour: Colour, part: tuple[int, int] = (0, 360)) -> None:
    """Fill an ellipse, or the part of it between two angles in degrees."""
    centre, half = (round(at[0] * 16), round(at[1] * 16)), (round(axes[0] * 16), round(axes[1] * 16))
    cv2.ellipse(canvas, centre, half, 0, *part, colour, -1, cv2.LINE_AA, 4)


def line(canvas: Image, start: Place, stop: Place, colour: Colour, width: float) -> None:
    """Draw a line."""
    begin, end = (round(start[0] * 16), round(start[1] * 16)), (round(stop[0] * 16), round(stop[1] * 16))
    cv2.line(canvas, begin, end, colour, max(round(width), 1), cv2.LINE_AA, 4)


def block(canvas: Image, left: float, top: float, width: float, height: float, colour: Colour) -> None:
    """Fill an upright rectangle."""
    corners = ((round(left), round(top)), (round(left + width) - 1, round(top + height) - 1))
    cv2.rectangle(canvas, *corners, colour, -1)


def write(canvas: Image, text: str, at: Place, colour: Colour, size: float = 0.3) -> None:
    """Write a text whose lower left corner is ``at``."""
    where = (round(at[0]), round(at[1]))
    cv2.putText(canvas, text, where, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def person(
    canvas: Image, at: Place, unit: float, who: Look, arms: tuple[Arm, Arm] = (DOWN, DOWN), stride: float = 0.0
) -> tuple[Place, Place]:
    """Draw somebody from the front.

    Args:
        canvas: Image to draw on.
        at: Middle between the shoulders.
        unit: Height of the head in pixels; the whole figure measures about seven.
        who: How they look.
        arms: Left and right: angles of the upper arm and the forearm in degrees, 0 down, 90 out, 180 up.
        stride: Where the legs are in their swing, −1 to 1.

    Returns:
        Both hands' places.
    """
    x, y = at
    dark = (who.shirt[0] * 3 // 4, who.shirt[1] * 3 // 4, who.shirt[2] * 3 // 4)
    if y + 2.6 * unit < HEIGHT:
        for side in (-1, 1):
            hip, swing = (x + 0.32 * side * unit, y + 2.7 * unit), stride * side
            knee = (hip[0] + 0.25 * swing * unit, hip[1] + 1.4 * unit - 0.2 * max(swing, 0) * unit)
            foot = (knee[0] - 0.1 * swing * unit, knee[1] + 1.4 * unit - 0.6 * max(swing, 0) * unit)
            line(canvas, hip, knee, who.skin, 0.42 * unit)
            line(canvas, knee, foot, who.shirt, 0.36 * unit)
            disc(canvas, (foot[0], foot[1] + 0.1 * unit), (0.3 * unit, 0.15 * unit), DARK)
        hips = [(-0.62, 2.2), (0.62, 2.2), (0.72, 3.3), (-0.72, 3.3)]
        fill(canvas, np.multiply(hips, unit) + at, who.shorts)
    half = [(0.5, -0.16), (0.85, 0.1), (0.62, 1.2), (0.62, 2.4)]
    body = [(-0.5, -0.16), *half, *((-x, y) for x, y in half[:0:-1])]
    fill(canvas, np.multiply(body, unit) + at, who.shirt)
    line(canvas, (x, y + 0.2 * unit), (x, y + 2.3 * unit), dark, 0.12 * unit)
    hands = []
    for side, (upper, fore) in zip((-1, 1), arms, strict=True):
        shoulder = (x + 0.78 * side * unit, y + 0.12 * unit)
        elbow = _along(shoulder, side * upper, 1.1 * unit)
        hand = _along(elbow, side * fore, 1.0 * unit)
        line(canvas, elbow, hand, who.skin, 0.34 * unit)
        line(canvas, shoulder, elbow, dark, 0.44 * unit)
        disc(canvas, hand, (0.22 * unit, 0.22 * unit), who.skin)
        hands.append(hand)
    head = (x, y - 0.72 * unit)
    line(canvas, (x, y - 0.05 * unit), head, who.skin, 0.4 * unit)
    disc(canvas, (x, head[1] - 0.06 * unit), (0.45 * unit, 0.54 * unit), who.hair)
    disc(canvas, (x, head[1] + 0.06 * unit), (0.39 * unit, 0.46 * unit), who.skin)
    disc(canvas, (x, head[1] - 0.14 * unit), (0.43 * unit, 0.42 * unit), who.hair, (180, 360))
    if unit > 12:
        for side in (-1, 1):
            disc(canvas, (x + 0.16 * side * unit, head[1] + 0.06 * unit), (0.05 * unit, 0.06 * unit), DARK)
        mouth = (head[0], head[1] + 0.3 * unit)
        disc(canvas, mouth, (0.14 * unit, 0.05 * unit), (170, 80, 75))
    return hands[0], hands[1]


def _along(start: Place, angle: float, length: float) -> Place:
    return start[0] + length * sin(radians(angle)), start[1] + length * cos(radians(angle))


def backdrop(random: Random, stands: float) -> Image:
    """Grass, and above it stands that fill so much of the height, out of focus; 100 pixels wider than an image."""
    canvas = np.empty((HEIGHT, WIDTH + 100, 3), np.uint8)
    canvas[:] = GRASS
    for k in range(0, canvas.shape[1], 80):
        block(canvas, k, 0, 40, HEIGHT, (70, 150, 64))
    edge = round(stands * HEIGHT)
    if edge:
        dots = random.integers(40, 190, (edge // 6 + 1, canvas.shape[1] // 6 + 1, 3)).astype(np.uint8)
        canvas[:edge] = cv2.resize(dots, None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST)[:edge, : canvas.shape[1]]
        for k in range(0, canvas.shape[1], 60):
            block(canvas, k, edge - 12, 60, 12, bright(random))
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 3.5))


class Crowd:
    """Rows of spectators, lively or quiet, some of them in a club's colour. Their motion repeats itself."""

    _PHASES = 8

    def __init__(self, random: Random, colour: Colour, share: float, lively: float):
        people = []
        for row in range(6):
            for x in np.arange(-5, WIDTH + 10, 13 + row):
                shirt = colour if random.random() < share else bright(random)
                place = (float(x + random.uniform(-3, 3)), 14.0 + row * 21 + float(random.uniform(-2, 2)))
                arms = bool(random.random() < 0.6 * lively)
                people.append((place, 7.0 + row, look(random, shirt), arms, float(random.uniform(0, 2 * pi))))
        self._people, self._lively = people, lively
        self.picture = lru_cache(maxsize=self._PHASES)(self._picture)

    def draw(self, time: float) -> Image:
        """The picture at a time in seconds."""
        return np.copy(self.picture(int(time * (9 if self._lively else 3)) % self._PHASES))

    def _picture(self, phase: int) -> Image:
        canvas = np.full((HEIGHT, WIDTH, 3), (58, 60, 70), np.uint8)
        for (x, y), unit, who, arms, own in self._people:
            sway = sin(2 * pi * phase / self._PHASES + own)
            y -= (3 * self._lively + 0.4) * sway
            body = [(-1, 2.2), (-0.8, 0), (0.8, 0), (1, 2.2)]
            fill(canvas, np.multiply(body, unit) + (x, y), who.shirt)
            for side in (-1, 1) if arms else ():
                tip = (x + side * unit * (1.1 + 0.2 * sway), y - 1.5 * unit)
                line(canvas, (x + 0.7 * side * unit, y + 2), tip, who.skin, 0.3 * unit)
            disc(canvas, (x, y - 0.6 * unit), (0.46 * unit, 0.55 * unit), who.hair)
            disc(canvas, (x, y - 0.45 * unit), (0.38 * unit, 0.42 * unit), who.skin)
        return canvas


def flag(canvas: Image, at: Place, size: float, colours: tuple[Colour, Colour], phase: float) -> None:
    """A flag that waves on its pole; ``at`` is the pole's lower end."""
    x, y = at
    lean = 0.25 * sin(phase / 2)
    top = (x + 1.6 * lean * size, y - 1.6 * size)
    line(canvas, at, top, (190, 170, 120), 1.5)
    for k in range(6):
        for half, colour in enumerate(colours):
            points = []
            for step, drop in ((k, half), (k + 1, half), (k + 1, half + 1), (k, half + 1)):
                wave = 0.1 * sin(phase + 0.9 * step) * step / 3
                points.append((top[0] + size * 0.2 * step, top[1] + size * (0.36 * drop + wave)))
            fill(canvas, points, colour)
