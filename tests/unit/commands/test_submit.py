"""`acta submit` without a cluster: the same call runs the command on this machine."""

import os

import pytest

from pipeline.cli import main


def test_a_local_job_runs_the_command(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["submit", "--cluster", "local", "--", "task", "get_footage", "--root", str(tmp_path / "footage")]) == 0
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
    [([], "submit needs a command after --"), (["--", "submit", "--", "task"], "submit cannot submit itself")],
)
def test_nothing_to_submit(arguments, message, capsys):
    assert main(["submit", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_misspelt_command_is_refused_before_it_is_submitted(capsys):
    with pytest.raises(SystemExit):
        main(["submit", "--", "no-such-command"])
    assert "invalid choice: 'no-such-command'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["submit", "--", "task", "no_such_task"])
    assert "there is no task 'no_such_task'" in capsys.readouterr().err


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720, 0o702])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path, capsys, mode):
    """A job unpickles what it finds there: a neighbour could have it run anything."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs").chmod(mode)
    assert main(["submit", "--cluster", "local", "--logs", str(tmp_path / "logs"), "--", "config", "schema"]) == 1
    assert f"error: others may write to {tmp_path}/logs, from where jobs read what they run" in capsys.readouterr().err
    assert list((tmp_path / "logs").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user: it runs as root, and gives a folder another user")
def test_a_folder_of_another_user_is_refused(tmp_path, capsys):
    (tmp_path / "logs").mkdir(mode=0o755)
    os.chown(tmp_path / "logs", 65534, 65534)
    assert main(["submit", "--cluster", "local", "--logs", str(tmp_path / "logs"), "--", "config", "schema"]) == 1
    assert "others may write to" in capsys.readouterr().err


def test_the_folder_is_private_from_the_start(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["submit", "--cluster", "local", "--", "config", "schema"]) == 0
    assert (tmp_path / "logs" / "submit").stat().st_mode & 0o777 == 0o700
