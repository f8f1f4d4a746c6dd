"""Files of classes: one name per line, in the order of a network's outputs."""

from pathlib import Path

from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_lines


def read_classes(path: Path | str, what: str = "the classes") -> list[str]:
    """The names in the file's order; blank lines are skipped.

    Raises:
        ActaError: the file cannot be read, or has a name twice; the message names both lines.
    """
    classes: dict[str, int] = {}
    for line, name in read_lines(path, what):
        if classes.setdefault(name, line) != line:
            raise ActaError(f"{path}, line {line}: the class {name!r} is there already (line {classes[name]})")
    return list(classes)
