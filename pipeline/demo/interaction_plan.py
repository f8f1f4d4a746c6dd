"""What happens in the demo's AVA-style videos: who does what where, and which object is at hand.

A pose shows in the person's own box. Whether somebody plays, drinks or reads depends on the object nearest to the
person: every scene holds the same four objects, and none reaches into a box. Whether somebody watches the lamp depends
on the seconds before and after: it is lit then, whatever it is now. Whether somebody listens depends on another
person, who talks. So a backbone that looks at one box during one second knows the poses and who talks, no more.

Links of STAGE's graph have no direction in time and do not say what clip a node is of. Hence the temporal rule treats
both neighbours alike, and the places of people and objects, and who talks, last for several seconds; poses, the
lamp's state, colours and sizes are drawn again for each. A frame shows nothing of any second but its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, hypot, pi, sin

import cv2
import numpy as np

from pipeline.demo.drawing import EXTENT, FACE, HEIGHT, MIDDLE, PEOPLE, RATE, WIDTH, place
from pipeline.demo.get_footage import VIDEOS

# Label type of each; `actions` says when somebody does it.
ACTIONS = {
    "stand": "PERSON_MOVEMENT",
    "bend": "PERSON_MOVEMENT",
    "jump": "PERSON_MOVEMENT",
    "play with ball": "OBJECT_MANIPULATION",
    "drink": "OBJECT_MANIPULATION",
    "read": "OBJECT_MANIPULATION",
    "watch (the lamp)": "OBJECT_MANIPULATION",
    "talk to": "PERSON_INTERACTION",
    "listen to": "PERSON_INTERACTION",
}
KINDS = ("ball", "cup", "book", "lamp")
LIMIT = 0.3  # farthest that an object may be from who uses it; of the picture, so that the graph's distance is meant
_USED_FOR = {"ball": "play with ball", "cup": "drink", "book": "read"}
_POSES = ("stand", "bend", "jump")
_NEAR, _FAR = (0.15, 0.235), 0.38  # what is used, and all else, before people move
_SIZE = np.array([WIDTH, HEIGHT])
_GAP, _MARGIN = 24.0, 13.0  # pixels from an object's middle to another's, and to a box or the picture's edge
_TRIES = 200
SMALL = 0.4  # of a figure, compared with those of `pipeline.demo.drawing`
_OUTLINE = FACE * np.array(  # head and shoulders, from the middle of the face
    [(0.46 * cos(a), 0.66 * sin(a)) for a in np.linspace(0, 2 * pi, 24, endpoint=False)]
    + [(side * x, y) for side in (-1, 1) for x, y in ((1.1, 1.15), (1.12, 1.6))]
)

Box = tuple[float, float, float, float]
Place = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A person during one second: who, where the face is at rest (pixels), and what shows."""

    person: int
    at: Place
    scale: float
    pose: str
    talks: bool
    side: int
    phase: float


@dataclass(frozen=True)
class Thing:
    """An object during one second; ``at`` is its middle, in pixels."""

    kind: str
    at: Place
    size: float
    colour: tuple[int, int, int]
    lit: bool = False


@dataclass(frozen=True)
class Second:
    """All that is drawn from half a second before a full second until half a second after it."""

    wall: int
    figures: tuple[Figure, ...]
    things: tuple[Thing, ...]


Seconds = Sequence[Second]


@dataclass(frozen=True)
class _Scene:
    """What stays for several seconds: the wall, people (who, where, how large) and objects (what, where)."""

    wall: int
    figures: list[tuple[int, Place, float]]
    things: list[tuple[str, Place]]


def keyframes(seconds: Seconds) -> range:
    """The full seconds of a video that are annotated: neither its first frame nor its end."""
    return range(1, len(seconds) - 1)


def actions(seconds: Seconds, time: int) -> list[list[str]]:
    """What each person does at a keyframe, in the order of `ACTIONS`."""
    now = seconds[time]
    talkers = [figure for figure in now.figures if figure.talks]
    lit = any(thing.lit for other in (time - 1, time + 1) for thing in seconds[other].things)
    found = []
    for figure in now.figures:
        apart, kind = min((distance(figure, thing), thing.kind) for thing in now.things)
        names = {figure.pose}
        if apart <= LIMIT and kind in _USED_FOR:
            names.add(_USED_FOR[kind])
        if lit:
            names.add("watch (the lamp)")
        if figure.talks:
            names.add("talk to")
        elif talkers:
            names.add("listen to")
        found.append([name for name in ACTIONS if name in names])
    return found


def distance(figure: Figure, thing: Thing) -> float:
    """Between the middles of two boxes, in [0, 1] of the picture."""
    one, other = figure_box(figure), thing_box(thing)
    return hypot(*((one[k] + one[k + 2] - other[k] - other[k + 2]) / 2 for k in (0, 1)))


def figure_box(figure: Figure) -> Box:
    """Head and shoulders at the keyframe, clipped to the picture, in [0, 1]."""
    return _normalised(transform(figure, 0)[:, :2] @ _OUTLINE.T * SMALL, pose_of(figure, 0)[0])


def thing_box(thing: Thing) -> Box:
    """An object as drawn, in [0, 1] of the picture."""
    wide, high = EXTENT[thing.kind]
    return _normalised(thing.size / 2 * np.array([[-wide, wide], [-high, high]]), thing.at)


def _normalised(points: np.ndarray, at: tuple[float, float]) -> Box:
    x, y = points[0] + at[0], points[1] + at[1]
    ends = ((x.min(), WIDTH), (y.min(), HEIGHT), (x.max(), WIDTH), (y.max(), HEIGHT))
    x1, y1, x2, y2 = (min(max(float(value) / size, 0.0), 1.0) for value, size in ends)
    return x1, y1, x2, y2


def pose_of(figure: Figure, k: int) -> tuple[tuple[float, float], float]:
    """Where the face is, and how many degrees the figure is turned, k frames after the keyframe."""
    x, y = figure.at
    wave = sin(4 * pi * k / RATE + figure.phase)
    match figure.pose:
        case "jump":
            return (x, y + 6 * wave), 0.0
        case "bend":
            return (x, y), figure.side * (24 + 4 * wave)
    return (x, y), 0.0


def transform(figure: Figure, k: int) -> np.ndarray:
    """From a small cut-out's pixels, counted from the middle of its face, to the picture's: (2, 3)."""
    centre, angle = pose_of(figure, k)
    return place(centre, figure.scale, angle, (MIDDLE[0] * SMALL, MIDDLE[1] * SMALL))


def imagine(split: str, number: int) -> list[Second]:
    """What happens in a video, second by second; that of time 0 and the last one are halves, and not annotated."""
    random = np.random.default_rng([list(VIDEOS).index(split), number])
    length = int(random.integers(14, 17))
    people = random.permutation(len(PEOPLE))[: 2 + number % 2].tolist()
    cuts = (round(length / 3), round(2 * length / 3))
    scenes = [_scene(random, people) for _ in range(3)]
    talkers = _turns(random, length + 1, people)
    seconds = []
    for time in range(length + 1):
        scene = scenes[sum(time > cut for cut in cuts)]
        lit = 0 < time < length and bool(random.random() < 0.25)  # never where no keyframe shows it
        figures = tuple(
            Figure(
                *figure,
                pose=_POSES[int(random.integers(3))],
                talks=talkers[time] == figure[0],
                side=int(random.choice([-1, 1])),
                phase=float(random.uniform(0, 2 * pi)),
            )
            for figure in scene.figures
        )
        things = []
        for kind, (x, y) in scene.things:
            at = (x + float(random.uniform(-1.5, 1.5)), y + float(random.uniform(-1.5, 1.5)))
            things.append(Thing(kind, at, float(random.uniform(14, 18)), _colour(random), lit and kind == "lamp"))
        seconds.append(Second(scene.wall, figures, tuple(things)))
    return seconds


def _turns(random: np.random.Generator, length: int, people: list[int]) -> list[int]:
    """Who talks in each second, −1: nobody; turns of three to five."""
    turns: list[int] = []
    while len(turns) < length:
        talker = int(random.choice(people)) if random.random() < 0.7 else -1
        turns += [talker] * int(random.integers(3, 6))
    return turns[:length]


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    shade = np.array([[[random.integers(180), random.integers(110, 256), random.integers(190, 256)]]], np.uint8)
    red, green, blue = cv2.cvtColor(shade, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def _scene(random: np.random.Generator, people: list[int]) -> _Scene:
    """People and objects at places where everybody has the object at hand that was meant for them, or none."""
    wall = int(random.integers(2**31))
    order = random.permutation(people).tolist()
    kinds = random.permutation(list(_USED_FOR)).tolist()
    users = {kind: k for k, kind in enumerate(kinds[: len(order)]) if random.random() < 0.85}
    while True:
        figures = []
        for k, person in enumerate(order):
            x = (k + 0.5 + random.uniform(-0.18, 0.18)) / len(order)
            y = random.uniform(0.2, 0.62)
            figures.append((person, (float(x * WIDTH), float(y * HEIGHT)), float(random.uniform(0.92, 1.08))))
        things = _things(random, [Figure(*figure, "stand", False, 1, 0.0) for figure in figures], users)
        if things is not None:
            return _Scene(wall, figures, things)


def _things(
    random: np.random.Generator, figures: list[Figure], users: dict[str, int]
) -> list[tuple[str, Place]] | None:
    """Where objects could be: each close to its user, if it has one, and far from all others; None if nowhere."""
    boxes = [np.array(figure_box(figure)) for figure in figures]
    middles = np.array([(corners[:2] + corners[2:]) / 2 for corners in boxes])
    there = np.empty((0, 2))
    kinds = random.permutation(list(KINDS)).tolist()
    for kind in kinds:
        if (user := users.get(kind)) is None:
            tried = random.uniform(0, 1, (_TRIES, 2))
            good = np.ones(_TRIES, bool)
        else:
            angles, reach = random.uniform(0, 2 * pi, _TRIES), random.uniform(*_NEAR, _TRIES)
            tried = middles[user] + np.stack([reach * np.cos(angles), reach * np.sin(angles)], 1)
            good = _clear(figures[user], tried * _SIZE)
        good &= ((tried * _SIZE > _MARGIN) & (tried * _SIZE < _SIZE - _MARGIN)).all(1)
        good &= (_apart(tried * _SIZE, there * _SIZE) > _GAP).all(1)
        good &= (_apart(tried, np.delete(middles, [] if user is None else [user], 0)) > _FAR).all(1)
        if not good.any():
            return None
        there = np.concatenate([there, tried[good.argmax()][None]])
    return [(kind, (float(x), float(y))) for kind, (x, y) in zip(kinds, there * _SIZE, strict=True)]


def _clear(figure: Figure, places: np.ndarray) -> np.ndarray:
    """Which places are so far from a person's box that no pose makes it touch an object there."""
    clear = np.ones(len(places), bool)
    for pose in _POSES:
        for side in (-1, 1):
            posed = replace(figure, pose=pose, side=side, phase=side * pi / 2)
            corners = np.array(figure_box(posed)).reshape(2, 2) * _SIZE
            clear &= (np.maximum(corners[0] - places, places - corners[1]) > _MARGIN).any(1)
    return clear


def _apart(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.hypot(*(some[:, None] - others[None]).transpose(2, 0, 1))
