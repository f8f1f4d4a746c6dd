"""Stage `manifest`: probe the videos of one list and write down what they are.

A manifest shard is a JSON file: ``videos`` (each with id, path, label, split and the fields of `VideoInfo`) and
``quarantine`` (id, stage, reason).
"""

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pipeline.config.base import canonical
from pipeline.config.stages import NoSettings
from pipeline.data.lists import Listed, read_list
from pipeline.errors import ActaError, VideoError
from pipeline.files import write_json
from pipeline.media.probe import VideoInfo, probe
from pipeline.seals import digest_of
from pipeline.stages import code_digest, sha256_text
from pipeline.store import Provenance, Quarantined
from pipeline.text import read_made
from pipeline.workers import map_videos, split_results


@dataclass(frozen=True)
class Video:
    """A video that can be used. ``path`` is relative to the dataset's root."""

    id: str
    path: str
    label: str
    split: str
    info: VideoInfo


@dataclass(frozen=True)
class Manifest:
    """A manifest shard as read from its file; ``digest`` stands for its content in the provenance of stages below."""

    videos: list[Video]
    quarantine: list[Quarantined]
    digest: str


def build_manifest(videos: Path, root: Path, output: Path, *, workers: int = 1, max_bad_fraction: float = 1.0) -> None:
    """Probe every video of a list.

    Args:
        videos: List file (`pipeline.data.lists`).
        root: Folder that the listed paths are relative to.
        output: The manifest shard to write (JSON).
        workers: Processes; the result does not depend on it.
        max_bad_fraction: More bad videos than this fraction of the list are an error.
    """
    listed = read_list(videos)
    results = map_videos(partial(_probe, root=root), listed, workers=workers, stage="manifest")
    good, bad = split_results(results, max_bad_fraction, len(listed), "manifest")
    provenance = Provenance(
        stage="manifest",
        settings=canonical(NoSettings()),
        code=code_digest("manifest"),
        inputs={"list": sha256_text(videos.read_text())},
        packages=("av",),
    )
    content = {
        "provenance": json.loads(provenance.to_json()),
        "videos": [_to_row(video) for video in good],
        "quarantine": [asdict(entry) for entry in bad],
    }
    write_json(output, content)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest shard.

    Raises:
        ActaError: the file is missing or is no manifest.
    """
    try:
        content = read_made(path, "the manifest")
        digest = digest_of(content)
        videos = [_from_row(row) for row in content["videos"]]
        quarantine = [Quarantined(**row) for row in content["quarantine"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ActaError(f"{path} is not a manifest of Acta: {error!r}") from None
    return Manifest(videos, quarantine, digest)


def _probe(listed: Listed, root: Path) -> Video:
    if listed.size < 0:  # not opened: an annotation's name for it could be anybody's file
        raise VideoError(f"missing: {listed.path}")
    return Video(listed.id, listed.path, listed.label, listed.split, probe(root / listed.path))


def _to_row(video: Video) -> dict[str, object]:
    row = asdict(video)
    return row | row.pop("info")


def _from_row(row: dict[str, object]) -> Video:
    info = VideoInfo(**{name: row.pop(name) for name in VideoInfo.__dataclass_fields__})  # type: ignore[arg-type]
    return Video(info=info, **row)  # type: ignore[arg-type]
