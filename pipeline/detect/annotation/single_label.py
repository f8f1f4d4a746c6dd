"""J-HMDB-21 and UCF101-24, whose videos have one label each, as files like AVA's.

Each part of a split has a ``<part><split>.csv`` with rows of ``video,timestamp,x1,y1,x2,y2,action,person``: a video is
``<class>/<name>``, a timestamp is the frame's number from 0 divided by the frames per second, and each tube of a video
is a person. A frame in which nobody acts is a row of ``video,timestamp``, so that detections in it count as wrong, as
in other evaluators. ``label_map.pbtxt`` numbers the classes from 1 in alphabetical order.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pipeline.detect.annotation.ava import is_plain, write_label_map
from pipeline.detect.annotation.jhmdb21 import read_jhmdb21
from pipeline.detect.annotation.tubes import Annotated
from pipeline.detect.annotation.ucf101_24 import read_ucf101_24
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import atomic

# Frames per second according to Soomro et al. 2012 (UCF101) and Kuehne et al. 2011 (HMDB51, which includes J-HMDB).
RATES = {"jhmdb21": 30.0, "ucf101_24": 25.0}


def convert_annotations(
    kind: Literal["jhmdb21", "ucf101_24"], folder: Path, output: Path, rate: float | None = None
) -> dict[str, Any]:
    """Write a data set's own annotation files as files like AVA's.

    Args:
        kind: Which data set.
        folder: Its annotations; the modules `jhmdb21` and `ucf101_24` of this package say which files.
        output: Folder to write to.
        rate: Frames per second; None: `RATES`.

    Returns:
        JSON-ready: number of ``classes``, ``parts`` (videos, frames, annotated frames, boxes) and ``left_out`` videos.

    Raises:
        ActaError: a file is missing or damaged, a split is incomplete, or a video has no annotation.
    """
    rate = RATES[kind] if rate is None else rate
    if not 0 < rate < float("inf"):
        raise ActaError(f"the rate {rate} is not a number of frames per second")
    read = read_jhmdb21(folder) if kind == "jhmdb21" else read_ucf101_24(folder)
    for name in {*read.videos, *(video.label for video in read.videos.values())}:
        if not is_plain(name):
            raise ActaError(f"{folder} has the name {name!r}, which cannot be written into a table")
    labels = sorted({video.label for video in read.videos.values()})
    actions = {label: number for number, label in enumerate(labels, 1)}
    counts = {}
    for part, names in read.parts.items():
        videos = {name: read.videos[name] for name in sorted(names)}
        with atomic(output / f"{part}.csv") as temporary, temporary.open("w", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            for name, video in videos.items():
                writer.writerows(_rows(name, video, actions[video.label], rate))
        tubes = [tube for video in videos.values() for tube in video.tubes]
        counts[part] = {
            "videos": len(videos),
            "frames": sum(video.frames for video in videos.values()),
            "tubes": len(tubes),
            "boxes": sum(len(tube.frame) for tube in tubes),
        }
    with atomic(output / "label_map.pbtxt") as temporary:
        write_label_map(temporary, labels)
    return {"classes": len(labels), "parts": counts, "left_out": read.left_out}


def _rows(name: str, video: Annotated, action: int, rate: float) -> Iterator[list[object]]:
    by_frame: list[list[list[object]]] = [[] for _ in range(video.frames)]
    for person, tube in enumerate(video.tubes):
        for frame, box in zip(tube.frame.tolist(), tube.box.tolist(), strict=True):
            by_frame[frame].append([*(f"{value:.6f}" for value in box), action, person])
    for frame, boxes in enumerate(by_frame):
        yield from ([name, f"{frame / rate:.6f}", *box] for box in boxes or [[]])
