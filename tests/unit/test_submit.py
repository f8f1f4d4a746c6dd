"""`acta submit` without a cluster: the same call runs the command on this machine."""

import pytest

from pipeline.cli import main


def test_a_local_job_runs_the_command(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["submit", "--cluster", "local", "--", "get-footage", str(tmp_path / "footage")]) == 0
    assert "local job" in capfd.readouterr().out
    assert list((tmp_path / "footage").rglob("*.mp4"))


def test_a_local_job_that_fails_says_where_its_message_is(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["submit", "--cluster", "local", "--", "config", "check", "no-such-file.yaml"]) == 1
    printed = capfd.readouterr()
    (log,) = (tmp_path / "logs" / "submit").glob("*_log.err")
    assert f"failed; {log} says why" in printed.err
    assert "cannot read the configuration no-such-file.yaml" in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "submit needs a command after --"), (["--", "submit", "--", "train"], "submit cannot submit itself")],
)
def test_nothing_to_submit(arguments, message, capsys):
    assert main(["submit", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_misspelt_command_is_refused_before_it_is_submitted(capsys):
    with pytest.raises(SystemExit):
        main(["submit", "--", "no-such-stage"])
    assert "invalid choice: 'no-such-stage'" in capsys.readouterr().err
