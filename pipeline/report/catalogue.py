"""The thesis's tables and figures: their titles, how to read them, and the numbers that it prints (thesis.yaml).

Cheap to import, as the Snakefile imports it in every job.
"""

import difflib
import re
from collections.abc import Hashable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from pipeline.runtime.errors import ActaError

FILE = Path(__file__).with_name("thesis.yaml")
T = TypeVar("T")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Strict):
    """A table or figure.

    Args:
        title: One line.
        data: The data on which its printed numbers were measured.
        datasets: The names (letters and digits only) of datasets in a configuration that are this data; none: the
            numbers do not depend on data, or the name alone does not decide.
        reading: How to read it.
        values: What is printed (`values`).
    """

    title: str
    data: str
    datasets: tuple[str, ...] = ()
    reading: str
    values: Any = None


class Spotting(_Strict):
    """T in frames, frames per second, p, q, λ, and the number of games in each of the validation and test splits."""

    clip: int
    rate: float
    probability: Annotated[float, BeforeValidator(lambda text: float(Fraction(text)))]
    latest: float
    regression_weight: float
    games: int


class Settings(_Strict):
    """What the thesis says of its runs beyond what files in config/ hold."""

    spotting: Spotting


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """`yaml.CSafeLoader` (ten times faster) where available; a key that occurs twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for place, key in enumerate(keys) if key in keys[:place]]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} stands twice", node.start_mark)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def entry(name: str) -> Entry:
    """A table or figure by its name: ``table_3_2``, ``figure_6_3``, ``shrink_costs`` …

    Raises:
        ActaError: there is none, or the file is damaged.
    """
    content = _content()
    if name not in content or name == "settings":
        near = difflib.get_close_matches(name, [other for other in content if other != "settings"], n=1)
        raise ActaError(f"{FILE} has no entry {name!r}" + (f"; it has {near[0]!r}" if near else ""))
    return _parsed(name, Entry, content[name])


def names() -> tuple[str, ...]:
    """The names of all tables and figures, in the thesis's order."""
    return tuple(name for name in _content() if name != "settings")


def values(name: str, kind: type[T], part: str | None = None) -> T:
    """What the thesis prints in a table or figure, or in one ``part`` of it; it must have the type ``kind``.

    Raises:
        ActaError: there is no such entry or part, or a value is not of the type.
    """
    printed = entry(name).values
    if part is None:
        return _parsed(f"{name}.values", kind, printed)
    if not isinstance(printed, dict) or part not in printed:
        raise ActaError(f"{FILE}: {name}.values has no {part!r}, only {', '.join(map(str, printed or ()))}")
    return _parsed(f"{name}.values.{part}", kind, printed[part])


def one_of(*known: str) -> AfterValidator:
    """For the types of `values`: a text that must be one of these, so that a misspelt key is an error."""

    def check(text: str) -> str:
        if text not in known:
            near = difflib.get_close_matches(text, known, n=1)
            raise ValueError(f"must be one of {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else ""))
        return text

    return AfterValidator(check)


@cache
def settings() -> Settings:
    """The thesis's own settings.

    Raises:
        ActaError: the file is damaged.
    """
    return _parsed("settings", Settings, _content().get("settings"))


def other_data(name: str, dataset: str) -> str:
    """Why the printed numbers of a table or figure cannot be compared with this dataset's; else ``""``."""
    known = entry(name)
    if not known.datasets or re.sub(r"[^a-z0-9]", "", dataset.lower()) in known.datasets:
        return ""
    return f"not comparable: data {dataset}, thesis {known.data}"


def note(reason: str) -> str:
    """The note above a table whose numbers were measured on other data (`other_data`), else ``""``."""
    what = reason.removeprefix("not comparable: ")
    return f"The thesis's numbers cannot be compared with those measured here: {what}." if reason else ""


@cache
def _content() -> dict[str, Any]:
    try:
        content = yaml.load(FILE.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (derived from the safe loader)
    except OSError as error:
        raise ActaError(f"cannot read {FILE}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ActaError(f"{FILE} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ActaError(f"{FILE} must hold entries by name, but holds {type(content).__name__}")
    return content


def _parsed(where: str, kind: type[T], content: Any) -> T:
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        mistakes = (
            f"{FILE}: {'.'.join(map(str, (where, *detail['loc'])))} is {detail['input']!r}: {detail['msg']}"
            for detail in error.errors()
        )
        raise ActaError("\n".join(mistakes)) from None


def check_name(name: str, known: Sequence[str]) -> None:
    """Raise an ActaError if a table, figure or recipe is not a known one."""
    if name not in known:
        raise ActaError(f"there is no table or figure {name!r}; there are {', '.join(known)}")
