"""The events of a match from its videos or features alone, as `acta spot` finds them (Sec. 4.2.2)."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.config.base import parse
from pipeline.config.spot import FrameFeatureSettings, SpotFrameSettings, SpotSettings
from pipeline.models.frame_backbones import build_frame_backbone, load_frame_weights
from pipeline.models.opened import Opened
from pipeline.models.weights import open_weights
from pipeline.runtime.device import check_device
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.progress import Progress
from pipeline.runtime.store import decode_jpegs
from pipeline.spot.build_game import end_of, span_in
from pipeline.spot.events import CLASSES, Spot
from pipeline.spot.extract_frame_features import extract
from pipeline.spot.extract_game_frames import jpegs_at
from pipeline.spot.games import ticks_in
from pipeline.spot.halves import Half, Source
from pipeline.spot.predict_spots import spot_halves
from pipeline.spot.projection import Projection
from pipeline.spot.sources import FeatureSource, array_source
from pipeline.spot.spotter_file import SpotterDescription, load_spotter

if TYPE_CHECKING:
    from pipeline.spot.cut import Part

Device = Literal["cpu", "cuda"]
_GAME = "match"
_WINDOWS = 64  # of features, computed at once
_PICTURES = 64  # that go through a backbone together, or a clip's


@dataclass(frozen=True)
class Models:
    """The files of a network and of the models that make its features.

    Args:
        network: The network's model file.
        backbone: Weights (.pth). None: the configuration's.
        projection: None: the file where the workflow puts it relative to the network.
    """

    network: Path
    backbone: Path | None = None
    projection: Path | None = None


def spot_match(
    halves: Mapping[int, Path],
    models: Models,
    settings: SpotSettings,
    *,
    spans: Mapping[int, tuple[float, float]] | None = None,
    stride: int | None = None,
    nms: float | None = None,
    device: Device = "cpu",
) -> list[Spot]:
    """The events of a match; only the memory for its features grows with its length.

    Args:
        halves: By number the half's video, or its file of features (.npy, (frames, channels)).
        models: The network and what it needs.
        settings: How the features are made on which the network was trained.
        spans: Start and duration, in seconds, of the halves in their videos. None: the videos are the halves.
        stride, nms: Replace the network's own.
        device: Where to compute.

    Raises:
        ActaError: files do not belong together, or are damaged.
        VideoError: a video is damaged or ends early.
    """
    check_device(device)
    network, about = load_spotter(models.network)
    network, clip = network.to(device), network.architecture.clip
    stride = stride or about.stride or clip
    videos = {number: path for number, path in halves.items() if path.suffix != ".npy"}
    parts = {number: half_in(path, (spans or {}).get(number)) for number, path in videos.items()}
    spotted: list[Spot] = []
    for number, path in halves.items():
        source: Source
        if number not in parts:
            source = _given(path, number)
        elif about.frames is not None:
            source = _Streamed(parts[number], number, parse(SpotFrameSettings, about.frames, str(models.network)))
        else:
            source = _featured(parts[number], number, about, models, settings, device)
        about.check_input(source, str(models.network))
        found = spot_halves(
            network,
            source,
            [0],
            CLASSES[about.version],
            about.rate,
            stride,
            nms or about.nms,
            batch=_WINDOWS if about.frames is None else max(1, _PICTURES // stride),
            device=torch.device(device),
        )
        spotted += [spot for _, spots in found for spot in spots]
    return spotted


def half_in(path: Path, span: tuple[float, float] | None = None) -> "Part":
    """Where a half lies in its video, as for `build_game`; ``span``: start and duration in seconds, None: all of it.

    Raises:
        VideoError: the video is damaged, or ends more than a second before the half does.
    """
    from pipeline.spot.cut import Part  # slow to import, and not needed for features

    try:
        end = end_of(path)
    except VideoError as error:
        raise VideoError(f"{path}: {error}") from None
    return Part(path, *span_in(path, end, span))


def _given(path: Path, number: int) -> FeatureSource:
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ActaError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(features, np.ndarray):
        raise ActaError(f"{path} is a zip archive of arrays; one array is needed: numpy.save(path, array)")
    if features.ndim != 2 or not len(features) or features.dtype.kind != "f":
        content = f"{features.dtype} of shape {features.shape}"
        raise ActaError(f"{path} holds {content}, but floats (frames, channels) are needed")
    return array_source([Half(_GAME, number, len(features))], [features])


def _featured(
    part: "Part", number: int, about: SpotterDescription, models: Models, settings: SpotSettings, device: Device
) -> FeatureSource:
    features = settings.features.get(about.input)
    if features is None or features.backbone is None:
        raise ActaError(
            f"{models.network} was trained on features {about.input!r}, which the configuration does not make of "
            "videos; give their .npy files, or a configuration that has them (--config)"
        )
    given = models.backbone or features.backbone.weights
    weights = Opened(Path(given), "the weights") if given else open_weights(features.backbone.name)
    projection = _projection(features, weights, about.input, models)
    backbone = build_frame_backbone(features.backbone.name)
    load_frame_weights(backbone, weights)
    backbone.fuse()
    count = ticks_in(part.duration, about.rate)
    made = settings.frames.model_copy(update={"rate": about.rate})
    with closing(_pictures(part, count, made)) as pictures:
        blocks = extract(
            backbone,
            pictures,
            crop=features.crop,
            batch=features.batch,
            device=device,
            precision=features.precision if device == "cuda" else "float32",
        )
        rows = torch.cat(list(blocks))
    return array_source([Half(_GAME, number, count)], [(projection.apply(rows) if projection else rows).numpy()])


def _projection(features: FrameFeatureSettings, weights: Opened, name: str, models: Models) -> Projection | None:
    path = models.projection
    if features.pca is None:
        if path is not None:
            raise ActaError(f"{path} is given, but features {name!r} have no projection in the configuration (`pca`)")
        return None
    if path is None:
        # <dataset>/spot/networks/<network>/seed_<n>/model.safetensors
        place = models.network.resolve()
        if place.parts[-5:-3] != ("spot", "networks"):
            raise ActaError(
                f"features {name!r} need their projection, and {models.network} is not where the workflow puts it; "
                "give the projection (--projection)"
            )
        path = place.parents[3] / "features" / name / "pca.safetensors"
    projection = Projection(path)
    if projection.features["weights"].get("backbone", "").split()[:1] != [weights.sha256]:
        raise ActaError(f"{path} was fitted on features of another backbone than {weights.path} (--backbone)")
    return projection


def _pictures(part: "Part", count: int, settings: SpotFrameSettings) -> Generator[np.ndarray, None, None]:
    """Frames as they would come out of the store, uint8 (height, width, 3)."""
    previous, picture = None, np.empty(0)
    jpegs = jpegs_at(part.path, start=part.start, count=count, settings=settings, threads=0)
    try:
        with Progress(total=count, unit="frames", desc=part.path.name) as bar:
            for jpeg, _ in jpegs:
                if jpeg is not previous:
                    picture = decode_jpegs([np.frombuffer(jpeg, np.uint8)])[0].permute(1, 2, 0).numpy()
                    previous = jpeg
                bar.update()
                yield picture
    except VideoError as error:
        raise VideoError(f"{part.path}: {error}") from None


class _Streamed:
    """The pictures of a half, decoded as they are read; they can be read only once and in order."""

    channels = 3

    def __init__(self, part: "Part", number: int, settings: SpotFrameSettings):
        frames = ticks_in(part.duration, settings.rate)
        self.halves: Sequence[Half] = (Half(_GAME, number, frames),)
        self._pictures, self._next = _pictures(part, frames, settings), 0

    def read(self, half: int, start: int, stop: int) -> Tensor:
        """Uint8 (t, 3, height, width)."""
        if start < self._next:
            raise IndexError(f"frame {start} is asked for, but {self._next} comes next")
        asked = islice(self._pictures, start - self._next, stop - self._next)
        self._next = stop
        return torch.from_numpy(np.stack(list(asked))).permute(0, 3, 1, 2)
