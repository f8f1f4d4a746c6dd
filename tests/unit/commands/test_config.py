"""``acta config check``: what would not end well, by name; what is not there yet is noted."""

from pathlib import Path

import pytest

from pipeline import cli
from tests.doomed import DOOMED, write_data, write_doomed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: object) -> int:
    return cli.main(["config", "check", *map(str, arguments)])


@pytest.mark.parametrize("name", DOOMED)
def test_what_cannot_end_well_is_said(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert check(write_doomed(name, folder), "--targets", DOOMED[name].target) == 1
    assert DOOMED[name].said in " ".join(capsys.readouterr().err.split())
