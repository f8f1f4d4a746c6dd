"""The table of commands: modules, help, examples."""

import argparse
import shlex
from typing import get_args

import pytest

from pipeline import cli
from pipeline.commands.table import COMMANDS, GROUPS
from pipeline.config.names import BackboneName
from pipeline.models.architecture import BASES, OPERATORS
from tests import PROJECT

EXAMPLES = [(command.name, example) for command in COMMANDS.values() for example in command.examples]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_built_by_its_module(name):
    parser = cli.command_parser(name)
    assert parser.prog == f"acta {name}"
    assert parser.description


@pytest.mark.parametrize("name", COMMANDS)
def test_a_module_adds_the_command_that_the_table_says(name):
    commands = argparse.ArgumentParser().add_subparsers()
    assert cli.add_command(commands, name) is commands.choices[name]
    assert list(commands.choices) == [name]


def test_every_module_that_adds_a_command_is_in_the_table():
    adding = {
        path.stem for path in (PROJECT / "pipeline/commands").glob("*.py") if "def add_options" in path.read_text()
    }
    assert adding == {name.replace("-", "_") for name in COMMANDS}


def test_no_command_is_listed_twice():
    assert len(COMMANDS) == sum(map(len, GROUPS.values()))


def test_help_lists_every_command_with_one_line_under_its_heading(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    printed = capsys.readouterr().out.splitlines()
    places = [printed.index(f"{title}:") for title in GROUPS]
    assert places == sorted(places)
    for title, group in GROUPS.items():
        below = printed[printed.index(f"{title}:") + 1 :][: len(group)]
        assert [line.split()[0] for line in below] == [command.name for command in group]
    assert max(map(len, printed)) <= 100


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_is_a_command_line_that_the_parser_takes(name, example):
    program, *arguments = shlex.split(example)
    assert (program, arguments[0]) == ("acta", name)
    options = cli.parse(arguments)
    if name == "submit":
        cli.parse(options.command[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_ends_with_its_examples(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    end = capsys.readouterr().out.rpartition("example")[2]
    assert COMMANDS[name].examples
    # A shell reads the lines with their backslashes as it reads the example in one line.
    joined = end.replace("\\\n", "").partition("\n")[2]
    assert shlex.split(joined) == shlex.split(" ".join(COMMANDS[name].examples))


def test_help_of_an_action_shows_its_own_examples(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["weights", "list", "--help"])
    printed = capsys.readouterr().out
    assert printed.endswith("example:\n  acta weights list\n")
    assert "fetch" not in printed


def test_names_that_the_help_repeats_are_those_of_the_networks():
    assert sorted(get_args(BackboneName)) == sorted(BASES)
    assert f"of {', '.join(OPERATORS)}," in cli.command_parser("complexity").format_help()
