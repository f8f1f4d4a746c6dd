"""What a task is: one function from files and settings to files, in a module of the same name.

Its command (``acta task NAME``) comes from the function's signature and docstring, read from the syntax tree, so that
help imports nothing. Parameters become options of the same name:

=============================  =========================================================================
``Path``, ``Output``           one path; ``Output`` marks what the task writes
``Sequence[Path]``             paths; one with ``{shard}`` stands for that of every list in ``--lists``
``Mapping[str, Path]``         ``NAME=PATH …``, each name once
``Mapping[str, Sequence[Path]]``  the same, names may come again
``str``, ``int``, ``float``, ``Literal[…]``, ``Sequence[str]``   values
``bool``                       a switch
a dataclass                    an option for each of its fields
``settings``                   ``--settings``: JSON, or @file
``workers``                    ``--cores``: those that the task may use
=============================  =========================================================================
"""

import argparse
import ast
import importlib
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import check_no_input

if TYPE_CHECKING:
    from pipeline.config.base import Settings
    from pipeline.plan.work import Kind

_PACKAGE = Path(__file__).resolve().parent
_MANY = ("Sequence[Path]", "tuple[Path, ...]", "Mapping[str, Sequence[Path]]")
_OPTIONS: dict[str, dict[str, Any]] = {  # what argparse is to know of an annotation
    "Path": {"type": Path},
    "Output": {"type": Path},
    "Sequence[Path]": {"type": Path, "nargs": "*", "metavar": "PATH"},
    "tuple[Path, ...]": {"type": Path, "nargs": "*", "metavar": "PATH"},
    "Mapping[str, Path]": {"nargs": "*", "metavar": "NAME=PATH"},
    "Mapping[str, Sequence[Path]]": {"nargs": "*", "metavar": "NAME=PATH"},
    "Sequence[str]": {"nargs": "*"},
    "str": {},
    "int": {"type": int},
    "float": {"type": float},
    "bool": {"action": "store_true"},
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a task's function: its annotation without ``| None``, and what the docstring says of it."""

    name: str
    annotation: str
    required: bool
    default: Any
    about: str


@dataclass(frozen=True)
class Task:
    """A row of the table of tasks.

    Args:
        module: Below `pipeline`; its last part is the task's name, and that of the function.
        weight: How much work a job of it has, for `acta plan`; None: as much as any other.
        launched: Whether the profile says how its processes are started (``srun``), as of a training.
    """

    module: str
    weight: "Kind | None" = field(default=None, kw_only=True)
    launched: bool = field(default=False, kw_only=True)

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]

    @property
    def dotted(self) -> str:
        """The module's whole name."""
        return f"pipeline.{self.module}"

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(_file_of(self.dotted).read_text(encoding="utf-8"))

    @cached_property
    def _function(self) -> ast.FunctionDef:
        return next(n for n in self._tree.body if isinstance(n, ast.FunctionDef) and n.name == self.name)

    @property
    def about(self) -> str:
        """The first line of the function's docstring."""
        return (ast.get_docstring(self._function) or "").split("\n")[0].replace("``", "")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The function's parameters, in their order."""
        arguments, texts = self._function.args, _texts(ast.get_docstring(self._function) or "")
        first = [*arguments.posonlyargs, *arguments.args]
        defaults: list[ast.expr | None] = [None] * (len(first) - len(arguments.defaults)) + list(arguments.defaults)
        pairs = zip([*first, *arguments.kwonlyargs], [*defaults, *arguments.kw_defaults], strict=True)
        return tuple(_parameter(argument.arg, argument.annotation, default, texts) for argument, default in pairs)

    def _fields(self, parameter: Parameter) -> tuple[Parameter, ...]:
        """The fields of a parameter that is a dataclass; () for any other."""
        if parameter.name == "settings" or parameter.annotation not in self._imported.keys() - _OPTIONS.keys():
            return ()
        tree = ast.parse(_file_of(self._imported[parameter.annotation]).read_text(encoding="utf-8"))
        definition = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == parameter.annotation)
        texts = _texts(ast.get_docstring(definition) or "")
        return tuple(
            _parameter(node.target.id, node.annotation, node.value, texts)
            for node in definition.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        )

    @cached_property
    def settings(self) -> "type[Settings] | None":
        """The class of its settings; None: it reads none."""
        for parameter in self.parameters:
            if parameter.name == "settings":
                return getattr(importlib.import_module(self._imported[parameter.annotation]), parameter.annotation)
        return None

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """What its settings' ``from_config`` asks for besides the configuration."""
        if self.settings is None:
            return ()
        _, *others = inspect.signature(self.settings.from_config).parameters  # type: ignore[attr-defined]
        return tuple(others)

    @cached_property
    def _imported(self) -> dict[str, str]:
        """The module from which the task's module imports each name."""
        return {
            alias.name: node.module or ""
            for node in ast.walk(self._tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def parser(self) -> argparse.ArgumentParser:
        """The parser of its command."""
        text = (ast.get_docstring(self._function) or "").split("\n\nArgs:")[0].replace("``", "")
        parser = argparse.ArgumentParser(prog=f"acta task {self.name}", description=text)
        flat = [part for parameter in self.parameters for part in self._fields(parameter) or (parameter,)]
        for parameter in flat:
            names, options = _option(parameter)
            parser.add_argument(*names, **options)
        if any(parameter.annotation in _MANY for parameter in flat):
            about = "folders of list files; a path with {shard} stands for that of each list"
            parser.add_argument("--lists", type=Path, nargs="+", default=[], metavar="FOLDER", help=about)
        writes = [parameter.name for parameter in flat if parameter.annotation == "Output"]
        parser.set_defaults(run=self._run, writes=tuple(writes))
        return parser

    def _run(self, options: argparse.Namespace) -> None:
        values = {parameter.name: self._value(parameter, options) for parameter in self.parameters}
        # Only now is known which files words with a name and paths with {shard} are.
        check_no_input(filter(None, (getattr(options, name) for name in options.writes)), self._read(values))
        if "workers" in values:
            values["workers"] = self._workers(options.cores, values.get("settings"))
        getattr(importlib.import_module(self.dotted), self.name)(**values)

    def _read(self, values: Mapping[str, Any]) -> list[Path]:
        """The files among what the function is given to read."""
        given = [values[parameter.name] for parameter in self.parameters if parameter.annotation != "Output"]
        return [path for path in _paths(given) if path.is_file()]

    def _workers(self, cores: int, settings: Any) -> int:
        """Processes in addition to the task's own: the cores that it does not compute on itself."""
        cores //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes share a job's cores
        # By default 0 where the function computes and workers only read, 1 where workers do the work.
        least = next(int(parameter.default) for parameter in self.parameters if parameter.name == "workers")
        return max(least, cores - (getattr(settings, "threads", 1) if least == 0 else 0))

    def _value(self, parameter: Parameter, options: argparse.Namespace) -> Any:
        if parameter.name == "workers":
            return None
        if fields := self._fields(parameter):
            made = getattr(importlib.import_module(self._imported[parameter.annotation]), parameter.annotation)
            return made(**{field.name: self._value(field, options) for field in fields})
        given = getattr(options, parameter.name)
        if parameter.name == "settings":
            from pipeline.config.base import parse
            from pipeline.runtime.text import read_text

            assert self.settings is not None
            text = read_text(given[1:], "the settings") if given.startswith("@") else given
            return parse(self.settings, text, "--settings")
        match parameter.annotation:
            case "Sequence[Path]" | "tuple[Path, ...]":
                return tuple(expanded(given, options.lists))
            case "Mapping[str, Path]":
                return by_name(parameter.name, given or ())
            case "Mapping[str, Sequence[Path]]":
                groups: dict[str, list[Path]] = {}
                for name, path in (_pair(parameter.name, word) for word in given or ()):
                    groups.setdefault(name, []).extend(expanded([path], options.lists))
                return groups
        return given


def _paths(value: Any) -> Iterator[Path]:
    """The paths in a value, at any depth."""
    if isinstance(value, Path):
        yield value
    parts = vars(value) if is_dataclass(value) else value
    if isinstance(parts, Mapping):
        parts = tuple(parts.values())
    if isinstance(parts, list | tuple):
        for part in parts:
            yield from _paths(part)


def _file_of(module: str) -> Path:
    return (_PACKAGE.parent / module.replace(".", "/")).with_suffix(".py")


def _parameter(name: str, annotation: ast.expr | None, default: ast.expr | None, texts: Mapping[str, str]) -> Parameter:
    whole = ast.unparse(annotation or ast.Constant(0))
    text = re.sub(r"( \| Opened)?( \| None)?$", "", whole)
    value = None if default is None else ast.literal_eval(default)
    return Parameter(name, text, default is None and not whole.endswith("| None"), value, texts.get(name, ""))


def _option(parameter: Parameter) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The option of a parameter: its names and what argparse is to know of it."""
    if parameter.name == "workers":
        about = "those that it may use; the result does not depend on it"
        return ("--cores",), {"type": int, "default": 1, "help": about}
    name, kind = f"--{parameter.name.replace('_', '-')}", parameter.annotation
    options: dict[str, Any] = {"help": parameter.about.replace("%", "%%").replace("``", "")}
    if kind != "bool":
        options["required"] = parameter.required
    if not parameter.required:
        options["default"] = parameter.default
    if parameter.name == "settings":
        options["help"] += " JSON, or @file (snakemake -np prints it)"
    elif kind.startswith("Literal["):
        choices = ast.literal_eval(f"({kind.removeprefix('Literal[').removesuffix(']')},)")
        options |= {"choices": choices, "type": type(choices[0])}
    elif kind in _OPTIONS:
        options |= _OPTIONS[kind]
    else:
        raise TypeError(f"{parameter.name}: no option of a command can be {kind!r}")
    return (("-o", name) if parameter.name == "output" else (name,)), options


def _texts(docstring: str) -> dict[str, str]:
    """What the part ``Args:`` of a docstring says, by parameter."""
    _, _, rest = docstring.partition("\nArgs:\n")
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in rest.split("\n"):
        if line and not line.startswith(" "):
            break
        if match := re.match(r"    (\w+(?:, \w+)*): (.*)", line):
            names = match[1].split(", ")
            texts |= dict.fromkeys(names, match[2])
        elif line.strip():
            texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    return texts


def expanded(paths: Sequence[Path], lists: Sequence[Path]) -> list[Path]:
    """Paths as given, those with ``{shard}`` once for every list in the folders.

    Raises:
        ActaError: there is such a path, but no folder.
    """
    from pipeline.media.lists import shard_names

    shards = [shard for folder in lists for shard in shard_names(folder)]
    if not lists and any("{shard}" in str(path) for path in paths):
        raise ActaError("a path with {shard} needs --lists with the folder of the list files")
    named: list[Path] = []
    for path in paths:
        text = str(path)
        named += [Path(text.replace("{shard}", shard)) for shard in shards] if "{shard}" in text else [path]
    return named


def by_name(option: str, words: Sequence[str]) -> dict[str, Path]:
    """Paths by name out of ``NAME=PATH`` words.

    Raises:
        ActaError: a word is not of this form, or names something again.
    """
    pairs = [_pair(option, word) for word in words]
    for position, (name, _) in enumerate(pairs):
        if name in dict(pairs[:position]):
            raise ActaError(f"--{option.replace('_', '-')} {words[position]!r}: {name!r} is there already")
    return dict(pairs)


def _pair(option: str, word: str) -> tuple[str, Path]:
    name, equals, path = word.partition("=")
    if not (name and equals and path):
        raise ActaError(f"--{option.replace('_', '-')} {word!r} is not NAME=PATH")
    return name, Path(path)
