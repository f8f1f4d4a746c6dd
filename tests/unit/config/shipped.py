"""The shipped configuration, whole and changed in one place."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pipeline.config.base import parse
from pipeline.config.whole import Config
from pipeline.runtime.errors import ActaError
from tests import PROJECT

SHIPPED: dict[str, Any] = json.loads(
    json.dumps(yaml.safe_load((PROJECT / "config.yaml").read_text()))
)  # without shared parts
GONE = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The shipped configuration with one key set, or removed when ``value`` is GONE."""
    content = copy.deepcopy(SHIPPED)
    *folders, last = path.split(".")
    part = content
    for key in folders:
        part = part[key]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    return content


def mistake(content: Any) -> str:
    with pytest.raises(ActaError) as caught:
        parse(Config, content, "config.yaml")
    return str(caught.value)


def leaves(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of the configuration that is no group, as (path, value); one auditor's threshold is a value."""
    for key, value in node.items():
        where = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and not where.startswith("privacy.audit."):
            yield from leaves(value, where)
        else:
            yield where, value
