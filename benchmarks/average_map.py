"""Average-mAP from SoccerNet's files of 100 games, compared with the official evaluator from its package.

The games have SoccerNet-v2's 17 classes, as rare as they are there, with about 220 annotations and 2,000 predictions
per game. The metric is the loose one. Both evaluators read the same files and must give the same results.
"""

import argparse
import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.runtime.wheels import WheelMember, fetch
from pipeline.spot.evaluation import evaluate_folders
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.soccernet_files import LABELS, write_predictions

_MEMBERS = {
    "SoccerNet/utils.py": "66110d30b162d8fa48647cb2ea3686d5bb1713c5421a0feda6ac7fb1a462e3ed",
    "SoccerNet/Evaluation/utils.py": "ed49ba5755cd34ae4d0b8994e99eddc128ab74cb84e4a46d680654907f4d6382",
    "SoccerNet/Evaluation/ActionSpotting.py": "f8cb0025b28d2ed736189fe4670b3a8d4291f4f23a4c0946dfa5db4d2ffa4850",
}
# Number of annotations in 500 games, by class.
_EVENTS = (173, 2566, 1703, 2839, 2098, 5820, 5256, 7896, 31810, 18918, 11674, 10521, 2200, 4836, 2047, 55, 46)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=100)
    parser.add_argument("--metric", default="loose")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        annotated, predicted = _write(folder, options.games)
        runs = []
        for _ in range(5):
            start = time.process_time()
            found = evaluate_folders(folder / "labels", folder / "found", 2, options.metric)
            runs.append(time.process_time() - start)
        ours = statistics.median(runs)
        official = official_evaluator(folder / "peer")
        start = time.process_time()
        expected = official_results(official, folder / "labels", folder / "found", 2, options.metric)
        theirs = time.process_time() - start
    for key, value in expected.items():
        mine = found[key]
        np.testing.assert_allclose(list(mine.values()) if isinstance(mine, dict) else mine, value, rtol=0, atol=1e-9)
    print(f"{options.games} games, {annotated} annotations, {predicted} predictions, {options.metric}; files read\n")
    print("| evaluator | Average-mAP | CPU seconds |\n|---|---|---|")
    print(f"| Acta (median of 5) | {found['a_mAP']:.12f} | {ours:.2f} |")
    print(f"| SoccerNet | {expected['a_mAP']:.12f} | {theirs:.2f} |")
    print(f"\n{theirs / ours:.0f} times as fast, same results")


def official_evaluator(folder: Path) -> Any:
    """Import the official evaluator, after putting its files into ``folder``."""
    fetch({folder / member: WheelMember("soccernet==0.2.0", member, sha) for member, sha in _MEMBERS.items()})
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        with np.errstate():  # it changes how numpy treats divisions by zero
            return importlib.import_module("SoccerNet.Evaluation.ActionSpotting")
    finally:
        sys.path.remove(str(folder))


def official_results(official: Any, labels: Path, found: Path, version: int, metric: str) -> dict[str, Any]:
    """The official evaluator's results for all games below the folder ``labels``."""
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), np.errstate(all="ignore"):
        return dict(
            official.evaluate(
                str(labels),
                str(found),
                version=version,
                metric=metric,
                label_files=LABELS[version],
                dataset=None,
                EVENT_DICTIONARY=getattr(official, f"EVENT_DICTIONARY_V{version}"),
            )
        )


def _write(folder: Path, games: int) -> tuple[int, int]:
    """Write labels, and predictions that are mostly near them. Returns the number of each."""
    random = np.random.default_rng(0)
    rarity = np.array(_EVENTS) / sum(_EVENTS)
    counts = [0, 0]
    for number in range(games):
        game = f"league/season/game {number}"
        annotations, spots = [], []
        for label in random.choice(17, random.poisson(221), p=rarity):
            half, milliseconds = int(random.integers(1, 3)), int(random.integers(47 * 60_000))
            annotation = {
                "gameTime": f"{half} - {milliseconds // 60_000:02d}:{milliseconds // 1000 % 60:02d}",
                "label": CLASSES[2][label],
                "position": str(milliseconds),
                "visibility": "not shown" if random.random() < 0.15 else "visible",
            }
            annotations.append(annotation)
            for _ in range(random.integers(6)):
                moved = max(0.0, milliseconds / 1000 + 8 * random.standard_normal())
                spots.append(Spot(half, moved, CLASSES[2][label], float(random.random())))
        for label in random.choice(17, max(0, 2000 - len(spots)), p=rarity):
            half, seconds = int(random.integers(1, 3)), 47 * 60 * random.random()
            spots.append(Spot(half, seconds, CLASSES[2][label], float(random.random() ** 3)))
        place = folder / "labels" / game
        place.mkdir(parents=True)
        (place / LABELS[2]).write_text(json.dumps({"annotations": annotations}))
        write_predictions(folder / "found", game, spots)
        counts[0] += len(annotations)
        counts[1] += len(spots)
    return counts[0], counts[1]


if __name__ == "__main__":
    main()
