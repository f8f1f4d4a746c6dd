"""Task `draw_face_sample`: frames of one video with the faces that were found (Figure 5.4).

The picture shows original frames, so it belongs in a private folder; it is not for publication.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from pipeline.config.tasks.privacy import DrawFaceSample
from pipeline.privacy.instances import DetectionShard, Instances
from pipeline.report import style
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.store import FrameShard

_ROWS = 2
_SIDE = 3.6  # inches of a frame
_outline = partial(style.outline, style.YELLOW, 2.6, rim=1.8)


class _Candidate(NamedTuple):
    """A video with its frames and detections. The smallest is the one to show."""

    none: bool  # no face was found
    always: bool  # something is found or filled in in every frame
    fewest: float  # minus the number of faces found per frame
    video: str
    frames: Path
    detections: Path


def draw_face_sample(
    frames: Sequence[Path], detections: Sequence[Path], output: Output, settings: DrawFaceSample
) -> None:
    """Draw frames of one video, evenly spaced, with the boxes of the faces that were found and their scores, PNG.

    It is the video with most faces per frame among those in which the face is hidden in some frames (turned away or
    occluded), as in the thesis's Figure 5.4; where every video with faces shows one all the time, the one with most;
    where none has a face, the first.

    Args:
        frames: Frame shards of the original frames.
        detections: Detection shards of faces, in the same order.
        output: PNG to write; its folder becomes private (mode 0700).
        settings: ``frames``: how many frames a row has; there are two rows.

    Raises:
        ActaError: the numbers of shards differ, no video is in both, or its frames and detections are at other times.
    """
    if len(frames) != len(detections):
        raise ActaError(f"{len(frames)} frame shards but {len(detections)} detection shards; give as many of each")
    pairs = zip(frames, detections, strict=True)
    best = min((candidate for pair in pairs for candidate in _candidates(*pair)), default=None)
    if best is None:
        raise ActaError("no video has both frames and detections, so there is nothing to show")
    pictures, detected = FrameShard(best.frames), DetectionShard(best.detections)
    times, faces = pictures.times(best.video), detected.frames(best.video)
    if not np.array_equal(times, detected.times(best.video)):
        raise ActaError(
            f"{best.detections}: the detections of {best.video!r} are at other times than the frames in "
            f"{best.frames}; detect again"
        )
    picks = np.linspace(0, len(times) - 1, _ROWS * settings.frames).round().astype(int)
    height, width = pictures.size(best.video)
    tall = _ROWS * (_SIDE * height / width + 0.4) + 0.9
    with style.figure(output, _SIDE * settings.frames, tall, private=True) as figure:
        for axis, pick in zip(figure.subplots(_ROWS, settings.frames, squeeze=False).flat, picks.tolist(), strict=True):
            style.show(axis, pictures.clip(best.video, pick, pick + 1)[0].permute(1, 2, 0).numpy())
            axis.set_xlabel(f"{times[pick]:.2f} s" + ("" if len(faces[pick]) else ": none found"))
            _boxes(axis, faces[pick], width, height)
        keys = ("-", "face, with its score"), ("--", "filled in between two frames")
        style.legend(figure, [Patch(**_outline(line), label=text) for line, text in keys])
        some = sum(len(instances) > 0 for instances in faces)
        style.note(figure, f"{best.video}: a face in {some} of {len(faces)} frames.")


def _candidates(frames: Path, detections: Path) -> list[_Candidate]:
    pictures, detected = FrameShard(frames), DetectionShard(detections)
    candidates = []
    for video in sorted(set(pictures.ids).intersection(detected.ids)):
        faces = detected.frames(video)
        count = sum(int((~instances.filled).sum()) for instances in faces)
        share = -count / max(1, len(faces))
        candidates.append(_Candidate(count == 0, all(map(len, faces)), share, video, frames, detections))
    pictures.close()  # a thousand shards are more files than a process may have open
    detected.close()
    return candidates


def _boxes(axis: Axes, faces: Instances, width: int, height: int) -> None:
    for box, score, filled in zip(faces.boxes, faces.scores, faces.filled, strict=True):
        x1, y1, x2, y2 = (box * [width, height, width, height] - 0.5).tolist()
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **_outline("--" if filled else "-")))
        if filled:
            continue  # its score is another frame's
        above = y1 > 0.15 * height  # else there is no room in the picture
        axis.annotate(
            f"{score:.2f}",
            (x1, y1 if above else y2),
            (0, 3 if above else -3),
            textcoords="offset points",
            va="bottom" if above else "top",
            color=style.YELLOW,
            weight="bold",
            path_effects=[withStroke(linewidth=3, foreground=style.BLACK)],
        )
