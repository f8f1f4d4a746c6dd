"""Every shipped overlay is a valid configuration that changes only what it must."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.base import parse
from pipeline.config.whole import Config
from tests import PROJECT
from tests.clips import write_clip
from tests.unit.config.overlays import OVERLAYS, files_of
from tests.workflow.project import Project


def merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """As Snakemake merges configuration files: mappings key by key, everything else replaced."""
    return base | {
        k: merge(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v for k, v in top.items()
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_is_valid_and_states_nothing_twice(overlay):
    base = _read(PROJECT / "config/full.yaml")
    *below, path = files_of(overlay)
    for other in below:
        base = merge(base, _read(other))
    merged = parse(Config, merge(base, _read(path)), str(path))
    assert merged.dataset == overlay
    assert list(_repeated(base, _read(path))) == []


def test_the_example_for_own_classes_states_nothing_twice():
    assert list(_repeated(_read(PROJECT / "config/full.yaml"), _read(PROJECT / "config/own_classes.yaml"))) == []


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _repeated(base: dict[str, Any], top: dict[str, Any], where: str = "") -> Any:
    for key, value in top.items():
        if key not in base:
            continue
        if isinstance(value, dict) and isinstance(base[key], dict):
            yield from _repeated(base[key], value, f"{where}{key}.")
        elif base[key] == value:
            yield f"{where}{key}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "sampling: {rate: 5}\nframes: {size: 64}\nsampling: {rate: 6}\n",
            "line 3: the key 'sampling' is there already, ",
        ),
        ("sampling: {rate: 010}\n", "line 1: 010 is the number 8 to YAML; write 10 or 8"),
    ],
)
def test_snakemake_says_what_an_overlay_hides(tmp_path, text, said):
    """Snakemake itself reads the last of two sections, and an octal number."""
    project = Project(tmp_path / "project")
    (project.folder / "mine.yaml").write_text(text)
    result = project.snakemake("-n", "--configfile", "mine.yaml", check=False)
    assert result.returncode != 0
    assert f"mine.yaml, {said}" in result.stdout


@pytest.mark.parametrize(
    ("text", "target", "said"),
    [
        (
            "",
            "all",
            "data still names the demo's videos: name your own",
        ),
        ("", "classify", "data still names the demo's videos: name your own"),
        ("", "table_3_2", "detect.data still names the demo's videos: name your own"),
        ("", "table_4_2", "spot.data still names the demo's games: name your own"),
        ("base: small\n", "all", "'base' is \"small\": input should be 'demo' or 'full'"),
        ("departures: {classify.speed: why}\n", "all", "departures names 'classify.speed', which is no key"),
        (
            "data: {adapter: folder, root: videos}\n",
            "classify",
            "classify.splits.split1.train is 'train', but the dataset 'mine' has no labelled video of that split "
            "(data.root 'videos'); splits that have some: test (1)",
        ),
    ],
)
def test_a_plan_that_cannot_end_well_is_refused(tmp_path, text, target, said):
    project = Project(tmp_path / "project")
    write_clip(project.folder / "videos/test/run/e.mp4", frames=3)
    (project.folder / "mine.yaml").write_text(f"dataset: mine\n{text}")
    result = project.snakemake("-n", "--configfile", "mine.yaml", "--", target, check=False)
    assert result.returncode != 0
    assert said in " ".join((result.stdout + result.stderr).split())
