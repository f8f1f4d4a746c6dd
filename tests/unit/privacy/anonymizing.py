"""`acta anonymize`, called as a person types it, for the tests of its modules."""

from pathlib import Path

from pipeline.cli import main
from pipeline.privacy.recordings_plan import Plan, make_plan

# Every frame hidden whole: no detector runs.
WHOLE = ["--filter", "frame", "--preset", "ultrafast"]


def acta(*arguments: object) -> int:
    """The exit status of the command."""
    return main(["anonymize", *map(str, arguments)])


def tree(folder: Path) -> list[str]:
    """Everything in a folder that is no folder, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def plan(*inputs: Path, to: Path, overwrite: bool = False, skip: bool = False, preview: bool = False) -> Plan:
    """What is to be done with inputs."""
    return make_plan(list(inputs), to, overwrite=overwrite, skip_existing=skip, preview=preview)
