"""A tiny labelled dataset in frame shards, and the commands that train on it as processes of their own."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.base import parse
from pipeline.config.tasks.classify import TrainClassifier
from pipeline.config.whole import Config
from pipeline.tasks import task_settings
from tests import PROJECT
from tests.shards import stored, write_shard
from tests.warm import warm_python

LABELS = ("dark", "left", "right")


def write_dataset(
    folder: Path,
    *,
    train: int = 4,
    test: int = 2,
    frames: int = 6,
    hidden: bool = False,
    labels: Sequence[str] = LABELS,
) -> list[Path]:
    """Two frame shards of videos that a network can tell apart: dark ones, and a light on one side.

    With ``hidden`` the light is half as bright: another variant of the same videos.
    """
    shards = []
    for part in (0, 1):
        videos = []
        for label in labels:
            for number in range(part, train + test, 2):
                random = np.random.default_rng([LABELS.index(label), number])
                images = [random.integers(0, 60, (36, 48, 3)).astype(np.uint8) for _ in range(frames)]
                for image in images:
                    if label != "dark":
                        side = slice(0, 24) if label == "left" else slice(24, 48)
                        image[:, side] += np.uint8(60 if hidden else 120)
                name = f"{label}/{number}"
                split = "train" if number < train else "test"
                videos.append(stored(folder / "spooled", name, images, label=label, split=split))
        shards.append(write_shard(folder / f"{part}.h5", videos, code=str(hidden)))
    return shards


def write_lists_of(folder: Path, shards: Sequence[Path], missing: Sequence[str] = ()) -> Path:
    """List files that name the videos of shards, and further ones of split test that are in none."""
    from pipeline.runtime.store import FrameShard

    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(shards):
        shard = FrameShard(path)
        rows = [
            [i, i, label, split, 1, 0] for i, label, split in zip(shard.ids, shard.labels, shard.splits, strict=True)
        ]
        if number == 0:
            rows += [[name, name, LABELS[0], "test", -1, 0] for name in missing]
        (folder / f"{number}-of-{len(shards)}.json").write_text(json.dumps(rows))
    return folder


def train_settings(
    config: Config, strategy: str = "cross_entropy", variant: str = "none", **changes: Any
) -> TrainClassifier:
    """The shipped recipe made still smaller; changes by path, as ``recipe__batch=8``."""
    base = task_settings(config, "train_classifier", split="split1", recipe="r3d", strategy=strategy, variant=variant)  # type: ignore[arg-type]
    values = base.model_dump(mode="json")
    small = {
        "recipe__backbone__width": 0.05,
        "recipe__clip__frames": 4,
        "recipe__clip__view": {"size": [18, 24], "short_side": None, "crop": 16},
        "recipe__clip__train_clips": 2,
        "recipe__clip__flip": False,
        "recipe__batch": 8,
        "recipe__micro_batch": 4,
        "recipe__warmup_epochs": 0.0,
        "recipe__learning_rate": 0.05,
        "training__epochs": 2,
    }
    for name, value in (small | changes).items():
        *parents, key = name.split("__")
        place = values
        for parent in parents:
            place = place[parent]
        place[key] = value
    return parse(TrainClassifier, values)


def command(shards: Sequence[Path], output: Path, settings: TrainClassifier, *options: str) -> list[str]:
    """The command of the task `train_classifier`."""
    return [
        sys.executable,
        *("-m", "pipeline", "task", "train_classifier", "--shards", *map(str, shards), "-o", str(output)),
        *("--settings", settings.model_dump_json(), *options),
    ]


def start(arguments: list[str], world: int = 1, **options: Any) -> list[subprocess.Popen[str]]:
    """Start a training in this many processes, which talk over loopback; each is forked (`tests.warm`)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [warm_python(), *arguments[1:]],
            cwd=PROJECT,
            env=os.environ
            | {"PYTHONPATH": str(PROJECT)}
            | (names | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if world > 1 else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        for rank in range(world)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for processes that must succeed; what they printed."""
    printed = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), printed
    return printed
