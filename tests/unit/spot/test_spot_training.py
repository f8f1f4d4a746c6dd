"""Training a spotter on games, its spots, their evaluation and votes: what is learnt, kept, resumed and refused."""

import csv
import json
import os
import signal
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models import get_model

from pipeline import cli
from pipeline.config.base import parse
from pipeline.config.spot_stages import EvaluateSpotsStage, PredictSpotsStage, SpotGameStage, TrainSpottingStage
from pipeline.data.lists import Listed, write_game_lists
from pipeline.errors import ActaError
from pipeline.features.frame_features import write_frame_features
from pipeline.spot import train, votes
from pipeline.spot.build_game import build_game
from pipeline.spot.evaluate_spots import TOLERANCES, evaluate_spots
from pipeline.spot.evaluation import evaluate_games, tolerance_curve
from pipeline.spot.events import CLASSES, Event, Spot
from pipeline.spot.games import read_game, read_games
from pipeline.spot.halves import Anchor, Half
from pipeline.spot.inference import predict_windows
from pipeline.spot.left_out import collect_left_out
from pipeline.spot.predict import predict_spots, spot_halves
from pipeline.spot.saved import load_spotter
from pipeline.spot.soccernet_files import PREDICTIONS, read_predictions
from pipeline.spot.sources import Inputs, array_source, open_source
from pipeline.spot.submission import check_submission, write_submission
from pipeline.spot.train import Validation, train_spotting
from pipeline.spot.votes import count_votes
from pipeline.store import FrameShard, Provenance, Quarantined, write_frames
from pipeline.training.distributed import Group
from tests.networks import finish, start
from tests.shards import stored

SEASON = "league/2016-2017"
SPLITS = {
    "Train 0": "train",
    "Train 1": "train",
    "Train 2": "train",
    "Valid": "valid",
    "Test": "test",
    "Torn": "test",
    "Challenge": "challenge",
}
NAMES = {game: f"{SEASON}/{game}" for game in SPLITS}
TORN = NAMES["Torn"]
KIND = "ResNET.npy"
RATE, FRAMES, CHANNELS, CLIP, DELAY = 2.0, 360, 8, 11, 2
EVENTS = 6  # in a half
LABELS = {"card": "y-card", "subs": "substitution-in", "soccer": "soccer-ball"}


def events_of(number: int) -> list[tuple[int, int, int]]:
    """Half, frame and class of a game's events; in the first game also a substitution at half time."""
    random = np.random.default_rng([number, 0])
    found = [
        (half, 25 + 52 * place + int(random.integers(20)), (place + half + number) % 3)
        for half in (1, 2)
        for place in range(EVENTS)
    ]
    return found + ([(2, 1, 1)] if number == 0 else [])


def features_of(number: int, half: int) -> np.ndarray:
    """Noise, but some frames after an event a cue that tells its class."""
    features = np.random.default_rng([number, half]).normal(0, 0.3, (FRAMES, CHANNELS))
    for its_half, frame, label in events_of(number):
        if its_half == half and frame > CLIP:
            features[frame + DELAY : frame + DELAY + 3, label] += 3
    return features.astype(np.float32)


class Data:
    """Games as SoccerNet's files, their manifests, and shards of the same features; the shard of one is empty."""

    def __init__(self, folder: Path):
        self.folder, self.root, self.lists = folder, folder / "games", folder / "lists"
        stage = SpotGameStage(
            version=1, ini=False, rate=RATE, videos=None, imported=(KIND,), annotated=("train", "valid", "test")
        )
        lists = {}
        for number, (game, split) in enumerate(SPLITS.items()):
            lists[game] = self._write_game(number, NAMES[game], split)
            self._write_shard(number, game, split)
        write_game_lists(lists, self.lists)
        for game in SPLITS:
            build_game(self.lists / f"{game}.json", self.root, self._manifest(game), stage)
        self.manifests = [self._manifest(game) for game in SPLITS]
        self.imported = Inputs((), KIND, self.root)
        self.shards = Inputs(tuple(self.folder / "shards" / f"{game}.h5" for game in SPLITS))

    def _manifest(self, game: str) -> Path:
        return self.folder / "manifests" / f"{game}.json"

    def _write_game(self, number: int, name: str, split: str) -> list[Listed]:
        (self.root / name).mkdir(parents=True)
        roles = {"labels": "Labels.json"} | {f"features/{KIND}/{half}": f"{half}_{KIND}" for half in (1, 2)}
        for half in (1, 2):
            np.save(self.root / name / f"{half}_{KIND}", features_of(number, half))
        annotations = [
            {
                "gameTime": f"{half} - {frame // 120:02d}:{frame // 2 % 60:02d}",
                "label": LABELS[CLASSES[1][label]],
                "position": str(frame * 500),
            }
            for half, frame, label in events_of(number)
        ]
        if split != "challenge":
            (self.root / name / "Labels.json").write_text(json.dumps({"annotations": annotations}))
        return [Listed(role, f"{name}/{file}", "", split, 1, 0) for role, file in roles.items()]

    def _write_shard(self, number: int, game: str, split: str) -> None:
        frames, black = self.folder / "frames" / f"{game}.h5", np.zeros((8, 8, 3), np.uint8)
        names = [f"{NAMES[game]}/{half}" for half in (1, 2)]
        videos = [stored(self.folder / "spooled", name, [black] * FRAMES, split=split) for name in names]
        torn = NAMES[game] == TORN
        bad = [Quarantined(TORN, "spot-frames", "1_HQ.mkv: truncated")] if torn else []
        write_frames(frames, [] if torn else videos, bad, Provenance("spot-frames", "{}", game))

        def featured(video: str) -> Iterator[np.ndarray]:
            yield features_of(number, int(video[-1]))

        path = self.folder / "shards" / f"{game}.h5"
        write_frame_features(
            path, FrameShard(frames), CHANNELS, featured, Provenance("frame-features", "{}", str(number))
        )

    def train(self, output: Path, settings: TrainSpottingStage, **options: Any) -> dict[str, Any]:
        """The metrics."""
        manifests, inputs = options.pop("manifests", self.manifests), options.pop("inputs", self.imported)
        train_spotting(manifests, inputs, output, settings, **options)
        return metrics_of(output)

    def predict(self, model: Path, folder: Path, **options: Any) -> dict[str, Any]:
        """Spots into ``folder``; what is written about them."""
        changes = {key: options.pop(key) for key in list(options) if key in ("split", "inference")}
        settings = PREDICT.model_copy(update=changes)
        manifests, inputs = options.pop("manifests", self.manifests), options.pop("inputs", self.imported)
        about = folder.with_suffix(".json")
        predict_spots(manifests, inputs, model, folder, about, settings)
        content: dict[str, Any] = json.loads(about.read_text())
        return content

    def evaluate(self, folder: Path, split: str = "test") -> dict[str, Any]:
        output = folder.with_name("evaluation.json")
        settings = EvaluateSpotsStage(version=1, split=split)
        evaluate_spots(self.manifests, folder, folder.with_suffix(".json"), output, settings)
        content: dict[str, Any] = json.loads(output.read_text())
        return content

    def truth(self, *games: str) -> dict[str, Sequence[Event]]:
        return {NAMES[game]: read_game(self._manifest(game)).events for game in games}


def metrics_of(model: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(model.with_name("metrics.json").read_text())
    return content


def settings(**changes: Any) -> TrainSpottingStage:
    """Small; changes by path, as ``network__training__epochs=2``."""
    values: dict[str, Any] = {
        "version": 1,
        "rate": RATE,
        "frames": None,
        "train": ["train"],
        "validation": "valid",
        "seed": 1,
        "network": {
            "input": "resnet",
            "backbone": None,
            "projection": 16,
            "convolutions": [16, 16],
            "kernel": 9,
            "dropout": 0.1,
            "hidden": 16,
            "clip": CLIP,
            "offsets": "uniform",
            "regression": True,
            "regression_weight": 10.0,
            "masking": {"probability": 1 / 3, "latest": 0.5, "side": "before"},
            "sampling": {
                "foreground": 192,
                "background": 64,
                "most": 1000,
                "divisor": 5,
                "fewest": 0,
                "factor": 10,
                "margin": None,
                "halftime_substitutions": False,
            },
            "training": {
                "batch": 16,
                "micro_batch": 16,
                "epochs": 8,
                "patience": 8,
                "learning_rate": 0.02,
                "warmup_epochs": 1.0,
                "momentum": 0.9,
                "weight_decay": 1e-4,
                "precision": "float32",
                "device": "cpu",
                "threads": 1,
            },
            "inference": {"stride": None, "nms": None},
            "seeds": None,
        },
    }
    for name, value in changes.items():
        *parents, key = name.split("__")
        place = values
        for parent in parents:
            place = place[parent]
        place[key] = value
    return parse(TrainSpottingStage, values)


PREDICT = PredictSpotsStage(
    split="test",
    inference={"stride": None, "nms": None},  # type: ignore[arg-type]
    batch=16,
    device="cpu",
    threads=1,
)
SMALL = {"network__sampling__foreground": 24, "network__sampling__background": 8}  # two steps an epoch
FEW = {"network__training__epochs": 2, **SMALL}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    data.train(path, settings(network__training__epochs=16, network__training__patience=4))
    return path


@pytest.fixture(scope="module")
def few(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("few") / "model.safetensors"
    data.train(path, settings(**FEW))
    return path


# ---- training


def test_it_learns_and_says_what_it_is(trained, data, tmp_path):
    metrics = metrics_of(trained)
    scores = [epoch["validation"] for epoch in metrics["history"]]
    assert max(scores) > 0.9
    assert metrics["validation_mAP"] == max(scores)
    assert metrics["best_epoch"] == 1 + scores.index(max(scores))
    assert len(scores) == min(16, metrics["best_epoch"] + 4)
    assert metrics["history"][-1]["loss"] < 0.6 * metrics["history"][0]["loss"]
    assert (metrics["games"], metrics["clips"], metrics["processes"], metrics["device"]) == (3, 256, 1, "cpu")
    assert metrics["parameters"] == sum(tensor.numel() for tensor in load_file(trained).values())
    assert not trained.with_name("last.ckpt").exists()
    _, about = load_spotter(trained)
    assert (about.version, about.rate, about.input, about.frames) == (1, RATE, "resnet", None)
    assert (about.architecture.classes, about.architecture.features, about.architecture.clip) == (3, CHANNELS, CLIP)
    assert about.provenance["stage"] == "train-spotting"
    assert about.provenance["inputs"].keys() == {"games", "frames"}

    untrained = tmp_path / "model.safetensors"
    data.train(untrained, settings(network__training__learning_rate=1e-9, network__training__epochs=1, **SMALL))
    found = []
    for model, name in ((trained, "trained"), (untrained, "untrained")):
        data.predict(model, tmp_path / name)
        found.append(data.evaluate(tmp_path / name)["loose"]["a_mAP"])
    assert found[0] > 0.8, "on games that it has not seen"
    assert found[1] < 0.5


def test_the_score_is_that_of_the_weights_that_are_kept(trained, data):
    games = read_games(data.manifests, ["valid"], 0)
    source, _ = open_source(games, data.imported, 1, RATE)
    network, _ = load_spotter(trained)
    score = Validation(source, games, settings(), Group(0, 1, torch.device("cpu")))(network)
    assert score == metrics_of(trained)["validation_mAP"]


def scripted(scores: Sequence[float], states: list[dict[str, torch.Tensor]]) -> Callable[..., Any]:
    """In place of `Validation`: given scores, and the weights after each epoch."""

    def validate(model: nn.Module) -> float:
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return scores[len(states) - 1]

    return lambda *_: validate


def test_patience_ends_it_and_the_best_epoch_s_weights_are_kept(data, tmp_path, monkeypatch):
    """Epoch 4 is as good as 2, not better; three such epochs end it."""
    states: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(train, "Validation", scripted([0.2, 0.5, 0.3, 0.5, 0.1, 0.9], states))
    changed = settings(network__training__epochs=6, network__training__patience=3, **SMALL)
    metrics = data.train(tmp_path / "model.safetensors", changed)
    assert [epoch["validation"] for epoch in metrics["history"]] == [0.2, 0.5, 0.3, 0.5, 0.1]
    assert (metrics["best_epoch"], metrics["validation_mAP"]) == (2, 0.5)
    kept = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in states[1].items())
    assert not torch.equal(kept["classify.weight"], states[3]["classify.weight"])


def test_without_patience_nothing_is_validated_and_the_last_weights_stay(data, tmp_path, monkeypatch):
    """The same ones as of a validated training whose last epoch is the best."""
    last, validated = tmp_path / "last" / "model.safetensors", tmp_path / "validated" / "model.safetensors"
    metrics = data.train(last, settings(network__training__patience=None, validation="nothing", **FEW))
    assert metrics.keys().isdisjoint({"best_epoch", "validation_mAP"})
    assert len(metrics["history"]) == 2
    assert not any("validation" in epoch for epoch in metrics["history"])
    monkeypatch.setattr(train, "Validation", scripted([0.1, 0.2], []))
    data.train(validated, settings(**FEW))
    assert last.read_bytes() == validated.read_bytes()


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(few, data, tmp_path):
    again, other = tmp_path / "again" / "model.safetensors", tmp_path / "other" / "model.safetensors"
    data.train(again, settings(**FEW))
    data.train(other, settings(seed=2, **FEW))
    assert again.read_bytes() == few.read_bytes()
    assert again.with_suffix(".json").read_bytes() == few.with_suffix(".json").read_bytes()
    assert other.read_bytes() != few.read_bytes()
    names = [name for name in load_file(few) if name.endswith("weight")]
    assert not any(torch.equal(load_file(other)[name], load_file(few)[name]) for name in names)
    begun = [train._random_network(settings(seed=seed), CHANNELS).classify.weight for seed in (1, 1, 2)]
    assert torch.equal(begun[0], begun[1])
    assert not torch.equal(begun[0], begun[2]), "not only other clips"


def command(data: Data, name: str, output: Path, changed: Any, *options: str) -> list[str]:
    """A command over all games, with SoccerNet's own features unless the options begin with others."""
    shown = ["--imported", KIND, "--root", str(data.root)]
    if options[:1] == ("--shards",):
        shown, options = list(options[:2]), options[2:]
    games = ["--lists", str(data.lists), "--games", f"{data.folder}/manifests/{{shard}}.json"]
    return [name, *games, *shown, "--settings", changed.model_dump_json(), "-o", str(output), *options]


def test_a_killed_training_ends_with_the_same_bytes(data, tmp_path):
    """Asked to stop in the middle, then again without a process that loads data; dropout and masking included."""
    changed = settings(network__training__epochs=40, network__training__patience=40, network__dropout=0.5, **SMALL)
    calm, shot = tmp_path / "calm" / "model.safetensors", tmp_path / "shot" / "model.safetensors"
    data.train(calm, changed)
    arguments = command(data, "train-spotting", shot, changed, "--workers", "1", "--save-every", "0")
    checkpoint = shot.with_name("last.ckpt")
    (process,) = start([sys.executable, "-m", "pipeline", *arguments])
    while process.poll() is None and not (checkpoint.exists() and step_of(checkpoint) > 5):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM, printed
    assert not shot.exists()
    assert 5 < step_of(checkpoint) < 2 * 40
    metrics = data.train(shot, changed)
    assert shot.read_bytes() == calm.read_bytes()
    assert shot.with_suffix(".json").read_bytes() == calm.with_suffix(".json").read_bytes()
    assert [e["validation"] for e in metrics["history"]] == [e["validation"] for e in metrics_of(calm)["history"]]
    assert not checkpoint.exists()


def step_of(checkpoint: Path) -> int:
    step: int = torch.load(checkpoint, weights_only=True)["step"]
    return step


def test_two_processes_equal_one_that_accumulates_two(data, tmp_path):
    """Same micro-batches, float64: weights to 1e-12 after four steps."""
    changed = settings(network__training__precision="float64", network__training__micro_batch=8, **FEW)
    one, two = (tmp_path / name / "model.safetensors" for name in ("one", "two"))
    arguments = command(data, "train-spotting", two, changed, "--workers", "0")
    finish(start([sys.executable, "-m", "pipeline", *arguments], 2))
    data.train(one, changed)
    alone, together = load_file(one), load_file(two)
    for name, value in alone.items():
        assert np.allclose(value, together[name], rtol=0, atol=1e-12), name
    metrics = metrics_of(one), metrics_of(two)
    assert [each["processes"] for each in metrics] == [1, 2]
    for key in ("loss", "regression", "validation"):
        values = [[epoch[key] for epoch in each["history"]] for each in metrics]
        assert values[0] == pytest.approx(values[1], abs=1e-12)


def test_processes_share_the_validation(trained, data, tmp_path):
    """Of two each reads every other half; the score is that of the stages, of what both have found."""
    inference = {"stride": 3, "nms": 4.0}
    data.predict(trained, tmp_path / "spots", split="train", inference=parse(type(PREDICT.inference), inference))
    score_of_stages = data.evaluate(tmp_path / "spots", "train")["loose"]["a_mAP"]
    network, _ = load_spotter(trained)
    games = read_games(data.manifests, ["train"], 0)
    source, _ = open_source(games, data.imported, 1, RATE)
    read: list[set[int]] = [set(), set()]
    found: list[list[tuple[str, list[Spot]]]] = [[], []]
    for rank in (0, 1):

        def spy(half: int, start: int, stop: int, rank: int = rank) -> torch.Tensor:
            read[rank].add(half)
            return source.read(half, start, stop)

        def gather(mine: list[Any], rank: int = rank) -> list[Any]:
            found[rank] = mine
            return found[0] + found[1]

        seen = SimpleNamespace(read=spy, halves=source.halves, channels=source.channels)
        group = SimpleNamespace(rank=rank, world=2, device=torch.device("cpu"), gather=gather)
        validation = Validation(seen, games, settings(network__inference=inference), group)  # type: ignore[arg-type]
        score = validation(network)
    assert read == [{0, 2, 4}, {1, 3, 5}]
    assert score == score_of_stages > 0.5


@pytest.mark.parametrize("included", [True, False])
def test_substitutions_at_half_time_train_only_if_asked_for(data, tmp_path, included):
    """By events, each event has a clip: the first game has one more."""
    sampling = {"foreground": None, "background": 16, "halftime_substitutions": included}
    changes = {f"network__sampling__{name}": value for name, value in sampling.items()}
    metrics = data.train(tmp_path / "model.safetensors", settings(**FEW | changes))
    assert metrics["clips"] == 16 + 3 * 2 * EVENTS + included


# ---- end to end


def test_end_to_end_only_the_end_of_the_backbone_trains(data, tmp_path):
    """Its batch norm stays as it was, parameters and statistics."""
    random, shards = np.random.default_rng(0), []
    for game in ("Train 0", "Train 1", "Valid"):
        images = list(random.integers(0, 255, (60, 32, 32, 3), np.uint8))
        videos = [stored(tmp_path / "spooled", f"{NAMES[game]}/{half}", images) for half in (1, 2)]
        shards.append(tmp_path / f"{game}.h5")
        write_frames(shards[-1], videos, [], Provenance("spot-frames", "{}", game))
    weights = get_model("mobilenet_v2", weights=None).state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    backbone = {"name": "mobilenet_v2", "weights": None, "trainable": "last_block", "frames_at_once": 16}
    changed = settings(
        frames={"convert": None, "rate": RATE, "stored": {"size": [32, 32], "jpeg_quality": 95}},
        network__input="frames",
        network__backbone=backbone,
        network__clip=5,
        network__sampling__foreground=6,
        network__sampling__background=2,
        network__training__batch=4,
        network__training__micro_batch=2,
        network__training__epochs=1,
    )
    manifests = [path for path in data.manifests if path.stem in ("Train 0", "Train 1", "Valid")]
    shown: dict[str, Any] = {"manifests": manifests, "inputs": Inputs(tuple(shards))}
    model = tmp_path / "model.safetensors"
    metrics = data.train(model, changed, weights=tmp_path / "weights.pth", **shown)
    assert (metrics["games"], metrics["clips"], metrics["best_epoch"]) == (2, 8, 1)
    trained = load_file(model)
    for name, before in weights.items():
        if name.startswith("features"):
            _, block, *_ = name.split(".")
            same = torch.equal(before, trained[name.replace("features", "backbone.network", 1)])
            assert same != (int(block) >= 17 and before.ndim == 4), name  # convolutions have four axes, norms one
    network, about = load_spotter(model)
    start_of = train._random_network(changed, 3).state_dict()
    others = [name for name in trained if not name.startswith("backbone")]
    assert {name.split(".")[0] for name in others} == {"project", "convolutions", "hidden", "classify", "regress"}
    assert not any(torch.equal(trained[name], start_of[name]) for name in others)
    assert metrics["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert (about.input, about.frames) == ("frames", changed.model_dump(mode="json")["frames"])
    assert about.provenance["weights"].keys() == {"backbone"}
    assert data.predict(model, tmp_path / "spots", split="valid", **shown)["games"] == [NAMES["Valid"]]
    with pytest.raises(ActaError, match=r"trained on 'frames' with 3 channels, but is shown 8"):
        data.predict(model, tmp_path / "others", inputs=data.shards)


# ---- games that are left out, and what is refused


def with_bad(data: Data, folder: Path, *games: str) -> list[Path]:
    """The manifests, those of some games with an entry in quarantine: their files are not there."""
    stage = SpotGameStage(version=1, ini=False, rate=RATE, videos=None, imported=(KIND,), annotated=("train", "test"))
    manifests = []
    for path in data.manifests:
        if path.stem in games:
            build_game(data.lists / f"{path.stem}.json", folder / "nowhere", folder / path.name, stage)
        manifests.append(folder / path.name if path.stem in games else path)
    return manifests


def test_a_bad_game_does_not_train(data, tmp_path, capsys):
    manifests = with_bad(data, tmp_path, "Train 1")
    metrics = data.train(tmp_path / "model.safetensors", settings(**FEW), manifests=manifests)
    assert metrics["games"] == 2
    assert f"left out: {NAMES['Train 1']}: Labels.json: missing" in capsys.readouterr().err
    manifests = with_bad(data, tmp_path, "Train 1", "Train 2")
    with pytest.raises(ActaError, match=r"2 of the 3 games of train are bad, more than .*max_bad_fraction = 0.1"):
        data.train(tmp_path / "m.safetensors", settings(), manifests=manifests, max_bad_fraction=0.1)
    with pytest.raises(ActaError, match="the split 'valid' has no game that is not bad"):
        data.train(tmp_path / "m.safetensors", settings(), manifests=with_bad(data, tmp_path, "Valid"))
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": ["train", "other"]}, "the split 'other' has no game"),
        ({"validation": "other"}, "the split 'other' has no game"),
        ({"train": ["challenge"]}, "the training games have no event"),
        ({"network__clip": 41}, "the training games have no background"),
        ({"network__training__batch": 512}, "an epoch has 256 clips, fewer than one batch of 512"),
        ({"network__training__learning_rate": 1e9}, "the loss is (nan|inf) at step"),
        ({"network__training__precision": "bfloat16"}, "precision 'bfloat16' needs device 'cuda'"),
    ],
)
def test_what_cannot_be_trained(data, tmp_path, changes, message):
    with pytest.raises(ActaError, match=message):
        data.train(tmp_path / "model.safetensors", settings(**changes))
    assert not (tmp_path / "model.safetensors").exists()


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


def test_every_game_that_was_left_out(data, tmp_path):
    collect_left_out(with_bad(data, tmp_path, "Train 1"), data.shards, tmp_path / "quarantine.tsv")
    with (tmp_path / "quarantine.tsv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows == [
        ["game", "stage", "reason"],
        [TORN, "spot-frames", "1_HQ.mkv: truncated"],
        [NAMES["Train 1"], "spot-game", "Labels.json: missing, but the split train needs labels"],
    ]


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
    assert (about["games"], about["left_out"], about["provenance"]["stage"]) == (games, [], "predict-spots")
    assert about["provenance"]["inputs"].keys() == {"model"}
    write_submission(folder, tmp_path / "spots.zip")
    assert check_submission(tmp_path / "spots.zip", games, 1) == []
    found = {name: read_predictions(folder / name / PREDICTIONS, 1).spots for name in games}
    truth = data.truth("Test", "Torn")
    evaluation = data.evaluate(folder)
    assert evaluation["loose"] == evaluate_games(truth, found, 1, "loose")
    assert evaluation["tight"] == evaluate_games(truth, found, 1, "tight")
    assert evaluation["curve"] == tolerance_curve(truth, found, 1, TOLERANCES)
    assert (evaluation["games"], evaluation["left_out"]) == (2, [])
    assert evaluation["events"] == 2 * 2 * EVENTS
    assert evaluation["predictions"] == sum(map(len, found.values())) > 20
    assert evaluation["provenance"]["stage"] == "evaluate-spots"
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


# ---- votes


def test_votes_gather_where_the_event_is(trained, data, tmp_path):
    count_votes(data.manifests, data.imported, trained, tmp_path / "votes.json", PREDICT)
    content = json.loads((tmp_path / "votes.json").read_text())
    assert (content["rate"], content["clip"]) == (RATE, CLIP)
    assert [example["label"] for example in content["examples"]] == list(CLASSES[1])
    truth = data.truth("Test")[NAMES["Test"]]
    for example in content["examples"]:
        assert example.keys() == {"game", "half", "label", "event", "start", "votes"}
        label, frame = example["label"], int(RATE * example["event"])
        assert (example["game"], example["half"]) == (NAMES["Test"], 1)
        assert example["event"] == next(event.time for event in truth if event.label == label), "its first"
        assert (example["start"], len(example["votes"])) == (frame - CLIP, 2 * CLIP + 1)
        counted = np.array(example["votes"])
        assert abs(int(counted.argmax()) - CLIP) <= 4, counted
        assert counted[CLIP - 4 : CLIP + 5].sum() > 0.6 * counted.sum(), counted


def test_votes_are_of_the_first_event_that_is_alone():
    """No other event within a clip's 11 frames, nor an end of the half."""
    anchors = [(10, 0), (30.5, 0), (41, 0), (60.5, 1), (71.5, 0), (88, 1), (89, 2)]
    halves = [Half(NAMES["Test"], half, 100, tuple(Anchor(*anchor) for anchor in anchors)) for half in (1, 2)]
    chosen = votes._choose(SimpleNamespace(halves=halves), CLIP)
    assert chosen == [], "each has a neighbour, or is too near an end"
    halves.append(Half(NAMES["Test"], 2, 112, (Anchor(11, 1), Anchor(22.5, 0), Anchor(40, 1), Anchor(100, 2))))
    chosen = votes._choose(SimpleNamespace(halves=halves), CLIP)
    assert chosen == [(2, Anchor(22.5, 0)), (2, Anchor(11, 1))]
    halves.append(Half(NAMES["Test"], 1, 113, (Anchor(100, 2),)))
    assert votes._choose(SimpleNamespace(halves=halves), CLIP)[2:] == [(3, Anchor(100, 2))]


def test_votes_by_hand(trained, data, tmp_path):
    """Of windows at every frame, each predicted event is a vote for its frame."""
    games = read_games(data.manifests, ["test"], 0)
    source, _ = open_source(games, data.imported, 1, RATE)
    network, _ = load_spotter(trained)
    windows = predict_windows(network, source, 0, CLIP, 1, batch=PREDICT.batch, device=torch.device("cpu"))
    assert windows.starts.tolist() == list(range(FRAMES - CLIP + 1))
    columns = windows.starts.tolist(), windows.offsets.tolist(), windows.foreground.tolist()
    counted = Counter(
        round(start + CLIP * offset) for start, offset, is_event in zip(*columns, strict=True) if is_event
    )
    count_votes(data.manifests, data.imported, trained, tmp_path / "votes.json", PREDICT)
    for example in json.loads((tmp_path / "votes.json").read_text())["examples"]:
        frames = range(example["start"], example["start"] + 2 * CLIP + 1)
        assert example["votes"] == [counted[frame] for frame in frames]


# ---- the commands


def test_the_commands(few, data, tmp_path, capsys):
    """On shards the network becomes the same as on SoccerNet's own files."""
    shards = f"{data.folder}/shards/{{shard}}.h5"
    model, spots, about = (tmp_path / name for name in ("model.safetensors", "spots", "spots.json"))

    def run(name: str, output: Path, changed: Any, *options: str) -> int:
        return cli.main(command(data, name, output, changed, "--shards", shards, *options))

    assert run("train-spotting", model, settings(**FEW), "--workers", "0") == 0
    assert model.read_bytes() == few.read_bytes()
    assert run("predict-spots", spots, PREDICT, "--model", str(model), "--about", str(about)) == 0
    assert json.loads(about.read_text())["games"] == [NAMES["Test"]]
    assert run("spot-votes", tmp_path / "votes.json", PREDICT, "--model", str(model)) == 0
    assert json.loads((tmp_path / "votes.json").read_text())["clip"] == CLIP

    lists = ["--lists", str(data.lists), "--games", f"{data.folder}/manifests/{{shard}}.json"]
    evaluated = EvaluateSpotsStage(version=1, split="test").model_dump_json()
    output = tmp_path / "evaluation.json"
    read_from = ["--predictions", str(spots), "--about", str(about), "--settings", evaluated]
    assert cli.main(["evaluate-spots", *lists, *read_from, "-o", str(output)]) == 0
    assert json.loads(output.read_text())["games"] == 1

    table = tmp_path / "quarantine.tsv"
    assert cli.main(["spot-quarantine", *lists, "--shards", shards, "-o", str(table)]) == 0
    assert table.read_text().splitlines()[1:] == [f"{TORN}\tspot-frames\t1_HQ.mkv: truncated"]
    assert cli.main(["spot-quarantine", *lists, "-o", str(table)]) == 0
    assert table.read_text().splitlines()[1:] == []

    archive, split = tmp_path / "spots.zip", tmp_path / "split.json"
    submit = ["submit-spots", str(spots), "--version", "1", "--split", str(split), "-o", str(archive)]
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


@pytest.mark.parametrize("name", ["train-spotting", "predict-spots", "spot-votes"])
@pytest.mark.parametrize(
    "shown", [[], ["--imported", KIND], ["--root", "r"], ["--shards", "s", "--imported", KIND, "--root", "r"]]
)
def test_commands_need_to_be_told_what_to_look_at(data, tmp_path, capsys, name, shown):
    arguments = ["--lists", str(data.lists), "--games", "{shard}.json", "-o", str(tmp_path / "output")]
    changed = settings() if name == "train-spotting" else PREDICT
    arguments += ["--settings", changed.model_dump_json()]
    arguments += [] if name == "train-spotting" else ["--model", "m"]
    arguments += ["--about", "a"] if name == "predict-spots" else []
    assert cli.main([name, *arguments, *shown]) == 1
    assert "give --shards, or --imported and --root" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
