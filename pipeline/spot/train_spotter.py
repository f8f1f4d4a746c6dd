"""Task `train_spotter`: RMS-Net, or an ablation of it, on features or end to end (Secs. 4.2.2, 4.2.5 and 4.3)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.config.tasks.spot import TrainSpotter
from pipeline.models.frame_backbones import load_frame_weights
from pipeline.models.opened import Opened, opened
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.models.weights import open_weights
from pipeline.runtime.device import check_device
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.provenance import Provenance, provenance_of, sha256_text
from pipeline.runtime.scratch import scratch
from pipeline.spot.evaluation import evaluate_games
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.game_clips import TrainingClips
from pipeline.spot.games import Game, read_games
from pipeline.spot.halves import Source
from pipeline.spot.inputs import Inputs
from pipeline.spot.losses import losses_of
from pipeline.spot.predict_spots import spot_halves
from pipeline.spot.sources import open_source
from pipeline.spot.spotter_file import SpotterDescription, save_spotter
from pipeline.training.distributed import Group, process_group
from pipeline.training.loop import DTYPES, figures_of, fit
from pipeline.training.steering import SCORE, SgdSchedule, SgdValidated
from pipeline.training.stopping import listening


def train_spotter(
    manifests: Sequence[Path],
    inputs: Inputs,
    output: Output,
    settings: TrainSpotter,
    *,
    weights: Path | Opened | None = None,
    max_bad_fraction: float = 1.0,
    workers: int = 0,
    save_every: float = 300.0,
) -> None:
    """Train a network and write ``output`` (.safetensors, with a .json beside it) and ``metrics.json``.

    Where the training is validated, the weights are those of the epoch with the highest Average-mAP (loose) on the
    validation split. A training that was stopped goes on from ``last.ckpt`` in the output's folder, to the same bytes.

    Args:
        manifests: Every game's manifest.
        inputs: Where their frames or features are.
        output: The model file.
        settings: Splits, network, training.
        weights: Those that the network's backbone starts from (.pth), where it has one; None: the registered ones.
        max_bad_fraction: More bad games than this fraction of a split, and more than one, are an error.
        workers: Processes that read clips; the result does not depend on it.
        save_every: Seconds between checkpoints.

    Raises:
        ActaError: too many bad games, a split without games, no events, or a loss that is not finite.
    """
    inputs.check()
    network, training = settings.network, settings.network.training
    check_device(training.device, training.precision, alone=True)
    with listening(), scratch(), process_group(training.device) as group:
        games = read_games(manifests, settings.train, max_bad_fraction)
        source, games = open_source(
            games,
            inputs,
            settings.version,
            settings.rate,
            max_bad_fraction=max_bad_fraction,
            halftime_substitutions=network.sampling.halftime_substitutions,
            copied=True,
        )
        clips = TrainingClips(source, network, len(CLASSES[settings.version]), settings.seed)
        model = _random_network(settings, source.channels)
        file = None
        if network.backbone is not None and model.backbone is not None:
            file = opened(weights or open_weights(network.backbone.name), "the weights")
            load_frame_weights(model.backbone, file)
        model = model.to(group.device, DTYPES[training.precision])
        steering, others = _steering(manifests, inputs, settings, group, max_bad_fraction)
        provenance = _provenance(settings, [*games, *others], inputs, file)
        checkpoint = output.parent / "last.ckpt"
        done = fit(
            model,
            clips,
            losses_of(network.regression_weight if network.regression else 0.0),
            training,
            settings,
            group,
            steering,
            checkpoint=checkpoint,
            identity=provenance.digest,
            workers=workers,
            save_every=save_every,
        )
        if group.is_first:
            counts = {"processes": group.world, "games": len(games), "clips": len(clips)}
            metrics = _metrics(done.history, counts, model, group.device)
            write_json(output.with_name("metrics.json"), metrics)
            save_spotter(output, model, _description(settings, model.architecture, provenance))
            checkpoint.unlink(missing_ok=True)
        group.wait()


def _description(
    settings: TrainSpotter, architecture: RmsNetArchitecture, provenance: Provenance
) -> SpotterDescription:
    network = settings.network
    return SpotterDescription(
        architecture,
        settings.version,
        settings.rate,
        network.input,
        settings.frames.model_dump(mode="json") if settings.frames else None,
        network.inference.stride,
        network.inference.nms,
        provenance.content,
    )


def _steering(
    manifests: Sequence[Path], inputs: Inputs, settings: TrainSpotter, group: Group, max_bad_fraction: float
) -> tuple[SgdSchedule, list[Game]]:
    """What steers the training, and the games on which it is validated."""
    training = settings.network.training
    if training.patience is None:
        return SgdSchedule(training, training), []
    games = read_games(manifests, [settings.validation], max_bad_fraction)
    shown, games = open_source(games, inputs, settings.version, settings.rate, max_bad_fraction=max_bad_fraction)
    validate = Validation(shown, games, settings, group)
    return SgdValidated(training, training, training.patience, validate), games


def _metrics(
    history: list[dict[str, float]], counts: Mapping[str, int], model: nn.Module, device: torch.device
) -> dict[str, Any]:
    scores = [epoch[SCORE] for epoch in history if SCORE in epoch]
    return {
        **figures_of(history),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        **counts,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **({"best_epoch": 1 + scores.index(max(scores)), "validation_mAP": max(scores)} if scores else {}),
        "history": history,
    }


class Validation:
    """Average-mAP (loose) of a network on games, each process spotting its part of them."""

    def __init__(self, source: Source, games: Sequence[Game], settings: TrainSpotter, group: Group):
        self._source, self._settings, self._group = source, settings, group
        self._truth = {game.name: game.events for game in games}

    def __call__(self, model: nn.Module) -> float:
        assert isinstance(model, RmsNet)
        settings, group = self._settings, self._group
        training = settings.network.training
        mine = range(group.rank, len(self._source.halves), group.world)
        with torch.autocast(group.device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
            spotted = spot_halves(
                model,
                self._source,
                mine,
                CLASSES[settings.version],
                settings.rate,
                settings.network.inference.stride,
                settings.network.inference.nms,
                batch=training.micro_batch,
                device=group.device,
            )
        found: dict[str, list[Spot]] = {game: [] for game in self._truth}
        for game, spots in group.gather(spotted):
            found[game] += spots
        score: float = evaluate_games(self._truth, found, settings.version, "loose")["a_mAP"]
        return score


def _random_network(settings: TrainSpotter, channels: int) -> RmsNet:
    """The network with random weights, which the seed decides."""
    network = settings.network
    architecture = RmsNetArchitecture(
        classes=len(CLASSES[settings.version]),
        features=channels,
        clip=network.clip,
        projection=network.projection,
        convolutions=network.convolutions,
        kernel=network.kernel,
        dropout=network.dropout,
        hidden=network.hidden,
        regression=network.regression,
        backbone=network.backbone.name if network.backbone else None,
        trainable=network.backbone.trainable if network.backbone else "none",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return RmsNet(architecture, network.backbone.frames_at_once if network.backbone else None)


def _provenance(settings: TrainSpotter, games: Sequence[Game], inputs: Inputs, weights: Opened | None) -> Provenance:
    digests = {"games": [game.digest for game in games], "frames": inputs.digests(games)}
    return provenance_of(
        __name__,
        settings,
        inputs={name: sha256_text(json.dumps(values)) for name, values in digests.items()},
        weights={"backbone": weights.stated} if weights else {},
        packages=("torch",),
    )
