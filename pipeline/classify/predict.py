"""The action in one video file, for `acta classify`."""

from pathlib import Path

import numpy as np
import torch

from pipeline.classify.video_clips import cut_frames, uniform_cuts
from pipeline.media.decode import decode, open_video, pixel_aspect, sample, scaled_size, to_jpeg
from pipeline.models.architecture import frames_needed
from pipeline.models.backbones import pathways
from pipeline.models.classifier_file import Description
from pipeline.runtime.errors import VideoError
from pipeline.runtime.store import decode_jpegs

_QUALITY = 90  # the frame store's; networks were trained on JPEG images


def predict(network: torch.nn.Module, description: Description, video: Path, clips: int) -> np.ndarray:
    """Softmax scores (c,), the mean over uniform clips (Sec. 5.3.1).

    Args:
        network: In evaluation mode.
        description: Its description, with the view it needs.
        video: A video file; one shorter than a clip repeats its last frame.
        clips: How many.

    Raises:
        VideoError: the file is damaged or holds no video.
    """
    view = description.view.test
    architecture = description.architecture
    size = view.short_side[0] if view.short_side else view.size
    images: list[np.ndarray] = []
    shape = (0, 0)
    with open_video(video, threads=0) as (container, stream):
        for _, frame in sample(decode(container, stream), description.rate):
            shape = scaled_size(frame, size, pixel_aspect(stream))
            images.append(np.frombuffer(bytearray(to_jpeg(frame, *shape, _QUALITY)), np.uint8))
    if not images:
        raise VideoError("no frame can be decoded")
    positions = frames_needed([architecture])
    parts = []
    with torch.inference_mode():
        for cut in uniform_cuts(len(images), shape, architecture.span, clips, view):
            pictures = [images[min(cut.start + position, len(images) - 1)] for position in positions]
            clip = cut_frames(decode_jpegs(pictures), cut)[None]
            parts.append(network(pathways(clip, positions, architecture)).float().softmax(1))
    return torch.cat(parts).mean(0).numpy()
