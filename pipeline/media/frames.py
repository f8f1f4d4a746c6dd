"""The frames of one video as JPEG, at the requested times and size."""

from pathlib import Path

import numpy as np

from pipeline.config.data import FrameSettings, SamplingSettings
from pipeline.media.decode import decode, open_video, pixel_aspect, sample, scaled_size, to_jpeg
from pipeline.media.manifest import Video
from pipeline.media.source import unchanged
from pipeline.runtime.errors import VideoError
from pipeline.runtime.store import StoredVideo


def extract_video(
    video: Video, path: Path, spooled: Path, sampling: SamplingSettings, frames: FrameSettings
) -> StoredVideo:
    """Decode, sample, scale, turn upright and compress one video into ``spooled``.

    Raises:
        VideoError: the video is damaged, changes its size half-way, or is replaced meanwhile.
    """
    times: list[float] = []
    sizes: list[int] = []
    shape: tuple[int, int] | None = None
    with unchanged(path) as source, open_video(path) as (container, stream), spooled.open("wb") as out:
        aspect = pixel_aspect(stream)
        for time, frame in sample(decode(container, stream), sampling.rate):
            size = scaled_size(frame, frames.size, aspect)
            if shape is not None and size != shape:
                raise VideoError(f"changes its size from {shape[::-1]} to {size[::-1]} at frame {len(times)}")
            shape = size
            jpeg = to_jpeg(frame, *size, frames.jpeg_quality)
            out.write(jpeg)
            times.append(time)
            sizes.append(len(jpeg))
    if shape is None:
        raise VideoError("no frame can be decoded")
    return StoredVideo(
        video.id,
        video.label,
        video.split,
        *shape,
        times=np.array(times),
        sizes=np.array(sizes, np.uint64),
        data=spooled,
        source=source,
    )
