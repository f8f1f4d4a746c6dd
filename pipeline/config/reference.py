"""The reference of all settings as text, from their types: `acta config reference`, docs/configuration.md."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config.whole import Config, load

Node = Mapping[str, Any]  # of a JSON schema
Place = tuple[str, Any]  # a name of the shipped file's own, or "", and what stands there

_INTRODUCTION = """# Configuration

You find here every setting: what it is, what it may be, what it is as shipped, and what the thesis has. The page is
made from the types that check your file (`acta config reference`), so it is complete. `config.yaml` says the same in
short, in order. Copy it, or write only what differs into a file of your own: `snakemake --configfile my.yaml`. Files
at the thesis's scale lie in `config/`.

- Keys are written with dots: `frames.size` is `size` below `frames`. `<name>` stands for a name of your own, `<a|b>`
  for a or b.
- All keys must be there, in `config.yaml` or in your file over it. A mistake is an error that names the key, its
  value, what is allowed and the nearest known key; `acta config check my.yaml` checks a file, whole or of differences.
- "Sec.", "Table", "Eq." and "Ch." are those of M. Tomei, *Deep video understanding for human actions, multimedia and
  computing*. The files in `config/` have its values; what is shipped makes a demo on two cores.
- "Part of the result": results are equal, byte for byte, only where this key is.
"""


@dataclass(frozen=True)
class _Key:
    """A setting: its dotted path, its schema, and what the shipped file has there."""

    path: str
    node: Node
    shipped: tuple[Place, ...]


def reference() -> str:
    """Markdown of the whole configuration: a section for each key at the top, one for each group below, all keys."""
    schema, shipped = Config.model_json_schema(), load().model_dump(mode="json")
    keys = [_Key(path, node, (("", shipped[path]),)) for path, node in schema["properties"].items()]
    page = _Reference(schema["$defs"])
    contents = "\n".join(f"- [`{key.path}`](#{key.path}): {page.said(key.node)}" for key in keys)
    sections = (part for key in keys for part in page.section(key, level=2))
    return "\n\n".join([_INTRODUCTION.rstrip(), contents, *sections]) + "\n"


class _Reference:
    """The sections of a configuration whose classes have these schemas, by name."""

    def __init__(self, definitions: Mapping[str, Node]):
        self._definitions = definitions

    def section(self, key: _Key, level: int) -> Iterator[str]:
        """A heading, what the key is, its plain keys as a list, then each of its groups; headings end at level 3."""
        yield f"{'#' * level} `{key.path}`"
        if self._group(key.node) is None:
            yield self._entry(key)
            return
        yield self._of_group(key)
        below = list(self._below(key))
        plain = [self._entry(part) for part in below if self._group(part.node) is None]
        if plain:
            yield "\n".join(plain)
        for part in below:
            if self._group(part.node):
                yield from self.section(part, 3)

    def said(self, node: Node) -> str:
        """What a key is; pydantic leaves that out where the class below it says the same."""
        text: str = node.get("description") or (self._group(node) or {}).get("description", "")
        return text

    def _of_group(self, key: _Key) -> str:
        """What a group of keys is; whether it may be null; the names it has as shipped."""
        said = [self.said(key.node)]
        if _named(key.node):
            names = dict.fromkeys(name for _, value in key.shipped for name in value or ())
            said += [f"Names as shipped: {_listed(names)}."] if names else []
        if key.shipped and all(value is None for _, value in key.shipped):
            said.append("As shipped: `null`.")
        elif any(part.get("type") == "null" for part in key.node.get("anyOf", ())) and "null" not in said[0]:
            said.append("May be `null`.")
        return " ".join(said)

    def _entry(self, key: _Key) -> str:
        return f"- **`{key.path}`**: {self._kind(key.node)}; {_shipped(key.shipped)}.\n  {self.said(key.node)}"

    def _below(self, key: _Key) -> Iterator[_Key]:
        """The keys of a group. Those of two groups of one kind side by side (faces, bodies) are given once."""
        group = self._group(key.node)
        if group is None:
            return
        if _named(key.node):
            named = [(name, entry) for _, value in key.shipped for name, entry in (value or {}).items()]
            yield from self._keys(f"{key.path}.<name>", group, named)
            return
        kinds = [self._group(node) for node in group["properties"].values()]
        if len(kinds) > 1 and kinds[0] is not None and all(kind is kinds[0] for kind in kinds):
            names = list(group["properties"])
            named = [(name, value[name]) for _, value in key.shipped if value for name in names]
            yield from self._keys(f"{key.path}.<{'|'.join(names)}>", kinds[0], named)
        else:
            yield from self._keys(key.path, group, key.shipped)

    def _keys(self, path: str, group: Node, places: Sequence[Place]) -> Iterator[_Key]:
        for name, node in group["properties"].items():
            places_of = tuple((where, value[name]) for where, value in places if value)
            yield _Key(f"{path}.{name}", node, places_of)

    def _group(self, node: Node) -> Node | None:
        """The schema of the class whose keys stand below this one, or below its names; None: there is none."""
        for part in (node, *node.get("anyOf", ()), *_named(node)):
            if "$ref" in part:
                return self._definitions[part["$ref"].rpartition("/")[2]]
        return None

    def _kind(self, node: Node) -> str:
        """In words: type, choices, range."""
        if "anyOf" in node:
            return ", or ".join(self._kind(part) for part in node["anyOf"])
        if "enum" in node or "const" in node:
            *others, last = (
                f"`{json.dumps(value)}`".replace('"', "") for value in node.get("enum", [node.get("const")])
            )
            return f"{', '.join(others)} or {last}" if others else last
        kind = node["type"]
        if kind in ("integer", "number"):
            return _range("whole number" if kind == "integer" else "number", node)
        if kind == "array":
            return self._list(node)
        if kind == "object":
            [values] = _named(node) or [{}]
            return f"mapping of names to {_one(self._kind(values)) if 'type' in values else 'keys and values'}"
        return {"boolean": "`true` or `false`", "null": "`null`", "string": "text"}[kind]

    def _list(self, node: Node) -> str:
        parts = node.get("prefixItems")
        if parts:
            return f"list of {len(parts)}, each {_one(self._kind(parts[0]))}"
        least = "at least one, " if node.get("minItems") else ""
        return f"list, {least}each {_one(self._kind(node['items']))}"


def _one(kind: str) -> str:
    return kind if kind.startswith("`") else f"a {kind}"


def _named(node: Node) -> list[Node]:
    """What the values of a mapping with names of the user's choice are; nothing for other keys."""
    every = node.get("additionalProperties")
    return [*node.get("patternProperties", {}).values(), *([every] if isinstance(every, Mapping) else [])]


def _range(kind: str, node: Node) -> str:
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high, below = node.get("maximum"), node.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{kind} from {low:,g} to {high:,g}"
    bounds = [
        f"{low:,g} or more" if low is not None else "",
        f"up to {high:,g}" if high is not None else "",
        f"below {below:,g}" if below is not None else "",
    ]
    return ", ".join([kind if above is None else f"{kind} above {above:,g}", *filter(None, bounds)])


def _text(value: Any) -> str:
    """A value as it is written in YAML; of what has names and keys below them the names."""
    if isinstance(value, Mapping) and any(isinstance(part, Mapping) for part in value.values()):
        return ", ".join(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _shipped(places: Sequence[Place]) -> str:
    """What a key is as shipped; where several places differ, what most of them have, and then which have what."""
    if not places:
        return "not in the shipped file"
    by_value: dict[str, list[str]] = {}
    for name, value in places:
        by_value.setdefault(_text(value), []).append(name)
    if len(by_value) == 1:
        return f"shipped: `{next(iter(by_value))}`"
    usual = max(by_value, key=lambda value: len(by_value[value]))
    most = [] if 2 * len(by_value[usual]) <= len(places) else [f"`{usual}`"]
    if most:
        del by_value[usual]
    return "shipped: " + "; ".join(most + [f"`{value}` in {_listed(names)}" for value, names in by_value.items()])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
