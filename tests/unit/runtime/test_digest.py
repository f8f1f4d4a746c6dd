"""Digests of code: free for what cannot change a result, different for everything else, the same in every Python."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline.runtime.digest
from pipeline.runtime.digest import canonical_data, canonical_source, code_digest, digest_code, imported, reached
from tests import PROJECT

BASE = 'def f(a, b=1):\n    return {"x": [a + b, 2.5]}\n'


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (BASE, "# why\n" + BASE.replace("2.5]}", "2.5]}  # and how")),
        (BASE, '"""What the module is for."""\n' + BASE),
        (BASE, BASE.replace("):\n", '):\n    """What it does."""\n')),
        ('class C:\n    """One."""\n    x = 1\n', "class C:\n    '''Two.'''\n\n    x = 1\n"),
        ("async def f():\n    return 1\n", 'async def f():\n    """D."""\n    return 1\n'),
        (BASE, "\n\n" + BASE.replace("return", "\n\n    return")),
        (
            BASE,
            'def f(\n    a,\n    b=1,\n):\n    return {\n        "x": [(a + b), 2.50,\n        ],\n    }\n',
        ),
        (BASE, BASE.replace('"', "'")),
        (BASE, BASE.replace("\n", "\r\n")),
        (BASE, BASE.replace("    ", "\t")),
        ('x = "ab"\n', 'x = "a" "b"\n'),
        ('x = "ab"\n', 'x = u"ab"\n'),
        ('x = f"{a!r:>{n}} b"\n', "x = (f'{a!r:>{n}}' ' b')\n"),
        ("x = 1000\n", "x = 1_000\n"),
        ("x = 0x10\n", "x = 16\n"),
        ("x = 1  # type: int\n", "x = 1\n"),
        ("if a:\n    b = 1\n", "if (a): b = 1\n"),
    ],
)
def test_same_program_has_the_same_text(first: str, second: str) -> None:
    assert canonical_source(first) == canonical_source(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x = 1\n", "x = 2\n"),
        ("x = 1\n", "x = 1.0\n"),
        ("x = 1\n", "x = True\n"),
        ("x = 0\n", "x = False\n"),
        ("x = 0\n", "x = None\n"),
        ("x = ''\n", "x = None\n"),
        ("x = ''\n", "x = b''\n"),
        ("f(a=0)\n", "f(a=0.0)\n"),
        ("x = 'a'\n", "x = b'a'\n"),
        ("x = 'a'\n", "x = 'a '\n"),
        ("x = 'a'\n", "x = f'{a}'\n"),
        ("x = a + b\n", "x = b + a\n"),
        ("x = a + b\n", "x = a - b\n"),
        ("x = a < b\n", "x = a <= b\n"),
        ("x = a\n", "y = a\n"),
        ("x = None\n", "x = ...\n"),
        ("x = [None]\n", "x = []\n"),
        ("x = []\n", "x = ()\n"),
        ("x = {**a}\n", "x = {None: a}\n"),
        ("x = f'{a:.2f}'\n", "x = f'{a:.3f}'\n"),
        ("x = f'{a!r}'\n", "x = f'{a!s}'\n"),
        ("a()\nb()\n", "b()\na()\n"),
        ("def f(a=1):\n    return a\n", "def f(a=2):\n    return a\n"),
        ("def f(a):\n    return a\n", "def f(*, a):\n    return a\n"),
        ("def f():\n    return\n", "def f():\n    pass\n"),
        ("@d\ndef f():\n    pass\n", "def f():\n    pass\n"),
        ("def f():\n    pass\n", "async def f():\n    pass\n"),
        ("import a\n", "import a as b\n"),
        ("from . import a\n", "from .. import a\n"),
        ("if a:\n    b()\nc()\n", "if a:\n    b()\n    c()\n"),
        ("for a in b:\n    c()\nelse:\n    d()\n", "for a in b:\n    c()\nd()\n"),
        ('def f():\n    x = "text"\n', 'def f():\n    x = "other"\n'),
    ],
)
def test_other_program_has_another_text(first: str, second: str) -> None:
    assert canonical_source(first) != canonical_source(second)


def test_source_with_a_mistake_is_named() -> None:
    with pytest.raises(SyntaxError) as caught:
        canonical_source("def f(:\n", "pipeline/broken.py")
    assert caught.value.filename == "pipeline/broken.py"


DATA = "a: {x: 1.0, y: [a, null]}\n"


@pytest.mark.parametrize(
    "same",
    [
        "# why\n" + DATA + "\n# and how\n",
        "a:\n  x: 1.0\n  y:\n    - a\n    - null\n",
        'a: {x: 1.0, "y": ["a", ~]}\n',
        "a: {x: 1.00, y: &list [a, null]}\n",
    ],
)
def test_same_data_have_the_same_text(same: str) -> None:
    assert canonical_data(same) == canonical_data(DATA)


@pytest.mark.parametrize(
    "other",
    [
        DATA.replace("1.0", "1.1"),
        DATA.replace("1.0", "'1.0'"),
        DATA.replace("null", "'null'"),
        DATA.replace("x:", "z:"),
        "a: {y: [a, null], x: 1.0}\n",  # tables have their rows in this order
        DATA + "b: 1\n",
    ],
)
def test_other_data_have_another_text(other: str) -> None:
    assert canonical_data(other) != canonical_data(DATA)


def test_digest_of_data_is_that_of_its_content(project: Path) -> None:
    (project / "d.yaml").write_text(DATA)
    here = digest_code(["d.yaml"])
    pipeline.runtime.digest._read.cache_clear()
    (project / "d.yaml").write_text("# no code at all: {\n" + DATA)
    assert digest_code(["d.yaml"]) == here
    pipeline.runtime.digest._read.cache_clear()
    (project / "d.yaml").write_text(DATA.replace("1.0", "2.0"))
    assert digest_code(["d.yaml"]) != here


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pipeline.runtime.digest, "PROJECT", tmp_path)
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(f"{name[0]} = 1\n")
    return tmp_path


@pytest.mark.usefixtures("project")
def test_digest_is_sixteen_hexadecimal_digits() -> None:
    text = f"a.py:{hashlib.sha256(canonical_source('a = 1').encode()).hexdigest()}\n"
    assert digest_code(["a.py"]) == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.usefixtures("project")
def test_digest_does_not_depend_on_the_order_of_modules() -> None:
    assert digest_code(["a.py", "b.py"]) == digest_code(["b.py", "a.py"])


def test_digest_does_not_depend_on_where_the_project_lies(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = digest_code(["a.py", "b.py"])
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(project, elsewhere, ignore=shutil.ignore_patterns("elsewhere"))
    monkeypatch.setattr(pipeline.runtime.digest, "PROJECT", elsewhere)
    assert digest_code(["a.py", "b.py"]) == here


def test_digest_depends_on_which_module_holds_what(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = digest_code(["a.py", "b.py"])
    swapped = project / "swapped"
    swapped.mkdir()
    shutil.copy(project / "a.py", swapped / "b.py")
    shutil.copy(project / "b.py", swapped / "a.py")
    monkeypatch.setattr(pipeline.runtime.digest, "PROJECT", swapped)
    assert digest_code(["a.py", "b.py"]) != here


@pytest.mark.usefixtures("project")
def test_digest_depends_on_the_number_of_modules() -> None:
    assert len({digest_code(["a.py"]), digest_code(["b.py"]), digest_code(["a.py", "b.py"]), digest_code([])}) == 4


# ---- what a module imports


def kept(project: Path) -> list[Path]:
    return sorted(project.rglob("*.digest"))


def test_what_was_read_is_kept_for_the_next_process(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    here = digest_code(["a.py", "b.py"])
    assert len(kept(project)) == 2
    pipeline.runtime.digest._read.cache_clear()
    monkeypatch.setattr(pipeline.runtime.digest, "_parse", None)
    assert digest_code(["a.py", "b.py"]) == here


@pytest.mark.parametrize("damage", ["", "\n", "0\n1", "\0", "key\ndigest\npipeline/x.py"])
def test_what_is_kept_of_another_text_or_damaged_is_read_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    here = digest_code(["a.py"])
    pipeline.runtime.digest._read.cache_clear()
    kept(project)[0].write_text(damage)
    assert digest_code(["a.py"]) == here
    pipeline.runtime.digest._read.cache_clear()
    (project / "a.py").write_text("a = 2\n")
    assert digest_code(["a.py"]) != here


def test_nothing_is_kept_where_python_keeps_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    digest_code(["a.py"])
    assert not kept(project)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    pipeline.runtime.digest._read.cache_clear()
    (project / "__pycache__").write_text("no folder")
    digest_code(["a.py"])
    assert not kept(project)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package `pipeline`, of which nothing that was read of another one is remembered."""
    remembered = (pipeline.runtime.digest._read, imported, reached)
    monkeypatch.setattr(pipeline.runtime.digest, "PROJECT", tmp_path)
    for function in remembered:
        function.cache_clear()
    yield tmp_path / "pipeline"
    for function in remembered:
        function.cache_clear()


def write(package: Path, **modules: str) -> None:
    """Modules by name, ``a__b`` for ``a/b.py``; what was read of the package before is forgotten."""
    for name, source in modules.items():
        path = package / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    for function in (pipeline.runtime.digest._read, imported, reached):
        function.cache_clear()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pipeline.a\n", ["a"]),
        ("import pipeline.a as x, pipeline.room.b\n", ["a", "room/b"]),
        ("from pipeline.a import x\n", ["a"]),
        ("from pipeline import a\n", ["a"]),
        ("from pipeline import a as x\n", ["a"]),
        ("from pipeline.room import b\n", ["room/b"]),
        ("from pipeline.room.b import a\n", ["room/b"]),
        ("def f():\n    from pipeline.a import x\n    return x\n", ["a"]),
        ("class C:\n    def f(self):\n        with y:\n            import pipeline.room.b\n", ["room/b"]),
        ("try:\n    import pipeline.a\nexcept ImportError:\n    import pipeline.room.b\n", ["a", "room/b"]),
        ("import os, numpy\nfrom pipelines import a\nfrom a import pipeline\n", []),
        ("import pipeline\nfrom pipeline import __version__\nfrom pipeline.missing import a\n", []),
        ("a = 'pipeline.a'\n", []),
    ],
)
def test_imports_are_found_wherever_they_stand(package: Path, source: str, expected: list[str]) -> None:
    write(package, a="", room__b="", here=source)
    assert imported("pipeline/here.py") == {f"pipeline/{name}.py" for name in expected}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if TYPE_CHECKING:\n    from pipeline.a import x\n", []),
        ("if TYPE_CHECKING:\n    from pipeline.a import x\nelse:\n    import pipeline.room.b\n", ["room/b"]),
        ("if TYPE_CHECKING:\n    import pipeline.a\nelif y:\n    import pipeline.room.b\n", ["room/b"]),
        ("def f():\n    if TYPE_CHECKING:\n        import pipeline.a\n    import pipeline.room.b\n", ["room/b"]),
        ("if not TYPE_CHECKING:\n    import pipeline.a\n", ["a"]),
        ("if y:\n    import pipeline.a\n", ["a"]),
    ],
)
def test_imports_for_type_checkers_are_not_followed(package: Path, source: str, expected: list[str]) -> None:
    write(package, a="", room__b="", here=f"from typing import TYPE_CHECKING\n{source}")
    assert imported("pipeline/here.py") == {f"pipeline/{name}.py" for name in expected}


def test_data_next_to_a_module_count_as_imported(package: Path) -> None:
    write(package, room__b="TEXT = read('values.yaml')\nOTHER = read('missing.yaml')\nNO = 'values.json'\n")
    (package / "room/values.yaml").write_text(DATA)
    (package / "values.yaml").write_text(DATA)  # of the same name, but in another folder
    assert imported("pipeline/room/b.py") == {"pipeline/room/values.yaml"}
    assert imported("pipeline/room/values.yaml") == frozenset()
    assert reached("pipeline/room/b.py") == {"pipeline/room/b.py", "pipeline/room/values.yaml"}


# ---- what a module reaches


STEPS = {
    "task": "from pipeline.near import x\n",
    "near": "def f():\n    import pipeline.room.far\n",
    "room__far": "import pipeline.near\nY = read('values.yaml')\n",
    "inert": "import pipeline.behind\n",
    "behind": "",
    "unrelated": "import pipeline.task\n",
}


@pytest.fixture
def steps(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task that reaches `far` by way of `near`, which is imported again there, and `behind` by an inert module."""
    monkeypatch.setattr(pipeline.runtime.digest, "DECIDE_NOTHING", {"pipeline/inert.py": "says nothing"})
    write(package, **STEPS | {"task": "from pipeline.near import x\nfrom pipeline import inert\n"})
    (package / "room/values.yaml").write_text(DATA)
    return package


@pytest.mark.usefixtures("steps")
def test_imports_are_followed_at_any_remove() -> None:
    names = ("task.py", "near.py", "room/far.py", "room/values.yaml")
    assert reached("pipeline/task.py") == {f"pipeline/{name}" for name in names}
    assert reached("pipeline/behind.py") == {"pipeline/behind.py"}
    assert reached("pipeline/inert.py") == frozenset()


def test_of_a_folder_that_decides_nothing_one_module_can(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.runtime.digest, "DECIDE_NOTHING", {"pipeline/room/": "says nothing"})
    monkeypatch.setattr(pipeline.runtime.digest, "DECIDES", frozenset({"pipeline/room/b.py"}))
    write(package, room__a="import pipeline.c\n", room__b="", c="", task="import pipeline.room.a, pipeline.room.b\n")
    assert reached("pipeline/task.py") == {"pipeline/task.py", "pipeline/room/b.py"}


def test_digest_of_a_task_is_that_of_what_it_reaches(steps: Path) -> None:
    before = code_digest("pipeline.task")
    assert before == digest_code(reached("pipeline/task.py"))
    for name in ("near", "room__far", "task"):
        source = (steps / f"{name.replace('__', '/')}.py").read_text()
        write(steps, **{name: f"# why\n{source}"})
        assert code_digest("pipeline.task") == before
        write(steps, **{name: f"{source}z = 1\n"})
        assert code_digest("pipeline.task") != before
        write(steps, **{name: source})
    assert code_digest("pipeline.task") == before


@pytest.mark.parametrize("name", ["inert", "behind", "unrelated"])
def test_digest_does_not_depend_on_what_decides_nothing(steps: Path, name: str) -> None:
    before = code_digest("pipeline.task")
    write(steps, **{name: f"{STEPS[name]}z = 1\n"})
    assert code_digest("pipeline.task") == before


@pytest.mark.parametrize(
    ("content", "same"), [(f"# why\n{DATA}", True), (DATA.replace("1.0", "2.0"), False), (f"{DATA}b: 1\n", False)]
)
def test_digest_depends_on_what_data_next_to_a_module_hold(steps: Path, content: str, same: bool) -> None:
    before = code_digest("pipeline.task")
    (steps / "room/values.yaml").write_text(content)
    write(steps)
    assert (code_digest("pipeline.task") == before) == same


def test_digest_depends_on_a_new_import(steps: Path) -> None:
    before = code_digest("pipeline.task")
    write(steps, behind="", near=f"{STEPS['near']}    import pipeline.behind\n")
    assert "pipeline/behind.py" in reached("pipeline/task.py")
    assert code_digest("pipeline.task") != before


_OTHER = """
import hashlib, importlib.util, json, pathlib, sys
spec = importlib.util.spec_from_file_location("digest", "pipeline/runtime/digest.py")
digest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(digest)
paths = sorted(pathlib.Path("pipeline").rglob("*.py"))
texts = {str(path): digest.canonical_source(path.read_text(encoding="utf-8")) for path in paths}
print(json.dumps({path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}))
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_digests_are_equal_in_every_python(version: str) -> None:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = [str(path) for path in sorted(root.glob(f"versions/{version}*/bin/python"), reverse=True)]
    candidates = [*installed, shutil.which(f"python{version}")]
    # a launcher may be there without the Python that it launches
    runs = (p for p in candidates if p and subprocess.run([p, "-V"], check=False, capture_output=True).returncode == 0)
    python = next(runs, None)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    result = subprocess.run([python, "-ISBc", _OTHER], cwd=PROJECT, capture_output=True, text=True, check=True)
    here = {
        str(path.relative_to(PROJECT)): hashlib.sha256(canonical_source(path.read_text()).encode()).hexdigest()
        for path in sorted((PROJECT / "pipeline").rglob("*.py"))
    }
    assert json.loads(result.stdout) == here
