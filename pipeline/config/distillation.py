"""The weight of a distillation: a number, or one that grows with the number of classes."""

from typing import Annotated

from pydantic import AfterValidator, NonNegativeFloat

_PER_CLASS = " per class"


def _per_class(text: str) -> str:
    number = text.removesuffix(_PER_CLASS)
    if number == text or not number.replace(".", "", 1).isdecimal():
        raise ValueError("write a number, or one for each class, such as 31.25 per class")
    return text


# λ of Eq. 5.11, α of Eq. 6.7. The divergence is a mean over batch and classes, so that a number is for one number of
# classes: 12,500 for 400 (Sec. 5.3.1) weighs as much as 625 for 20.
KlWeight = NonNegativeFloat | Annotated[str, AfterValidator(_per_class)]


def weight_for(weight: float | str, classes: int) -> float:
    """The weight for this number of classes."""
    return weight if isinstance(weight, float) else float(weight.removesuffix(_PER_CLASS)) * classes


def times(weight: float | str, factor: float) -> float | str:
    """The weight, multiplied."""
    return weight * factor if isinstance(weight, float) else f"{weight_for(weight, 1) * factor}{_PER_CLASS}"
