"""The commands around networks: ``acta classify``, ``acta complexity``, ``acta model convert``."""

import argparse
import json
import sys
from pathlib import Path

from pipeline.errors import ActaError

# As pipeline.config.classify and pipeline.config.detect have them, whose import would take longer than the help may;
# a test compares them.
BACKBONES = ("r2plus1d_18", "r3d_18", "slowfast_4x16_r50", "slowfast_8x8_r101", "slowfast_8x8_r50")
ACTOR_BACKBONES = (
    "i3d",
    "r101_i3d_nl",
    "slowfast_nl_8x8_r50",
    "slowfast_nl_8x8_r101",
    "slowfast_nl_16x8_r50",
    "slowfast_nl_16x8_r101",
)
FEATURES = ("i3d", "r101_i3d_nl", "slowfast_nl")


def add_classify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    classify = commands.add_parser("classify")
    classify.add_argument("videos", nargs="+", type=Path, metavar="VIDEO", help="video files")
    classify.add_argument("--model", type=Path, required=True, help="a model file (.safetensors)")
    classify.add_argument("--top", type=int, default=5, help="how many classes to print (default: %(default)s)")
    classify.add_argument("--clips", type=int, default=10, help="clips that are averaged (default: %(default)s)")
    classify.add_argument("--json", action="store_true", help="print JSON")
    classify.set_defaults(run=_classify)

    complexity = commands.add_parser(
        "complexity",
        description="What one view costs, by calculation: no weights or data are needed.",
    )
    complexity.add_argument("--backbone", choices=BACKBONES, help="a network on clips (Chs. 5 and 6)")
    complexity.add_argument("--model", choices=("stage",), help="STAGE (Ch. 3), per clip of 4 actors and 25 objects")
    complexity.add_argument("--features", choices=FEATURES, help="with --model stage: the actors' backbone")
    complexity.add_argument(
        "--reduce",
        default="",
        metavar="c,f,t",
        help="reduction operators of Sec. 6.1.1, of s, t, f, c, l, each as often as wanted",
    )
    complexity.add_argument("--classes", type=int, default=400, help="outputs (default: %(default)s)")
    complexity.add_argument("--frames", type=int, help="frames of the raw clip (default: as published)")
    complexity.add_argument("--size", type=int, help="side of the view in pixels (default: the published test crop)")
    complexity.add_argument("--width", type=float, default=1.0, help="factor on the channels")
    complexity.add_argument("--json", action="store_true", help="print JSON")
    complexity.set_defaults(run=_complexity)

    model = commands.add_parser("model")
    convert = model.add_subparsers(required=True, metavar="ACTION").add_parser(
        "convert", help="published weights (.pth, .pyth, .pkl) to a model file"
    )
    convert.add_argument("checkpoint", type=Path, help="file to read")
    convert.add_argument("--backbone", required=True, choices=(*BACKBONES, *ACTOR_BACKBONES))
    about = "text file, one class a line, in the outputs' order; or a label map (.pbtxt)"
    convert.add_argument("--classes", type=Path, required=True, help=about)
    convert.add_argument("-o", "--output", type=Path, required=True, help="model file to write (.safetensors)")
    convert.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    convert.set_defaults(run=_convert)


def _classify(options: argparse.Namespace) -> int:
    from pipeline.classify.predict import predict
    from pipeline.errors import VideoError
    from pipeline.models.saved import load_model

    if options.clips < 1 or options.top < 1:
        raise ActaError("--clips and --top must be at least 1")
    network, description = load_model(options.model)
    network.eval()
    if description.variant != "none":
        print(
            f"note: this network was trained on videos with {description.variant} hidden; show it such videos "
            f"(acta anonymize … --what {description.variant})",
            file=sys.stderr,
        )
    failed, found = 0, []
    for video in options.videos:
        try:
            scores = predict(network, description, video, options.clips)
        except VideoError as error:
            print(f"error: {video}: {error}", file=sys.stderr)
            failed = 1
            continue
        best = [(description.classes[i], float(scores[i])) for i in (-scores).argsort(kind="stable")[: options.top]]
        found.append({"video": str(video), "classes": [{"label": label, "score": score} for label, score in best]})
        if not options.json:
            print(video)
            for label, score in best:
                print(f"  {100 * score:5.1f} %  {label}")
    if options.json:
        print(json.dumps(found, indent=1))
    return failed


def _complexity(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    if options.model == "stage":
        _stage_complexity(options)
        return
    if options.backbone is None:
        raise ActaError("--backbone or --model stage is needed")

    from pipeline.models.architecture import BASES, Architecture, parse_reductions
    from pipeline.models.complexity import complexity

    if any(
        value is not None and value <= 0 for value in (options.classes, options.width, options.frames, options.size)
    ):
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
    from dataclasses import asdict

    from pipeline.models.stage import StageArchitecture, stage_complexity

    if options.backbone:
        raise ActaError("--backbone is for networks on clips, not for --model stage")
    if not options.features:
        raise ActaError(f"--model stage needs --features: {', '.join(FEATURES)}")
    cost = stage_complexity(StageArchitecture.published(options.features))
    if options.json:
        print(json.dumps({"model": "stage", "features": options.features, **asdict(cost)}))
        return
    print(f"STAGE on {options.features} features, {cost.actors} actors and {cost.objects} objects")
    print(f"  {cost.gflops:.3f} GFLOPs (10⁹ multiply-adds) per clip")
    print(f"  {cost.linear_gflops:.3f} in linear layers other than the heads' projections, as Table 3.10 counts")
    print(f"  {cost.parameters:,} parameters")


def _convert(options: argparse.Namespace) -> None:
    from pipeline.files import check_outputs
    from pipeline.models.convert import convert_checkpoint

    if options.output.suffix != ".safetensors":
        raise ActaError(f"the output {options.output} must end in .safetensors")
    outputs = [options.output, options.output.with_suffix(".json")]
    check_outputs(outputs, [options.checkpoint, options.classes], overwrite=options.overwrite)
    convert_checkpoint(options.checkpoint, options.output, options.backbone, options.classes)
    print(f"wrote {options.output} and {options.output.with_suffix('.json').name}")
