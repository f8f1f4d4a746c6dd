"""The manifest of a shard: what its videos are, and which are left out.

A manifest is a JSON file: ``videos`` (each with id, path, label, split and the fields of `VideoInfo`) and
``quarantine`` (id, task, reason).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Quarantined
from pipeline.runtime.seals import digest_of
from pipeline.runtime.text import read_made


@dataclass(frozen=True)
class VideoInfo:
    """What the manifest says of a video.

    ``height`` and ``width`` are those of the upright picture in pixels; ``duration`` is in seconds; ``frame_rate`` is
    the mean rate in frames per second; ``rotation`` is in degrees, counter-clockwise, as stored in the file, after the
    stored picture was ``mirrored`` left to right. Frames that an edit list leaves out do not count.
    """

    duration: float
    frame_rate: float
    frames: int
    height: int
    width: int
    rotation: int
    codec: str
    pixel_format: str
    mirrored: bool = False


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
    """A manifest shard as read from its file; ``digest`` stands for its content in the provenance of tasks below."""

    videos: list[Video]
    quarantine: list[Quarantined]
    digest: str


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


def to_row(video: Video) -> dict[str, object]:
    """A video as a row of the file."""
    row = asdict(video)
    return row | row.pop("info")


def _from_row(row: dict[str, object]) -> Video:
    info = VideoInfo(**{name: row.pop(name) for name in VideoInfo.__dataclass_fields__})  # type: ignore[arg-type]
    return Video(info=info, **row)  # type: ignore[arg-type]
