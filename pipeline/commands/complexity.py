"""``acta complexity``: what a network costs, by calculation."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from pipeline.config.names import BackboneName, FeatureName
from pipeline.runtime.errors import ActaError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "What one view costs, or with --trainings how much GPU memory trainings need, by calculation: no weights or "
        "data are needed."
    )
    parser.add_argument("--backbone", choices=get_args(BackboneName), help="a network on clips (Chs. 5 and 6)")
    parser.add_argument(
        "--trainings",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="configuration files, one over the other: GiB that each training needs, with its micro-batch",
    )
    parser.add_argument("--model", choices=("stage",), help="STAGE (Ch. 3), per clip of 4 actors and 25 objects")
    parser.add_argument("--features", choices=get_args(FeatureName), help="with --model stage: the actors' backbone")
    parser.add_argument(
        "--reduce",
        default="",
        metavar="c,f,t",
        help="reduction operators of Sec. 6.1.1, of s, t, f, c, l, each as often as wanted",
    )
    parser.add_argument("--classes", type=int, default=400, help="outputs (default: %(default)s)")
    parser.add_argument("--frames", type=int, help="frames of the raw clip (default: as published)")
    parser.add_argument("--size", type=int, help="side of the view in pixels (default: the published test crop)")
    parser.add_argument("--width", type=float, default=1.0, help="factor on the channels")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_complexity)


def _complexity(options: argparse.Namespace) -> None:
    if options.trainings:
        _training_memory(options)
        return
    if options.model == "stage":
        _stage_complexity(options)
        return
    if options.backbone is None:
        raise ActaError("--backbone or --model stage is needed, or --trainings")

    from pipeline.models.architecture import BASES, Architecture, parse_reductions
    from pipeline.models.complexity import complexity

    sizes = (options.classes, options.width, options.frames, options.size)
    if any(size is not None and size <= 0 for size in sizes):
        raise ActaError("--classes, --width, --frames and --size must be positive")
    reductions = parse_reductions(options.reduce)
    operators = [reduction.operator for reduction in reductions]
    architecture = Architecture(
        options.backbone, options.classes, width=options.width, frames=options.frames, reductions=reductions
    )
    cost = complexity(architecture, options.size)
    if options.json:
        print(json.dumps({"backbone": options.backbone, "reductions": operators, **asdict(cost)}))
        return
    side = architecture.pixels(options.size or BASES[options.backbone].size)
    frames = " and ".join(str(len(pathway)) for pathway in architecture.pathways)
    print(f"{options.backbone} {','.join(operators)}".strip() + f", {frames} frames of {side} x {side}")
    print(f"  {cost.gflops:.2f} GFLOPs (10⁹ multiply-adds) per view")
    print(f"  {cost.parameters:,} parameters")
    print(f"  {cost.peak_activation_mb:.1f} MB of activations at once (float32)")


def _stage_complexity(options: argparse.Namespace) -> None:
    from pipeline.models.stage_architecture import StageArchitecture
    from pipeline.models.stage_complexity import stage_complexity

    if options.backbone:
        raise ActaError("--backbone is for networks on clips, not for --model stage")
    if not options.features:
        raise ActaError(f"--model stage needs --features: {', '.join(get_args(FeatureName))}")
    cost = stage_complexity(StageArchitecture.published(options.features))
    if options.json:
        print(json.dumps({"model": "stage", "features": options.features, **asdict(cost)}))
        return
    print(f"STAGE on {options.features} features, {cost.actors} actors and {cost.objects} objects")
    print(f"  {cost.gflops:.3f} GFLOPs (10⁹ multiply-adds) per clip")
    print(f"  {cost.linear_gflops:.3f} in linear layers other than the heads' projections, as Table 3.10 counts")
    print(f"  {cost.parameters:,} parameters")


def _training_memory(options: argparse.Namespace) -> None:
    from pipeline.config.whole import load_over
    from pipeline.plan.memory import of_classification, of_detection, of_spotting

    if options.backbone or options.model:
        raise ActaError("--trainings takes the networks of the configuration, not --backbone or --model")
    config = load_over(options.trainings)
    found = [memory for chapter in (of_classification, of_detection, of_spotting) for memory in chapter(config)]
    if options.json:
        print(json.dumps([asdict(memory) for memory in found]))
        return
    print("GiB on a GPU by precision, and with `recompute_activations`; CUDA itself takes one to two more")
    print(f"{'network':24}{'micro-batch':>12}{'float32':>10}{'half':>10}{'float32, r.':>13}{'half, r.':>10}")
    for memory in found:
        again = ["-" if gib is None else f"{gib:.1f}" for gib in (memory.full_again, memory.half_again)]
        print(
            f"{memory.name:24}{memory.micro_batch:12}{memory.full:10.1f}{memory.half:10.1f}{again[0]:>13}{again[1]:>10}"
        )
