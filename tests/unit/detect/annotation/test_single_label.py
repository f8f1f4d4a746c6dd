"""``acta convert-annotations``."""

import json

from pipeline.cli import main
from pipeline.detect.annotation.single_label import RATES
from tests.unit.detect.annotation.made import rows_of


def test_the_command(ucf, tmp_path, capsys):
    arguments = ["convert-annotations", "ucf101_24", str(ucf), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--rate", "10"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == 2
    assert [row[1] for row in rows_of(tmp_path / "out" / "test1.csv")] == ["0.000000", "0.100000"]
    assert main([*arguments, "--rate", "0"]) == 1
    assert "the rate 0.0 is not a number of frames per second" in capsys.readouterr().err
    assert RATES == {"jhmdb21": 30.0, "ucf101_24": 25.0}
