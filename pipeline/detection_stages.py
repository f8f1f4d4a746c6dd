"""The commands of Chapter 3's stages, which the workflow's rules call."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ActaError
from pipeline.options import (
    lists_option,
    max_bad_option,
    output_option,
    paths_of,
    save_every_option,
    settings_of,
    stage_parser,
)


def add_detection_stages(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    interactions = commands.add_parser("make-interactions")
    interactions.add_argument("footage", type=Path, help="where the footage is")
    interactions.add_argument("root", type=Path, help="where the videos and annotations go")
    interactions.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on it")
    interactions.set_defaults(run=_make_interactions)

    detector = stage_parser(commands, "train-detector")
    _shards(detector, "frame shards that hold the videos")
    detector.add_argument("--boxes", type=Path, required=True, help="CSV: video,timestamp,x1,y1,x2,y2,class")
    save_every_option(detector)
    detector.set_defaults(run=_train_detector, workers=0)

    objects = stage_parser(commands, "detect-objects", workers=False)
    objects.add_argument("frames", type=Path, help="frame shard")
    objects.add_argument("--detector", type=Path, help="model file; none: the registered one (COCO)")
    _annotated(objects, proposals=True)
    max_bad_option(objects)
    objects.set_defaults(run=_detect_objects)

    external = stage_parser(commands, "import-objects", workers=False)
    external.add_argument("frames", type=Path, help="frame shard")
    external.add_argument("--published", nargs="+", required=True, metavar="SPLIT=FILE", help="HDF5, by split")
    _annotated(external, proposals=True)
    max_bad_option(external)
    external.set_defaults(run=_import_objects)

    backbone = stage_parser(commands, "train-backbone")
    _shards(backbone, "frame shards that hold the videos")
    _annotated(backbone)
    save_every_option(backbone)
    backbone.set_defaults(run=_train_backbone, workers=0)

    actors = stage_parser(commands, "actor-features")
    actors.add_argument("frames", type=Path, help="frame shard")
    actors.add_argument("--model", type=Path, required=True, help="the actor backbone's model file")
    actors.add_argument("--objects", type=Path, help="object shard of the same videos")
    _annotated(actors, proposals=True)
    max_bad_option(actors)
    actors.set_defaults(run=_actor_features, workers=0)

    imported = stage_parser(commands, "import-features", workers=False)
    imported.add_argument("list", type=Path, help="list file of the shard")
    imported.add_argument("--actors", nargs="+", required=True, metavar="SPLIT=PATH", help="folder or file, by split")
    imported.add_argument("--objects", nargs="+", default=[], metavar="SPLIT=FILE", help="file of objects, by split")
    imported.add_argument("--frame-lists", nargs="+", default=[], metavar="SPLIT=FILE", help="PySlowFast's, by split")
    _annotated(imported, proposals=True)
    max_bad_option(imported)
    imported.set_defaults(run=_import_features)

    average = stage_parser(commands, "average-features", settings=False, workers=False)
    average.add_argument("one", type=Path, help="feature shard")
    average.add_argument("other", type=Path, help="feature shard of the same actors")
    average.set_defaults(run=_average_features)

    train = stage_parser(commands, "train-detection")
    _shards(train, "feature shards, all of a dataset")
    _evaluated(train, required=True)
    save_every_option(train)
    train.set_defaults(run=_train_detection, workers=0)

    evaluate = stage_parser(commands, "evaluate-detection", workers=False)
    _shards(evaluate, "feature shards, all of a dataset")
    evaluate.add_argument("--model", type=Path, help="STAGE's model file; none: the backbone's own classifier")
    _evaluated(evaluate)
    output_option(evaluate, "--detections", about="CSV to write: AVA's form of detections")
    evaluate.set_defaults(run=_evaluate_detection)


def _shards(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("shards", nargs="+", type=Path, help=about)
    lists_option(parser)


def _annotated(parser: argparse.ArgumentParser, *, proposals: bool = False) -> None:
    parser.add_argument("--label-map", type=Path, required=True, help="every action (pbtxt)")
    parser.add_argument("--boxes", nargs="+", default=[], metavar="SPLIT=CSV", help="annotated boxes, by split")
    if proposals:
        parser.add_argument("--proposals", nargs="+", default=[], metavar="SPLIT=FILE", help="detected people")


def _evaluated(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    parser.add_argument("--label-map", type=Path, required=True, help="every action (pbtxt)")
    parser.add_argument("--evaluated", type=Path, help="actions that count (pbtxt); none: all")
    about = "annotated boxes of the split that is evaluated (CSV)"
    parser.add_argument("--groundtruth", type=Path, required=required, help=about)
    parser.add_argument("--exclusions", type=Path, help="frames that do not count (CSV)")


def by_split(words: Sequence[str]) -> dict[str, Path]:
    """Paths by split out of ``split=path`` words.

    Raises:
        ActaError: a word is not of this form, or names a split again.
    """
    found: dict[str, Path] = {}
    for word in words:
        split, equals, path = word.partition("=")
        if not (split and equals and path) or split in found:
            raise ActaError(f"{word!r} is not <split>=<path>, each split once")
        found[split] = Path(path)
    return found


def _make_interactions(options: argparse.Namespace) -> None:
    from pipeline.data.interactions import make_interactions

    make_interactions(options.footage, options.root, options.workers)


def _train_detector(options: argparse.Namespace) -> None:
    from pipeline.features.train_detector import train_detector

    train_detector(
        paths_of(options.shards, options.lists),
        options.boxes,
        options.output,
        settings_of(options),
        workers=options.workers,
        save_every=options.save_every,
    )


def _detect_objects(options: argparse.Namespace) -> None:
    from pipeline.features.detect_objects import detect_objects
    from pipeline.models.weights import open_weights

    detect_objects(
        options.frames,
        options.output,
        settings_of(options),
        options.detector or open_weights("fasterrcnn"),
        options.label_map,
        by_split(options.boxes),
        by_split(options.proposals),
        max_bad_fraction=options.max_bad,
    )


def _import_objects(options: argparse.Namespace) -> None:
    from pipeline.features.import_objects import import_objects

    import_objects(
        options.frames,
        options.output,
        settings_of(options),
        by_split(options.published),
        options.label_map,
        by_split(options.boxes),
        by_split(options.proposals),
        max_bad_fraction=options.max_bad,
    )


def _train_backbone(options: argparse.Namespace) -> None:
    from pipeline.features.train_backbone import train_backbone

    train_backbone(
        paths_of(options.shards, options.lists),
        options.output,
        settings_of(options),
        options.label_map,
        by_split(options.boxes),
        workers=options.workers,
        save_every=options.save_every,
    )


def _actor_features(options: argparse.Namespace) -> None:
    from pipeline.features.actors import actor_features

    actor_features(
        options.frames,
        options.output,
        settings_of(options),
        options.model,
        options.label_map,
        by_split(options.boxes),
        by_split(options.proposals),
        options.objects,
        workers=options.workers,
        max_bad_fraction=options.max_bad,
    )


def _import_features(options: argparse.Namespace) -> None:
    from pipeline.features.importing import Published, import_features

    names = ("objects", "boxes", "proposals", "frame_lists")
    others = {name: by_split(getattr(options, name)) for name in names}
    published = {
        split: Published(path, *(others[name].get(split) for name in names))
        for split, path in by_split(options.actors).items()
    }
    import_features(
        options.list,
        options.output,
        settings_of(options),
        published,
        options.label_map,
        max_bad_fraction=options.max_bad,
    )


def _average_features(options: argparse.Namespace) -> None:
    from pipeline.features.average import average_features

    average_features(options.one, options.other, options.output)


def _train_detection(options: argparse.Namespace) -> None:
    from pipeline.detect.train import train_detection

    train_detection(
        paths_of(options.shards, options.lists),
        options.output,
        settings_of(options),
        label_map=options.label_map,
        truth=options.groundtruth,
        evaluated=options.evaluated,
        excluded=options.exclusions,
        workers=options.workers,
        save_every=options.save_every,
    )


def _evaluate_detection(options: argparse.Namespace) -> None:
    from pipeline.detect.evaluate import evaluate_detection

    evaluate_detection(
        options.model,
        paths_of(options.shards, options.lists),
        options.output,
        options.detections,
        settings_of(options),
        label_map=options.label_map,
        evaluated=options.evaluated,
        truth=options.groundtruth,
        excluded=options.exclusions,
    )
