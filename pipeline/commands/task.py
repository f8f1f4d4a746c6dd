"""``acta task``: one task of the workflow, which is what the workflow's rules call."""

import argparse
import difflib

from pipeline.tasks import TASKS


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command, with the table of tasks in its help."""
    width = max(map(len, TASKS))
    lines = "\n".join(f"  {name:{width}}  {task.about}" for name, task in TASKS.items())
    parser.usage = "acta task [-h] TASK …"
    parser.description = "Run one task of the workflow alone. `acta task TASK --help` says what it takes."
    parser.set_defaults(run=lambda options: print(lines), table=f"tasks:\n{lines}")


def task_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one task; an unknown name ends the process with argparse's error."""
    if name not in TASKS:
        near = difflib.get_close_matches(name.replace("-", "_"), TASKS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        argparse.ArgumentParser(prog="acta task", usage="acta task [-h] TASK …").error(
            f"there is no task {name!r}{hint} `acta task` lists them"
        )
    return TASKS[name].parser()
