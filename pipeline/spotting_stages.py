"""The commands of the stages of soccer event spotting (Ch. 4)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ActaError
from pipeline.options import max_bad_option, output_option, save_every_option, settings_of, stage_parser

if TYPE_CHECKING:
    from pipeline.spot.inputs import Inputs


def add_spotting_stages(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    matches = commands.add_parser("make-matches")
    matches.add_argument("root", type=Path, help="where the leagues go")
    matches.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on it")
    matches.set_defaults(run=_make_matches)

    game = stage_parser(commands, "spot-game")
    game.add_argument("list", type=Path, help="the game's list file")
    game.add_argument("--root", type=Path, required=True, help="folder with the leagues")
    game.set_defaults(run=_game)

    frames = stage_parser(commands, "spot-frames")
    frames.add_argument("game", type=Path, help="the game's manifest")
    frames.add_argument("--root", type=Path, required=True, help="folder with the leagues")
    frames.set_defaults(run=_frames)

    features = stage_parser(commands, "frame-features", workers=False)
    features.add_argument("frames", type=Path, help="the game's frames")
    features.add_argument("--weights", type=Path, help="the backbone's (.pth); none: the registered ones")
    features.set_defaults(run=_features)

    pca = stage_parser(commands, "fit-pca", workers=False)
    _lists(pca)
    pca.add_argument("--shards", type=Path, required=True, help="feature shards; {shard} stands for every game")
    pca.set_defaults(run=_fit_pca)

    project = stage_parser(commands, "project-features", settings=False, workers=False)
    project.add_argument("shard", type=Path, help="the game's features")
    project.add_argument("--projection", type=Path, required=True)
    project.set_defaults(run=_project)

    train = stage_parser(commands, "train-spotting")
    _games(train, shown=True)
    train.add_argument("--weights", type=Path, help="of the network's backbone (.pth); none: the registered ones")
    save_every_option(train)
    train.set_defaults(run=_train, workers=0)

    predict = stage_parser(commands, "predict-spots", workers=False)
    _games(predict, shown=True)
    predict.add_argument("--model", type=Path, required=True)
    output_option(predict, "--about", about="JSON to write: games, and those left out")
    predict.set_defaults(run=_predict)

    evaluate = stage_parser(commands, "evaluate-spots", workers=False)
    _games(evaluate)
    evaluate.add_argument("--predictions", type=Path, required=True, help="folder of SoccerNet's prediction files")
    evaluate.add_argument("--about", type=Path, required=True, help="JSON of predict-spots")
    evaluate.set_defaults(run=_evaluate)

    votes = stage_parser(commands, "spot-votes", workers=False)
    _games(votes, shown=True)
    votes.add_argument("--model", type=Path, required=True)
    votes.set_defaults(run=_votes)

    submit = stage_parser(commands, "submit-spots", settings=False, workers=False)
    submit.add_argument("predictions", type=Path, help="folder of SoccerNet's prediction files")
    submit.add_argument("--split", type=Path, required=True, help="the development kit's file of its games")
    submit.add_argument("--version", type=int, choices=(1, 2), required=True)
    submit.set_defaults(run=_submit)

    highlights = stage_parser(commands, "cut-highlights", workers=False)
    highlights.add_argument("game", type=Path, help="the game's manifest")
    highlights.add_argument("--root", type=Path, required=True, help="folder with the leagues")
    highlights.add_argument("--predictions", type=Path, required=True, help="folder of SoccerNet's prediction files")
    highlights.set_defaults(run=_highlights)

    quarantine = stage_parser(commands, "spot-quarantine", settings=False, workers=False)
    _games(quarantine)
    quarantine.add_argument("--shards", type=Path, help="their frames or features, with {shard}")
    quarantine.set_defaults(run=_quarantine)


def _lists(parser: argparse.ArgumentParser) -> None:
    about = "folders of the games' list files; a path with {shard} stands for every game's"
    parser.add_argument("--lists", type=Path, nargs="+", required=True, help=about)


def _games(parser: argparse.ArgumentParser, *, shown: bool = False) -> None:
    _lists(parser)
    parser.add_argument("--games", type=Path, required=True, help="the games' manifests, with {shard}")
    max_bad_option(parser, "games")
    if shown:
        parser.add_argument("--shards", type=Path, help="their frames or features, with {shard}")
        parser.add_argument("--imported", help="or what SoccerNet's feature files are called after the half's number …")
        parser.add_argument("--root", type=Path, help="… and the folder with the leagues")


def _paths(pattern: Path, lists: list[Path]) -> list[Path]:
    from pipeline.data.lists import shard_names

    keys = [key for folder in lists for key in shard_names(folder)]
    return [Path(str(pattern).replace("{shard}", key)) for key in keys]


def _inputs(options: argparse.Namespace) -> "Inputs":
    from pipeline.spot.inputs import Inputs

    if (options.shards is None) == (options.imported is None or options.root is None):
        raise ActaError("give --shards, or --imported and --root")
    shards = _paths(options.shards, options.lists) if options.shards else []
    return Inputs(tuple(shards), options.imported, options.root)


def _make_matches(options: argparse.Namespace) -> None:
    from pipeline.data.matches import make_matches

    make_matches(options.root, workers=options.workers)


def _game(options: argparse.Namespace) -> None:
    from pipeline.spot.build_game import build_game

    build_game(options.list, options.root, options.output, settings_of(options), workers=options.workers)


def _frames(options: argparse.Namespace) -> None:
    from pipeline.spot.frames import store_frames

    store_frames(options.game, options.root, options.output, settings_of(options), workers=options.workers)


def _features(options: argparse.Namespace) -> None:
    from pipeline.features.frame_features import frame_features
    from pipeline.models.weights import open_weights

    settings = settings_of(options)
    weights = options.weights or open_weights(settings.backbone.name)
    frame_features(options.frames, options.output, settings, weights)


def _fit_pca(options: argparse.Namespace) -> None:
    from pipeline.features.pca import fit_pca

    fit_pca(_paths(options.shards, options.lists), options.output, settings_of(options))


def _project(options: argparse.Namespace) -> None:
    from pipeline.features.pca import project_features

    project_features(options.shard, options.projection, options.output)


def _train(options: argparse.Namespace) -> None:
    from pipeline.models.weights import open_weights
    from pipeline.spot.train import train_spotting

    settings = settings_of(options)
    backbone = settings.network.backbone
    weights = options.weights
    if backbone is not None and weights is None:
        weights = open_weights(backbone.name)
    train_spotting(
        _paths(options.games, options.lists),
        _inputs(options),
        options.output,
        settings,
        weights=weights,
        max_bad_fraction=options.max_bad,
        workers=options.workers,
        save_every=options.save_every,
    )


def _predict(options: argparse.Namespace) -> None:
    from pipeline.spot.predict import predict_spots

    games = _paths(options.games, options.lists)
    predict_spots(
        games,
        _inputs(options),
        options.model,
        options.output,
        options.about,
        settings_of(options),
        max_bad_fraction=options.max_bad,
    )


def _evaluate(options: argparse.Namespace) -> None:
    from pipeline.spot.evaluate_spots import evaluate_spots

    games = _paths(options.games, options.lists)
    evaluate_spots(
        games,
        options.predictions,
        options.about,
        options.output,
        settings_of(options),
        max_bad_fraction=options.max_bad,
    )


def _votes(options: argparse.Namespace) -> None:
    from pipeline.spot.votes import count_votes

    games = _paths(options.games, options.lists)
    count_votes(
        games,
        _inputs(options),
        options.model,
        options.output,
        settings_of(options),
        max_bad_fraction=options.max_bad,
    )


def _submit(options: argparse.Namespace) -> None:
    from pipeline.data.soccernet import read_split
    from pipeline.spot.submission import submit

    submit(options.predictions, options.output, read_split(options.split), options.version)


def _highlights(options: argparse.Namespace) -> None:
    from pipeline.spot.game_highlights import cut_highlights

    cut_highlights(options.game, options.root, options.predictions, options.output, settings_of(options))


def _quarantine(options: argparse.Namespace) -> None:
    from pipeline.spot.inputs import Inputs
    from pipeline.spot.left_out import collect_left_out

    shards = _paths(options.shards, options.lists) if options.shards else []
    collect_left_out(_paths(options.games, options.lists), Inputs(tuple(shards)), options.output)
