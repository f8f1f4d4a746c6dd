"""What stored videos will take, measured on a few of the data set's own: some headers are read, some pictures stored.

The headers of up to 256 videos say how many frames there are. 48 pictures of these videos, evenly spaced over all their
frames, are decoded, scaled and compressed as `extract_frames` does it. On every third of them people are searched and
hidden, so that it is known what the anonymised variants take.
"""

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import av.error
from av.video.frame import VideoFrame
from pydantic import Field, ValidationError

from pipeline.config.base import What
from pipeline.config.data import FrameSettings
from pipeline.config.privacy import ObfuscateSettings, SearchSettings
from pipeline.media.decode import decode, open_video, pixel_aspect, scaled_size, shown_size, to_jpeg
from pipeline.media.lists import Listed
from pipeline.media.probe import probe
from pipeline.plan.outlook import Kept
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import write_json
from pipeline.runtime.provenance import sha256_text

if TYPE_CHECKING:
    from pipeline.privacy.instances import Instances

_VIDEOS = 256  # whose headers are read
_PICTURES = 48
_EACH_SEARCHED = 3  # people are searched on one picture in this many
_AHEAD = 32  # frames decoded at most to reach a picture after a keyframe
_LONG_SIDE = 1280  # pixels of a searched picture at most: a plan must be quick


class Hidden(Kept):
    """What a variant hides."""

    share: float = Field(ge=0, description="Bytes of the anonymised frames relative to the original ones.")
    instances: float = Field(ge=0, description="In a frame.")
    mask_bytes: float = Field(ge=0, description="Of an instance, as stored; 0 where it is a box.")
    searched: bool = Field(description="Whether people were searched; else it is as in the demo.")


# Measured in the demo: where no detector can be run on the sample.
DEMO: dict[What, Hidden] = {
    "faces": Hidden(share=0.92, instances=1.0, mask_bytes=0.0, searched=False),
    "bodies": Hidden(share=0.56, instances=1.0, mask_bytes=0.0, searched=False),
}


class Sample(Kept):
    """What is known of a data set's videos."""

    videos: int = Field(ge=1, description="That can be used: those in the lists that are there.")
    opened: int = Field(ge=1, description="Of them, those whose headers were read.")
    pictures: int = Field(ge=1, description="That were stored.")
    decoded: float = Field(gt=0, description="Frames of all videos.")
    frames: float = Field(gt=0, description="Frames of all videos that will be stored.")
    video_pixels: float = Field(gt=0, description="Of a frame of a video, on average.")
    pixels: float = Field(gt=0, description="Of a stored frame, on average.")
    jpeg_bytes: float = Field(gt=0, description="Of a stored frame, on average.")
    hidden: dict[str, Hidden] = Field(description="By variant.")

    def describe(self) -> str:
        """One line on what was measured."""
        assumed = [what for what, hidden in self.hidden.items() if not hidden.searched]
        as_demo = f"; what hiding {' and '.join(assumed)} changes is assumed to be as in the demo" if assumed else ""
        return f"{self.pictures} pictures of {self.opened:,} of {self.videos:,} videos{as_demo}"


@dataclass(frozen=True)
class Wanted:
    """How videos will be stored: settings of the same names; ``hide`` has the search and the filter of each variant."""

    rate: float | None
    frames: FrameSettings
    hide: Mapping[What, tuple[SearchSettings, ObfuscateSettings]]

    def key(self, rows: Sequence[Listed]) -> str:
        """What a measurement of these videos for this depends on."""
        hide = {what: [settings.model_dump_json() for settings in pair] for what, pair in self.hide.items()}
        content = [self.rate, self.frames.model_dump_json(), hide, [(row.path, row.size, row.modified) for row in rows]]
        return sha256_text(json.dumps(content))


def sample_videos(rows: Sequence[Listed], root: Path, wanted: Wanted, kept: Path, name: str) -> Sample | None:
    """Measure videos, or read what was measured before of the same files for the same settings.

    Args:
        rows: The videos of the lists; those of size 0 are looked up, missing ones are left out.
        root: Folder that the rows' paths are relative to.
        wanted: How they will be stored.
        kept: The file that remembers measurements (JSON); it may be missing or damaged.
        name: Under which this one is remembered.

    Returns:
        None where no video is there (yet), or none of the sample can be decoded.
    """
    there = [row if row.size else _looked_up(row, root) for row in rows]
    there = sorted((row for row in there if row.size > 0), key=lambda row: (row.size, row.path))
    chosen = _choose(there, _VIDEOS)
    key = wanted.key([row for row, _ in chosen])
    remembered = _read(kept)
    if name in remembered and remembered[name][0] == key:
        return remembered[name][1].model_copy(update={"videos": len(there)})
    made = _measure(chosen, len(there), root, wanted)
    if made is not None and all(hidden.searched for hidden in made.hidden.values()):
        content = remembered | {name: (key, made)}
        write_json(kept, {n: [k, sample.model_dump(mode="json")] for n, (k, sample) in content.items()}, seal=False)
    return made


def _looked_up(row: Listed, root: Path) -> Listed:
    """The lists say nothing of files that the demo makes."""
    try:
        status = (root / row.path).stat()
    except OSError:
        return row._replace(size=-1)
    return row._replace(size=status.st_size, modified=int(status.st_mtime))


def _read(path: Path) -> dict[str, tuple[str, Sample]]:
    try:
        content = json.loads(path.read_bytes())
        return {name: (str(key), Sample.model_validate(sample)) for name, (key, sample) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, ValidationError):
        return {}  # it is measured again


def _choose(rows: Sequence[Listed], count: int) -> list[tuple[Listed, float]]:
    """Some videos, and how many times the frames of each count for all those of about its size.

    Rows ascend by size. They are chosen at equal steps, half by their number and half by their bytes, so that neither
    a few long videos nor many short ones are missed.
    """
    if len(rows) <= count:
        return [(row, 1.0) for row in rows]
    total = sum(row.size for row in rows)
    ends = list(accumulate(1 / len(rows) + row.size / total for row in rows))
    places, step = [0], ends[-1] / count
    for place, end in enumerate(ends):
        if end >= (len(places) - 0.5) * step and place > places[-1]:
            places.append(place)
            if len(places) == count:
                break
    bounds = [0, *((a + b + 1) // 2 for a, b in pairwise(places)), len(rows)]
    return [
        (rows[place], sum(row.size for row in rows[low:high]) / rows[place].size)
        for place, low, high in zip(places, bounds[:-1], bounds[1:], strict=True)
    ]


@dataclass(frozen=True)
class _Opened:
    path: Path
    weight: float
    frames: float
    duration: float
    stored: float


def _measure(chosen: Sequence[tuple[Listed, float]], videos: int, root: Path, wanted: Wanted) -> Sample | None:
    opened = [each for row, weight in chosen if (each := _open(root / row.path, weight, wanted.rate)) is not None]
    seen: list[_Picture] = []
    searched: list[tuple[_Picture, VideoFrame]] = []
    for path, time in _moments(opened):
        looked = _look(path, time, wanted.frames)
        if looked is None:
            continue
        if len(seen) % _EACH_SEARCHED == 0:
            searched.append(looked)
        seen.append(looked[0])
    if not seen:
        return None
    return Sample(
        videos=videos,
        opened=len(opened),
        pictures=len(seen),
        decoded=sum(video.weight * video.frames for video in opened),
        frames=sum(video.weight * video.stored for video in opened),
        video_pixels=sum(picture.video_pixels for picture in seen) / len(seen),
        pixels=sum(picture.pixels for picture in seen) / len(seen),
        jpeg_bytes=sum(len(picture.jpeg) for picture in seen) / len(seen),
        hidden={what: _hide(searched, what, *settings) for what, settings in wanted.hide.items()},
    )


def _open(path: Path, weight: float, rate: float | None) -> _Opened | None:
    """A video by its header; without a number of frames or a duration there its packets are counted."""
    try:
        with open_video(path) as (container, stream):
            if stream.duration and stream.time_base:
                duration = float(stream.duration * stream.time_base)
            else:
                duration = (container.duration or 0) / av.time_base
            frames = float(stream.frames or duration * float(stream.average_rate or 0))
        if not (frames and duration):
            info = probe(path)
            frames, duration = float(info.frames), info.duration
    except VideoError:
        return None
    if not frames:
        return None
    return _Opened(path, weight, frames, duration, frames if rate is None else min(frames, math.ceil(duration * rate)))


def _moments(videos: Sequence[_Opened]) -> Iterator[tuple[Path, float]]:
    """Videos and seconds of the pictures, at equal steps through all frames that will be stored."""
    ends = list(accumulate(video.weight * video.stored for video in videos))
    number = 0
    for video, end in zip(videos, ends, strict=True):
        length = video.weight * video.stored
        while number < _PICTURES and (place := (number + 0.5) / _PICTURES * ends[-1]) <= end:
            yield video.path, (place - (end - length)) / length * video.duration
            number += 1


@dataclass(frozen=True)
class _Picture:
    jpeg: bytes
    pixels: int
    video_pixels: int


def _look(path: Path, time: float, frames: FrameSettings) -> tuple[_Picture, VideoFrame] | None:
    """The frame at a time, or one soon after the keyframe before it, or else one at the beginning; None: none."""
    for sought in (True, False):
        try:
            with open_video(path) as (container, stream):
                moment = time + max(0, container.start_time or 0) / av.time_base
                if sought and stream.time_base:
                    container.seek(math.floor(moment / stream.time_base), stream=stream)
                frame: VideoFrame | None = None
                for stamp, decoded in islice(decode(container, stream, sought=sought), _AHEAD):
                    frame = decoded
                    if stamp >= moment:
                        break
                if frame is None:
                    continue
                aspect = pixel_aspect(stream)
                height, width = scaled_size(frame, frames.size, aspect)
                jpeg = to_jpeg(frame, height, width, frames.jpeg_quality)
                return _Picture(jpeg, height * width, math.prod(shown_size(frame, None, aspect))), frame
        except (VideoError, av.error.FFmpegError, OSError):
            continue
    return None


def _hide(
    seen: Sequence[tuple[_Picture, VideoFrame]], what: What, search: SearchSettings, settings: ObfuscateSettings
) -> Hidden:
    """What hiding changes in pictures of the sample; as in the demo where no detector can be run."""
    import numpy as np  # seconds, which a plan without videos need not wait for

    from pipeline.privacy.instances import Instances
    from pipeline.privacy.obfuscate import hide_in_jpeg

    found = _find([frame for _, frame in seen], search)
    if found is None and settings.filter != "frame":
        return DEMO[what]
    raw = [np.frombuffer(picture.jpeg, np.uint8) for picture, _ in seen]
    instances = found or [Instances()] * len(raw)
    after = sum(hide_in_jpeg(jpeg, each, settings).size for jpeg, each in zip(raw, instances, strict=True))
    share = after / sum(jpeg.size for jpeg in raw)
    if found is None:
        return DEMO[what].model_copy(update={"share": share})
    count = sum(map(len, found))
    masks = [mask for each in found for mask in each.masks if mask is not None]
    packed = sum(len(zlib.compress(np.packbits(mask).tobytes(), 9)) for mask in masks)
    return Hidden(share=share, instances=count / len(raw), mask_bytes=packed / max(1, count), searched=True)


def _find(frames: Sequence[VideoFrame], search: SearchSettings) -> "list[Instances] | None":
    """The people on frames, found on a processor; None where the detector's weights are missing."""
    from pipeline.privacy.detect_people import detect_frame
    from pipeline.privacy.detectors import make_detector

    quick = _quick(search)
    try:
        detector = make_detector(quick)
        return [detect_frame(detector, frame, quick) for frame in frames]
    except ActaError:
        return None


def _quick(search: SearchSettings) -> SearchSettings:
    """A search that a plan can wait for: on a processor, of pictures that are not too large, without Mask R-CNN."""
    quick = search.on_cpu().model_copy(update={"search_rotated": False, "long_side": _capped(search.long_side)})
    if quick.detector == "maskrcnn":
        quick = quick.model_copy(update={"detector": "ssdlite", "weights": None, "threshold": None})
    if quick.faces is None:
        return quick
    faces = quick.faces.model_copy(update={"long_side": _capped(quick.faces.long_side)})
    return quick.model_copy(update={"faces": faces})


def _capped(long_side: int | None) -> int:
    return min(long_side or _LONG_SIDE, _LONG_SIDE)
