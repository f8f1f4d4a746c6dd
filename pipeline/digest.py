"""Digests of code that ignore what cannot change a result: comments, docstrings, layout, the Python version.

A file of data (YAML) counts by what it holds and in which order.

Snakemake does not see edits in the modules that a rule's command imports; a rule that carries such a digest among its
parameters reruns exactly when code that its result depends on has changed.
"""

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def digest_code(modules: Iterable[str]) -> str:
    """16 hex digits over the syntax trees of project files and the content of YAML files.

    Args:
        modules: Paths relative to the project.
    """
    total = hashlib.sha256()
    for module in sorted(modules):
        total.update(f"{module}:{_digest_module(PROJECT / module)}\n".encode())
    return total.hexdigest()[:16]


@cache
def _digest_module(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    canonical = canonical_data(text) if path.suffix == ".yaml" else canonical_source(text, str(path))
    return hashlib.sha256(canonical.encode()).hexdigest()


def canonical_source(source: str, name: str = "<source>") -> str:
    """A text that is the same for two sources which run alike but for comments, docstrings and layout."""
    return _canonical(ast.parse(source, name))


def canonical_data(text: str) -> str:
    """A text that is the same for two YAML texts which hold the same, but for comments and layout."""
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
