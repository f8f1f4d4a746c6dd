"""The command line: ``acta COMMAND …`` or ``python -m pipeline COMMAND …``; the workflow's rules call ``task``."""

import argparse
import difflib
import importlib
import os
import select
import signal
import sys
import textwrap
import traceback
from contextlib import nullcontext, suppress
from pathlib import Path

from pipeline import __version__
from pipeline.commands.table import COMMANDS, GROUPS, OWN_FILES, Command
from pipeline.runtime.ending import Ended, tidy_end
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import check_outputs
from pipeline.runtime.shown import guard
from pipeline.runtime.temporary import remove_abandoned

_ENDED = 128  # what a shell adds to the number of the signal that has ended a process …
_READER_GONE = 141  # … and says of one that writes where nobody reads


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 an error, 128 and a signal's number (130: Ctrl-C)."""
    os.environ.pop("HDF5_USE_FILE_LOCKING", None)  # it would overrule `pipeline.runtime.sealed.open_hdf5`
    guard(sys.stdout)
    guard(sys.stderr)
    try:
        try:
            return _run(parse(arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `acta … | head`: nothing is wrong
        _silence_output()
        return _READER_GONE


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a command line; ends with argparse's message where it is wrong."""
    first = _first_parser()
    options = first.parse_args(arguments)
    name, *rest = options.called
    if "" in rest:  # which as a path would be the working folder
        first.error(f"argument {rest.index('') + 1} of {name} is empty; is a shell variable unset?")
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        first.error(f"argument COMMAND: invalid choice: {name!r}{hint} `acta --help` lists the commands")
    if name == "task" and rest and not rest[0].startswith("-"):
        from pipeline.commands.task import task_parser

        options.called = rest
        return _with_debug(task_parser(rest[0])).parse_args(rest[1:], options)
    return command_parser(name).parse_args(rest, options)


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one of `COMMANDS`; of their modules only its own is imported."""
    return add_command(argparse.ArgumentParser(prog="acta").add_subparsers(), name)


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str) -> argparse.ArgumentParser:
    """Add the parser of one of `COMMANDS`, with the options that its module has; returns it."""
    command = COMMANDS[name]
    parser = commands.add_parser(name, help=command.about)
    importlib.import_module(command.module).add_options(parser)
    _finish(parser, command)
    return parser


def _finish(parser: argparse.ArgumentParser, command: Command, action: str = "") -> None:
    """What all commands have: a description, examples at the end of the help, ``--debug`` as after ``acta``."""
    about = parser.description or f"{command.about[0].upper()}{command.about[1:]}."
    beginning = f"acta {command.name} {action}".strip()
    examples = [example for example in command.examples if example.startswith(beginning)]
    title = "example:" if len(examples) == 1 else "examples:"
    lines = [f"  {line}" for example in examples for line in wrapped(example)]
    parser.epilog = "\n".join([*textwrap.wrap(parser.epilog or "", 100), "", title, *lines]).strip()
    parser.description = textwrap.fill(about, 100)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    if table := parser.get_default("table"):
        parser.epilog = f"{table}\n\n{parser.epilog}"
    _with_debug(parser)
    for actions in subcommands(parser):
        for name, below in actions.choices.items():
            _finish(below, command, name)


def _with_debug(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def subcommands(parser: argparse.ArgumentParser) -> "list[argparse._SubParsersAction[argparse.ArgumentParser]]":
    """The commands of a parser (as of ``acta weights``), where it has any."""
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def wrapped(example: str) -> list[str]:
    """An example's lines, with the backslashes that a shell needs between them."""
    lines = textwrap.wrap(example, 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _first_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = []
    for title, group in GROUPS.items():
        lines += [f"{title}:", *(f"  {command.name:{width}}  {command.about}" for command in group), ""]
    parser = argparse.ArgumentParser(
        prog="acta",
        usage="acta [-h] [--version] [--debug] COMMAND …",
        description="Privacy-preserving understanding of actions in video.",
        epilog="\n".join([*lines, "`acta COMMAND --help` says more, with an example."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_global_options(parser)
    parser.add_argument("called", nargs=argparse.PARSER, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def add_global_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand before the command."""
    parser.add_argument("--version", action="version", version=f"acta {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where in the code an error arose")
    # For the workflow's rules: keep what the command costs next to this log.
    parser.add_argument("--costs", type=Path, dest="costs_log", metavar="LOG", help=argparse.SUPPRESS)


def _run(options: argparse.Namespace) -> int:
    try:
        remove_abandoned()
        _check_outputs(options)
        if options.costs_log is None:
            # The workflow's tasks have their own ways to end: a training saves first.
            with tidy_end() if options.called[0] in OWN_FILES else nullcontext():
                return options.run(options) or 0
        from pipeline.runtime.costs import recording

        with recording(options.costs_log, options.called[0], getattr(options, "output", None)) as done:
            status: int = options.run(options) or 0
            done.finished = status == 0
        return status
    except ActaError as error:
        return _failed(options, str(error))
    except BrokenPipeError as error:
        if _reader_is_gone():
            raise
        return _failed(options, str(error))
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        return _failed(options, f"{error.filename}: {error.strerror}" if named else str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _ENDED + signal.SIGINT
    except Ended as end:
        words = "interrupted" if end.number == signal.SIGINT else f"ended by {signal.Signals(end.number).name}"
        print(words, file=sys.stderr)
        return _ENDED + end.number
    except Exception as error:
        # Nobody can ask the job of a cluster again, so its log has the traceback at once.
        shown = options.debug or not sys.stderr.isatty()
        if shown:
            traceback.print_exc()
        words = f"{type(error).__name__}: {error}".strip().removesuffix(":")
        hint = "" if shown else "\nThe same command with --debug shows where it arose."
        print(_block(f"a bug in acta, not in what you gave it:\n{words}{hint}"), file=sys.stderr)
        return 1


def _check_outputs(options: argparse.Namespace) -> None:
    """A task rebuilds its outputs when needed, but none of them may be a file that it reads.

    ``writes`` names the options that are outputs, where these are others than ``output``; the other paths are read.
    """
    values = vars(options)
    writes: tuple[str, ...] = values.get("writes", ("output",))
    written, read = list[Path](), list[Path]()
    for name, value in values.items():
        paths = [path for path in (value if isinstance(value, list) else [value]) if isinstance(path, Path)]
        if name in writes:
            written += paths
        else:
            read += [path for path in paths if path.is_file()]
    check_outputs(written, read, overwrite=None)


def _failed(options: argparse.Namespace, message: str) -> int:
    if options.debug:
        traceback.print_exc()
    print(_block(message), file=sys.stderr)
    return 1


def _block(message: str) -> str:
    """``error: …``, with further lines indented."""
    first, *rest = message.rstrip("\n").split("\n")
    return "\n".join([f"error: {first}", *(f"  {line}" for line in rest)])


def _reader_is_gone() -> bool:
    """Whether it was standard output that broke, not a pipe to another process."""
    polling = select.poll()
    polling.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in polling.poll(0))


def _silence_output() -> None:
    """The interpreter flushes standard output at its end, and would complain."""
    with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
