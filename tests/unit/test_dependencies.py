"""What the project depends on is pinned, with hashes and without addresses, equal for pip, conda and all Pythons."""

import os
import re
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
LOCK = (PROJECT / "requirements.lock").read_text()
ABOUT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
NEEDED = [Requirement(text) for text in (*ABOUT["dependencies"], *ABOUT["optional-dependencies"]["dev"])]
PYTHONS = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in SpecifierSet(ABOUT["requires-python"])]
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
    needed = [Requirement(text) for text in ABOUT["dependencies"]]
    assert [
        r.name for r in needed if not r.specifier.contains(held[canonicalize_name(r.name)].removeprefix("=="))
    ] == []


def test_lock_holds_every_dependency_at_an_allowed_version() -> None:
    here = pins([r for r, _ in locked() if r.marker is None or r.marker.evaluate(PLACE)])
    assert [
        r.name for r in NEEDED if not r.specifier.contains(here[canonicalize_name(r.name)].removeprefix("=="))
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


@pytest.mark.parametrize("file", ["requirements.lock", "benchmarks/peers.lock"])
def test_one_version_of_a_package_serves_all_pythons(file: str) -> None:
    lines = re.findall(r"^([a-z0-9-]+)==[^ ]+(?: ; (.*?))? \\$", (PROJECT / file).read_text(), re.MULTILINE)
    assert len(lines) > 10
    assert [name for name, count in Counter(name for name, _ in lines).items() if count > 1] == []
    markers = [Requirement(f"{name} ; {marker}").marker for name, marker in lines if marker]
    for marker in markers:
        assert marker is not None
        found = {marker.evaluate(PLACE | {"python_version": v, "python_full_version": f"{v}.0"}) for v in PYTHONS}
        assert len(found) == 1, f"{marker} tells one Python from another"


def test_every_dependency_has_one_lowest_version() -> None:
    assert [r.name for r in NEEDED if [s.operator for s in r.specifier if s.operator != "<"] != [">="]] == []


@pytest.mark.skipif("ACTA_LOWEST" not in os.environ, reason="make test-lowest runs it")
def test_the_lowest_versions_are_those_that_are_here() -> None:
    lowest = {r.name: s.version for r in NEEDED for s in r.specifier if s.operator == ">="}
    assert {n: version(n) for n, v in lowest.items() if not SpecifierSet(f"=={v}.*").contains(version(n))} == {}


def test_all_that_name_pythons_name_the_same() -> None:
    first, last = PYTHONS[0], PYTHONS[-1]
    assert PYTHONS == ["3.11", "3.12", "3.13"]
    claims = {
        "README.md": f"Python {first} to {last}",
        "Makefile": f"Acta needs Python {', '.join(PYTHONS[:-1])} or {last}, but",
        ".ci/run": f"for version in {' '.join(PYTHONS)}; do",
        "CONTRIBUTING.md": f"from {first} to {last}",
        "docs/troubleshooting.md": f"Acta needs Python {', '.join(PYTHONS[:-1])} or {last}",
        "pyproject.toml": f'target-version = "py{first.replace(".", "")}"',
        "envs/acta.yaml": f"- python={first} - pip ",
    }
    texts = {file: " ".join((PROJECT / file).read_text().split()) for file in claims}
    assert [file for file, claim in claims.items() if claim not in texts[file]] == []
    limits = ", ".join(f"({v.replace('.', ', ')})" for v in (first, last))
    assert limits.replace("), (", ") <= sys.version_info[:2] <= (") in (PROJECT / "Makefile").read_text()


def test_the_workflow_needs_the_snakemake_that_the_package_needs() -> None:
    lowest = next(s.version for r in NEEDED if r.name == "snakemake" for s in r.specifier)
    assert f'min_version("{lowest}")' in (PROJECT / "Snakefile").read_text()
