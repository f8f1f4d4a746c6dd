"""The HDF5 shard: many videos in one file, whole or not there at all, the same bytes for the same content.

Layout of a frame shard (`write_frames`, `FrameShard`)::

    /frames/data        uint8 (bytes,)    JPEG images one after another, contiguous: any clip is one read
    /frames/offsets     uint64 (n + 1,)   image i is data[offsets[i]:offsets[i + 1]]
    /frames/time        float64 (n,)      seconds, the video's own time stamps
    /videos/id|label|split  str (v,)
    /videos/source      str (v,)          sha256 of the video's file as it was decoded
    /videos/first       uint64 (v + 1,)   video j owns frames first[j]:first[j + 1]
    /videos/size        uint32 (v, 2)     height, width in pixels
    /quarantine/id|task|reason  str (q,) videos that are not in the shard, and why
    attributes: format, provenance (JSON)

It ends with a seal (`pipeline.runtime.sealed`): what is read was checked, and the shard's digest is of all its content.
Readers can be passed to worker processes.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance, Quarantined, sha256_text
from pipeline.runtime.sealed import Array, Sealed, create_sealed

if TYPE_CHECKING:
    import torch

FRAMES_FORMAT = "acta-frames-2"
_BLOCK = 8 << 20


@dataclass
class StoredVideo:
    """One video's frames on their way into a shard.

    ``data`` is a file of JPEG images one after another, ``source`` the sha256 of the video's file.
    """

    id: str
    label: str
    split: str
    height: int
    width: int
    times: np.ndarray
    sizes: np.ndarray
    data: Path
    source: str = ""


@dataclass(frozen=True)
class IndexedVideo:
    """What the index of every shard holds of a video (`write_index`)."""

    id: str
    label: str
    split: str
    times: np.ndarray


@contextmanager
def create_shard(
    path: Path, form: str, provenance: Provenance, quarantine: Sequence[Quarantined], size: int
) -> Iterator[h5py.File]:
    """Open a new shard for writing, as `create_sealed`; ``form`` is its format, ``size`` the bytes of its arrays."""
    texts = sum(len(entry.id) + len(entry.task) + len(entry.reason) for entry in quarantine)
    with create_sealed(path, size + 4 * texts) as file:
        file.attrs["format"] = form
        file.attrs["provenance"] = provenance.to_json()
        group = file.create_group("quarantine")
        for name in ("id", "task", "reason"):
            write_strings(group, name, [getattr(entry, name) for entry in quarantine])
        yield file


def write_strings(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    """Store texts as UTF-8 of the longest one's width (variable-length strings cost a heap look-up each)."""
    encoded = [value.encode("utf-8", "surrogateescape") for value in values]
    width = max((len(value) for value in encoded), default=0) or 1
    group.create_dataset(name, data=np.array(encoded, dtype=h5py.string_dtype("utf-8", width)))


def write_frames(
    path: Path, videos: Sequence[StoredVideo], quarantine: Sequence[Quarantined], provenance: Provenance
) -> None:
    """Write a frame shard from spooled videos, in the order given."""
    sizes = np.concatenate([np.zeros(0, np.uint64), *(video.sizes for video in videos)]).astype(np.uint64)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint64)
    room = int(offsets[-1]) + 8 * len(offsets) + index_size(videos)
    with create_shard(path, FRAMES_FORMAT, provenance, quarantine, room) as file:
        write_index(file, videos)
        write_strings(file["videos"], "source", [video.source for video in videos])
        file["videos"].create_dataset(
            "size", data=np.array([(v.height, v.width) for v in videos], dtype=np.uint32).reshape(-1, 2)
        )
        frames = file["frames"]
        frames.create_dataset("offsets", data=offsets)
        data = frames.create_dataset("data", shape=(int(offsets[-1]),), dtype=np.uint8)
        position = 0
        for video in videos:
            with video.data.open("rb") as source:
                while block := source.read(_BLOCK):
                    if position + len(block) > offsets[-1]:
                        raise ActaError(f"{path}: more bytes of images were spooled than the {offsets[-1]} announced")
                    data[position : position + len(block)] = np.frombuffer(block, np.uint8)
                    position += len(block)
        if position != offsets[-1]:
            raise ActaError(f"{path}: {position} bytes of images were spooled, but {offsets[-1]} announced")


def index_size(videos: Sequence[Any]) -> int:
    """Bytes that `write_index` will write, at most: its texts are as wide as the longest."""
    widths = (max((4 * len(getattr(video, name)) for video in videos), default=0) for name in ("id", "label", "split"))
    return (sum(widths) + 16) * len(videos) + 8 * sum(len(video.times) for video in videos)


def write_index(file: h5py.File, videos: Sequence[Any]) -> None:
    """Write /videos (id, label, split, first) and /frames/time, which all shards have in common."""
    group = file.create_group("videos")
    for name in ("id", "label", "split"):
        write_strings(group, name, [getattr(video, name) for video in videos])
    group.create_dataset("first", data=np.cumsum([0, *(len(v.times) for v in videos)]).astype(np.uint64))
    times = np.concatenate([np.zeros(0), *(video.times for video in videos)])
    file.create_group("frames").create_dataset("time", data=times, dtype=np.float64)


def digest_of(shards: Iterable[Path]) -> str:
    """What stands for several shards in the provenance of what is made from them."""
    return sha256_text(json.dumps([Shard(path).digest for path in shards]))


class Shard:
    """What the readers of all shards share: videos by id, time stamps, quarantine, provenance.

    A class of shards says its ``format``; this one reads what all formats share.

    Raises:
        ActaError: when the file is missing, is damaged, or holds another format. So does whatever reads from it.
    """

    format = ""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._file: Sealed | None = None
        self._open()  # a wrong file is an error now, not at the first read

    def _open(self) -> Sealed:
        if self._file is None:
            file = Sealed(self.path)
            form = file.attributes.get("format", "nothing known")
            if self.format and form != self.format:
                raise ActaError(f"{self.path} holds {form!r}, but {self.format!r} is needed here")
            self._file = file
        return self._file

    def array(self, name: str) -> Array:
        """An array by its name, such as ``frames/time``; slices of it are read from the file."""
        return self._open().array(name)

    def attribute(self, name: str) -> str:
        """An attribute of the file."""
        return self._open().attribute(name)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_file": None}

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @cached_property
    def ids(self) -> list[str]:
        return self._strings("videos/id")

    @cached_property
    def labels(self) -> list[str]:
        return self._strings("videos/label")

    @cached_property
    def splits(self) -> list[str]:
        return self._strings("videos/split")

    @cached_property
    def quarantine(self) -> list[Quarantined]:
        columns = [self._strings(f"quarantine/{name}") for name in ("id", "task", "reason")]
        return [Quarantined(*row) for row in zip(*columns, strict=True)]

    @property
    def provenance(self) -> dict[str, Any]:
        return json.loads(self.attribute("provenance"))

    @property
    def digest(self) -> str:
        """sha256 that stands for all that the shard holds: what tasks below quote as their input's digest."""
        return self._open().digest

    @cached_property
    def _first(self) -> np.ndarray:
        return self.array("videos/first")[:].astype(np.int64)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.ids)}

    def span(self, video: str) -> tuple[int, int]:
        """First and one past the last frame of a video, as positions in the shard.

        Raises:
            KeyError: the video is not in this shard; the message says whether it is in quarantine.
        """
        position = self._positions.get(video)
        if position is None:
            reasons = [entry.reason for entry in self.quarantine if entry.id == video]
            raise KeyError(f"{video!r} is not in {self.path}" + (f" (quarantined: {reasons[0]})" if reasons else ""))
        return int(self._first[position]), int(self._first[position + 1])

    def times(self, video: str) -> np.ndarray:
        """Time stamps of a video's frames in seconds, (n,) float64."""
        start, stop = self.span(video)
        return self.array("frames/time")[start:stop]

    def source(self, video: str) -> str:
        """sha256 of the file that a video was when it was read for this shard; "" where that is not known."""
        self.span(video)
        return self._sources[self._positions[video]]

    @cached_property
    def _sources(self) -> list[str]:
        return self._strings("videos/source")

    def _strings(self, name: str) -> list[str]:
        return [value.decode("utf-8", "surrogateescape") for value in self.array(name)[:].tolist()]


class FrameShard(Shard):
    """Reader of a frame shard. ``what`` is in its folder's name, not in the file: the format is the same for all."""

    format = FRAMES_FORMAT

    def size(self, video: str) -> tuple[int, int]:
        """Height and width of a video's frames in pixels."""
        self.span(video)
        height, width = self._sizes[self._positions[video]]
        return int(height), int(width)

    @cached_property
    def _sizes(self) -> np.ndarray:
        return self.array("videos/size")[:]

    def jpegs(self, video: str, start: int = 0, stop: int | None = None) -> list[np.ndarray]:
        """The encoded frames ``start:stop`` of a video, each uint8 (bytes,), with one read."""
        first, last = self.span(video)
        count = last - first
        stop = count if stop is None else stop
        if not 0 <= start <= stop <= count:
            raise IndexError(f"frames {start}:{stop} of {video!r}, which has {count}")
        # Read again each time: kept, the offsets of a thousand shards would take a gigabyte in every worker.
        offsets = self.array("frames/offsets")[first + start : first + stop + 1].astype(np.int64)
        block = self.array("frames/data")[offsets[0] : offsets[-1]]
        return [block[a:b] for a, b in zip(offsets[:-1] - offsets[0], offsets[1:] - offsets[0], strict=True)]

    def clip(self, video: str, start: int = 0, stop: int | None = None) -> "torch.Tensor":
        """Frames ``start:stop`` of a video as RGB, uint8 (t, 3, height, width)."""
        return decode_jpegs(self.jpegs(video, start, stop))

    def clip_at(self, video: str, times: Iterable[float]) -> "torch.Tensor":
        """The frames that are on screen at the given times (seconds), uint8 (t, 3, height, width).

        A frame is on screen from its own time stamp to the next one's; before the first, the first is.
        """
        indices = np.searchsorted(self.times(video), np.fromiter(times, np.float64) + 1e-6, side="right") - 1
        indices = np.maximum(indices, 0)
        if len(indices) == 0:
            raise ValueError(f"no times given for {video!r}")
        low, high = int(indices.min()), int(indices.max()) + 1
        images = self.jpegs(video, low, high)
        return decode_jpegs([images[i - low] for i in indices])


def decode_jpegs(images: Sequence[np.ndarray]) -> "torch.Tensor":
    """Decode JPEG images of one size to RGB, uint8 (t, 3, height, width).

    With libjpeg-turbo, as torchvision's `decode_jpeg` does, bit for bit; but that one is deprecated, and importing
    torchvision takes each job four seconds.
    """
    import simplejpeg
    import torch

    if not images:
        raise ValueError("no images to decode")
    return torch.from_numpy(np.stack([simplejpeg.decode_jpeg(image, "RGB") for image in images])).permute(0, 3, 1, 2)
