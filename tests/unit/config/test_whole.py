"""The shipped configuration, its schema, its error messages, and what of it each task reads."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.base import parse
from pipeline.config.tasks.privacy import ExtractFrames
from pipeline.config.whole import Config, load, schema
from pipeline.runtime.errors import ActaError
from tests import PROJECT
from tests.unit.config.shipped import GONE, SHIPPED, changed, leaves, mistake

# ---- the shipped files


def test_shipped_configuration_is_valid(config: Config) -> None:
    assert config.dataset == "demo"
    assert config.privacy.what == ("faces", "bodies")


def test_checked_in_schema_is_that_of_the_classes() -> None:
    assert (PROJECT / "workflow/schemas/config.schema.json").read_text() == schema()


def properties(node: dict[str, Any], definitions: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a JSON schema as (path, description); a key that is a group of keys may be described as such."""
    for key, entry in node.get("properties", {}).items():
        groups = [part["$ref"] for part in (entry, *entry.get("anyOf", ())) if "$ref" in part]  # a group or null
        target = definitions[groups[0].rpartition("/")[2]] if groups else {}
        where = f"{path}.{key}".lstrip(".")
        yield where, entry.get("description") or target.get("description", "")
        yield from properties(target, definitions, where)
        every = entry.get("additionalProperties")  # a mapping with names of the person's own, or of classes
        for named in (*entry.get("patternProperties", {}).values(), *([every] if isinstance(every, dict) else [])):
            if "$ref" in named:
                yield from properties(definitions[named["$ref"].rpartition("/")[2]], definitions, f"{where}.*")
            else:
                yield f"{where}.*", entry.get("description", "")


def test_every_key_is_described_in_the_schema() -> None:
    content = json.loads(schema())
    described = dict(properties(content, content["$defs"]))
    assert described["privacy.obfuscate.faces.enlarge"].startswith("Factor on the box's sides")
    assert [path for path, text in described.items() if len(text) < 8] == []


def test_schema_knows_every_key_of_the_shipped_file() -> None:
    content = json.loads(schema())
    known = {path for path, _ in properties(content, content["$defs"])}
    own = r"^(classify\.(?:splits|strategies|recipes)|shrink\.plans|detect\.(?:features|networks|data\.boxes)|"
    own += r"spot\.(?:data\.splits|features|networks|highlights\.(?:padding|weights)))\.[^.]+"
    shipped = {re.sub(own, r"\1.*", path) for path, _ in leaves(SHIPPED)}
    # A network of Chapter 4 is what differs from `spot.network`, by its keys.
    assert {re.sub(r"^spot\.networks\.\*\.", "spot.network.", path) for path in shipped} <= known


# ---- mistakes


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("frames.jpg_quality", "jpeg_quality"),
        ("privacy.detect.faces.thresholds", "threshold"),
        ("privacy.obfuscate.bodies.filtre", "filter"),
        ("contact_sheet.video", "videos"),
        ("dat", "data"),
    ],
)
def test_unknown_key_names_the_nearest_known_one(path: str, near: str) -> None:
    message = mistake(changed(path, 73))
    assert message.startswith(f"config.yaml: unknown key {path!r} (value 73). Did you mean {near!r}? Known keys here: ")


def test_unknown_key_that_is_near_to_none_lists_what_is_known() -> None:
    message = mistake(changed("frames.zzz", 1))
    assert message == "config.yaml: unknown key 'frames.zzz' (value 1). Known keys here: jpeg_quality, size."


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("frames.jpeg_quality", 0, "'frames.jpeg_quality' is 0: input should be greater than or equal to 1."),
        ("frames.jpeg_quality", 101, "'frames.jpeg_quality' is 101: input should be less than or equal to 100."),
        ("frames.size", 8, "'frames.size' is 8: input should be greater than or equal to 16."),
        ("frames.size", [128, 8], "'frames.size.1' is 8: input should be greater than or equal to 16."),
        ("sampling.rate", 0, "'sampling.rate' is 0: input should be greater than 0."),
        ("sampling.rate", float("inf"), "'sampling.rate' is Infinity: input should be a finite number."),
        ("data.shards", 0, "'data.shards' is 0: input should be greater than or equal to 1."),
        ("data.max_bad_fraction", 1.5, "'data.max_bad_fraction' is 1.5: input should be less than or equal to 1."),
        (
            "privacy.obfuscate.faces.enlarge",
            0.5,
            "'privacy.obfuscate.faces.enlarge' is 0.5: input should be greater than or equal to 1.",
        ),
        (
            "privacy.audit.faces.retinaface",
            2,
            "'privacy.audit.faces.retinaface' is 2: input should be less than or equal to 1.",
        ),
        ("privacy.what", [], "'privacy.what' is []: tuple should have at least 1 item after validation, not 0."),
        ("dataset", "../x", """'dataset' is "../x": string should match pattern"""),
    ],
)
def test_out_of_range(path: str, value: Any, said: str) -> None:
    assert said in mistake(changed(path, value))


def test_rate_that_is_not_a_number_is_refused() -> None:
    assert "'sampling.rate' is NaN" in mistake(changed("sampling.rate", float("nan")))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("frames.jpeg_quality", "90", """'frames.jpeg_quality' is "90": input should be a valid integer."""),
        ("frames.jpeg_quality", None, "'frames.jpeg_quality' is null: input should be a valid integer."),
        ("data.shards", True, "'data.shards' is true: input should be a valid integer."),
        ("data.shards", 2.5, "'data.shards' is 2.5: input should be a valid integer"),
        ("sampling.rate", "fast", """'sampling.rate' is "fast": input should be a valid number."""),
        ("data.root", 3, "'data.root' is 3: input should be a valid string."),
        ("data", 3, "'data' is 3: input should be an object."),
        ("privacy.what", "faces", """'privacy.what' is "faces": input should be a valid array."""),
        (
            "privacy.detect.faces.detector",
            "yolo",
            """'privacy.detect.faces.detector' is "yolo": input should be 'retinaface', 'centerface', 'maskrcnn', """
            "'ssdlite', 'selfie' or 'onnx'.",
        ),
        (
            "privacy.obfuscate.faces.filter",
            "Blur",
            """'privacy.obfuscate.faces.filter' is "Blur": input should be 'blur', 'pixelate', 'solid' or 'frame'.""",
        ),
    ],
)
def test_wrong_type_or_choice(path: str, value: Any, said: str) -> None:
    assert said in mistake(changed(path, value))


@pytest.mark.parametrize("path", ["data", "frames.jpeg_quality", "privacy.detect.bodies.fill_gap", "privacy.audit"])
def test_missing_key(path: str) -> None:
    assert mistake(changed(path, GONE)).startswith(f"config.yaml: missing key {path!r}")


def test_every_mistake_is_named_at_once() -> None:
    content = changed("frames.jpeg_quality", 0) | {"sampling": {"rate": -1}}
    assert [line.split(" is ")[0] for line in mistake(content).splitlines()] == [
        "config.yaml: 'sampling.rate'",
        "'frames.jpeg_quality'",
    ]


def test_long_value_is_shortened() -> None:
    assert len(mistake(changed("frames.jpeg_quality", "9" * 1000))) < 250


@pytest.mark.parametrize("adapter", ["ucf101", "hmdb51", "kinetics400"])
def test_adapter_with_annotation_files_needs_them(adapter: str) -> None:
    assert f"adapter {adapter!r} needs `annotations`" in mistake(changed("data.adapter", adapter))


def test_settings_that_are_not_json() -> None:
    with pytest.raises(ActaError, match=r"--settings: invalid JSON"):
        parse(ExtractFrames, "{", "--settings")


# ---- files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"frames: [1", "is not valid YAML"),
        (b"", "must hold keys and values, but holds NoneType"),
        (b"- a\n- b\n", "must hold keys and values, but holds list"),
        (b"# k\xe9\ndataset: demo\n", "config.yaml"),
        (b"dataset: 2024-01-01\n", "missing key 'data'"),
    ],
    ids=["no YAML", "empty", "list", "not UTF-8", "a date"],
)
def test_file_that_is_no_configuration(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ActaError) as caught:
        load(path)
    assert said in str(caught.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"cannot read the configuration .*none\.yaml: No such file or directory"):
        load(tmp_path / "none.yaml")


def test_a_mean_over_splits_has_this_one() -> None:
    said = mistake(changed("detect.mean_over", ["other"]))
    assert "detect.mean_over is ['other'], without this dataset, 'demo'" in said
