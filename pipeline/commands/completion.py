"""The command ``acta completion``: a script with which a shell completes commands, options and files."""

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print a script with which a shell completes commands, options and files."
    parser.epilog = (
        "bash: acta completion bash > ~/.local/share/bash-completion/completions/acta. zsh: acta completion zsh "
        "> a file _acta in a folder of $fpath. tcsh: acta completion tcsh > a file that ~/.tcshrc sources."
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.set_defaults(run=_print)


def _print(options: argparse.Namespace) -> None:
    import shtab

    print(shtab.complete(_whole_parser(), options.shell))


def _whole_parser() -> argparse.ArgumentParser:
    """All commands in one parser, where the command line itself builds only that of the command it is given."""
    from pipeline.cli import add_command, add_global_options
    from pipeline.commands.table import COMMANDS
    from pipeline.tasks import TASKS

    parser = argparse.ArgumentParser(prog="acta")
    add_global_options(parser)
    commands = parser.add_subparsers()
    for name in COMMANDS:
        add_command(commands, name)
    tasks = commands.choices["task"].add_subparsers()
    for task in TASKS.values():
        tasks.add_parser(task.name, help=task.about.replace("%", "%%"), parents=[task.parser()], add_help=False)
    _complete_files(parser)
    return parser


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Whatever takes a path, or a word that may be one, completes files."""
    import shtab

    from pipeline.cli import subcommands

    for action in parser._actions:
        if action.type in (None, Path) and action.choices is None and action.nargs != 0:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's way of being told
    for actions in subcommands(parser):
        for below in actions.choices.values():
            _complete_files(below)
