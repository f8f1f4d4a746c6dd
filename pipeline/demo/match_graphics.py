"""What is written over the pictures of the demo's games: the score and the clock, captions, the frame of a replay."""

from functools import lru_cache

import cv2
import numpy as np

from pipeline.demo.match_drawing import DARK, HEIGHT, WHITE, WIDTH, Colour, Image, block, fill, write
from pipeline.demo.match_plan import CLUBS, Game, PlayedHalf
from pipeline.demo.match_shots import Caption

CARDS: dict[str, Colour] = {"yellow card": (250, 225, 30), "red card": (225, 30, 35)}
GREEN, RED = (60, 220, 90), (235, 50, 50)
_NAVY, _GOLD = (24, 30, 60), (255, 230, 90)
_UPDATE = 5.0  # seconds from a goal until the score counts it


class Scoreboard:
    """Both clubs, the score and the clock, in the upper left corner."""

    def __init__(self, game: Game, half: PlayedHalf):
        past = [m.team for other in game.halves[: half.number - 1] for m in other.moments if m.event.label == "Goal"]
        self._goals = [(0.0, team) for team in past]
        self._goals += [(m.event.time + _UPDATE, m.team) for m in half.moments if m.event.label == "Goal"]
        self._names = [club.split()[1][:3].upper() for club in game.clubs]
        self._colours = [CLUBS[club] for club in game.clubs]
        self._strip = lru_cache(maxsize=1)(self._at)

    def draw(self, canvas: Image, time: float) -> None:
        """Draw it as it is at a time in seconds from kick-off."""
        canvas[5:16, 6:132] = self._strip(int(time))

    def _at(self, second: int) -> Image:
        score = [sum(team == k and at <= second for at, team in self._goals) for k in (0, 1)]
        strip = np.full((11, 126, 3), _NAVY, np.uint8)
        for colour, left in zip(self._colours, (0, 62), strict=True):
            block(strip, left, 0, 3, 11, colour)
        write(strip, self._names[0], (5, 9), WHITE)
        write(strip, f"{score[0]}-{score[1]}", (30, 9), _GOLD)
        write(strip, self._names[1], (67, 9), WHITE)
        block(strip, 94, 0, 32, 11, (225, 225, 230))
        write(strip, f"{second // 60:02d}:{second % 60:02d}", (95, 9), DARK, 0.28)
        return strip


def draw_caption(canvas: Image, caption: Caption, colour: Colour, time: float) -> None:
    """Draw a caption in the lower part; it wipes in and out within a third of a second."""
    strip = _strip(caption, colour)
    width = max(round(strip.shape[1] * min(1.0, 3 * (time - caption.start), 3 * (caption.stop - time))), 1)
    canvas[104:120, 14 : 14 + width] = strip[:, :width]


@lru_cache(maxsize=8)
def _strip(caption: Caption, colour: Colour) -> Image:
    strip = np.full((16, 140, 3), _NAVY, np.uint8)
    block(strip, 0, 0, 5, 16, colour)
    number = caption.seed % 23 + 1
    match caption.kind:
        case "Goal":
            write(strip, f"GOAL!  No. {number}", (24, 11), WHITE, 0.36)
        case "Substitution":
            fill(strip, [(10, 7), (14, 2), (18, 7)], GREEN)
            fill(strip, [(10, 9), (18, 9), (14, 14)], RED)
            write(strip, f"IN {number}  OUT {caption.seed % 11 + 1}", (24, 11), WHITE, 0.32)
        case "statistics":
            write(strip, f"Possession {35 + caption.seed % 31}%", (24, 11), WHITE, 0.32)
        case card:
            block(strip, 11, 3, 7, 10, CARDS[card.lower()])
            write(strip, f"No. {number}", (24, 11), WHITE, 0.34)
    return strip


def draw_frame(canvas: Image, colours: tuple[Colour, Colour]) -> None:
    """Draw the frame that marks a slow motion."""
    cv2.rectangle(canvas, (2, 2), (WIDTH - 3, HEIGHT - 3), colours[0], 3)
    cv2.rectangle(canvas, (5, 5), (WIDTH - 6, HEIGHT - 6), colours[1], 2)
    block(canvas, WIDTH - 34, 9, 24, 12, _NAVY)
    write(canvas, "R", (WIDTH - 26, 18), WHITE, 0.34)
