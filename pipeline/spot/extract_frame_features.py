"""Task `extract_frame_features`: a vector of each stored frame by an image network (Sec. 4.2.5), in a shard.

Layout, in addition to what all shards have (`pipeline.runtime.store`)::

    /frames/features    float32 (n, d)    contiguous: successive frames of a video are one read
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.config.tasks.spot import ExtractFrameFeatures
from pipeline.models.frame_backbones import build_frame_backbone, load_frame_weights
from pipeline.models.opened import Opened, opened
from pipeline.models.precision import mixed
from pipeline.models.weights import open_weights
from pipeline.runtime.device import check_device, pinned_threads
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.progress import progress
from pipeline.runtime.provenance import Provenance, provenance_of
from pipeline.runtime.store import FrameShard, IndexedVideo, Shard, create_shard, index_size, write_index

FRAME_FEATURES_FORMAT = "acta-frame-features-1"


def extract_frame_features(
    frames: Path, output: Output, settings: ExtractFrameFeatures, weights: Path | Opened | None = None
) -> None:
    """Write the features of a frame shard's frames; its quarantine is carried over.

    Args:
        frames: The frame shard.
        output: The feature shard.
        settings: Backbone, crop, how to compute.
        weights: The backbone's (.pth); None: the registered ones.

    Raises:
        ActaError: a file cannot be read, weights of another network, a crop larger than the frames, or a feature that
            is not finite; the message names the file or the video.
    """
    check_device(settings.device, settings.precision)
    shard = FrameShard(frames)
    backbone = build_frame_backbone(settings.backbone.name)
    file = opened(weights or open_weights(settings.backbone.name), "the weights")
    load_frame_weights(backbone, file)
    backbone.fuse()

    def featured(video: str) -> Iterator[np.ndarray]:
        try:
            for features in extract(
                backbone,
                _pictures(shard, video, settings.batch),
                crop=settings.crop,
                batch=settings.batch,
                device=settings.device,
                precision=settings.precision,
            ):
                yield features.numpy()
        except ActaError as error:
            raise ActaError(f"{video} in {frames}: {error}") from None

    provenance = provenance_of(
        __name__,
        settings,
        inputs={"frames": shard.digest},
        weights={"backbone": file.stated},
        packages=("torch", "torchvision", "simplejpeg"),
    )
    with pinned_threads(settings.threads):
        write_frame_features(output, shard, backbone.size, featured, provenance)


def extract(
    backbone: nn.Module,
    pictures: Iterable[np.ndarray],
    *,
    crop: int | None,
    batch: int,
    device: Literal["cpu", "cuda"],
    precision: Literal["float32", "bfloat16", "float16"],
) -> Iterator[Tensor]:
    """The features of pictures, computed as they come; at most one batch is held.

    Args:
        backbone: Pictures, uint8 (n, 3, height, width), to vectors (n, d). It is moved to the device.
        pictures: RGB, each uint8 (height, width, 3).
        crop: Pixels: side of the central square that the backbone sees; None: the whole picture.
        batch: Pictures computed at once.
        device: Where to compute.
        precision: bfloat16 or float16: mixed precision.

    Yields:
        A batch's features, float32 (n, d) on the CPU.

    Raises:
        ActaError: a picture is smaller than the crop, or not of the size of those before it.
    """
    backbone = backbone.to(device).eval()
    cropped = (_cropped(picture, crop) for picture in pictures)
    while images := list(islice(cropped, batch)):
        if len(sizes := {image.shape for image in images}) > 1:
            raise ActaError(f"pictures of different sizes {sorted(sizes)}; give them one size, or a `crop`")
        block = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2)
        with torch.inference_mode(), mixed(device, precision):
            features = backbone(block)
        yield features.float().cpu()


def _cropped(picture: np.ndarray, crop: int | None) -> np.ndarray:
    if crop is None:
        return picture
    height, width = picture.shape[:2]
    if crop > min(height, width):
        raise ActaError(f"`crop` is {crop}, but a picture has {height} × {width} pixels; use a smaller one, or null")
    top, left = (height - crop) // 2, (width - crop) // 2
    return picture[top : top + crop, left : left + crop]


def _pictures(shard: FrameShard, video: str, at_once: int) -> Iterator[np.ndarray]:
    first, last = shard.span(video)
    for start in range(0, last - first, at_once):
        yield from shard.clip(video, start, min(start + at_once, last - first)).permute(0, 2, 3, 1).numpy()


def write_frame_features(
    output: Path,
    shard: Shard,
    channels: int,
    featured: Callable[[str], Iterable[np.ndarray]],
    provenance: Provenance,
) -> None:
    """Write a shard of d = ``channels`` features for each frame of another shard.

    ``featured`` gives a video's features in blocks, float32 (t, d). Time stamps and quarantine are the other shard's.

    Raises:
        ActaError: a value that is not finite, or fewer or more rows than frames; the message names the video.
    """
    columns = zip(shard.ids, shard.labels, shard.splits, strict=True)
    videos = [IndexedVideo(video, label, split, shard.times(video)) for video, label, split in columns]
    frames = sum(len(video.times) for video in videos)
    room = 4 * frames * channels + index_size(videos)
    with create_shard(output, FRAME_FEATURES_FORMAT, provenance, shard.quarantine, room) as file:
        write_index(file, videos)
        data = file["frames"].create_dataset("features", (frames, channels), np.float32)
        end = 0
        for video in progress(videos, total=len(videos), unit="videos", desc=provenance.task):
            first, count = end, len(video.times)
            for block in featured(video.id):
                if end + len(block) > first + count:
                    raise ActaError(f"{video.id}: more features than its {count} frames")
                if not np.isfinite(block).all():
                    place = end - first
                    raise ActaError(f"{video.id}: a feature of frames {place}:{place + len(block)} is not finite")
                data[end : end + len(block)] = block
                end += len(block)
            if end != first + count:
                raise ActaError(f"{video.id}: features of {end - first} of its {count} frames")


class FrameFeatureShard(Shard):
    """Reader of a shard of frames' features."""

    format = FRAME_FEATURES_FORMAT

    @property
    def channels(self) -> int:
        """d."""
        return int(self.array("frames/features").shape[1])

    def features(self, video: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The features of frames ``start:stop`` of a video, float32 (t, d), in one read.

        Raises:
            KeyError: the video is not in this shard.
            IndexError: the video has no such frames.
        """
        first, last = self.span(video)
        stop = last - first if stop is None else stop
        if not 0 <= start <= stop <= last - first:
            raise IndexError(f"frames {start}:{stop} of {video!r}, which has {last - first}")
        return self.array("frames/features")[first + start : first + stop]
