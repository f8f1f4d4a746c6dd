"""Spots of a trained network and their evaluation, games that are left out, and the commands."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import cli
from pipeline.config.base import parse
from pipeline.config.tasks.spot import EvaluateSpots
from pipeline.runtime.errors import ActaError
from pipeline.spot.count_votes import count_votes
from pipeline.spot.evaluate_spots import TOLERANCES
from pipeline.spot.evaluation import evaluate_games, tolerance_curve
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.halves import Half
from pipeline.spot.pack_submission import check_submission, write_submission
from pipeline.spot.predict_spots import spot_halves
from pipeline.spot.soccernet_files import PREDICTIONS, read_predictions
from pipeline.spot.sources import Inputs, array_source
from pipeline.spot.spotter_file import load_spotter
from tests.unit.spot.small_games import (
    CLIP,
    EVENTS,
    FEW,
    FRAMES,
    KIND,
    NAMES,
    PREDICT,
    RATE,
    SEASON,
    SPLITS,
    TORN,
    Data,
    command,
    settings,
    with_bad,
)

# ---- games that are left out


@pytest.fixture(scope="module")
def torn(trained: Path, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spots in the test split, the shard of one game of which is in quarantine, as is a training game."""
    folder = tmp_path_factory.mktemp("torn")
    manifests = with_bad(data, folder, "Train 1")
    data.predict(trained, folder / "spots", manifests=manifests, inputs=data.shards)
    return folder / "spots"


def test_a_game_whose_shard_is_in_quarantine_is_left_out(torn, data):
    about = json.loads(torn.with_suffix(".json").read_text())
    assert about["games"] == [NAMES["Test"]]
    assert about["left_out"] == [{"game": TORN, "reason": "1_HQ.mkv: truncated"}], "the split's, no others"
    assert [path.parent.name for path in torn.rglob(PREDICTIONS)] == ["Test"]
    evaluation = data.evaluate(torn)
    assert (evaluation["games"], evaluation["left_out"]) == (1, about["left_out"])
    found = {NAMES["Test"]: read_predictions(torn / NAMES["Test"] / PREDICTIONS, 1).spots}
    assert evaluation["loose"] == evaluate_games(data.truth("Test"), found, 1, "loose")
    missed = evaluate_games(data.truth("Test", "Torn"), found | {TORN: []}, 1, "loose")
    assert evaluation["loose"]["a_mAP"] > missed["a_mAP"], "it does not count as one in which nothing was found"


def test_a_bad_game_has_no_spots(trained, data, tmp_path):
    about = data.predict(trained, tmp_path / "spots", manifests=with_bad(data, tmp_path, "Torn"))
    assert about["games"] == [NAMES["Test"]]
    (entry,) = about["left_out"]
    assert (entry["game"], entry["reason"].split(",")[0]) == (TORN, "Labels.json: missing")


# ---- spots


def test_networks_see_only_what_they_were_trained_on(trained, data, tmp_path):
    pictures = Inputs(tuple(data.folder / "frames" / f"{game}.h5" for game in SPLITS))
    message = r"model.safetensors was trained on 'resnet' with 8 channels, but is shown 3"
    with pytest.raises(ActaError, match=message):
        data.predict(trained, tmp_path / "spots", inputs=pictures)
    with pytest.raises(ActaError, match=message):
        count_votes(data.manifests, pictures, trained, tmp_path / "votes.json", PREDICT)
    with pytest.raises(ActaError, match="the split 'other' has no game"):
        data.predict(trained, tmp_path / "spots", split="other")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "inference", [{"stride": None, "nms": None}, {"stride": 1, "nms": None}, {"stride": 2, "nms": 6.0}]
)
def test_the_evaluation_is_that_of_files_that_soccernet_takes(trained, data, tmp_path, inference):
    folder = tmp_path / "spots"
    about = data.predict(trained, folder, inference=parse(type(PREDICT.inference), inference))
    games = [NAMES["Test"], TORN]
    assert (about["games"], about["left_out"], about["provenance"]["task"]) == (games, [], "predict_spots")
    assert about["provenance"]["inputs"].keys() == {"model"}
    write_submission(folder, tmp_path / "spots.zip")
    assert not check_submission(tmp_path / "spots.zip", games, 1).problems
    found = {name: read_predictions(folder / name / PREDICTIONS, 1).spots for name in games}
    truth = data.truth("Test", "Torn")
    evaluation = data.evaluate(folder)
    assert evaluation["loose"] == evaluate_games(truth, found, 1, "loose")
    assert evaluation["tight"] == evaluate_games(truth, found, 1, "tight")
    assert evaluation["curve"] == tolerance_curve(truth, found, 1, TOLERANCES)
    assert (evaluation["games"], evaluation["left_out"]) == (2, [])
    assert evaluation["events"] == 2 * 2 * EVENTS
    assert evaluation["predictions"] == sum(map(len, found.values())) > 20
    assert evaluation["provenance"]["task"] == "evaluate_spots"
    if inference["nms"]:
        apart = [
            abs(one.time - other.time)
            for spots in found.values()
            for n, one in enumerate(spots)
            for other in spots[:n]
            if (one.half, one.label) == (other.half, other.label)
        ]
        assert min(apart) > inference["nms"] / 2 - 0.001
    (folder / TORN / PREDICTIONS).unlink()
    with pytest.raises(ActaError, match=f"cannot read .*{PREDICTIONS}"):
        data.evaluate(folder)


class Eager:
    """In place of a network: always a card at the window's first frame, as sure as that frame's first number says."""

    architecture = SimpleNamespace(clip=2)

    def __call__(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sure = vectors[:, 0, :1]
        return torch.cat([sure, sure - 9, sure - 9, 0 * sure], 1), 0 * sure[:, 0]


@pytest.mark.parametrize(("nms", "frames"), [(None, [2, 5]), (0.3, [2, 5]), (1.0, [2])])
def test_of_spots_in_a_half_second_the_surest_stays(nms, frames):
    """Eight frames a second; the evaluator knows one spot of a class in a half-second."""
    sure = np.array([[1], [2], [6], [1], [1], [5], [2], [1]])
    source = array_source([Half(NAMES["Test"], 1, 8)], [sure])
    options: dict[str, Any] = {"batch": 3, "device": torch.device("cpu")}
    ((game, spots),) = spot_halves(Eager(), source, [0], CLASSES[1], 8.0, 1, nms, **options)  # type: ignore[arg-type]
    assert game == NAMES["Test"]
    assert [8 * spot.time for spot in spots] == frames


@pytest.mark.parametrize(
    "network", [{"regression": False}, {"regression": False, "offsets": "centre", "masking": None}]
)
def test_without_regression_spots_lie_in_the_middle_of_windows(data, tmp_path, network):
    changes = {f"network__{name}": value for name, value in network.items()}
    metrics = data.train(tmp_path / "model.safetensors", settings(network__training__epochs=4, **changes))
    assert metrics["history"][0]["loss"] == metrics["history"][0]["cross_entropy"]
    assert load_spotter(tmp_path / "model.safetensors")[1].architecture.regression is False
    data.predict(tmp_path / "model.safetensors", tmp_path / "spots")
    spots = [spot for name in ("Test", "Torn") for spot in read(tmp_path / "spots", name)]
    assert len(spots) > 5
    # The last window reaches beyond the half, and no spot does.
    assert all((RATE * spot.time - CLIP / 2) % CLIP == 0 or spot.time == FRAMES / RATE for spot in spots)


def read(folder: Path, game: str) -> list[Spot]:
    return read_predictions(folder / NAMES[game] / PREDICTIONS, 1).spots


# ---- the commands


def test_the_commands(few, data, tmp_path, capsys):
    """On shards the network becomes the same as on SoccerNet's own files."""
    shards = f"{data.folder}/shards/{{shard}}.h5"
    model, spots, about = (tmp_path / name for name in ("model.safetensors", "spots", "spots.json"))

    def run(name: str, output: Path, changed: Any, *options: str) -> int:
        return cli.main(command(data, name, output, changed, "--shards", shards, *options))

    assert run("train_spotter", model, settings(**FEW)) == 0
    assert model.read_bytes() == few.read_bytes()
    assert run("predict_spots", spots, PREDICT, "--model", str(model), "--about", str(about)) == 0
    assert json.loads(about.read_text())["games"] == [NAMES["Test"]]
    assert run("count_votes", tmp_path / "votes.json", PREDICT, "--model", str(model)) == 0
    assert json.loads((tmp_path / "votes.json").read_text())["clip"] == CLIP

    lists = ["--lists", str(data.lists), "--manifests", f"{data.folder}/manifests/{{shard}}.json"]
    evaluated = EvaluateSpots(version=1, split="test").model_dump_json()
    output = tmp_path / "evaluation.json"
    read_from = ["--predictions", str(spots), "--about", str(about), "--settings", evaluated]
    assert cli.main(["task", "evaluate_spots", *lists, *read_from, "-o", str(output)]) == 0
    assert json.loads(output.read_text())["games"] == 1

    table = tmp_path / "quarantine.tsv"
    assert cli.main(["task", "collect_game_quarantine", *lists, "--shards", shards, "-o", str(table)]) == 0
    assert table.read_text().splitlines()[1:] == [f"{TORN}\textract_game_frames\t1_HQ.mkv: truncated"]
    assert cli.main(["task", "collect_game_quarantine", *lists, "-o", str(table)]) == 0
    assert table.read_text().splitlines()[1:] == []

    archive, split = tmp_path / "spots.zip", tmp_path / "split.json"
    submit = ["task", "pack_submission", "--predictions", str(spots), "--split", str(split), "-o", str(archive)]
    submit += ["--version", "1"]
    league, season = SEASON.split("/")
    split.write_text(json.dumps({league: {season: ["Test", "Torn"]}}))
    capsys.readouterr()
    assert cli.main(submit) == 1
    assert f"{TORN}: missing" in capsys.readouterr().err
    assert not archive.exists()
    split.write_text(json.dumps({league: {season: ["Test"]}}))
    assert cli.main(submit) == 0
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == [f"{NAMES['Test']}/{PREDICTIONS}"]


@pytest.mark.parametrize("name", ["train_spotter", "predict_spots", "count_votes"])
@pytest.mark.parametrize(
    "shown", [[], ["--imported", KIND], ["--root", "r"], ["--shards", "s", "--imported", KIND, "--root", "r"]]
)
def test_commands_need_to_be_told_what_to_look_at(data, tmp_path, capsys, name, shown):
    arguments = ["--lists", str(data.lists), "--manifests", "{shard}.json", "-o", str(tmp_path / "output")]
    changed = settings() if name == "train_spotter" else PREDICT
    arguments += ["--settings", changed.model_dump_json()]
    arguments += [] if name == "train_spotter" else ["--model", "m"]
    arguments += ["--about", "a"] if name == "predict_spots" else []
    assert cli.main(["task", name, *arguments, *shown]) == 1
    assert "give --shards, or --imported and --root" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
