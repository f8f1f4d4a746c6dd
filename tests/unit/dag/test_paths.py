"""Where results lie."""

import re

import pytest

from pipeline.dag import paths
from pipeline.dag.paths import filled

ALL = {name: path for name, path in vars(paths).items() if name.isupper()}


@pytest.mark.parametrize(
    ("path", "wildcards", "expected"),
    [
        ("manifest/{shard}.json", {"shard": "0-of-2"}, "manifest/0-of-2.json"),
        ("frames/{variant}/{shard}.h5", {"variant": "none"}, "frames/none/{shard}.h5"),
        ("networks/seed_{seed}", {"seed": 3}, "networks/seed_3"),
        ("{network}/{network}", {"network": "stage"}, "stage/stage"),
        ("lists", {"shard": "0-of-2"}, "lists"),
        ("frames/{variant}/{shard}.h5", {"variant": "faces", "shard": "{shard}"}, "frames/faces/{shard}.h5"),
        ("frames/{variant}/{shard}.h5", {}, "frames/{variant}/{shard}.h5"),
    ],
)
def test_those_wildcards_are_filled_that_are_given(path: str, wildcards: dict[str, object], expected: str) -> None:
    assert filled(path, **wildcards) == expected


@pytest.mark.parametrize("name", ALL)
def test_results_lie_below_their_folder(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]*(\{[a-z]+\}[a-z0-9_]*)*(\.[a-z0-9]+)?)*(\.[a-z0-9]+)?", ALL[name])


def test_no_two_kinds_of_results_lie_at_one_place() -> None:
    assert len(set(ALL.values())) == len(ALL)


def test_places_that_belong_together() -> None:
    assert filled(paths.FRAMES, variant="none") == paths.RAW_FRAMES
    assert f"{paths.LISTS}/{{shard}}.json" == paths.LIST
    assert f"{paths.ITERATION}/{{operators}}" == paths.HYPOTHESIS
    assert filled(paths.SHRUNK, network="{plan}/iteration_{iteration}") == paths.ITERATION
    assert (
        filled(paths.STAGE_EVALUATION, network="backbone", seed=0).replace("/seed_0", "") == paths.BACKBONE_EVALUATION
    )
    assert paths.CLASSIFIER_EVALUATION.startswith(f"{paths.EVALUATIONS}/")
