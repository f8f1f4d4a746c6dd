"""What happens in a game and when: the classes, annotated events and predicted spots."""

from dataclasses import dataclass

from pipeline.config.spot import Version as Version

# In the order of the development kit (`soccernet` on PyPI).
CLASSES: dict[int, tuple[str, ...]] = {
    1: ("card", "subs", "soccer"),
    2: (
        "Penalty",
        "Kick-off",
        "Goal",
        "Substitution",
        "Offside",
        "Shots on target",
        "Shots off target",
        "Clearance",
        "Ball out of play",
        "Throw-in",
        "Foul",
        "Indirect free-kick",
        "Direct free-kick",
        "Corner",
        "Yellow card",
        "Red card",
        "Yellow->red card",
    ),
}
SUBSTITUTIONS = {1: "subs", 2: "Substitution"}
HALVES = (1, 2)


@dataclass(frozen=True)
class Event:
    """An annotated event of a class of `CLASSES`, ``time`` seconds from the beginning of half 1 or 2.

    ``visible``: whether the broadcast shows it (SoccerNet-v2; always True in version 1).
    """

    half: int
    time: float
    label: str
    visible: bool = True


@dataclass(frozen=True)
class Spot:
    """A predicted event: as `Event`, with the network's probability in [0, 1]."""

    half: int
    time: float
    label: str
    confidence: float
