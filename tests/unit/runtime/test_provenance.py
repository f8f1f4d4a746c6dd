"""What a file says of its making."""

import json
from importlib.metadata import version
from typing import Any

import pytest

from pipeline.config.base import Settings, parse
from pipeline.config.tasks.privacy import ExtractFrames
from pipeline.config.whole import Config
from pipeline.runtime.digest import code_digest
from pipeline.runtime.provenance import canonical, provenance_of, sha256_text
from tests.unit.config.shipped import SHIPPED, changed


class Small(Settings):
    """Settings whose order in the file is not that of the alphabet."""

    size: int
    alpha: float


def test_provenance_names_the_task_and_its_code() -> None:
    made = provenance_of(
        "pipeline.privacy.audit",
        Small(size=3, alpha=0.5),
        inputs={"before": "12ab"},
        weights={"retinaface": "34cd"},
        packages=("numpy",),
    )
    assert made.content == {
        "task": "audit",
        "settings": {"alpha": 0.5, "size": 3},
        "code": code_digest("pipeline.privacy.audit"),
        "inputs": {"before": "12ab"},
        "weights": {"retinaface": "34cd"},
        "packages": {"numpy": version("numpy")},
    }
    assert json.loads(made.to_json()) == made.content


def test_a_task_without_settings_has_none() -> None:
    assert provenance_of("pipeline.data.collect_quarantine").content["settings"] == {}


@pytest.mark.parametrize("order", [{"size": 3, "alpha": 0.5}, {"alpha": 0.5, "size": 3}])
def test_equal_settings_give_equal_text(order: dict[str, float]) -> None:
    assert canonical(Small.model_validate(order)) == '{"alpha":0.5,"size":3}'


def test_sha256_of_a_text() -> None:
    assert sha256_text("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# ---- canonical text


def turned_around(value: Any) -> Any:
    """The same mappings with their keys in the opposite order."""
    if isinstance(value, dict):
        return {key: turned_around(value[key]) for key in reversed(value)}
    return value


def test_canonical_text_does_not_depend_on_the_order_of_keys(config: Config) -> None:
    assert canonical(parse(Config, turned_around(SHIPPED))) == canonical(config)


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("sampling.rate", 25),
        ("privacy.obfuscate.faces.enlarge", 2),
        ("privacy.obfuscate.faces.kernel", 1),
        ("privacy.audit.bodies.pose", 1),
        ("privacy.detect.faces.threshold", 0),
    ],
)
def test_canonical_text_does_not_depend_on_how_a_number_is_written(path: str, whole: int) -> None:
    texts = [canonical(parse(Config, changed(path, value))) for value in (whole, float(whole))]
    assert texts[0] == texts[1]


def test_canonical_text_is_sorted_and_compact() -> None:
    settings = parse(ExtractFrames, {"sampling": {"rate": 25}, "frames": {"size": [128, 171], "jpeg_quality": 90}})
    assert canonical(settings) == '{"frames":{"jpeg_quality":90,"size":[128,171]},"sampling":{"rate":25.0}}'
