"""Stage `statistics`: sensitive information in a dataset (thesis, Sec. 5.1 and Figure 5.3).

Per class: the share of videos with at least one face (body) in at least one frame, and the mean number of faces
(bodies) per frame, those included that were filled in between two frames in which they were found.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from pipeline.errors import ActaError
from pipeline.files import atomic
from pipeline.privacy.instances import DetectionShard

COLUMNS = ("label", "what", "videos", "frames", "videos_with_instances_percent", "instances_per_frame")


def sensitive_information(
    detections: Mapping[str, Sequence[Path]], table: Path, figure: Path, splits: Sequence[str] = ()
) -> None:
    """Write the table (TSV) and the figure (PNG).

    Args:
        detections: Detection shards for each of ``faces`` and ``bodies``.
        table: TSV to write; the last rows, label ``(all)``, are over all classes.
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
    with atomic(table) as temporary, temporary.open("w", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
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


def _row(label: str, what: str, videos: Sequence[tuple[int, int]]) -> tuple[str, str, int, int, float, float]:
    frames = sum(frames for frames, _ in videos)
    share = 100 * sum(instances > 0 for _, instances in videos) / len(videos)
    mean = sum(instances for _, instances in videos) / frames
    return label, what, len(videos), frames, round(share, 2), round(mean, 4)


def _draw(rows: Sequence[tuple[str, str, int, int, float, float]], kinds: Sequence[str], path: Path) -> None:
    names = {"faces": "Faces", "bodies": "Bodies"}
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    titles = ("Videos with sensitive information", "Sensitive instances per frame")
    for axis, column, title, unit in zip(axes, (4, 5), titles, ("% of the class's videos", "mean count"), strict=True):
        for what in kinds:
            values = sorted((float(row[column]) for row in rows if row[1] == what and row[0] != "(all)"), reverse=True)
            axis.plot(np.arange(1, len(values) + 1), values, marker="o" if len(values) < 40 else "", label=names[what])
        axis.set(title=title, xlabel="Classes, sorted by value", ylabel=unit)
        axis.set_ylim(bottom=0)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Software": None})
    plt.close(figure)
