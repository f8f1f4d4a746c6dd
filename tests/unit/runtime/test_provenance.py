"""What a file says of its making."""

import json
from importlib.metadata import version

import pytest

from pipeline.config.base import Settings
from pipeline.runtime.digest import code_digest
from pipeline.runtime.provenance import canonical, provenance_of, sha256_text


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
