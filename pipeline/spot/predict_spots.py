"""Task `predict_spots`: a network's spots in the games of a split, in SoccerNet's own format."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from pipeline.config.tasks.spot import PredictSpots
from pipeline.models.opened import Opened
from pipeline.models.rms_net import RmsNet
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.files import Output, spool, write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.provenance import provenance_of
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.games import read_game, read_games
from pipeline.spot.halves import Source
from pipeline.spot.inference import predict_windows, spots_of, suppress
from pipeline.spot.soccernet_files import write_predictions
from pipeline.spot.sources import Inputs, games_there, open_source
from pipeline.spot.spotter_file import load_spotter


def predict_spots(
    manifests: Sequence[Path],
    inputs: Inputs,
    model: Path,
    output: Output,
    about: Output,
    settings: PredictSpots,
    *,
    max_bad_fraction: float = 1.0,
) -> None:
    """Write ``<output>/<league>/<season>/<game>/results_spotting.json`` for the games of a split.

    Args:
        manifests: Every game's manifest.
        inputs: Where their frames or features are.
        model: The model file.
        output: The folder to write; it gets its name when all files are there.
        about: A JSON to write next to it: ``games``, ``left_out`` (games of the split, with reasons), provenance.
        settings: Split, stride, suppression.
        max_bad_fraction: More bad games than this fraction of the split, and more than one, are an error.

    Raises:
        ActaError: the split has no games, too many are bad, or the model was trained on other inputs.
    """
    inputs.check()
    check_device(settings.device, "float32")
    file = Opened(model, "the model file")
    network, description = load_spotter(file)
    games = read_games(manifests, [settings.split], max_bad_fraction)
    source, usable = open_source(
        games, inputs, description.version, description.rate, max_bad_fraction=max_bad_fraction
    )
    description.check_input(source, str(model))
    network = network.to(settings.device)
    found: dict[str, list[Spot]] = {game.name: [] for game in usable}
    with pinned_threads(settings.threads):
        spotted = spot_halves(
            network,
            source,
            progress(range(len(source.halves)), total=len(source.halves), unit="halves", desc="predict_spots"),
            CLASSES[description.version],
            description.rate,
            settings.inference.stride,
            settings.inference.nms,
            batch=settings.batch,
            device=torch.device(settings.device),
        )
    for game, spots in spotted:
        found[game] += spots
    with spool(output) as folder:
        (folder / "games").mkdir()
        for game, spots in found.items():
            write_predictions(folder / "games", game, spots)
        (folder / "games").rename(output)
    of_split = [game for game in map(read_game, manifests) if settings.split in game.splits]
    reasons = {entry.id: entry.reason for game in of_split for entry in game.quarantine}
    reasons |= {entry.id: entry.reason for entry in games_there(games, inputs)[1]}
    left_out = [{"game": name, "reason": reason} for name, reason in sorted(reasons.items())]
    provenance = provenance_of(__name__, settings, inputs={"model": file.sha256})
    write_json(about, {"games": sorted(found), "left_out": left_out, "provenance": provenance.content})


def spot_halves(
    network: RmsNet,
    source: Source,
    halves: Iterable[int],
    classes: Sequence[str],
    rate: float,
    stride: int | None,
    nms: float | None,
    *,
    batch: int,
    device: torch.device,
) -> list[tuple[str, list[Spot]]]:
    """A network's spots in halves of games, as (game, spots) for each half (Secs. 4.2.2 and 4.3).

    Args:
        network: On the device, in evaluation mode.
        source: The halves' frames or features.
        halves: Positions of halves in it.
        classes: Labels by number, without background.
        rate: Frames per second.
        stride: Frames from one window to the next; None: the clip's length.
        nms: Seconds within which one spot of a class is kept; None: all are, but only the best of each half-second.
        batch: Windows computed at once.
        device: Where to compute.
    """
    clip, found = network.architecture.clip, []
    for position in halves:
        half = source.halves[position]
        windows = predict_windows(network, source, position, clip, stride or clip, batch=batch, device=device)
        spots = spots_of(windows, clip, rate, classes, half.number, half.frames)
        found.append((half.game, _one_in_a_frame(suppress(spots, nms) if nms else spots)))
    return found


def _one_in_a_frame(spots: Sequence[Spot]) -> list[Spot]:
    """The best spot of each class and half-second: the evaluator counts only one, the last that it reads."""
    best: dict[tuple[str, int], Spot] = {}
    for spot in spots:
        key = (spot.label, int(2 * (round(1000 * spot.time) / 1000)))
        if key not in best or spot.confidence > best[key].confidence:
            best[key] = spot
    return sorted(best.values(), key=lambda spot: (spot.time, spot.label))
