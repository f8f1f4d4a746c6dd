"""The package's order: each room imports only what stands before it, no module itself, and files stay short."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.runtime.digest import imported
from tests import PROJECT

# Each row may import the rows above it, and its own.
LAYERS = (
    ("runtime", "metrics"),
    ("config",),
    ("media", "models", "training"),
    ("detect", "spot", "classify", "privacy", "shrink"),
    ("data", "demo"),
    ("report", "plan"),
    ("tasks", "task"),
    ("dag",),
    ("commands", "cli", "__main__"),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
CHAPTERS = LAYERS[3]
TOP = ("__init__.py", "__main__.py", "cli.py", "task.py", "tasks.py")
LONGEST_FILE, LONGEST_FUNCTION = 400, 80  # lines

MODULES = sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "pipeline").rglob("*.py"))


def room(module: str) -> str:
    """The folder of a module below the package; of one at its top the name."""
    return Path(module).parts[1].removesuffix(".py")


def test_every_room_has_a_layer() -> None:
    assert {room(module) for module in MODULES} - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_stands_before_it(module: str) -> None:
    if room(module) == "__init__":
        assert imported(module) == frozenset()
        return
    after = {file for file in imported(module) if LEVEL[room(file)] > LEVEL[room(module)]}
    assert after == set()


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in CHAPTERS])
def test_chapters_stand_alone(module: str) -> None:
    """Only what is shrunk is what was classified."""
    others = {file for file in imported(module) if room(file) in CHAPTERS and room(file) != room(module)}
    assert {room(file) for file in others} <= ({"classify"} if room(module) == "shrink" else set())


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Sets of modules that import one another (Tarjan's strongly connected components of more than one)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in graph[module]:
            if other not in number:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            place = stack.index(module)
            if len(stack) > place + 1 or module in graph[module]:
                found.append(set(stack[place:]))
            del stack[place:]

    for module in graph:
        if module not in number:
            visit(module)
    return found


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": "b", "b": "c", "c": ""}, []),
        ({"a": "bc", "b": "d", "c": "d", "d": ""}, []),
        ({"a": "b", "b": "c", "c": "b"}, [{"b", "c"}]),
        ({"a": "b", "b": "a", "c": "d", "d": "ac", "e": ""}, [{"a", "b"}, {"c", "d"}]),
        ({"a": "a"}, [{"a"}]),
    ],
)
def test_circles_are_found(graph: dict[str, str], expected: list[set[str]]) -> None:
    assert circles({module: set(others) for module, others in graph.items()}) == expected


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Nor in a function; imports for type checkers do not count."""
    assert circles({module: {f for f in imported(module) if f.endswith(".py")} for module in MODULES}) == []


def test_few_modules_lie_at_the_top() -> None:
    assert sorted(path.name for path in (PROJECT / "pipeline").glob("*.py")) == sorted(TOP)
    assert len(TOP) <= 6


def functions(module: str) -> Iterator[tuple[str, int]]:
    """Names of functions and methods, and how many lines each has."""
    for node in ast.walk(ast.parse((PROJECT / module).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_files_are_short() -> None:
    long = {module for module in MODULES if len((PROJECT / module).read_text().splitlines()) > LONGEST_FILE}
    assert long == set()


def test_functions_are_short() -> None:
    long = {f"{module}:{name}" for module in MODULES for name, lines in functions(module) if lines > LONGEST_FUNCTION}
    assert long == set()
