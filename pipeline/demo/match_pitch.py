"""The demo's games from afar: a pitch in perspective, small players, the ball, and a camera that follows it.

Places on the pitch are in metres from its centre: x along it, y away from the camera (−34 near, 34 far).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.demo.match_drawing import (
    DARK,
    HEIGHT,
    WHITE,
    WIDTH,
    Colour,
    Image,
    Look,
    Random,
    block,
    bright,
    disc,
    fill,
    line,
)

_NEAR, _FOCUS, _RISE, _HORIZON = 94.0, 470.0, 9713.0, -32.0  # the camera's distance from the centre, and its lens
_SPAN = 980  # pixels: width of the whole picture from which the camera cuts its own
_LONG, _WIDE = 52.5, 34.0
_BOARDS = 45  # pixels: where grass begins
Painter = Callable[[float], Image]


@dataclass(frozen=True)
class Teams:
    """Who plays: looks of home and away players and of the referee; ``side``: where the home team attacks (±1)."""

    home: Look
    away: Look
    referee: Look
    side: int

    def look(self, team: int) -> Look:
        return (self.home, self.away)[team]

    def attacks(self, team: int) -> int:
        return self.side if team == 0 else -self.side


def _project(x: np.ndarray | float, y: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels in the whole picture, and pixels per metre there."""
    depth = np.add(_NEAR, y)
    scale = _FOCUS / depth
    return _SPAN / 2 + np.multiply(x, scale), _HORIZON + _RISE / depth, scale


def _ground(corners: list[tuple[float, float]]) -> np.ndarray:
    x, y, _ = _project(*np.array(corners, float).T)
    return np.stack([x, y], 1)


def draw_pitch(random: Random, colours: tuple[Colour, Colour]) -> Image:
    """The empty stadium, (`HEIGHT` + 20, `_SPAN`, 3)."""
    canvas = np.empty((HEIGHT + 20, _SPAN, 3), np.uint8)
    canvas[:] = (58, 130, 56)
    spectators = random.integers(50, 200, (_BOARDS // 3, _SPAN // 3 + 1, 3)).astype(np.uint8)
    fans = random.random(spectators.shape[:2])
    half = spectators.shape[1] // 2
    for colour, part in zip(colours, (slice(0, half), slice(half, None)), strict=True):
        spectators[:, part][fans[:, part] < 0.35] = colour
    spectators[::3] //= 2
    canvas[:_BOARDS] = cv2.resize(spectators, (_SPAN, _BOARDS), interpolation=cv2.INTER_NEAREST)
    canvas[:_BOARDS] = cv2.GaussianBlur(canvas[:_BOARDS], (0, 0), 0.8)
    for left in range(0, _SPAN, 70):
        block(canvas, left, _BOARDS - 7, 70, 7, bright(random))
        block(canvas, left + 12, _BOARDS - 5, 46, 3, WHITE)
    stripes = np.linspace(-_LONG, _LONG, 15)
    for k in range(14):
        shade = ((66, 148, 62), (56, 134, 54))[k % 2]
        left, right = stripes[k], stripes[k + 1]
        fill(canvas, _ground([(left, -_WIDE), (right, -_WIDE), (right, _WIDE), (left, _WIDE)]), shade)
    _mark(canvas, [(-_LONG, -_WIDE), (_LONG, -_WIDE), (_LONG, _WIDE), (-_LONG, _WIDE), (-_LONG, -_WIDE)])
    _mark(canvas, [(0, -_WIDE), (0, _WIDE)])
    _mark(canvas, [(9.15 * np.cos(a), 9.15 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 33)])
    for end in (-1, 1):
        for deep, wide in ((16.5, 20.2), (5.5, 9.2)):
            inner = end * (_LONG - deep)
            _mark(canvas, [(end * _LONG, -wide), (inner, -wide), (inner, wide), (end * _LONG, wide)])
        _goal(canvas, end)
    return canvas


def _mark(canvas: Image, points: list[tuple[float, float]]) -> None:
    corners = (_ground(points) * 16).astype(np.int32)
    cv2.polylines(canvas, [corners], False, (225, 240, 225), 1, cv2.LINE_AA, 4)


def _goal(canvas: Image, end: int) -> None:
    posts = []
    for x, y, height in ((0, -3.66, 2.44), (0, 3.66, 2.44), (2, 3.66, 1.6), (2, -3.66, 1.6)):
        u, v, scale = _project(end * (_LONG + x), y)
        posts.append(((float(u), float(v)), (float(u), float(v - height * scale))))
    for k in range(4):
        for low in range(2):
            line(canvas, posts[k][low], posts[k - 3][low], (190, 200, 200), 1)
    for k in np.linspace(0, 1, 7):
        start, stop = ((1 - k) * np.array(posts[2]) + k * np.array(posts[3])).tolist()
        line(canvas, start, stop, (190, 200, 200), 1)
    for post in posts[:2]:
        line(canvas, *post, WHITE, 2)
    line(canvas, posts[0][1], posts[1][1], WHITE, 2)


class Wide:
    """A shot from the main camera; its painter.

    Args:
        random: Source of everything that is not given.
        pitch: The empty stadium.
        teams: Who plays.
        kind: "play", "kick-off", "goal", "miss", "foul", "throw-in" or "change", by ``team``.
        team: 0 or 1.
        start, at: Seconds: the shot's first moment, and when it happens.
        zoom: 1 as usual; more is closer.
    """

    def __init__(
        self, random: Random, pitch: Image, teams: Teams, kind: str, team: int, start: float, at: float, zoom: float
    ):
        self._teams, self._kind, self._team, self._at = teams, kind, team, at
        self._zoom = zoom * float(random.uniform(0.95, 1.15))
        self._pitch = np.asarray(cv2.resize(pitch, None, fx=self._zoom, fy=self._zoom, interpolation=cv2.INTER_LINEAR))
        self._times, self._ball = _path(random, kind, teams.attacks(team), start, at)
        self._homes = _formation(random, teams.side)
        self._waves = random.uniform(0, 2 * np.pi, (2, 20))
        self._pace = float(random.uniform(0.8, 1.3))
        self._still = kind in ("foul", "throw-in", "change")
        self._spot = self.ball(np.array([at]))[0]

    def __call__(self, time: float) -> Image:
        """The picture at a time in seconds."""
        ball = self.ball(np.array([time]))[0]
        ahead = self.ball(time + np.linspace(-0.8, 0.8, 5)).mean(0)
        zoom = self._zoom
        u, v, _ = _project(ahead[0], ahead[1])
        left = min(max(round(float(u) * zoom - WIDTH / 2), 0), self._pitch.shape[1] - WIDTH)
        top = min(max(round(float(v) * zoom - HEIGHT * 0.6), 0), self._pitch.shape[0] - HEIGHT)
        canvas = self._pitch[top : top + HEIGHT, left : left + WIDTH].copy()
        people = self._players(time, ball)
        places = np.array([(x, y) for x, y, _, _ in people] + [ball[:2].tolist()])
        a, b, scale = (side.tolist() for side in _project(places[:, 0], places[:, 1]))
        for k, (_, _, who, stride) in enumerate(people):
            x, y = a[k] * zoom - left, b[k] * zoom - top
            if -10 < x < WIDTH + 10:
                _figure(canvas, (x, y), scale[k] * zoom, who, stride)
        drop, metre = (a[-1] * zoom - left, b[-1] * zoom - top), scale[-1] * zoom
        radius = max(0.2 * metre, 1.1)
        disc(canvas, drop, (radius, radius / 2), (40, 90, 40))
        disc(canvas, (drop[0], drop[1] - radius - float(ball[2]) * metre), (radius, radius), WHITE)
        return canvas

    def ball(self, times: np.ndarray) -> np.ndarray:
        """The places (n, 3) at times in seconds: metres along, across and above the pitch."""
        return np.stack([np.interp(times, self._times, self._ball[:, k]) for k in range(3)], 1)

    def _players(self, time: float, ball: np.ndarray) -> list[tuple[float, float, Look, float]]:
        """Everybody's place, look and stride, far ones first."""
        clock, free = time, 1.0
        if self._still:
            clock = min(time, self._at - 1) + 0.15 * max(time - self._at + 1, 0)
        if self._kind == "kick-off":
            clock, free = max(time, self._at) + 0.1 * min(time - self._at, 0), min(max((time - self._at) / 3, 0), 1)
        shift = np.array([0.62 * ball[0], 0.3 * ball[1]])
        where = self._homes + shift + 2.5 * np.sin(self._waves + self._pace * clock).T
        if free < 1:
            sides = np.repeat([-self._teams.side, self._teams.side], 10)
            own = np.stack([sides * np.maximum(sides * where[:, 0], 1.0), where[:, 1]], 1)
            own[:2], own[10] = [(-0.7, 1.5), (-0.7, -1.5)], (self._teams.side * 9.5, 0)
            where = own + free * (where - own)
        gaps = np.hypot(*(where - ball[:2]).T)
        if self._kind != "throw-in":
            reach = 12.0 if self._kind == "foul" else 6.0
            pull = 0.8 * np.exp(-((gaps / reach) ** 2)) * np.maximum(1 - 1.5 / gaps, 0)
            where += pull[:, None] * (ball[:2] - where)
        where = np.clip(where, (-_LONG - 1, -_WIDE), (_LONG + 1, _WIDE))
        teams = self._teams
        strides = np.sin(9 * clock + self._waves[0])
        everybody = [
            (float(x), float(y), teams.look(k // 10), float(s))
            for k, ((x, y), s) in enumerate(zip(where, strides, strict=True))
        ]
        for team in (0, 1):
            keeper = Look((90, 220, 120), DARK, teams.look(team).skin, teams.look(team).hair)
            everybody.append((-teams.attacks(team) * (_LONG - 2.0), float(np.clip(0.15 * ball[1], -3, 3)), keeper, 0.3))
        far = float(np.interp(time, (self._at - 2.5, self._at - 0.5), (8, 1.2))) if self._kind == "foul" else 8.0
        everybody.append((float(ball[0] - far), float(ball[1] + 1.5), teams.referee, 0.0))
        if self._kind == "change":
            for k in range(3):
                who = teams.referee if k == 0 else teams.look(self._team)
                everybody.append((self._spot[0] + 2.2 * k - 2, -_WIDE + 0.5, who, 0.0))
        return sorted(everybody, key=lambda player: -player[1])


def _figure(canvas: Image, feet: tuple[float, float], scale: float, who: Look, stride: float) -> None:
    """Somebody about 1.8 m high."""
    x, y = feet
    disc(canvas, (x + 0.3 * scale, y), (0.6 * scale, 0.18 * scale), (44, 100, 44))
    for side in (-1, 1):
        hip, foot = (x + 0.1 * side * scale, y - 0.8 * scale), (x + 0.35 * side * stride * scale, y)
        line(canvas, hip, foot, who.skin, 0.2 * scale)
    high, low, half = y - 1.55 * scale, y - 0.7 * scale, 0.3 * scale
    fill(canvas, [(x - half, high), (x + half, high), (x + half, low), (x - half, low)], who.shirt)
    line(canvas, (x - 0.6 * half, low), (x + 0.6 * half, low), who.shorts, 0.3 * scale)
    disc(canvas, (x, high - 0.18 * scale), (0.19 * scale, 0.22 * scale), who.skin)


def _formation(random: Random, side: int) -> np.ndarray:
    """Where 20 players would be if the ball were in the centre, (20, 2), home first."""
    rows = [(-22, y) for y in (-18, -6, 6, 18)] + [(-7, y) for y in (-16, -5, 6, 17)] + [(6, -7), (7, 8)]
    rows_of = np.array(rows, float)
    places = np.concatenate([rows_of * [side, 1], rows_of * [-side, -1]])
    return places + random.uniform(-2.5, 2.5, places.shape)


def _path(random: Random, kind: str, side: int, start: float, at: float) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and the ball's places (x, y, height) then; between them it moves straight."""
    times = [start - 2.0]
    spot = [float(random.uniform(-32, 32)), float(random.uniform(-18, 18)), 0.0]
    match kind:
        case "goal" | "miss":
            wide, deep = float(random.uniform(-2.5, 2.5)), 1.2
            if kind == "miss":
                wide, deep = float(random.choice([-1, 1]) * random.uniform(4.6, 8)), 4.0
            high = float(random.uniform(0, 1.5))
            final = [side * (_LONG + deep), wide, high]
            shot = [side * float(random.uniform(36, 42)), float(random.uniform(-14, 14)), 0.0]
            run = [side * float(random.uniform(22, 32)), float(random.uniform(-20, 20)), 0.0]
            places = [run, run, shot, final, [final[0], final[1], 0.0]]
            return np.array([at - 30, at - 3.5, at - 0.8, at, at + 0.5]), np.array(places)
        case "foul":
            places = [[spot[0] - side * 9, spot[1] * 0.6, 0.0], spot, spot]
            return np.array([at - 5, at - 1.5, at]), np.array(places)
        case "throw-in" | "change":
            spot = [float(random.uniform(-25, 25)), -_WIDE + 2.0, 0.0]
            return np.array([at - 6, at - 2]), np.array([[spot[0] * 0.7, -20.0, 0.0], spot])
        case "kick-off":
            return np.array([at, at + 1, at + 3]), np.array([[0.0, 0, 0], [-side * 9, 4, 0], [-side * 20, -8, 0]])
    places = [spot]
    for _ in range(14):
        times.append(times[-1] + float(random.uniform(0.9, 1.8)))
        x, y, high = random.normal((*places[-1][:2], -1), (11, 10, 2))
        places.append([float(np.clip(x, -40, 40)), float(np.clip(y, -28, 28)), float(max(high, 0))])
    return np.array(times), np.array(places)
