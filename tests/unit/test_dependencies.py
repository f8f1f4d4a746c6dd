"""What the project depends on is pinned, with hashes and without addresses, and equal for pip and conda."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
LOCK = (PROJECT / "requirements.lock").read_text()
PLACE = {
    "python_version": "3.11",
    "python_full_version": "3.11.7",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "os_name": "posix",
}


def locked() -> list[tuple[Requirement, list[str]]]:
    """Every requirement of the lock with its hashes."""
    entries: list[tuple[Requirement, list[str]]] = []
    for line in LOCK.splitlines():
        text = line.removesuffix("\\").strip()
        if text.startswith("--hash="):
            entries[-1][1].append(text.removeprefix("--hash="))
        elif text and not text.startswith("#"):
            entries.append((Requirement(text), []))
    return entries


def pins(requirements: list[Requirement]) -> dict[str, str]:
    return {canonicalize_name(entry.name): str(entry.specifier) for entry in requirements}


def test_conda_environment_pins_what_the_lock_pins() -> None:
    content = yaml.safe_load((PROJECT / "envs/acta.yaml").read_text())
    wanted = pins([Requirement(text) for text in content["dependencies"][-1]["pip"]])
    here = pins([r for r, _ in locked() if r.marker is None or r.marker.evaluate(PLACE)])
    assert {name: here.get(name) for name in wanted} == wanted


def test_conda_environment_holds_every_dependency() -> None:
    content = yaml.safe_load((PROJECT / "envs/acta.yaml").read_text())
    held = pins([Requirement(text) for text in content["dependencies"][-1]["pip"]])
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    needed = [Requirement(text) for text in project["dependencies"]]
    assert [
        r.name for r in needed if not r.specifier.contains(held[canonicalize_name(r.name)].removeprefix("=="))
    ] == []


def test_lock_holds_every_dependency_at_an_allowed_version() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    here = pins([r for r, _ in locked() if r.marker is None or r.marker.evaluate(PLACE)])
    needed = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    assert [
        r.name for r in needed if not r.specifier.contains(here[canonicalize_name(r.name)].removeprefix("=="))
    ] == []


def test_lock_pins_exact_versions() -> None:
    assert [str(r) for r, _ in locked() if not re.fullmatch(r"==[\w.+!]+", str(r.specifier))] == []


def test_lock_has_hashes_for_every_requirement() -> None:
    entries = locked()
    assert len(entries) > 100
    assert [r.name for r, hashes in entries if not hashes] == []
    assert [h for _, hashes in entries for h in hashes if not re.fullmatch(r"sha256:[0-9a-f]{64}", h)] == []


@pytest.mark.parametrize("word", ["http:", "https:", "index-url", "find-links", "trusted-host", " @ ", "file:"])
def test_lock_names_no_address(word: str) -> None:
    assert [line for line in LOCK.splitlines() if word in line] == []
