"""Task `statistics`: sensitive information in a dataset (thesis, Sec. 5.1 and Figure 5.3).

Per class: the share of videos with at least one face (body) in at least one frame, and the mean number of faces
(bodies) per frame, including those filled in between two frames in which they were found.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.privacy.instances import DetectionShard
from pipeline.report import style
from pipeline.report.numbered import write_numbered_table
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output

COLUMNS = ("label", "what", "videos", "frames", "videos_with_instances_percent", "instances_per_frame")


def draw_sensitive_information(
    detections: Mapping[str, Sequence[Path]], table: Output, figure: Output, splits: Sequence[str] = ()
) -> None:
    """Write the table (CSV, and Markdown and HTML next to it) and the figure (PNG).

    Args:
        detections: Detection shards for each of ``faces`` and ``bodies``.
        table: Table to write; the last row of faces and of bodies, label ``(all)``, is over all classes.
        figure: PNG to write: Figure 5.3's two plots, classes sorted by value.
        splits: Only videos of these splits; empty: all.
    """
    rows = []
    for what, paths in detections.items():
        counts = _count(paths, splits)
        if not counts:
            raise ActaError(
                f"no videos with detections of {what}" + (f" in the splits {list(splits)}" if splits else "")
            )
        total = [video for label in sorted(counts) for video in counts[label]]
        rows += [_row(label, what, counts[label]) for label in sorted(counts)] + [_row("(all)", what, total)]
    texts = [row | {"instances_per_frame": f"{row['instances_per_frame']:.4f}"} for row in rows]
    write_numbered_table("figure_5_3", texts, table, columns=COLUMNS)
    _draw(rows, list(detections), figure)


def _count(paths: Sequence[Path], splits: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """(frames, instances) of each video by label."""
    counts: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for path in paths:
        shard = DetectionShard(path)
        for video, label, split in zip(shard.ids, shard.labels, shard.splits, strict=True):
            if not splits or not set(splits).isdisjoint(split.split()):
                frames = shard.frames(video)
                counts[label].append((len(frames), sum(len(frame) for frame in frames)))
        shard.close()
    return counts


def _row(label: str, what: str, videos: Sequence[tuple[int, int]]) -> dict[str, Any]:
    frames = sum(frames for frames, _ in videos)
    share = 100 * sum(instances > 0 for _, instances in videos) / len(videos)
    mean = sum(instances for _, instances in videos) / frames
    return dict(zip(COLUMNS, (label, what, len(videos), frames, share, mean), strict=True))


def _draw(rows: Sequence[dict[str, Any]], kinds: Sequence[str], path: Path) -> None:
    with style.figure(path, 10, 5.2) as figure:
        axes = figure.subplots(1, 2)
        plots = (
            (COLUMNS[4], "Videos with sensitive information", "Videos of the class in %"),
            (COLUMNS[5], "Sensitive instances in a frame", "Mean number per frame"),
        )
        for axis, (column, title, unit) in zip(axes, plots, strict=True):
            for what, look in zip(kinds, style.LOOKS, strict=False):
                values = [float(row[column]) for row in rows if row["what"] == what and row["label"] != "(all)"]
                values.sort(reverse=True)
                marks = max(1, len(values) // 12)  # more of them would run together
                places = np.arange(1, len(values) + 1)
                axis.plot(places, values, **look.drawn, markevery=marks, label=what.capitalize())
            axis.set(title=title, xlabel="Classes, sorted by value", ylabel=unit)
            axis.set_ylim(bottom=0)
            axis.xaxis.get_major_locator().set_params(integer=True, nbins=5)
        axes[0].set_ylim(top=105)
        style.legend(figure)
        style.note(figure, "Counts of all videos, so there is no interval; what the detectors miss is not counted.")
