"""The commands of the stages of video classification (Ch. 5): ``acta train`` and ``acta evaluate``."""

import argparse
from pathlib import Path

from pipeline.errors import ActaError
from pipeline.options import lists_option, output_option, paths_of, save_every_option, settings_of, stage_parser


def add_classification_stages(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    train = stage_parser(commands, "train")
    train.add_argument("frames", nargs="+", type=Path, help="frame shards that the network sees")
    lists_option(train)
    train.add_argument("--teacher", type=Path, help="the teacher's model file")
    train.add_argument("--teacher-frames", nargs="+", type=Path, default=[], help="frame shards that the teacher sees")
    train.add_argument("--like", type=Path, metavar="MODEL", help="take this model file's architecture")
    train.add_argument("--keep-weights", action="store_true", help="and its weights")
    save_every_option(train)
    train.set_defaults(run=_train, workers=0)

    evaluate = stage_parser(commands, "evaluate")
    evaluate.add_argument("model", type=Path, help="model file")
    evaluate.add_argument("frames", nargs="+", type=Path, help="frame shards to test on")
    lists_option(evaluate)
    output_option(evaluate, "--predictions", about="table to write: the best classes per video")
    evaluate.set_defaults(run=_evaluate, workers=0)


def _train(options: argparse.Namespace) -> None:
    from pipeline.classify.train import train_network

    train_network(
        paths_of(options.frames, options.lists),
        options.output,
        settings_of(options),
        teacher=options.teacher,
        teacher_shards=paths_of(options.teacher_frames, options.lists),
        like=options.like,
        keep_weights=options.keep_weights,
        workers=options.workers,
        save_every=options.save_every,
    )


def _evaluate(options: argparse.Namespace) -> None:
    from pipeline.classify.evaluate import evaluate_network

    if options.lists is None:
        raise ActaError("evaluate needs --lists: the folder of the list files, which say what videos to expect")
    evaluate_network(
        options.model,
        paths_of(options.frames, options.lists),
        sorted(options.lists.glob("*.json")),
        options.output,
        options.predictions,
        settings_of(options),
        workers=options.workers,
    )
