"""Task `train_spotter`: RMS-Net, or an ablation of it, on features or end to end (Secs. 4.2.2, 4.2.5 and 4.3)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config.spot import SpotNetworkSettings
from pipeline.config.tasks.spot import TrainSpotter
from pipeline.models.frame_backbones import load_frame_weights
from pipeline.models.opened import Opened, opened
from pipeline.models.precision import mixed
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.models.weights import open_weights
from pipeline.runtime.files import Output
from pipeline.runtime.provenance import Provenance, provenance_of, sha256_text
from pipeline.spot.evaluation import evaluate_games
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.game_clips import TrainingClips
from pipeline.spot.games import Game, read_games
from pipeline.spot.halves import Source
from pipeline.spot.predict_spots import spot_halves
from pipeline.spot.sources import Inputs, open_source
from pipeline.spot.spotter_file import SpotterDescription, save_spotter
from pipeline.training.distributed import Group
from pipeline.training.job import seeded, start_job
from pipeline.training.loop import Losses, fit
from pipeline.training.steering import SgdSchedule, SgdValidated


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
    """Train a network and write ``output`` (.safetensors, with a .json next to it) and ``metrics.json``.

    Where the training is validated, the weights are those of the epoch with the highest Average-mAP (loose) on the
    validation split. A training that was stopped goes on from ``last.ckpt`` in the output's folder, to the same bytes
    on a CPU, and on a GPU where `deterministic` is set.

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
    with start_job(output, training, workers, save_every) as job:
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
        steering, others = SgdSchedule(training, training), []
        if training.patience is not None:
            others = read_games(manifests, [settings.validation], max_bad_fraction)
            shown, others = open_source(
                others, inputs, settings.version, settings.rate, max_bad_fraction=max_bad_fraction
            )
            validate = validation(shown, others, settings, job.group)
            steering = SgdValidated(training, training, training.patience, validate)
        provenance = _provenance(settings, [*games, *others], inputs, file)
        about = SpotterDescription(
            model.architecture,
            settings.version,
            settings.rate,
            network.input,
            settings.frames.model_dump(mode="json") if settings.frames else None,
            network.inference.stride,
            network.inference.nms,
            provenance.content,
        )
        losses = losses_of(network.regression_weight if network.regression else 0.0)
        done = fit(job, model, clips, losses, training, settings.seed, steering, provenance.digest)
        figures = {
            **job.machines,
            "games": len(games),
            "clips": len(clips),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        }
        job.finish(done, figures, lambda: save_spotter(output, model, about))


def losses_of(weight: float) -> Losses:
    """RMS-Net's loss, Eqs. 4.1 to 4.3: L = L_cls + λ · L_regr, on batches of `pipeline.spot.game_clips.TrainingClips`.

    The cross entropy is the mean over a micro-batch's clips. The squared error of the offsets is the mean over the
    clips that hold an event, and 0 if none does. ``weight`` is λ.
    """

    def losses(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        logits, offsets = model(batch["clip"])
        label, event = batch["label"], batch["event"].to(offsets.dtype)
        cross_entropy = F.cross_entropy(logits, label)
        error = (offsets - batch["offset"].to(offsets.dtype)) ** 2
        regression = (error * event).sum() / event.sum().clamp(min=1)
        accuracy = (logits.argmax(1) == label).to(logits.dtype).mean()
        figures = {"cross_entropy": cross_entropy, "regression": regression, "accuracy": accuracy}
        return cross_entropy + weight * regression, figures

    return losses


def validation(
    source: Source, games: Sequence[Game], settings: TrainSpotter, group: Group
) -> Callable[[nn.Module], float]:
    """Average-mAP (loose) of a network on games; each process predicts its share of the halves."""
    truth = {game.name: game.events for game in games}
    training, inference = settings.network.training, settings.network.inference

    def validate(model: nn.Module) -> float:
        assert isinstance(model, RmsNet)
        with mixed(group.device.type, training.precision):
            spotted = spot_halves(
                model,
                source,
                range(group.rank, len(source.halves), group.world),
                CLASSES[settings.version],
                settings.rate,
                inference.stride,
                inference.nms,
                batch=training.micro_batch,
                device=group.device,
            )
        found: dict[str, list[Spot]] = {game: [] for game in truth}
        for game, spots in group.gather(spotted):
            found[game] += spots
        score: float = evaluate_games(truth, found, settings.version, "loose")["a_mAP"]
        return score

    return validate


def architecture_of(network: SpotNetworkSettings, version: int, channels: int) -> RmsNetArchitecture:
    """The architecture that settings ask for, on features with this many channels; the version decides the classes."""
    return RmsNetArchitecture(
        classes=len(CLASSES[version]),
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


def _random_network(settings: TrainSpotter, channels: int) -> RmsNet:
    """The network with random weights, which depend on the seed."""
    network = settings.network
    with seeded(settings.seed):
        architecture = architecture_of(network, settings.version, channels)
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
