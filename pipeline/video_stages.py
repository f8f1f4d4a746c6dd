"""The commands of the stages on videos: the demo's footage, manifests, frames, and their anonymisation (Ch. 5)."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.options import lists_option, max_bad_option, output_option, paths_of, settings_of, stage_parser


def add_video_stages(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    footage = commands.add_parser("get-footage")
    footage.add_argument("folder", type=Path)
    footage.set_defaults(run=_get_footage)

    actions = commands.add_parser("make-actions")
    actions.add_argument("folder", type=Path, help="where the footage is and the videos go")
    actions.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on it")
    actions.set_defaults(run=_make_actions)

    manifest = stage_parser(commands, "manifest", settings=False)
    manifest.add_argument("list", type=Path, help="list file of the shard")
    _video_options(manifest)
    manifest.set_defaults(run=_manifest)

    frames = stage_parser(commands, "frames")
    frames.add_argument("manifest", type=Path, help="the shard's manifest")
    _video_options(frames)
    frames.set_defaults(run=_frames)

    detect = stage_parser(commands, "detect-people")
    detect.add_argument("manifest", type=Path, help="the shard's manifest")
    _video_options(detect)
    detect.set_defaults(run=_detect)

    obfuscate = stage_parser(commands, "obfuscate")
    obfuscate.add_argument("frames", type=Path, help="frame shard")
    obfuscate.add_argument("--detections", type=Path, required=True, help="detection shard of the same videos")
    max_bad_option(obfuscate)
    obfuscate.set_defaults(run=_obfuscate)

    audit = stage_parser(commands, "audit")
    audit.add_argument("before", type=Path, help="original frame shard")
    audit.add_argument("after", type=Path, help="anonymised frame shard")
    audit.add_argument("--detections", type=Path, required=True, help="detection shard of the same videos")
    audit.set_defaults(run=_audit)

    certify = commands.add_parser("certify")
    certify.add_argument("audits", nargs="+", type=Path, help="of each shard (JSON)")
    lists_option(certify)
    output_option(certify, "--certificate", about="JSON to write")
    output_option(certify, "--table", about="table to write")
    certify.set_defaults(run=_certify)

    statistics = commands.add_parser("statistics")
    for what in ("faces", "bodies"):
        statistics.add_argument(f"--{what}", nargs="+", type=Path, default=[], help=f"detection shards of {what}")
    lists_option(statistics)
    statistics.add_argument("--splits", nargs="*", default=[], help="only these splits; none: all")
    output_option(statistics, "--table", about="table to write")
    output_option(statistics, "--figure", about="picture to write (PNG)")
    statistics.set_defaults(run=_statistics)

    sheet = stage_parser(commands, "contact-sheet", workers=False)
    for variant in ("none", "faces", "bodies"):
        sheet.add_argument(f"--{variant}", nargs="+", type=Path, default=[], help=f"frame shards of {variant}")
    lists_option(sheet)
    sheet.set_defaults(run=_contact_sheet)

    quarantine = stage_parser(commands, "quarantine", settings=False, workers=False)
    for what in ("manifests", "frames", "detections", "features"):
        quarantine.add_argument(f"--{what}", nargs="+", type=Path, default=[], help="of the shards")
    lists_option(quarantine)
    quarantine.set_defaults(run=_quarantine)


def _video_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, help="folder of the videos")
    max_bad_option(parser)


def _running(options: argparse.Namespace) -> dict[str, Any]:
    return {"workers": options.workers, "max_bad_fraction": options.max_bad}


def _get_footage(options: argparse.Namespace) -> None:
    from pipeline.data.demo import get_footage

    for path in get_footage(options.folder):
        print(f"wrote {path}")


def _make_actions(options: argparse.Namespace) -> None:
    from pipeline.data.actions import make_actions

    make_actions(options.folder, options.folder, options.workers)


def _manifest(options: argparse.Namespace) -> None:
    from pipeline.data.manifest import build_manifest

    build_manifest(options.list, options.root, options.output, **_running(options))


def _frames(options: argparse.Namespace) -> None:
    from pipeline.media.frames import extract_frames

    extract_frames(options.manifest, options.root, options.output, settings_of(options), **_running(options))


def _detect(options: argparse.Namespace) -> None:
    from pipeline.privacy.detect import detect_shard

    detect_shard(options.manifest, options.root, options.output, settings_of(options), **_running(options))


def _obfuscate(options: argparse.Namespace) -> None:
    from pipeline.privacy.obfuscate import obfuscate_shard

    obfuscate_shard(options.frames, options.detections, options.output, settings_of(options), **_running(options))


def _audit(options: argparse.Namespace) -> None:
    from pipeline.privacy.audit import audit_shard

    audit_shard(
        options.before,
        options.after,
        options.detections,
        options.output,
        settings_of(options),
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


def _quarantine(options: argparse.Namespace) -> None:
    from pipeline.data.quarantine import collect_quarantine

    collect_quarantine(
        paths_of(options.manifests, options.lists),
        paths_of(options.frames, options.lists),
        paths_of(options.detections, options.lists),
        options.output,
        paths_of(options.features, options.lists),
    )
