"""Task `draw_contact_sheet`: original and anonymised frames side by side, to be looked at.

The picture shows original frames, so it belongs in a private folder; it is not for publication.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.config.tasks.privacy import DrawContactSheet
from pipeline.report import style
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.store import FrameShard

_SIDE = 2.4  # inches of a frame


def draw_contact_sheet(shards: Mapping[str, Sequence[Path]], output: Output, settings: DrawContactSheet) -> None:
    """Draw a row for each video and, for each of its frames, a column for each variant.

    Args:
        shards: Frame shards by variant (``none``, ``faces``, ``bodies``), in the same order.
        output: PNG to write; its folder becomes private (mode 0700).
        settings: How many videos and frames.
    """
    videos = _choose(shards, settings.videos)
    if not videos:
        raise ActaError("no video is in every variant, so there is nothing to show")
    columns = settings.frames * len(shards)
    with style.figure(output, _SIDE * columns + 0.2, 0.85 * _SIDE * len(videos) + 0.5, private=True) as figure:
        axes = figure.subplots(len(videos), columns, squeeze=False)
        for row, (video, readers) in zip(axes, videos, strict=True):
            times = readers[0].times(video)
            picks = np.linspace(0, len(times) - 1, settings.frames + 2).round().astype(int)[1:-1]
            for group, frame in enumerate(picks):
                for place, (variant, reader) in enumerate(zip(shards, readers, strict=True)):
                    axis = row[group * len(shards) + place]
                    style.show(axis, reader.clip(video, frame, frame + 1)[0].permute(1, 2, 0).numpy())
                    if row[0] is axes[0, 0]:
                        axis.set_title(style.VARIANTS.get(variant, variant))
                    axis.set_xlabel(f"{times[frame]:.2f} s")
            row[0].set_ylabel(style.wrapped(video.rpartition("/")[2], 16))


def _choose(shards: Mapping[str, Sequence[Path]], count: int) -> list[tuple[str, list[FrameShard]]]:
    """The first videos, by id, that every variant has."""
    videos: list[tuple[str, list[FrameShard]]] = []
    for paths in zip(*shards.values(), strict=True):
        readers = [FrameShard(path) for path in paths]
        common = set(readers[0].ids).intersection(*(reader.ids for reader in readers[1:]))
        for reader in readers:  # 1,024 shards are more files than a process may have open
            reader.close()
        videos += [(video, readers) for video in common]
        videos = sorted(videos, key=lambda entry: entry[0])[:count]
    return videos
