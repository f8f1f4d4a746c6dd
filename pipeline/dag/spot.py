"""Soccer event spotting (Ch. 4): what its rules read. The chapter has games of its own."""

from collections.abc import Sequence
from shlex import quote
from typing import Any

from pipeline.config.spot import FrameBackboneSettings, TrainedBackboneSettings
from pipeline.dag import paths, refusals
from pipeline.dag.run import Run
from pipeline.report.thesis_spotting import FIGURES, TABLES, networks_of


def seeds(run: Run, network: str) -> Sequence[int]:
    """The seeds with which a network is trained."""
    return run.config.spot.spotters[network].seeds or run.config.spot.seeds


def steering(run: Run) -> list[str]:
    """The splits that a training reads."""
    splits = run.config.spot.splits
    return [*splits.train, splits.validation]


def used(run: Run) -> list[str]:
    """The splits that the chapter uses."""
    splits = run.config.spot.splits
    return list(dict.fromkeys([*steering(run), splits.test, splits.submitted]))


def games(run: Run, splits: Sequence[str]) -> list[str]:
    """The manifests of these splits' games; errors as for `refusals.games`."""
    refusals.games(run, splits)
    return run.of_games(splits, paths.GAME)


def learned_from(run: Run, wildcards: Any) -> list[str]:
    """The manifests of the games that a training reads; errors as for `refusals.spotter`."""
    refusals.spotter(run, wildcards.network)
    return run.of_games(steering(run), paths.GAME)


def of_main_network(run: Run, path: str, **wildcards: object) -> str:
    """A path of the network of the highlights and of the submission, in its first training."""
    network = run.config.spot.main_network
    return run.result(path, network=network, seed=seeds(run, network)[0], **wildcards)


def shown_path(run: Run, network: str) -> str | None:
    """Where the frames or features of a network are, by game; None: in SoccerNet's own files."""
    spotter = run.config.spot.spotters[network]
    if spotter.backbone:
        return paths.GAME_FRAMES
    features = run.config.spot.features[spotter.input]
    if features.imported:
        return None
    pattern = paths.PROJECTED_FEATURES if features.pca else paths.FRAME_FEATURES
    return paths.filled(pattern, features=spotter.input)


def shown(run: Run, network: str, splits: Sequence[str]) -> list[str]:
    """What a network sees of these splits' games."""
    path = shown_path(run, network)
    return run.of_games(splits, path) if path else []


def shown_options(run: Run, network: str) -> str:
    """The same as options of a command."""
    path = shown_path(run, network)
    if path:
        return f"--shards {quote(run.result(path, game='{shard}'))}"
    imported = run.config.spot.features[run.config.spot.spotters[network].input].imported
    return f"--imported {quote(imported or '')}"


def backbone_digest(run: Run, backbone: FrameBackboneSettings | TrainedBackboneSettings | None) -> str:
    """The hash of a backbone's weights."""
    return run.weights_digest(backbone.weights, backbone.name) if backbone else ""


def backbone_option(backbone: FrameBackboneSettings | TrainedBackboneSettings | None) -> str:
    """Given weights as an option of a command."""
    return f"--weights {quote(backbone.weights)}" if backbone and backbone.weights else ""


def networks(run: Run, name: str) -> list[str]:
    """The networks of a table or figure that the configuration has."""
    spotters = run.config.spot.spotters
    backbones = {network: spotter.backbone for network, spotter in spotters.items()}
    return [network for network in networks_of(name, backbones) if network in spotters]


def shown_networks(run: Run, wildcards: Any) -> str:
    """The same of the table or figure that a job draws, as words."""
    return " ".join(networks(run, wildcards.name))


def evaluations_of(run: Run, name: str) -> list[str]:
    """Evaluations that a table or figure is made of."""
    splits = run.config.spot.splits
    reported = [split for split in (splits.validation, splits.test) if split not in splits.train]
    return [
        run.result(paths.SPOTS_EVALUATION, network=network, seed=seed, split=split)
        for network in networks(run, name)
        for seed in seeds(run, network)
        for split in (reported if name in TABLES else reported[-1:])
    ]


def sees_frames(run: Run) -> bool:
    """Whether a network that is asked for sees pictures, or features of them; else the manifests say it all."""
    spot = run.config.spot
    measured = [name for name in spot.tables if name in (*TABLES, *FIGURES)]
    asked = {spot.main_network, *(network for name in measured for network in networks(run, name))}
    return any(shown_path(run, network) for network in asked)
