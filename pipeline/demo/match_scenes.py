"""Draws the broadcast of the demo's games: every kind of shot, and what is written over the pictures."""

from collections.abc import Callable
from functools import lru_cache, partial
from math import pi, sin

import cv2
import numpy as np

from pipeline.demo.match_drawing import (
    DARK,
    DOWN,
    HEIGHT,
    ON_HEAD,
    OUT,
    UP,
    WHITE,
    WIDTH,
    Arm,
    Colour,
    Crowd,
    Image,
    Look,
    Random,
    backdrop,
    block,
    bright,
    flag,
    line,
    look,
    person,
    write,
)
from pipeline.demo.match_graphics import CARDS, GREEN, RED, Scoreboard, draw_caption, draw_frame
from pipeline.demo.match_pitch import Painter, Teams, Wide, draw_pitch
from pipeline.demo.match_plan import CLUBS, Game, PlayedHalf
from pipeline.demo.match_shots import Broadcast, Shot

_REFEREES: tuple[Colour, ...] = (DARK, (60, 190, 190), (235, 110, 160))


class Studio:
    """Draws the broadcast of one half."""

    def __init__(self, game: Game, half: PlayedHalf, broadcast: Broadcast):
        random = np.random.default_rng([6, *game.seed])
        self.colours = CLUBS[game.clubs[0]], CLUBS[game.clubs[1]]
        shorts = [(WHITE, DARK, colour)[int(random.integers(3))] for colour in self.colours]
        home, away = (look(random, *clothes) for clothes in zip(self.colours, shorts, strict=True))
        free = [shirt for shirt in _REFEREES if all(_differ(shirt, colour) for colour in self.colours)]
        shirt = free[int(random.integers(len(free)))]
        self.teams = Teams(home, away, look(random, shirt), 1 if half.number == 1 else -1)
        self.pitch = draw_pitch(random, self.colours)
        self._light = random.uniform(0.8, 1.1), random.uniform(-6, 8)  # sun, dusk, floodlight
        self._broadcast = broadcast
        self._scoreboard = Scoreboard(game, half)
        self._painters = lru_cache(maxsize=2)(self._painter)

    def picture(self, time: float) -> Image:
        """What is on air at a time in seconds from kick-off."""
        shots = self._broadcast.shots
        shot = next((shot for shot in shots if time < shot.stop), shots[-1])
        canvas = cv2.convertScaleAbs(self._painters(shot)(time), alpha=self._light[0], beta=self._light[1])
        if shot.kind == "replay":
            draw_frame(canvas, self.colours)
            return canvas
        self._scoreboard.draw(canvas, max(time, 0.0))
        for caption in self._broadcast.captions:
            if caption.start <= time < caption.stop:
                draw_caption(canvas, caption, self.colours[caption.team], time)
        return canvas

    def _painter(self, shot: Shot) -> Painter:
        random = np.random.default_rng(shot.seed)
        if shot.kind in _SCENES:
            return _SCENES[shot.kind](self, random, shot)
        return Wide(random, self.pitch, self.teams, shot.kind, shot.team, shot.start, shot.at, 1.0)


def _differ(first: Colour, second: Colour) -> bool:
    return sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 150


def _replay(studio: Studio, random: Random, shot: Shot) -> Painter:
    at = (shot.start + shot.stop) / 2
    wide = Wide(random, studio.pitch, studio.teams, "goal", shot.team, at - 3, at, 1.7)
    return lambda time: wide(at + 0.4 * (time - at))


def _behind(back: Image, time: float, pace: float) -> Image:
    """A background that moves by this many pixels per second back and forth."""
    left = 50 + 45 * sin(pace * time / 45)
    return np.ascontiguousarray(back[:, round(left) : round(left) + WIDTH])


def _mate(random: Random, kit: Look) -> Look:
    return look(random, kit.shirt, kit.shorts)


def _player(studio: Studio, random: Random, shot: Shot) -> Painter:
    """One player from near, who walks, or is cross."""
    back, who = backdrop(random, random.uniform(0, 0.5)), _mate(random, studio.teams.look(shot.team))
    unit, x, phase = random.uniform(17, 28), random.uniform(80, 150), random.uniform(0, 2 * pi)
    arms: Arm = [DOWN, DOWN, ON_HEAD, (35.0, 120.0)][int(random.integers(4))]
    pace = float(random.uniform(-30, 30))

    def paint(time: float) -> Image:
        canvas = _behind(back, time, pace)
        place = (x + 5 * sin(time + phase), 58 + 2 * sin(6 * time))
        person(canvas, place, unit, who, (arms, arms), sin(6 * time))
        return canvas

    return paint


def _referee(studio: Studio, random: Random, shot: Shot) -> Painter:
    """The referee from near, an arm raised: with a card, with a whistle, or to point."""
    back, unit, x = backdrop(random, random.uniform(0, 0.4)), random.uniform(17, 24), random.uniform(85, 145)
    other, far = _mate(random, studio.teams.look(shot.team)), random.uniform(45, 70) * random.choice([-1, 1])
    company, side, card = random.random() < 0.6, int(random.integers(2)), CARDS.get(shot.kind)
    raised: Arm = (155.0, 178.0) if card or random.random() < 0.4 else [OUT, (60.0, 150.0)][int(random.integers(2))]
    arms = (raised, DOWN) if side == 0 else (DOWN, raised)

    def paint(time: float) -> Image:
        canvas = _behind(back, time, 8)
        if company:
            person(canvas, (x + far, 66 + sin(5 * time)), 0.9 * unit, other, (OUT, OUT), 0)
        place = (x + 2 * sin(1.5 * time), 70 + sin(3 * time))
        hand = person(canvas, place, unit, studio.teams.referee, arms)[side]
        if card:
            tall, wide = 0.85 * unit, 0.6 * unit
            block(canvas, hand[0] - wide / 2 - 1, hand[1] - tall - 1, wide + 2, tall + 2, DARK)
            block(canvas, hand[0] - wide / 2, hand[1] - tall, wide, tall, card)
        return canvas

    return paint


def _together(studio: Studio, random: Random, shot: Shot) -> Painter:
    """Team mates: arms up and jumping after a goal, or just together."""
    glad = shot.kind == "celebration"
    back, count = (
        backdrop(random, random.uniform(0.2, 0.6)),
        int(random.integers(3, 6) if glad else random.integers(2, 4)),
    )
    mates = [_mate(random, studio.teams.look(shot.team)) for _ in range(count)]
    unit, phases = random.uniform(12, 17), random.uniform(0, 2 * pi, count)
    poses: list[Arm] = [UP, UP, (120.0, 160.0), OUT] if glad else [DOWN, OUT, (40.0, 120.0)]
    arms = [(poses[int(a)], poses[int(b)]) for a, b in random.integers(len(poses), size=(count, 2))]

    def paint(time: float) -> Image:
        canvas = _behind(back, time, 60 if glad else 15)
        for k, who in enumerate(mates):
            x = WIDTH / 2 + (k - (count - 1) / 2) * 2.1 * unit + 4 * sin(2 * time + phases[k])
            hop = (9 if glad else 1.5) * abs(sin(5 * time + phases[k]))
            person(canvas, (x, 52 + 5 * (k % 2) - hop), unit, who, arms[k], sin(8 * time + phases[k]))
        return canvas

    return paint


def _crowd(studio: Studio, random: Random, shot: Shot) -> Painter:
    """Spectators: quiet, or with flags and paper in the air."""
    colour, festive = studio.colours[shot.team], shot.kind == "flags"
    crowd = Crowd(random, colour, 0.5, 1.0 if festive else float(random.choice([0.0, 0.5])))
    flags = [
        (float(random.uniform(-10, 200)), float(random.uniform(60, 130)), float(random.uniform(20, 34)))
        for _ in range(5)
    ]
    paper, speeds = random.uniform(0, [WIDTH, HEIGHT], (70, 2)), random.uniform(20, 50, 70)
    shades = [(colour, WHITE, (250, 220, 60))[int(k)] for k in random.integers(3, size=70)]

    def paint(time: float) -> Image:
        canvas = crowd.draw(time)
        if festive:
            for x, y, size in flags:
                flag(canvas, (x, y), size, (colour, WHITE if colour != WHITE else DARK), 6 * time + x)
            for (x, y), speed, shade in zip(paper, speeds, shades, strict=True):
                block(canvas, (x + 8 * sin(3 * time + y)) % WIDTH, (y + speed * time) % HEIGHT, 3, 3, shade)
        return canvas

    return paint


def _bench(studio: Studio, random: Random, shot: Shot) -> Painter:
    """Substitutes under a roof, and their coach."""
    bibs, coach = bright(random), look(random, [(40, 42, 55), (90, 85, 80)][int(random.integers(2))])
    people = [look(random, bibs if random.random() < 0.5 else studio.colours[shot.team]) for _ in range(6)]
    x, pose = random.uniform(30, 200), [DOWN, OUT, (35.0, 120.0)][int(random.integers(3))]
    standing = random.random() < 0.7

    back = np.full((HEIGHT, WIDTH, 3), (72, 142, 66), np.uint8)
    block(back, 0, 10, WIDTH, 82, (118, 128, 140))
    block(back, 0, 10, WIDTH, 12, (52, 58, 78))
    for k, who in enumerate(people):
        block(back, 8 + 37 * k, 50, 28, 46, (38, 46, 78))
        person(back, (22 + 37 * k, 58 + float(random.uniform(-2, 2))), 11, who, ((20.0, -30.0), (20.0, -30.0)))
    block(back, 0, 98, WIDTH, 30, (72, 142, 66))
    line(back, (0, 108), (WIDTH, 108), WHITE, 2)

    def paint(time: float) -> Image:
        canvas = back.copy()
        if standing:
            person(canvas, (x + 6 * sin(0.8 * time), 56), 14, coach, (pose, DOWN), 0.2 * sin(3 * time))
        return canvas

    return paint


def _board(studio: Studio, random: Random, shot: Shot) -> Painter:
    """The fourth official holds up two numbers: who goes off, who comes on."""
    back, who = backdrop(random, random.uniform(0.3, 0.6)), look(random, (45, 48, 60))
    x, unit = float(random.uniform(80, 150)), float(random.uniform(14, 18))
    mate, aside = _mate(random, studio.teams.look(shot.team)), float(random.choice([-1, 1]) * random.uniform(45, 60))
    numbers = [f"{int(k)}" for k in random.integers(2, 30, 2)]

    def paint(time: float) -> Image:
        canvas = _behind(back, time, 5)
        person(canvas, (x + aside, 66), unit, mate, (DOWN, DOWN), 0.3 * sin(5 * time))
        place = (x, 74 + sin(2 * time))
        person(canvas, place, unit, who, ((150.0, 178.0), (150.0, 178.0)))
        left, top = x - 29, place[1] - 3.0 * unit - 8
        block(canvas, left, top, 58, 24, (15, 15, 18))
        for number, shift, colour in zip(numbers, (4, 32), (RED, GREEN), strict=True):
            write(canvas, number, (left + shift, top + 18), colour, 0.55)
        return canvas

    return paint


def _at_the_line(studio: Studio, random: Random, shot: Shot, on: bool) -> Painter:
    """``on``: one runs on and one walks off; otherwise some in bibs warm up along the line."""
    back, bibs = backdrop(random, random.uniform(0.25, 0.5)), bright(random)
    kit = studio.teams.look(shot.team)
    people = [_mate(random, kit) if on else look(random, bibs, kit.shorts) for _ in range(2 if on else 3)]
    side, unit, pace = float(random.choice([-1, 1])), float(random.uniform(11, 14)), float(random.uniform(22, 34))

    def paint(time: float) -> Image:
        canvas, gone = _behind(back, time, 10), time - shot.start
        line(canvas, (0, 112), (WIDTH, 104), WHITE, 3)
        for k, who in enumerate(people):
            way = side if k == 0 or not on else -0.5 * side
            x = WIDTH / 2 + way * pace * (gone - 1.2) + (0 if on else 34 * (k - 1)) + (20 * side if on and k else 0)
            arms = ((40.0, 120.0), (40.0, 120.0)) if not on or k == 0 else ((60.0, 160.0), (60.0, 160.0))
            person(canvas, (x, 48 + 3 * k + 1.5 * abs(sin(8 * time))), unit, who, arms, sin(9 * time + k))
        return canvas

    return paint


_SCENES: dict[str, Callable[[Studio, Random, Shot], Painter]] = {  # all others are the main camera's
    "replay": _replay,
    "player": _player,
    "referee": _referee,
    "yellow card": _referee,
    "red card": _referee,
    "celebration": _together,
    "greeting": _together,
    "crowd": _crowd,
    "flags": _crowd,
    "bench": _bench,
    "board": _board,
    "running on": partial(_at_the_line, on=True),
    "warm-up": partial(_at_the_line, on=False),
}
