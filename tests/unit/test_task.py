"""What a task is: its command, out of the signature and the docstring of its function; and each task of the table."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline import task as task_module
from pipeline.config.base import Settings
from pipeline.config.tasks.privacy import DrawContactSheet
from pipeline.config.tasks.spot import PredictSpots
from pipeline.media.lists import Listed, shard_names, write_lists
from pipeline.runtime.errors import ActaError
from pipeline.task import Task, by_name, expanded
from pipeline.tasks import TASKS, task_of
from tests import PROJECT

HEAD = """\
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipeline.config.tasks.privacy import DrawContactSheet
from pipeline.config.tasks.spot import PredictSpots
from pipeline.made.parts import Parts
from pipeline.runtime.files import Output


"""
PARTS = '''\
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Parts:
    """Where something is.

    Args:
        shards: Its shards.
        file_name: What else it is called.
        root: Its folder.
    """

    shards: tuple[Path, ...] = ()
    file_name: str | None = None
    root: Path | None = None
'''
SHEET = DrawContactSheet(videos=2, frames=3)
# Not inside a test, as some of what they import sets variables of the environment.
FUNCTIONS = {name: getattr(importlib.import_module(task.dotted), name) for name, task in TASKS.items()}

Made = Callable[..., Task]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A task whose function has these parameters, and remembers with what it was called."""
    folder = tmp_path / "pipeline" / "made"
    folder.mkdir(parents=True)
    real = task_module._file_of

    def file_of(module: str) -> Path:
        name = module.removeprefix("pipeline.made.")
        return real(module) if name == module else folder / f"{name}.py"

    monkeypatch.setattr(task_module, "_file_of", file_of)

    def module(name: str, source: str) -> None:
        found = ModuleType(f"pipeline.made.{name}")
        monkeypatch.setitem(sys.modules, found.__name__, found)
        file_of(found.__name__).write_text(source)
        exec(source, vars(found))

    module("parts", PARTS)

    def make(parameters: str, docstring: str = "Do it.") -> Task:
        body = f'    """{docstring}"""\n    CALLS.append(locals())\n'
        module("sample", f"{HEAD}CALLS = []\n\n\ndef sample({parameters}) -> None:\n{body}")
        return Task("made.sample")

    return make


def called(task: Task, *words: object) -> dict[str, Any]:
    """What the function of a task is given by its command."""
    options = task.parser().parse_args([*map(str, words)])
    options.run(options)
    given: dict[str, Any] = importlib.import_module(task.dotted).CALLS.pop()
    return given


def refusal(task: Task, capsys: Any, *words: object) -> str:
    """What the parser says as it ends the command."""
    with pytest.raises(SystemExit, match="2"):
        task.parser().parse_args([*map(str, words)])
    return str(capsys.readouterr().err)


# ---- parameters and their options


@pytest.mark.parametrize(
    ("parameter", "words", "value"),
    [
        ("p: Path", ["--p", "a"], Path("a")),
        ("p: Output", ["--p", "a"], Path("a")),
        ("p: Path | None = None", ["--p", "a"], Path("a")),
        ("p: Path | None = None", [], None),
        ("p: Path | None", [], None),
        ("p: Path | Opened | None = None", ["--p", "a"], Path("a")),
        ("p: Path | Opened | None = None", [], None),
        ("p: Sequence[Path]", ["--p", "b", "a"], (Path("b"), Path("a"))),
        ("p: Sequence[Path]", ["--p"], ()),
        ("p: Sequence[Path] = ()", [], ()),
        ("p: tuple[Path, ...]", ["--p", "a"], (Path("a"),)),
        ("p: Mapping[str, Path]", ["--p", "x=a", "y=b=c"], {"x": Path("a"), "y": Path("b=c")}),
        ("p: Mapping[str, Path]", ["--p"], {}),
        ("p: Mapping[str, Path] | None = None", ["--p", "x=a"], {"x": Path("a")}),
        ("p: Mapping[str, Path] | None = None", [], {}),
        (
            "p: Mapping[str, Sequence[Path]]",
            ["--p", "x=a", "y=b", "x=c"],
            {"x": [Path("a"), Path("c")], "y": [Path("b")]},
        ),
        ("p: str", ["--p", "a b"], "a b"),
        ("p: str | None = None", [], None),
        ("p: Sequence[str]", ["--p", "b", "a"], ["b", "a"]),
        ("p: Sequence[str] = ()", [], ()),
        ("p: int", ["--p", "3"], 3),
        ("p: int | None = None", ["--p", "3"], 3),
        ("p: int | None = None", [], None),
        ("p: float", ["--p", "1e-3"], 0.001),
        ("p: float = 0.5", [], 0.5),
        ("p: Literal[1, 2]", ["--p", "2"], 2),
        ("p: Literal['a', 'b'] = 'a'", ["--p", "b"], "b"),
        ("p: Literal['a', 'b'] = 'a'", [], "a"),
        ("p: bool = False", ["--p"], True),
        ("p: bool = False", [], False),
        ("*, p: int = 3", [], 3),
    ],
)
def test_each_kind_of_parameter(made: Made, parameter: str, words: list[str], value: object) -> None:
    given = called(made(parameter), *words)["p"]
    assert given == value
    assert type(given) is type(value) or isinstance(value, Path)


def test_an_option_has_the_parameters_name_with_hyphens(made: Made) -> None:
    assert called(made("label_map: Path"), "--label-map", "a") == {"label_map": Path("a")}


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_output_has_a_short_name_too(made: Made, option: str) -> None:
    assert called(made("output: Output"), option, "a") == {"output": Path("a")}


def test_what_has_no_default_and_cannot_be_none_must_be_given(made: Made, capsys: Any) -> None:
    task = made("one: Path, two: Sequence[Path], three: Mapping[str, Path], four: Path | None, five: int = 0")
    assert "the following arguments are required: --one, --two, --three\n" in refusal(task, capsys)


@pytest.mark.parametrize(
    ("parameter", "word", "said"),
    [
        ("p: int", "x", "argument --p: invalid int value: 'x'"),
        ("p: float", "x", "argument --p: invalid float value: 'x'"),
        ("p: Literal[1, 2]", "3", "argument --p: invalid choice: 3 (choose from 1, 2)"),
    ],
)
def test_a_value_of_another_kind_is_refused(made: Made, capsys: Any, parameter: str, word: str, said: str) -> None:
    assert said in refusal(made(parameter), capsys, "--p", word)


@pytest.mark.parametrize("annotation", ["dict[str, int]", "Sequence[int]", "complex"])
def test_a_parameter_of_no_known_kind_is_an_error_of_whoever_wrote_it(made: Made, annotation: str) -> None:
    with pytest.raises(TypeError, match=re.escape(f"p: no option of a command can be {annotation!r}")):
        made(f"p: {annotation}").parser()


def test_a_dataclass_has_an_option_for_each_field(made: Made, tmp_path: Path) -> None:
    task = made("where: Parts, output: Output")
    parts = importlib.import_module("pipeline.made.parts").Parts
    words = ["--shards", "a", "b", "--file-name", "c", "-o", "d"]
    assert called(task, *words) == {"where": parts((Path("a"), Path("b")), "c", None), "output": Path("d")}
    assert called(task, "-o", "d")["where"] == parts()
    assert "--root ROOT Its folder." in " ".join(task.parser().format_help().split())


# ---- words of the form NAME=PATH


@pytest.mark.parametrize("word", ["a", "=a", "a=", "="])
@pytest.mark.parametrize("annotation", ["Mapping[str, Path]", "Mapping[str, Sequence[Path]]"])
def test_a_word_of_another_form_is_named(made: Made, annotation: str, word: str) -> None:
    with pytest.raises(ActaError, match=f"^--frame-lists {word!r} is not NAME=PATH$"):
        called(made(f"frame_lists: {annotation}"), "--frame-lists", "x=y", word)


def test_a_name_comes_once() -> None:
    assert by_name("boxes", ["x=a", "y=a"]) == {"x": Path("a"), "y": Path("a")}
    with pytest.raises(ActaError, match=r"^--frame-lists 'x=b': 'x' is there already$"):
        by_name("frame_lists", ["x=a", "y=a", "x=b"])


# ---- paths with {shard}


@pytest.fixture
def lists(tmp_path: Path) -> list[Path]:
    """Two folders with lists of two shards and of one."""
    folders = [tmp_path / "train", tmp_path / "test"]
    for folder, shards in zip(folders, (2, 1), strict=True):
        write_lists([Listed(f"{k}", f"{k}.mp4", "", "train", 1, 0) for k in range(40)], folder, shards)
    assert [shard_names(folder) for folder in folders] == [["0-of-2", "1-of-2"], ["0-of-1"]]
    return folders


def test_a_path_with_shard_stands_for_that_of_every_list(lists: list[Path]) -> None:
    assert expanded([Path("b/{shard}.h5"), Path("a.h5"), Path("{shard}/{shard}")], lists) == [
        *(Path(f"b/{shard}.h5") for shard in ("0-of-2", "1-of-2", "0-of-1")),
        Path("a.h5"),
        *(Path(f"{shard}/{shard}") for shard in ("0-of-2", "1-of-2", "0-of-1")),
    ]
    assert expanded([Path("a.h5")], []) == [Path("a.h5")]


@pytest.mark.parametrize(
    ("parameter", "words", "value"),
    [
        ("p: Sequence[Path]", ["{shard}.h5"], (Path("0-of-2.h5"), Path("1-of-2.h5"))),
        ("p: tuple[Path, ...]", ["{shard}.h5"], (Path("0-of-2.h5"), Path("1-of-2.h5"))),
        (
            "p: Mapping[str, Sequence[Path]]",
            ["x={shard}.h5", "y=a"],
            {"x": [Path("0-of-2.h5"), Path("1-of-2.h5")], "y": [Path("a")]},
        ),
    ],
)
def test_lists_say_which_shards_there_are(
    made: Made, lists: list[Path], parameter: str, words: list[str], value: object
) -> None:
    task = made(parameter)
    assert called(task, "--p", *words, "--lists", lists[0])["p"] == value
    with pytest.raises(ActaError, match=r"^a path with \{shard\} needs --lists with the folder of the list files$"):
        called(task, "--p", *words)


def test_a_field_of_a_dataclass_may_have_shards(made: Made, lists: list[Path]) -> None:
    task = made("where: Parts")
    assert called(task, "--shards", "{shard}", "--lists", lists[1])["where"].shards == (Path("0-of-1"),)


def test_an_empty_folder_has_no_shards(tmp_path: Path) -> None:
    assert expanded([Path("{shard}.h5"), Path("a")], [tmp_path]) == [Path("a")]


@pytest.mark.parametrize(
    ("parameter", "has"),
    [("p: Path", False), ("p: Mapping[str, Path]", False), ("p: Sequence[str]", False), ("p: Sequence[Path]", True)],
)
def test_only_a_task_that_takes_many_paths_asks_for_lists(made: Made, parameter: str, has: bool) -> None:
    assert ("--lists" in made(parameter).parser().format_help()) == has


# ---- settings and workers


def test_settings_are_json_or_a_file_of_it(made: Made, tmp_path: Path) -> None:
    task = made("settings: DrawContactSheet")
    (tmp_path / "a.json").write_text(SHEET.model_dump_json())
    for given in (SHEET.model_dump_json(), f"@{tmp_path}/a.json"):
        assert called(task, "--settings", given) == {"settings": SHEET}
    assert task.settings is DrawContactSheet


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "--settings"),
        ('{"videos": 2, "frames": 0}', "'frames' is 0"),
        ('{"videos": 2, "frame": 3}', "Did you mean 'frames'?"),
        ("@missing.json", "missing.json"),
    ],
)
def test_a_mistake_in_settings_is_named(made: Made, given: str, said: str) -> None:
    with pytest.raises(ActaError) as caught:
        called(made("settings: DrawContactSheet"), "--settings", given)
    assert said in str(caught.value)


def test_settings_are_needed_by_a_task_that_reads_them(made: Made, capsys: Any) -> None:
    assert "required: --settings" in refusal(made("settings: DrawContactSheet"), capsys)


@pytest.mark.parametrize(
    ("parameters", "threads", "cores", "workers"),
    [
        ("workers: int = 1", None, 1, 1),
        ("workers: int = 1", None, 4, 4),
        ("settings: PredictSpots, workers: int = 1", 2, 4, 4),
        ("workers: int = 0", None, 1, 0),
        ("workers: int = 0", None, 4, 3),
        ("settings: PredictSpots, workers: int = 0", 1, 4, 3),
        ("settings: PredictSpots, workers: int = 0", 3, 4, 1),
        ("settings: PredictSpots, workers: int = 0", 8, 4, 0),
    ],
)
def test_workers_are_the_cores_on_which_the_task_does_not_compute(
    made: Made, parameters: str, threads: int | None, cores: int, workers: int
) -> None:
    """Where workers do the work, all; where they only read (0 are enough), those besides the settings' threads."""
    words: list[object] = ["--cores", cores]
    if "settings" in parameters:
        inference = {"stride": 1, "nms": 10.0}
        content = {"split": "test", "inference": inference, "batch": 1, "device": "cpu", "threads": threads}
        words += ["--settings", PredictSpots.model_validate(content).model_dump_json()]
    assert called(made(parameters), *words)["workers"] == workers


def test_processes_of_torchrun_share_the_cores(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert called(made("workers: int = 0"), "--cores", 16)["workers"] == 3
    assert called(made("workers: int = 0"), "--cores", 2)["workers"] == 0


def test_one_core_unless_more_are_given(made: Made) -> None:
    assert called(made("workers: int = 1")) == {"workers": 1}
    assert "--workers" not in made("workers: int = 1").parser().format_help()


# ---- outputs


def test_outputs_are_known_to_the_command(made: Made) -> None:
    task = made("one: Path, output: Output, where: Parts, table: Output, figure: Output | None = None")
    options = task.parser().parse_args(["--one", "a", "-o", "b", "--table", "c"])
    assert options.writes == ("output", "table", "figure")


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("p: Path", ["{folder}/0-of-1.h5"]),
        ("p: Sequence[Path]", ["other", "{folder}/{{shard}}.h5", "--lists", "{lists}"]),
        ("p: Mapping[str, Path]", ["x={folder}/0-of-1.h5"]),
        ("p: Mapping[str, Sequence[Path]]", ["x={folder}/{{shard}}.h5", "--lists", "{lists}"]),
        ("where: Parts", ["{folder}/{{shard}}.h5", "--lists", "{lists}"]),
    ],
)
def test_no_output_is_an_input_however_it_is_given(
    made: Made, lists: list[Path], tmp_path: Path, parameter: str, words: list[str]
) -> None:
    (tmp_path / "0-of-1.h5").write_text("precious")
    (tmp_path / "link.h5").symlink_to("0-of-1.h5")
    option = "--shards" if parameter == "where: Parts" else "--p"
    task = made(f"{parameter}, output: Output")
    given = [option, *(word.format(folder=tmp_path, lists=lists[1]) for word in words)]
    with pytest.raises(ActaError, match=r"the output .*link\.h5 is an input; choose another output"):
        called(task, *given, "-o", tmp_path / "link.h5")
    assert called(task, *given, "-o", tmp_path / "new.h5")["output"] == tmp_path / "new.h5"


def test_a_folder_may_be_read_and_written(made: Made, tmp_path: Path) -> None:
    assert called(made("p: Path, output: Output"), "--p", tmp_path, "-o", tmp_path)


# ---- help

DOCSTRING = """Do ``it``, all of it.

    At once, and 100 % sure.

    Args:
        one, two: What the ``first`` and the
            second are.
        three: Something of 50 %.
        settings: How, by 5 %.

    Raises:
        four: is not a parameter.
    """


def test_texts_come_from_the_docstring(made: Made) -> None:
    task = made("one: Path, two: int, three: str, settings: DrawContactSheet, four: int = 4", DOCSTRING)
    texts = {parameter.name: parameter.about for parameter in task.parameters}
    first = "What the ``first`` and the second are."
    assert texts == {"one": first, "two": first, "three": "Something of 50 %.", "settings": "How, by 5 %.", "four": ""}
    assert task.about == "Do it, all of it."
    shown = " ".join(task.parser().format_help().split())
    assert "usage: acta task sample [-h] --one ONE --two TWO --three THREE --settings SETTINGS" in shown
    assert "Do it, all of it. At once, and 100 % sure. options:" in shown
    assert "--one ONE What the first and the second are. --two TWO What the first and the second are." in shown
    assert "--three THREE Something of 50 %." in shown
    assert "How, by 5 %. JSON, or @file (snakemake -np prints it)" in shown


def test_help_imports_neither_the_task_nor_its_settings(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    task = made("where: Parts, settings: DrawContactSheet, output: Output")
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"{name} is imported"))
    assert "--file-name" in task.parser().format_help()


# ---- the table


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_command_with_a_text_for_each_option(name: str) -> None:
    task = TASKS[name]
    parser = task.parser()
    assert parser.prog == f"acta task {name}"
    assert re.fullmatch(r"[A-Z].{10,}\.", task.about)
    flat = [part for parameter in task.parameters for part in task._fields(parameter) or (parameter,)]
    assert [parameter.name for parameter in flat if not parameter.about] == []
    assert [action.dest for action in parser._actions if not action.help] == []


@pytest.mark.parametrize("name", TASKS)
def test_parameters_are_those_of_the_function(name: str) -> None:
    task, real = TASKS[name], inspect.signature(FUNCTIONS[name]).parameters
    assert [parameter.name for parameter in task.parameters] == list(real)
    defaults = {each: found.default for each, found in real.items() if found.default is not inspect.Parameter.empty}
    assert {each.name: each.default for each in task.parameters if each.name in defaults} == defaults
    assert not {each.name for each in task.parameters if each.required} & defaults.keys()


def test_rows_bear_the_name_of_their_module() -> None:
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}
    assert TASKS["train_detector"].dotted == "pipeline.detect.features.train_detector"


@pytest.mark.parametrize("name", TASKS)
def test_settings_bear_the_name_of_the_task(name: str) -> None:
    settings = TASKS[name].settings
    if settings is None:
        assert "settings" not in {parameter.name for parameter in TASKS[name].parameters}
        assert TASKS[name].asked == ()
    else:
        assert issubclass(settings, Settings)
        assert settings.__name__ == "".join(word.capitalize() for word in name.split("_"))
        assert settings.__module__.startswith("pipeline.config.tasks.")


def test_what_settings_ask_for_besides_the_configuration() -> None:
    assert TASKS["predict_spots"].asked == ("network", "split")
    assert TASKS["build_game"].asked == ()


def rules() -> dict[str, str]:
    """By name the text of every rule of the workflow."""
    text = "".join(path.read_text() for path in sorted((PROJECT / "workflow/rules").glob("*.smk")))
    parts = re.split(r"^ *(?:rule|checkpoint|use rule \w+ as) (\w+)(?: with)?:$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_rule_of_its_name_or_its_name_and_a_use(name: str) -> None:
    assert [rule for rule in rules() if rule == name or rule.startswith(f"{name}_")] != []


def test_a_rule_calls_the_task_whose_name_it_bears() -> None:
    found = rules()
    calls = {rule: set(re.findall(r'(?:RUN\.task|command)\(\s*"(\w+)"', text)) for rule, text in found.items()}
    assert len([rule for rule in calls if calls[rule]]) >= len(TASKS)
    wrong = {rule: names for rule, names in calls.items() if names and names != {getattr(task_of(rule), "name", "")}}
    assert wrong == {}


def test_trainings_can_be_launched_on_several_processes() -> None:
    saving = {name for name, task in TASKS.items() if "save_every" in {each.name for each in task.parameters}}
    assert {name for name, task in TASKS.items() if task.launched} == saving
