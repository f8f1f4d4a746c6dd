"""Task `build_manifest`: probe the videos of one list and write down what they are (`pipeline.media.manifest`)."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipeline.media.lists import Listed, read_list
from pipeline.media.manifest import Video, to_row
from pipeline.media.probe import probe
from pipeline.runtime.errors import VideoError
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.provenance import provenance_of, sha256_text
from pipeline.runtime.workers import map_videos, split_results


def build_manifest(
    videos: Path, root: Path, output: Output, *, workers: int = 1, max_bad_fraction: float = 1.0
) -> None:
    """Probe every video of a list.

    Args:
        videos: List file (`pipeline.media.lists`).
        root: Folder that the listed paths are relative to.
        output: The manifest shard to write (JSON).
        workers: Processes; the result does not depend on it.
        max_bad_fraction: More bad videos than this fraction of the list are an error.
    """
    listed = read_list(videos)
    results = map_videos(partial(_probe, root=root), listed, workers=workers, task="build_manifest")
    good, bad = split_results(results, max_bad_fraction, len(listed), "build_manifest")
    provenance = provenance_of(__name__, inputs={"list": sha256_text(videos.read_text())}, packages=("av",))
    content = {
        "provenance": provenance.content,
        "videos": [to_row(video) for video in good],
        "quarantine": [asdict(entry) for entry in bad],
    }
    write_json(output, content)


def _probe(listed: Listed, root: Path) -> Video:
    if listed.size < 0:  # not opened: an annotation's name for it could be anybody's file
        raise VideoError(f"missing: {listed.path}")
    return Video(listed.id, listed.path, listed.label, listed.split, probe(root / listed.path))
