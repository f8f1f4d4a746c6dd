"""The reference of the configuration: complete, described, and the page in docs/ is what the types say."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.config.reference import reference
from pipeline.config.whole import Config
from tests import PROJECT

PAGE = reference()
ENTRIES = dict(re.findall(r"^- \*\*`(.+?)`\*\*: (.+)$", PAGE, re.MULTILINE))


def classes(model: type[BaseModel], known: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """A class of settings and all that its fields lead to."""
    known.add(model)
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in known:
            classes(kind, known)
    return known


def described(field: FieldInfo) -> str:
    """What a key is; a group that says it in its class alone is described there."""
    group = field.annotation if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) else None
    return field.description or (group and group.__doc__) or ""


FIELDS = sorted(
    (f"{model.__name__}.{name}", described(field))
    for model in classes(Config, set())
    for name, field in model.model_fields.items()
)


def leaves(content: Any, path: str = "") -> Iterator[str]:
    """The dotted paths of all values."""
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path


def as_pattern(path: str) -> str:
    """What a path of the page stands for: its names are any; a mapping's keys may follow."""
    text = re.escape(path).replace(re.escape("<name>"), "[^.]+").replace(re.escape("<faces|bodies>"), "(faces|bodies)")
    return text + (r"(\..+)?" if "mapping" in ENTRIES[path] else "")


def test_all_settings_are_found() -> None:
    assert {"ViewSettings.crop", "SpotTrainingSettings.device", "HalvingSettings.keep"} <= {name for name, _ in FIELDS}


@pytest.mark.parametrize(("field", "description"), FIELDS, ids=[name for name, _ in FIELDS])
def test_every_field_is_described_in_a_sentence(field: str, description: str) -> None:
    assert len(description) >= 10
    assert description.endswith(".")


def test_page_in_the_documentation_is_the_reference() -> None:
    assert (PROJECT / "docs/configuration.md").read_text() == PAGE, (
        "write it again: acta config reference > docs/configuration.md"
    )


def test_every_shipped_value_has_one_entry() -> None:
    shipped = json.loads(json.dumps(yaml.safe_load((PROJECT / "config.yaml").read_text())))
    patterns = {path: re.compile(as_pattern(path)) for path in ENTRIES}
    groups = set(re.findall(r"^###? `(.+)`$", PAGE, re.MULTILINE))  # a group that is null has no entry, but a heading
    for leaf in leaves(shipped):
        named = {path for path, pattern in patterns.items() if pattern.fullmatch(leaf)}
        named |= {path for path in groups - ENTRIES.keys() if re.fullmatch(as_group(path), leaf)}
        assert len(named) == 1, (leaf, named)


def as_group(path: str) -> str:
    return re.escape(path).replace(re.escape("<name>"), "[^.]+")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("data.adapter", "`demo`, `folder`, `ucf101`, `hmdb51` or `kinetics400`; shipped: `demo`."),
        ("data.annotations", "text, or `null`; shipped: `null`."),
        ("data.shards", "whole number from 1 to 100,000; shipped: `2`."),
        ("sampling.rate", "number above 0, up to 1,000, or `null`; shipped: `5.0`."),
        ("classify.training.momentum", "number, 0 or more, below 1; shipped: `0.9`."),
        ("classify.recipes.<name>.clip.flip", "`true` or `false`; shipped: `true`."),
        ("classify.recipes.<name>.learning_rate", "number above 0; shipped: `0.04`; `0.1` in `slowfast`."),
        (
            "privacy.detect.<faces|bodies>.detector",
            "`retinaface`, `centerface`, `maskrcnn`, `ssdlite`, `selfie` or `onnx`; "
            "shipped: `centerface` in `faces`; `ssdlite` in `bodies`.",
        ),
        ("privacy.what", "list, at least one, each `faces` or `bodies`; shipped: `[faces, bodies]`."),
        ("privacy.audit.faces", "mapping of names to a number from 0 to 1; shipped: `{retinaface: 0.4}`."),
        ("spot.network.convolutions", "list of 2, each a whole number, 1 or more; shipped: `[64, 32]`."),
        ("shrink.transfer.base", "text; not in the shipped file."),
        ("spot.data.version", "`1` or `2`; shipped: `1`."),
    ],
)
def test_entry_says_type_range_and_shipped_value(path: str, said: str) -> None:
    assert ENTRIES[path] == said


def test_groups_say_their_names_and_whether_they_are_null() -> None:
    assert "Names as shipped: `cross_entropy`, `kd`, `kd_rkd`." in PAGE
    assert re.search(r"### `shrink\.transfer`\n\n.*As shipped: `null`\.", PAGE)


def test_markdown_shows_every_character() -> None:
    """A name in angle brackets outside of code would be taken for HTML and vanish."""
    assert re.findall(r"<[^>\n]*>", re.sub(r"`[^`\n]*`", "", PAGE)) == []


def test_no_row_is_listed_twice_and_links_lead_somewhere() -> None:
    assert len(re.findall(r"^- \*\*", PAGE, re.MULTILINE)) == len(ENTRIES)
    headings = set(re.findall(r"^## `(\w+)`$", PAGE, re.MULTILINE))
    assert set(re.findall(r"\(#(\w+)\)", PAGE)) == headings == set(Config.model_fields)
