"""What the project depends on is pinned, with hashes and without addresses, equal for pip, conda and all Pythons."""

import os
import re
import subprocess
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests import PROJECT

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


def of_conda() -> dict[str, list[str]]:
    """The environment's requirements, each with its hashes."""
    content = yaml.safe_load((PROJECT / "envs/acta.yaml").read_text())
    lines = [text.split(" --hash=") for text in content["dependencies"][-1]["pip"]]
    return {requirement: hashes for requirement, *hashes in lines}


def test_conda_environment_pins_what_the_lock_pins() -> None:
    wanted = pins([Requirement(text) for text in of_conda()])
    here = pins([r for r, _ in locked() if r.marker is None or r.marker.evaluate(PLACE)])
    assert {name: here.get(name) for name in wanted} == wanted


def test_conda_environment_has_the_hashes_of_the_lock() -> None:
    here = {canonicalize_name(r.name): hashes for r, hashes in locked()}
    found = of_conda()
    assert len(found) > 100
    assert [text for text, hashes in found.items() if sorted(hashes) != sorted(here[Requirement(text).name])] == []


def test_conda_environment_holds_every_dependency() -> None:
    held = pins([Requirement(text) for text in of_conda()])
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


def test_uv_is_fetched_with_its_hashes() -> None:
    recipe = (PROJECT / "Makefile").read_text()
    command = next(line.strip() for line in recipe.splitlines() if "$(VENV)/uv.txt" in line and "sed" in line)
    chosen = subprocess.run(
        ["bash", "-c", command.replace("$(VENV)/uv.txt", "/dev/stdout")], cwd=PROJECT, capture_output=True, text=True
    )
    lines = [line for line in chosen.stdout.splitlines() if not line.lstrip().startswith("#")]
    (hashes,) = (hashes for r, hashes in locked() if r.name == "uv")
    assert [line.removesuffix(" \\").strip() for line in lines] == [
        f"uv=={version_of('uv')}",
        *(f"--hash={each}" for each in hashes),
    ]
    assert "pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt" in recipe


def version_of(name: str) -> str:
    return next(str(r.specifier).removeprefix("==") for r, _ in locked() if r.name == name)


def test_packages_without_a_new_release_are_in_the_lock_and_said_by_whom_they_are_needed() -> None:
    section = (PROJECT / "CONTRIBUTING.md").read_text().split("## Packages without a new release")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]
    assert len(rows) > 10
    for name, _, needed_by, what_for in rows:
        entry = re.search(rf"^{name}==.*?(?=^[a-z0-9])", LOCK, re.MULTILINE | re.DOTALL)
        assert entry, name
        named = set(re.findall(r"# +(?:via )?([a-z0-9-]+)", entry[0])) - {"via"}
        assert sorted(needed_by.split(", ")) == sorted(named), name
        assert what_for


# ---- published vulnerabilities

NOT_CHECKED = "NOT CHECKED: whether vulnerabilities of what requirements.lock holds are published"


@pytest.mark.parametrize(("said", "status"), [(0, 0), (1, 1), (2, 0), (101, 0), (127, 0)])
def test_only_a_vulnerability_fails_and_what_was_not_checked_is_said(tmp_path: Path, said: int, status: int) -> None:
    """With a uv that says what it was asked: 0 none, 1 some, else an error, such as a service that is not reached."""
    (tmp_path / "uv").write_text(f"#!/bin/sh\necho $1 $2 $3 $4; cat $5; exit {said}\n")
    (tmp_path / "uv").chmod(0o755)
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [PROJECT / ".ci/audit", tmp_path / "uv"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == status
    assert (NOT_CHECKED in done.stderr) == (said > 1)
    assert ("published vulnerabilities; raise their versions" in done.stderr) == (said == 1)
    first, *lines = done.stdout.splitlines()
    assert first == "audit --preview-features audit-command --script"
    assert lines[:3] == ["# /// script", '# requires-python = ">=3.11,<3.14"', "# dependencies = ["]
    assert lines[-2:] == ["# ]", "# ///"]
    asked = [Requirement(line.removeprefix('#   "').removesuffix('",')) for line in lines[3:-2]]
    assert sorted(map(str, asked)) == sorted(str(r) for r, _ in locked())
    assert [path.name for path in tmp_path.iterdir()] == ["uv"]


def test_an_index_that_lacks_a_package_is_no_vulnerability(tmp_path: Path) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\necho '  No solution found when resolving' >&2; exit 1\n")
    (tmp_path / "uv").chmod(0o755)
    done = subprocess.run([PROJECT / ".ci/audit", tmp_path / "uv"], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "NOT CHECKED: the package index lacks what requirements.lock holds" in done.stderr


def test_lint_asks_for_vulnerabilities() -> None:
    lint = (PROJECT / "Makefile").read_text().split("\nlint: ")[1].split("\n\n")[0]
    assert ".ci/audit $(BIN)/uv" in lint
