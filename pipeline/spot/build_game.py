"""Task `build_game`: inspect a game's files and write the manifest that all later tasks read."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.tasks.spot import BuildGame
from pipeline.media.decode import decode, open_video
from pipeline.media.limits import check_filled
from pipeline.media.lists import read_game_list
from pipeline.media.probe import probe
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output, write_json
from pipeline.runtime.provenance import Quarantined, provenance_of, sha256_text
from pipeline.runtime.workers import map_videos
from pipeline.spot.events import HALVES
from pipeline.spot.extract_game_frames import MISSING, container_start
from pipeline.spot.game_lists import INI, read_ini
from pipeline.spot.games import GameFeatures, GameHalf, ticks_in
from pipeline.spot.soccernet_files import Labels, read_labels

TASK = "build_game"
# Seconds. Released features differ from their video by a few frames, but from another game's or half's by far more.
_SLACK = 5.0


@dataclass(frozen=True)
class _Video:
    id: str
    path: Path


def build_game(listed: Path, root: Path, output: Output, settings: BuildGame, *, workers: int = 1) -> None:
    """Write a game's manifest. A problem of the game becomes its quarantine entry, never an error.

    Args:
        listed: The game's list (`pipeline.spot.game_lists`).
        root: Folder that the listed paths are relative to.
        output: The manifest to write (JSON).
        settings: Version of the labels, rate, and what a game must have.
        workers: Processes that inspect its videos; the result does not depend on it.

    Raises:
        ActaError: the list cannot be read.
    """
    name, rows = read_game_list(listed)
    splits = rows[0].split.split()
    paths = {row.id: row.path for row in rows}
    about: dict[str, Any] = {"halves": [], "events": [], "annotated": False, "unknown": {}, "beyond": 0}
    bad = []
    try:
        labels = _labels(root / paths["labels"], settings, splits)
        halves = _halves(paths, root, settings, workers)
        about["halves"] = [asdict(half) for half in halves]
        if labels is not None:
            ends = {half.number: half.duration for half in halves}
            about["events"] = [asdict(event) for event in labels.events]
            about["annotated"], about["unknown"] = True, dict(labels.unknown)
            about["beyond"] = sum(event.time > ends[event.half] for event in labels.events)
    except ActaError as error:
        # Equal games give equal manifests, wherever they lie.
        bad = [Quarantined(name, TASK, str(error).replace(f"{root / name}/", ""))]
    provenance = provenance_of(
        __name__, settings, inputs={"list": sha256_text(listed.read_text())}, packages=("av", "numpy")
    )
    made = {"provenance": provenance.content, "name": name, "splits": splits}
    write_json(output, made | about | {"quarantine": [asdict(entry) for entry in bad]})


def _halves(paths: dict[str, str], root: Path, settings: BuildGame, workers: int) -> list[GameHalf]:
    features = {
        number: {kind: _features(paths[f"features/{kind}/{number}"], root) for kind in settings.imported}
        for number in HALVES
    }
    if settings.videos is None:
        # The kinds of features must agree with the first.
        seconds = {number: features[number][settings.imported[0]].rows / settings.rate for number in HALVES}
        return [_half(number, None, (0.0, seconds[number]), features[number], settings.rate) for number in HALVES]
    videos = {number: paths[f"video/{number}"] for number in HALVES}
    spans = read_ini(root / paths["ini"]) if settings.use_video_ini else {}
    for number, end in zip(HALVES, _ends([root / path for path in videos.values()], workers), strict=True):
        spans[number] = span_in(Path(videos[number]).name, end, spans.get(number))
    return [_half(number, videos[number], spans[number], features[number], settings.rate) for number in HALVES]


def span_in(video: object, end: float, given: tuple[float, float] | None) -> tuple[float, float]:
    """Start and duration, in seconds, of a half in its video.

    Args:
        video: Its name for errors.
        end: When it ends (`end_of`).
        given: Start and duration from video.ini; None: the video is the half.

    Raises:
        VideoError: the video ends more than a second before the half does.
    """
    start, duration = given or (0.0, end)
    if end < start + duration - MISSING:
        raise VideoError(f"{video}: truncated: it ends at {end:.2f} s, the half at {start + duration:.2f} s ({INI})")
    return start, duration


def end_of(video: Path) -> float:
    """The second, from its container's start, at which a video ends.

    Raises:
        VideoError: it is damaged, or has too few pictures for its duration.
    """
    info = probe(video)
    check_filled(info.frames, info.duration)
    with open_video(video) as (container, stream):
        first, _ = next(decode(container, stream))
        return round(first - container_start(container) + info.duration, 6)


def _half(
    number: int, video: str | None, span: tuple[float, float], features: dict[str, GameFeatures], rate: float
) -> GameHalf:
    start, duration = span
    for kind, shape in features.items():
        seconds = shape.rows / rate
        if abs(seconds - duration) > _SLACK:
            raise VideoError(f"{number}_{kind}: {shape.rows} rows, {seconds:.1f} s, but the half has {duration:.1f} s")
    return GameHalf(number, video, start, duration, ticks_in(duration, rate), features)


def _ends(paths: Sequence[Path], workers: int) -> list[float]:
    """`end_of` each video."""
    jobs = [_Video(path.name, path) for path in paths]
    ends = []
    for result in list(map_videos(_end, jobs, workers=workers, task=TASK)):
        if isinstance(result, Quarantined):
            raise VideoError(f"{result.id}: {result.reason}")
        ends.append(result)
    return ends


def _end(video: _Video) -> float:
    return end_of(video.path)


def _features(path: str, root: Path) -> GameFeatures:
    name = Path(path).name
    try:
        array = np.lib.format.open_memmap(root / path, mode="r")
    except FileNotFoundError:
        raise VideoError(f"{name}: missing") from None
    except (OSError, ValueError, OverflowError) as error:
        raise VideoError(f"{name}: not readable as .npy: {getattr(error, 'strerror', None) or error}") from None
    if array.ndim != 2 or not len(array) or array.dtype.kind != "f":
        raise VideoError(f"{name}: {array.dtype} of shape {array.shape}, but floats (frames, channels) are needed")
    return GameFeatures(path, *array.shape)


def _labels(path: Path, settings: BuildGame, splits: Sequence[str]) -> Labels | None:
    if not path.exists():
        demanding = [split for split in splits if split in settings.annotated]
        if demanding:
            raise VideoError(f"{path.name}: missing, but the split {demanding[0]} needs labels")
        return None
    labels = read_labels(path, settings.version)
    if settings.version == 2 and labels.unknown:
        names = ", ".join(repr(name) for name in sorted(labels.unknown))
        raise VideoError(f"{path.name}: events of none of the 17 classes, or of no half: {names}")
    return labels
