"""Task `evaluate_spots`: Average-mAP of the predictions for a split, and its curve over the tolerance."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.tasks.spot import EvaluateSpots
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.provenance import provenance_of
from pipeline.runtime.text import read_made
from pipeline.spot.evaluation import evaluate_games, tolerance_curve
from pipeline.spot.games import read_games
from pipeline.spot.soccernet_files import PREDICTIONS, read_predictions

TOLERANCES = (1, 2, 3, 4, *range(5, 65, 5))  # seconds: of the tight and the loose metric


def evaluate_spots(
    manifests: Sequence[Path],
    predictions: Path,
    about: Path,
    output: Output,
    settings: EvaluateSpots,
    *,
    max_bad_fraction: float = 1.0,
) -> None:
    """Write the evaluation of a split as JSON: ``loose``, ``tight`` (`evaluate_games`) and ``curve``.

    Args:
        manifests: Every game's manifest, which holds its annotated events.
        predictions: Folder of SoccerNet's prediction files.
        about: The JSON that `predict_spots` wrote next to it.
        output: The JSON.
        settings: Version and split.
        max_bad_fraction: More bad games than this fraction of the split, and more than one, are an error.

    Raises:
        ActaError: a game without predictions that was not left out, or a malformed file.
    """
    written = read_made(about, "what was predicted")
    left_out = {entry["game"] for entry in written["left_out"]}
    games = [game for game in read_games(manifests, [settings.split], max_bad_fraction) if game.name not in left_out]
    truth = {game.name: game.events for game in games}
    predicted = {name: read_predictions(predictions / name / PREDICTIONS, settings.version).spots for name in truth}
    provenance = provenance_of(__name__, settings)
    write_json(
        output,
        {
            "games": len(truth),
            "left_out": written["left_out"],
            "events": sum(map(len, truth.values())),
            "predictions": sum(map(len, predicted.values())),
            "loose": evaluate_games(truth, predicted, settings.version, "loose"),
            "tight": evaluate_games(truth, predicted, settings.version, "tight"),
            "curve": tolerance_curve(truth, predicted, settings.version, TOLERANCES),
            "provenance": provenance.content,
        },
    )
