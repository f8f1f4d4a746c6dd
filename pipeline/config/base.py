"""What all settings share: strictness, names, and errors that a person can act on."""

import difflib
import json
import re
from collections import ChainMap
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipeline.runtime.errors import ActaError

What = Literal["faces", "bodies"]
Variant = Literal["none", "faces", "bodies"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]

# Ranges of values.
Count = Annotated[int, Field(ge=1)]
Pixels = Annotated[int, Field(ge=16, le=8192)]
Shards = Annotated[int, Field(ge=1, le=100_000)]
JpegQuality = Annotated[int, Field(ge=1, le=100)]
Fraction = Annotated[float, Field(ge=0, le=1)]
DropRate = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[float, Field(gt=0, le=4)]

# Keys that many settings have, with the same meaning.
Device = Annotated[
    Literal["cpu", "cuda"],
    Field(
        description="Where to compute; `cuda` needs a GPU. Part of the result, as the two round differently: a change "
        "means computing again."
    ),
]
Threads = Annotated[
    int,
    Field(
        ge=1,
        le=256,
        description="Compute threads on a CPU. Part of the result, as sums depend on their order: choose it once, by "
        "the cores that a job of yours gets.",
    ),
]
Precision = Annotated[
    Literal["float32", "bfloat16", "float16", "float64"],
    Field(
        description="`bfloat16`: automatic mixed precision, which saves time and memory on GPUs that have it. "
        "`float16`: the same on GPUs that do not, as the thesis's V100; losses are scaled so that small gradients do "
        "not vanish. Both need `device: cuda`. `float64` is for checks."
    ),
]
InferencePrecision = Annotated[
    Literal["float32", "bfloat16", "float16"],
    Field(
        description="`bfloat16`: mixed precision, which saves time and memory on GPUs that have it. `float16`: the "
        "same on GPUs that do not, as the thesis's V100."
    ),
]


def without_nulls(value: Any) -> Any:
    """A mapping without the entries that an overlay removes by setting them to null."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


# An overlay removes an entry by setting it to null.
ValueT = TypeVar("ValueT")
ByName = Annotated[dict[Name, ValueT], BeforeValidator(without_nulls)]
Paths = ByName[str]


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values keep their type, instances never change.

    ``renamed`` maps keys of earlier versions to their present names.
    """

    renamed: ClassVar[Mapping[str, str]] = {}
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def taken(cls, *sources: "Settings", **own: Any) -> Self:
        """These settings, each from ``own`` or else from the first source that has a key of its name."""
        values = ChainMap(own, *map(dict, sources))
        return cls(**{name: values[name] for name in cls.model_fields})


SettingsT = TypeVar("SettingsT", bound=Settings)


def parse(model: type[SettingsT], value: Mapping[str, Any] | str, source: str = "settings") -> SettingsT:
    """Build ``model`` from a mapping or a JSON text.

    Raises:
        ActaError: one line per mistake, with the key's path, its value, what is allowed and the nearest known key.
    """
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        problems = [_explain(model, detail) for detail in error.errors()]
        raise ActaError(f"{source}: " + "\n".join(dict.fromkeys(problems))) from None


def _explain(model: type[BaseModel], detail: Any) -> str:
    keys = [str(part) for part in detail["loc"] if not _is_union_tag(part)]
    where = ".".join(keys) or "the configuration"
    got = json.dumps(detail["input"], default=str)
    if len(got) > 120:
        got = got[:117] + "..."
    if detail["type"] == "extra_forbidden":
        place = _model_at(model, keys[:-1])
        if place is not None and keys[-1] in place.renamed:
            return f"the key {where!r} (value {got}) is now called {place.renamed[keys[-1]]!r}."
        known = sorted(place.model_fields) if place else []
        near = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"unknown key {where!r} (value {got}).{hint} Known keys here: {', '.join(known)}."
    if detail["type"] == "missing":
        return f"missing key {where!r}; config.yaml, as shipped, says what it is for."
    message = detail["msg"].removeprefix("Value error, ")
    if not keys:  # the parts contradict each other, and the message names them
        return f"{message[0].lower()}{message[1:]}."
    return f"{where!r} is {got}: {message[0].lower()}{message[1:]}.{_yaml_hint(detail['input'])}"


def _yaml_hint(value: object) -> str:
    """What to write where YAML reads a word differently from a person."""
    if isinstance(value, bool):
        return " To YAML yes, no, on and off are true and false; quote them for the text."
    pattern = r"([-+]?)(?=\.?[0-9])([0-9]*)(\.[0-9]*)?[eE]([-+]?)([0-9]+)"
    number = re.fullmatch(pattern, value) if isinstance(value, str) else None
    if number:
        sign, whole, fraction, power, exponent = number.groups()
        meant = f"{sign}{whole or 0}{fraction or '.0'}e{power or '+'}{exponent}"
        return f" To YAML {value} is a text; write {meant} for the number."
    return ""


def _is_union_tag(part: object) -> bool:
    """Pydantic puts the name of the union's branch into the path; a person knows only keys."""
    return isinstance(part, str) and ("[" in part or part in ("constrained-int", "int", "float"))


def _model_at(model: type[BaseModel], path: list[str]) -> type[Settings] | None:
    """The settings at a path of keys, if there are any."""
    place: Any = model
    for part in path:
        fields = place.model_fields if _is_settings(place) else {}
        if part in fields:
            place = _settings_in(fields[part].annotation)
        elif not _is_settings(place):  # a name of a mapping
            return None
    return place if _is_settings(place) else None


def _settings_in(annotation: Any) -> Any:
    """The settings that an annotation holds, as ``dict[str, X]``, ``X | None`` or ``Annotated[X, …]``."""
    if _is_settings(annotation):
        return annotation
    return next((found for part in get_args(annotation) if (found := _settings_in(part))), None)


def _is_settings(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Settings)


def merged(content: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping overlaid with another, key by key; other values are replaced."""
    result = dict(content)
    for key, value in top.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return result
