"""Every shipped overlay, on top of config.yaml, is a valid configuration that changes only what it must."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.base import parse
from pipeline.config.whole import Config
from tests import PROJECT
from tests.workflow.project import Project

BELOW = {  # what an overlay is used on top of
    "ucf101": ("kinetics400",),
    "hmdb51": ("kinetics400",),
    "ucf101_scratch": ("kinetics400", "ucf101"),
    "ava_2_2": ("ava",),
    "ucf101_24": ("jhmdb21",),
    "soccernet_finetuned": ("soccernet",),
}
OVERLAYS = sorted((PROJECT / "config").glob("*.yaml"))


def merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """As Snakemake merges configuration files: mappings key by key, everything else replaced."""
    return base | {
        k: merge(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v for k, v in top.items()
    }


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_overlay_is_valid_and_states_nothing_twice(path):
    base, top = _read(PROJECT / "config.yaml"), _read(path)
    for below in BELOW.get(path.stem, ()):
        base = merge(base, _read(PROJECT / "config" / f"{below}.yaml"))
    merged = parse(Config, merge(base, top), str(path))
    assert merged.dataset == path.stem
    assert list(_repeated(base, top)) == []


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


def test_there_are_overlays():
    assert {"kinetics400", *BELOW} <= {path.stem for path in OVERLAYS}


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
