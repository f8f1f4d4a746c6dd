"""Keys of a configuration, as its tests count them."""

from typing import Any


def leaves(node: dict[str, Any], path: str = "") -> list[str]:
    """The keys of all values that are no mappings, each with its path."""
    found = []
    for key, value in node.items():
        where = f"{path}.{key}".lstrip(".")
        found += leaves(value, where) if isinstance(value, dict) and value else [where]
    return found
