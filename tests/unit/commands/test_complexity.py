"""``acta complexity``: what it prints, refuses and imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main


def test_of_a_backbone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", "--backbone", "r2plus1d_18", "--reduce", "c,f", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["gflops"] == pytest.approx(10.2, rel=0.001)
    assert printed["parameters"] == 16_052_170
    assert main(["complexity", "--backbone", "slowfast_4x16_r50"]) == 0
    assert "4 and 32 frames of 256 x 256" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reduce", "c,x"], "there is no reduction 'x'"),
        (["--reduce", "t,t,t,t,t"], "leave nothing of a clip of 16 frames"),
        (["--size", "0"], "must be positive"),
    ],
)
def test_of_a_backbone_that_cannot_be(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", "--backbone", "r3d_18", *options]) == 1
    assert message in capsys.readouterr().err


def test_of_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", "--model", "stage", "--features", "i3d", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 6_417_912
    assert (found["actors"], found["objects"]) == (4, 25)
    assert main(["complexity", "--model", "stage", "--features", "slowfast_nl"]) == 0
    assert "21,748,216 parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "stage"], "--model stage needs --features"),
        (["--model", "stage", "--features", "i3d", "--backbone", "r3d_18"], "--backbone is for networks on clips"),
        ([], "--backbone or --model stage is needed"),
        (
            ["--trainings", "config/hmdb51.yaml", "--model", "stage"],
            "--trainings takes the networks of the configuration",
        ),
        (["--trainings", "no.yaml"], "no.yaml"),
    ],
)
def test_of_nothing(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        "--backbone r2plus1d_18 --reduce c,f,t",
        "--backbone slowfast_8x8_r101 --json",
        "--model stage --features i3d",
    ],
)
def test_it_imports_no_torch(arguments: str) -> None:
    """That alone would take seconds."""
    code = (
        "import sys; from pipeline.cli import main; status = main(sys.argv[1:]); print(*sys.modules); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, "complexity", *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "pipeline.commands.complexity" in done.stdout
    assert {name.partition(".")[0] for name in done.stdout.split()} & {
        "torch",
        "torchvision",
        "numpy",
        "pandas",
    } == set()


def test_memory_of_trainings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text("dataset: mine\nclassify: {recipe: r3d, compare: []}\n")
    assert main(["complexity", "--trainings", str(tmp_path / "mine.yaml")]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[2:]}
    assert rows["r3d"] == ["24", "4.2", "2.3", "2.7", "1.6"]
