"""What a configuration asks for, examined without a plan: whose chapters, and what is only noted."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.whole import Config, load_over
from pipeline.dag.asked import examine
from pipeline.runtime.errors import ActaError
from tests.doomed import DOOMED, FOLDER, SPOT, write_data
from tests.unit.config.overlays import OVERLAYS, files_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(folder: Path, settings: dict[str, Any]) -> Config:
    (folder / "mine.yaml").write_text(json.dumps({"dataset": "mine"} | settings))
    return load_over([folder / "mine.yaml"])


def test_the_demo_is_in_order() -> None:
    findings = examine(load_over([]))
    assert not findings.refused
    assert not findings.notes


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_lacks_its_data_alone(overlay: str) -> None:
    """They are noted; if they are meant, they are missing."""
    config = load_over(files_of(overlay))
    findings = examine(config)
    assert not findings.refused
    assert any(note.endswith("is not there; what depends on it is not known") for note in findings.notes)
    target = "detect" if config.detect.data.adapter != "demo" else "spot"
    target = target if config.data.adapter == "demo" else "classify"
    assert set(examine(config, [target]).refused) & set(findings.notes)


@pytest.mark.parametrize("name", ["no_objects", "no_games", "small_epoch"])
def test_chapters_with_data_of_their_own_are_looked_at(folder: Path, name: str) -> None:
    assert any(DOOMED[name].said in problem for problem in examine(config(folder, DOOMED[name].settings)).refused)
    meant = examine(config(folder, DOOMED[name].settings), ["all"]).refused
    assert not any(DOOMED[name].said in problem for problem in meant)


def test_recordings_without_labels_are_anonymised_alone(folder: Path) -> None:
    findings = examine(config(folder, DOOMED["no_labels"].settings))
    assert not findings.refused
    assert list(findings.notes) == ["no video has a split and a label, so recognition and shrinkage are not looked at"]
    (folder / "recordings/monday.mp4").unlink()
    (refused,) = examine(config(folder, DOOMED["no_labels"].settings)).refused
    assert refused == "no videos were found for the dataset 'mine' in data.root 'recordings'"


def test_what_the_page_is_of_is_asked_for(folder: Path) -> None:
    settings = FOLDER | {"report": {"targets": ["spot"]}}
    assert list(examine(config(folder, settings)).refused) == [
        "spot.data still names the demo's games: name your own (docs/spotting.md)"
    ]


def test_everything_is_what_the_page_is_of(folder: Path) -> None:
    """Here of detection alone: the other chapters still have the demo's data."""
    made = config(folder, DOOMED["no_objects"].settings)
    assert list(examine(made, ["everything"]).refused) == list(examine(made, ["detect"]).refused)


def test_architectures_need_no_data(folder: Path) -> None:
    assert not examine(config(folder, {}), ["table_3_1", "table_4_1"]).refused


def test_a_target_that_is_none(folder: Path) -> None:
    with pytest.raises(
        ActaError, match=r"'table_9_9' is none of all, classify, shrink, detect, spot, everything, and no table"
    ):
        examine(config(folder, {}), ["table_9_9"])


def test_a_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    (folder / "valid.json").write_text("[")
    assert any("valid.json" in problem for problem in examine(config(folder, {"spot": SPOT})).refused)
