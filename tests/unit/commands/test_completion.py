"""Completion in shells."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.commands.table import COMMANDS
from pipeline.tasks import TASKS
from tests import PROJECT

ACTA = [sys.executable, "-m", "pipeline"]


@pytest.fixture(scope="module")
def completion(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "acta.bash"
    script = subprocess.run([*ACTA, "completion", "bash"], capture_output=True, text=True, check=True, cwd=PROJECT)
    path.write_text(script.stdout)
    return path


def test_the_script_is_bash(completion):
    assert completion.stat().st_size > 10_000
    subprocess.run(["bash", "-n", str(completion)], check=True)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("anon", "anonymize"),
        ("--ver", "--version"),
        ("task build_man", "build_manifest"),
        ("task extract_frames --sett", "--settings"),
        ("weights fe", "fetch"),
        ("complexity --backbone r3", "r3d_18"),
        ("task extract_frames --manifest mani", "manifest.json"),
        ("task train_classifier --lists fold", "folder"),
    ],
)
def test_bash_completes(completion, tmp_path, typed, completed):
    (tmp_path / "manifest.json").touch()
    (tmp_path / "folder").mkdir()
    words = f"acta {typed}".split()
    code = (
        f"source {shlex.quote(str(completion))}\n"
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}\n"
        "$(complete -p acta | sed 's/.*-F \\([^ ]*\\).*/\\1/') acta\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    found = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (found.stdout.split(), found.stderr) == ([completed], "")


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script_too(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*COMMANDS, *TASKS))
