"""The command line never writes over what it reads."""

import pytest

from pipeline import cli


@pytest.mark.parametrize(
    "line",
    [
        "task build_manifest --videos {in} --root . -o {in}",
        "task build_manifest --videos {in} --root . -o {link}",
        "task obfuscate --frames {other} --detections {in} --settings x -o {link}",
        "task obfuscate --frames {in} --detections {other} --settings x -o {in}",
        "task evaluate_classifier --model {other} --shards {in} --listed l --settings x --predictions {link} -o new",
        "task evaluate_stage --shards {in} --label-map {other} --truth x --settings x --detections {link} -o new",
        "task predict_spots --manifests {in} --shards {other} --model {other} --settings x --about {link} -o new",
        "task certify --audits {in} --lists . --certificate {link} --table new.csv",
        "task certify --audits {in} --lists . --certificate new.json --table {link}",
        "task draw_sensitive_information --detections faces={in} --table new.csv --figure {link}",
        "task report_costs --logs . --plan {in} -o new.csv --figure {link}",
        "task train_detector --shards {other} --lists . --boxes {in} --settings x -o {link}",
        "task average_actor_features --one {other} --other {in} -o {link}",
        "anonymize {other} {in} --weights {link} --overwrite",
        "anonymize {other} new.mp4 --config {in} --keep-detections {link} --overwrite",
    ],
)
def test_no_output_is_an_input(line, tmp_path, capsys, monkeypatch):
    places = {"in": tmp_path / "in.bin", "other": tmp_path / "other.bin", "link": tmp_path / "link.bin"}
    for name in ("in", "other"):
        places[name].write_text("precious")
    places["link"].symlink_to("in.bin")
    assert cli.main(line.format(**places).split()) == 1
    assert "is an input; choose another output" in capsys.readouterr().err
    assert places["in"].read_text() == "precious"


@pytest.mark.parametrize(
    "line",
    [
        "anonymize {other} blur --filter blur --overwrite",
        "anonymize {other} a.mp4 --detector a.mp4 --overwrite",
        "task draw_architecture --name table_6_10 --results . --settings table_6_10 -o table_6_10",
        "task train_spotter --lists . --manifests g --imported table --settings x -o table",
        "task draw_sensitive_information --detections faces=a --splits table --table table --figure new.png",
        "task build_manifest --videos list --root . -o old",  # which is rebuilt
    ],
)
def test_a_value_that_is_also_the_name_of_a_file_is_no_input(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("other", "blur", "a.mp4", "table_6_10", "table", "old"):
        (tmp_path / name).write_text("there")
    options = cli.parse(line.format(other="other").split())
    options.run = lambda options: print("run")
    monkeypatch.setattr(cli, "parse", lambda arguments: options)
    assert cli.main() == 0
    assert capsys.readouterr().out == "run\n"


def test_a_folder_that_is_read_and_written_is_no_input(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.commands.convert_annotations._convert", lambda options: None)
    assert cli.main(["convert-annotations", "jhmdb21", str(tmp_path), "-o", str(tmp_path)]) == 0


def test_no_two_outputs_are_one_file(tmp_path, capsys):
    words = ["--audits", "a.json", "--certificate", "new.json", "--table", "./new.json"]
    assert cli.main(["task", "certify", *words]) == 1
    assert "two outputs are the same file, new.json; choose another for one of them" in capsys.readouterr().err


def test_a_task_makes_its_output_anew(tmp_path, monkeypatch):
    (tmp_path / "out.json").write_text("old")
    monkeypatch.setattr("pipeline.data.build_manifest.build_manifest", lambda **named: None)
    assert cli.main(f"task build_manifest --videos list --root . -o {tmp_path}/out.json".split()) == 0


@pytest.mark.parametrize("arguments", [["", "out.mp4"], ["in.mp4", ""], ["in.mp4", "out.mp4", "--weights", ""]])
def test_an_empty_argument_is_no_path(arguments, capsys):
    with pytest.raises(SystemExit):
        cli.main(["anonymize", *arguments])
    assert f"argument {arguments.index('') + 1} of anonymize is empty" in capsys.readouterr().err
