"""A match's events from its videos or features alone: what `acta spot` does (Sec. 4.2.2)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.config.base import parse
from pipeline.config.spot import SpotFrameSettings, SpotSettings
from pipeline.device import check_device
from pipeline.errors import ActaError, VideoError
from pipeline.features.frame_features import extract
from pipeline.features.pca import Projection
from pipeline.media.cut import Part
from pipeline.media.decode import open_video, scaled_size, to_jpeg
from pipeline.models.frame_backbones import build_frame_backbone, load_frame_weights
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.frames import frames_at
from pipeline.spot.games import ticks_in
from pipeline.spot.halves import Half, Source
from pipeline.spot.predict import spot_halves
from pipeline.spot.saved import SpotterDescription, load_spotter
from pipeline.spot.sources import FeatureSource, array_source
from pipeline.store import decode_jpegs

Device = Literal["cpu", "cuda"]
_GAME = "match"
_WINDOWS = 64  # computed at once


@dataclass(frozen=True)
class Models:
    """Files of the network, of what makes its features, and of their projection; None where it has none."""

    network: Path
    backbone: Path | None
    projection: Path | None


def spot_match(
    halves: Mapping[int, Part | Path],
    models: Models,
    settings: SpotSettings,
    *,
    stride: int | None = None,
    nms: float | None = None,
    device: Device = "cpu",
) -> list[Spot]:
    """The events of a match; memory does not grow with its length but for its features.

    Args:
        halves: By number where the half is in a video, or its file of features (.npy, (frames, channels)).
        models: The network and what it needs.
        settings: How features are made that the network was trained on.
        stride, nms: In place of those that the network was trained with.
        device: Where to compute.

    Raises:
        ActaError: files that do not belong together, or are damaged.
        VideoError: a video is damaged or ends early.
    """
    check_device(device)
    network, about = load_spotter(models.network)
    network = network.to(device)
    spotted: list[Spot] = []
    for number, half in halves.items():
        source: Source
        if isinstance(half, Path):
            source = _given(half, number)
        elif about.frames is not None:
            stored = parse(SpotFrameSettings, about.frames, f"{models.network}'s description")
            source = _Streamed(Half(_GAME, number, ticks_in(half.duration, stored.rate)), half, stored)
        else:
            source = _featured(half, number, about, models, settings, device)
        about.check_input(source, str(models.network))
        found = spot_halves(
            network,
            source,
            [0],
            CLASSES[about.version],
            about.rate,
            stride or about.stride,
            nms or about.nms,
            batch=_WINDOWS if about.frames is None else 1,
            device=torch.device(device),
        )
        spotted += [spot for _, spots in found for spot in spots]
    return spotted


def _given(path: Path, number: int) -> FeatureSource:
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ActaError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if features.ndim != 2 or not len(features):
        raise ActaError(f"{path} has the shape {features.shape}, but (frames, channels) is needed")
    return array_source([Half(_GAME, number, len(features))], [features])


def _featured(
    part: Part, number: int, about: SpotterDescription, models: Models, settings: SpotSettings, device: Device
) -> FeatureSource:
    features = settings.features.get(about.input)
    if features is None or features.backbone is None:
        raise ActaError(
            f"{models.network} was trained on features {about.input!r}, which the configuration does not make of "
            "videos; give their .npy files, or a configuration that has them (--config)"
        )
    if models.backbone is None or (features.pca is None) != (models.projection is None):
        raise ActaError(f"{models.network} needs its backbone's weights{' and the projection' if features.pca else ''}")
    backbone = build_frame_backbone(features.backbone.name)
    load_frame_weights(backbone, models.backbone)
    projection = Projection(models.projection) if models.projection else None
    count = ticks_in(part.duration, about.rate)
    frames = settings.frames.model_copy(update={"rate": about.rate})
    blocks = extract(
        backbone,
        tqdm(_pictures(part, count, frames), total=count, unit="frame", mininterval=1, dynamic_ncols=True),
        crop=features.crop,
        batch=features.batch,
        device=device,
        precision=features.precision,
    )
    rows = [(projection.apply(block) if projection else block).numpy() for block in blocks]
    return array_source([Half(_GAME, number, count)], [np.concatenate(rows)])


def _pictures(part: Part, count: int, settings: SpotFrameSettings) -> Iterator[np.ndarray]:
    """Frames as the store would give them back, uint8 (height, width, 3)."""
    with open_video(part.path) as (_, stream):
        aspect = stream.sample_aspect_ratio
    previous, picture = None, np.empty(0)
    for frame in frames_at(
        part.path, start=part.start, count=count, rate=settings.rate, convert=settings.convert, threads=0
    ):
        if frame is not previous:
            jpeg = to_jpeg(frame, *scaled_size(frame, settings.stored.size, aspect), settings.stored.jpeg_quality)
            picture = decode_jpegs([np.frombuffer(jpeg, np.uint8)])[0].permute(1, 2, 0).numpy()
            previous = frame
        yield picture


class _Streamed:
    """The pictures of a half, decoded as they are read; they can be read once, in their order."""

    channels = 3

    def __init__(self, half: Half, part: Part, settings: SpotFrameSettings):
        self.halves: Sequence[Half] = (half,)
        self._pictures, self._next = _pictures(part, half.frames, settings), 0

    def read(self, half: int, start: int, stop: int) -> Tensor:
        """Uint8 (t, 3, height, width)."""
        if start != self._next:
            raise VideoError(f"frame {start} is asked for after {self._next}")
        self._next = stop
        return torch.from_numpy(np.stack(list(islice(self._pictures, stop - start)))).permute(0, 3, 1, 2)
