"""Configuration files: YAML whose values are what a person reads there."""

import datetime
import json
import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_text
from pipeline.runtime.unfolded import unfolded

_MOST_VALUES = 100_000  # the shipped configuration has some 2,000
_DEEPEST = 100
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a tenth of the time, where there is one
_TAG = "tag:yaml.org,2002:"
_WORDS = (f"{_TAG}str", f"{_TAG}merge")
_KINDS = frozenset(_TAG + kind for kind in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map", "merge"))


def read_configuration(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values.

    What one reader of YAML takes for another value than the next (``010``, ``1:30``) is refused, so that Snakemake,
    which reads the same file by itself, cannot take it for another.

    Raises:
        ActaError: it cannot be read; a key is there twice; a key or value means something else to YAML than it seems
            to; or it is much longer, where its aliases are written out. The message names the lines.
    """
    text = read_text(path, "the configuration")
    try:
        _check_depth(text, path)
        loader = _LOADER(text)
        node = loader.get_single_node()
        if node is not None:
            unfolded(node, _parts, _MOST_VALUES)
            _check(node, loader, path)
        value = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ActaError(_invalid(error, path)) from None
    except ValueError as error:
        raise ActaError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise ActaError(f"{path} must hold keys and values, but holds {type(value).__name__}")
    return value


def _invalid(error: yaml.YAMLError, path: Path) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or " ".join(str(error).split())
    where = f", line {mark.line + 1}," if mark else ""
    return f"{path}{where} is not valid YAML: {problem}"


def _check_depth(text: str, path: Path) -> None:
    """Refuse what is nested too deeply for the readers behind this one, before they see it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise ActaError(f"{path}, line {_line(event)}: more than {_DEEPEST} lists or mappings in each other")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _parts(node: yaml.Node) -> list[yaml.Node] | int:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else 1


def _check(root: yaml.Node, loader: Any, path: Path) -> None:
    """Refuse keys that are there twice, and what is not the value that it seems to be."""
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if node.tag not in _KINDS:
            raise ActaError(f"{path}, line {_line(node)}: the tag {node.tag.replace(_TAG, '!!')} is not used here")
        if isinstance(node, yaml.ScalarNode) and node.tag not in _WORDS:
            _check_scalar(node, loader, path)
        elif isinstance(node, yaml.MappingNode):
            _check_keys(node, loader, path)
        parts = _parts(node)
        for part in reversed(parts if isinstance(parts, list) else []):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)


def _check_keys(node: yaml.MappingNode, loader: Any, path: Path) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = _line(key)
        if not isinstance(key, yaml.ScalarNode):
            raise ActaError(f"{path}, line {line}: a key is a list or a mapping; a key is a word")
        if key.tag not in _WORDS:
            value = _constructed(key, loader, path)
            if str(value) != key.value or isinstance(value, bool):
                raise ActaError(
                    f"{path}, line {line}: the key {key.value} is {json.dumps(value, default=str)} to YAML; quote it"
                )
        if key.value in lines:
            raise ActaError(
                f"{path}, line {line}: the key {key.value!r} is there already, in line {lines[key.value]}; put what is "
                "below both below one"
            )
        lines[key.value] = line


def _check_scalar(node: yaml.ScalarNode, loader: Any, path: Path) -> None:
    """Refuse a word that is a number or a time to some, and another number or a text to others."""
    word = node.value
    value = _constructed(node, loader, path)
    octal = re.fullmatch(r"([-+]?)0[0_]*([0-9_]+)", word)
    if isinstance(value, int | float) and (octal or ":" in word):
        meant = [f"{octal[1]}{octal[2]}".lstrip("+")] if octal else []
        choice = " or ".join(dict.fromkeys([*meant, str(value)]))
        raise ActaError(
            f"{path}, line {_line(node)}: {word} is the number {value} to YAML; write {choice}, or '{word}' in "
            "quotes for the text"
        )
    if value is None and word.lower() not in ("", "~", "null"):
        raise ActaError(f"{path}, line {_line(node)}: {word[:80]!r} is tagged as null, but is not empty")
    if isinstance(value, datetime.date) and str(value) != word:
        raise ActaError(f"{path}, line {_line(node)}: {word} is the time {value} to YAML; write '{word}' in quotes")


def _constructed(node: yaml.ScalarNode, loader: Any, path: Path) -> Any:
    try:
        return loader.construct_object(node)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        kind = node.tag.removeprefix(_TAG)
        raise ActaError(
            f"{path}, line {_line(node)}: {node.value[:80]!r} is no {kind} that can be read; quote it for the text"
        ) from None


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
