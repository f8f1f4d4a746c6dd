"""Small games as files, shards and manifests; how to train on them, spot in them and evaluate."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.base import parse
from pipeline.config.tasks.spot import BuildGame, EvaluateSpots, PredictSpots, TrainSpotter
from pipeline.media.lists import Listed, game_texts, write_texts
from pipeline.runtime.provenance import Provenance, Quarantined
from pipeline.runtime.store import FrameShard, write_frames
from pipeline.spot.build_game import build_game
from pipeline.spot.evaluate_spots import evaluate_spots
from pipeline.spot.events import CLASSES, Event
from pipeline.spot.extract_frame_features import write_frame_features
from pipeline.spot.games import read_game
from pipeline.spot.predict_spots import predict_spots
from pipeline.spot.sources import Inputs
from pipeline.spot.train_spotter import train_spotter
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
        settings = BuildGame(
            version=1,
            use_video_ini=False,
            rate=RATE,
            videos=None,
            imported=(KIND,),
            annotated=("train", "valid", "test"),
        )
        lists = {}
        for number, (game, split) in enumerate(SPLITS.items()):
            lists[game] = self._write_game(number, NAMES[game], split)
            self._write_shard(number, game, split)
        write_texts(game_texts(lists), self.lists)
        for game in SPLITS:
            build_game(self.lists / f"{game}.json", self.root, self._manifest(game), settings)
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
        bad = [Quarantined(TORN, "extract_game_frames", "1_HQ.mkv: truncated")] if torn else []
        write_frames(frames, [] if torn else videos, bad, Provenance("extract_game_frames", "{}", game))

        def featured(video: str) -> Iterator[np.ndarray]:
            yield features_of(number, int(video[-1]))

        path = self.folder / "shards" / f"{game}.h5"
        write_frame_features(
            path, FrameShard(frames), CHANNELS, featured, Provenance("extract_frame_features", "{}", str(number))
        )

    def train(self, output: Path, settings: TrainSpotter, **options: Any) -> dict[str, Any]:
        """The metrics."""
        manifests, inputs = options.pop("manifests", self.manifests), options.pop("inputs", self.imported)
        train_spotter(manifests, inputs, output, settings, **options)
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
        settings = EvaluateSpots(version=1, split=split)
        evaluate_spots(self.manifests, folder, folder.with_suffix(".json"), output, settings)
        content: dict[str, Any] = json.loads(output.read_text())
        return content

    def truth(self, *games: str) -> dict[str, Sequence[Event]]:
        return {NAMES[game]: read_game(self._manifest(game)).events for game in games}


def metrics_of(model: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(model.with_name("metrics.json").read_text())
    return content


def settings(**changes: Any) -> TrainSpotter:
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
            "masking": {"probability": 1 / 3, "max_offset": 0.5, "side": "before"},
            "sampling": {
                "foreground": 192,
                "background": 64,
                "frequent_above": 1000,
                "frequent_divisor": 5,
                "rare_below": 0,
                "rare_factor": 10,
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
                "deterministic": False,
                "recompute_activations": False,
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
    return parse(TrainSpotter, values)


PREDICT = PredictSpots(
    split="test",
    inference={"stride": None, "nms": None},  # type: ignore[arg-type]
    batch=16,
    device="cpu",
    threads=1,
)
SMALL = {"network__sampling__foreground": 24, "network__sampling__background": 8}  # two steps an epoch
FEW = {"network__training__epochs": 2, **SMALL}


def command(data: Data, name: str, output: Path, changed: Any, *options: str) -> list[str]:
    """The command of a task over all games, with SoccerNet's own features unless the options begin with others."""
    shown = ["--imported", KIND, "--root", str(data.root)]
    if options[:1] == ("--shards",):
        shown, options = list(options[:2]), options[2:]
    games = ["--lists", str(data.lists), "--manifests", f"{data.folder}/manifests/{{shard}}.json"]
    return ["task", name, *games, *shown, "--settings", changed.model_dump_json(), "-o", str(output), *options]


def with_bad(data: Data, folder: Path, *games: str) -> list[Path]:
    """The manifests, those of some games with an entry in quarantine: their files are not there."""
    settings = BuildGame(
        version=1, use_video_ini=False, rate=RATE, videos=None, imported=(KIND,), annotated=("train", "test")
    )
    manifests = []
    for path in data.manifests:
        if path.stem in games:
            build_game(data.lists / f"{path.stem}.json", folder / "nowhere", folder / path.name, settings)
        manifests.append(folder / path.name if path.stem in games else path)
    return manifests
