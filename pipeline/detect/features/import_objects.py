"""Task `import_objects`: an object shard from another detector's objects on the keyframes (Sec. 3.2.2).

Its file has ``<video>_<timestamp>_features`` (o, d), ``…_boxes`` (o, 4) in [0, 1] and ``…_cls_prob`` (o, classes),
whose first column is background, as published by the authors for a detector trained on Visual Genome.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline.config.tasks.detect import ImportObjects
from pipeline.detect.features.entities import no_objects
from pipeline.detect.features.keyframes import KeyframeTable, TimedFrames, digests_of
from pipeline.detect.features.objects import Detected, SearchedVideo, write_objects
from pipeline.detect.features.published import PublishedObjects, spellings
from pipeline.runtime.errors import ActaError, VideoError
from pipeline.runtime.files import Output
from pipeline.runtime.progress import progress
from pipeline.runtime.provenance import Quarantined, provenance_of
from pipeline.runtime.workers import good_results


def import_objects(
    frames: Path,
    output: Output,
    settings: ImportObjects,
    published: Mapping[str, Path],
    label_map: Path,
    boxes: Mapping[str, Path],
    proposals: Mapping[str, Path],
    *,
    max_bad_fraction: float = 1.0,
) -> None:
    """Write the object shard of a frame shard from published files.

    Args:
        frames: The frame shard.
        output: The object shard.
        settings: Keyframes, lowest score.
        published: Files of objects by split.
        label_map: Every action (pbtxt).
        boxes, proposals: Annotated boxes and detected people by split, which name keyframes.
        max_bad_fraction: More bad videos than this fraction of the shard are an error.

    Raises:
        ActaError: a file cannot be read, files of different sizes, or too many videos are bad.
    """
    table = KeyframeTable(settings.keyframes, label_map, boxes, proposals)
    shard = TimedFrames(frames, settings.keyframes.start)
    with ExitStack() as stack:
        files = {split: PublishedObjects(path, stack) for split, path in published.items()}
        sizes = {split: file.size for split, file in files.items()}
        if len(set(sizes.values())) != 1:
            raise ActaError(f"published objects have features of different sizes: {sizes}")
        (size,) = set(sizes.values())
        known = table.videos.union(shard.ids)

        def searched() -> Iterator[SearchedVideo | Quarantined]:
            columns = zip(shard.ids, shard.labels, shard.splits, strict=True)
            for video, label, split in progress(columns, total=len(shard.ids), unit="videos", desc="import_objects"):
                own = [files[part] for part in split.split() if part in files]
                try:
                    times = table.times(video, split, shard.times(video))
                    names = spellings(video, known)
                    if len(times) and not any(file.has_any(names, times) for file in own):
                        raise VideoError("nothing of it is in the published files of objects")
                    there = [_on_keyframe(own, names, time, size, settings.score) for time in times.tolist()]
                    yield SearchedVideo(video, label, split, times, there)
                except VideoError as error:
                    yield Quarantined(video, "import_objects", str(error))

        provenance = provenance_of(
            __name__,
            settings,
            inputs=digests_of(label_map, boxes, proposals)
            | {"frames": shard.digest}
            | {f"objects/{split}": f"{path.name} {path.stat().st_size}" for split, path in published.items()},
        )
        quarantine = list(shard.quarantine)
        videos = good_results(searched(), quarantine, max_bad_fraction, len(shard.ids), "import_objects")
        write_objects(output, videos, ["object"], quarantine, provenance)


def _on_keyframe(files: list[PublishedObjects], names: Sequence[str], time: float, size: int, score: float) -> Detected:
    there = next((objects for file in files if (objects := file.at(names, time, np.float16))), None)
    there = there or no_objects(size, np.float16)
    return Detected(**vars(there), kind=np.zeros(len(there.box), np.int32)).where(there.score >= score)
