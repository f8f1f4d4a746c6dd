"""Every number that the thesis states for a run, against the configuration that each file in config/ makes."""

import copy
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.whole import Config, load_over
from tests import PROJECT
from tests.unit.config.overlays import OVERLAYS, files_of

STATEMENTS: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("thesis_values.yaml").read_text())


@cache
def resolved(overlay: str) -> Config:
    return load_over(files_of(overlay))


def values_of(config: Config) -> dict[str, Any]:
    """All settings, where a network of Chapter 4 has those that it takes from `spot.network`."""
    values = json.loads(config.model_dump_json())
    values["spot"]["networks"] = {n: json.loads(s.model_dump_json()) for n, s in config.spot.spotters.items()}
    return values


def value_at(values: dict[str, Any], key: str) -> Any:
    place: Any = values
    for part in key.split("."):
        place = place[part]
    return place


def declared(overlay: str) -> set[str]:
    """The departures that a file declares, or one below it, of what the thesis states for it."""
    return {s["key"] for s in STATEMENTS if overlay in s["files"]} & resolved(overlay).departures.keys()


def differing(values: dict[str, Any], overlay: str) -> list[str]:
    """The keys that are not as the thesis has them."""
    stated = [s for s in STATEMENTS if overlay in s["files"]]
    return [s["key"] for s in stated if value_at(values, s["key"]) != s["value"]]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_file_has_the_thesis_s_values_or_says_why_not(overlay: str) -> None:
    config = resolved(overlay)
    assert set(differing(values_of(config), overlay)) == declared(overlay)
    assert config.departures.keys() <= {statement["key"] for statement in STATEMENTS}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_number_that_is_changed_is_noticed(overlay: str) -> None:
    values, known = values_of(resolved(overlay)), declared(overlay)
    for statement in STATEMENTS:
        key = statement["key"]
        if overlay in statement["files"] and key not in known:
            changed = copy.deepcopy(values)
            above, _, last = key.rpartition(".")
            value_at(changed, above)[last] = "another"
            assert set(differing(changed, overlay)) == {key} | known


def test_every_file_has_statements_and_every_statement_a_file() -> None:
    assert {name for statement in STATEMENTS for name in statement["files"]} == set(OVERLAYS)


def test_the_words_stand_in_the_thesis() -> None:
    path = os.environ.get("ACTA_THESIS")
    if not path:
        pytest.skip("the environment variable ACTA_THESIS does not name the thesis's text")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    for statement in STATEMENTS:
        if "line" not in statement:
            continue
        places = statement["line"] if isinstance(statement["line"], list) else [statement["line"]]
        near = " ".join(" ".join(lines[max(0, place - 8) : place + 8]) for place in places)
        text = re.sub(r"\s|-", "", near)
        for words in statement["words"].split("…"):
            assert re.sub(r"\s|-", "", words) in text, statement


def test_no_value_of_the_demo_reaches_another_dataset(tmp_path: Path) -> None:
    """A file that says nothing but its dataset has the base's values, whatever config.yaml has."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("dataset: mine\n")
    ours = json.loads(load_over([mine]).model_dump_json())
    base = yaml.safe_load((PROJECT / "config/full.yaml").read_text())
    assert ours["dataset"] == "mine"
    for section in ("classify", "shrink", "privacy", "sampling", "frames"):
        assert ours[section] == json.loads(json.dumps(base[section]))
    mine.write_text("dataset: mine\nbase: demo\n")
    demo = json.loads(load_over([]).model_dump_json())
    assert json.loads(load_over([mine]).model_dump_json()) == demo | {"dataset": "mine"}
