"""Reading training blocks of six clips from a feature shard, compared with the authors' own layout of the same numbers.

Sizes are AVA's means: 4 people and 25 objects per keyframe, with 2304 dimensions (SlowFast) and 2048. A step of 5 ms
on a GPU needs 200 blocks a second from all loading processes together.
"""

import argparse
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from pipeline.detect.blocks import Chosen, Ring, find_runs, join, make_graph, pad
from pipeline.detect.features.entities import Actors, FeaturedVideo, FeatureShard, Objects, write_features
from pipeline.runtime.provenance import Provenance

ACTORS, OBJECTS, CLASSES, FIRST = (4, 2304), (25, 2048), 80, 902
CHOSEN = Chosen(annotated=True, score=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--keyframes", type=int, default=300, help="keyframes per video; AVA: 897")
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        videos = [_video(f"video{number}", options.keyframes) for number in range(options.videos)]
        shards, published = _store(Path(folder), videos), _publish(Path(folder, "published"), videos)
        ring = Ring(find_runs(shards, ["train"]), 6, seed=1)
        numbers = np.random.default_rng(0).integers(len(ring), size=options.blocks).tolist()

        def ours(number: int) -> object:
            parts = ring.block(0, number)
            keyframes = [shards[p.shard].keyframes(p.video, p.start, p.stop) for p in parts]
            return pad([join([make_graph(each, CHOSEN) for each in keyframes])])

        def theirs(number: int) -> object:
            return [published(p.video, n) for p in ring.block(0, number) for n in range(p.start, p.stop)]

        ways: dict[str, Callable[[int], object]] = {"feature shard, half precision": ours, "published layout": theirs}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.runs):
            for name, way in ways.items():
                start = time.perf_counter()
                for number in numbers:
                    way(number)
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print("| way | blocks/s and core | ms a block | times as fast |\n|---|---|---|---|")
    for name, median in medians.items():
        rate = options.blocks / median
        print(f"| {name} | {rate:.0f} | {1000 / rate:.2f} | {medians['published layout'] / median:.1f} |")


def _video(name: str, count: int) -> FeaturedVideo:
    random = np.random.default_rng(zlib.crc32(name.encode()))
    box = np.sort(random.random((count, 29, 2, 2)), 2).reshape(count, 29, 4).astype(np.float32)
    people, things = ACTORS[0], OBJECTS[0]
    actors = [
        Actors(
            random.random(ACTORS, np.float32).astype(np.float16),
            box[n, :people],
            np.ones(people, np.float32),
            np.ones(people, bool),
            random.random((people, CLASSES)) < 0.03,
            np.zeros((people, 0), np.float32),
        )
        for n in range(count)
    ]
    objects = [
        Objects(random.random(OBJECTS, np.float32).astype(np.float16), box[n, people:], np.ones(things, np.float32))
        for n in range(count)
    ]
    return FeaturedVideo(name, "", "train", FIRST + np.arange(count, dtype=float), actors, objects)


def _store(folder: Path, videos: list[FeaturedVideo]) -> list[FeatureShard]:
    path = folder / "shard.h5"
    write_features(path, videos, [str(n) for n in range(CLASSES)], [], Provenance("benchmark", "{}", ""))
    return [FeatureShard(path)]


def _publish(folder: Path, videos: list[FeaturedVideo]) -> Callable[[str, int], object]:
    """Write the layout `i3d`: one file per keyframe, and one for all objects.

    `pipeline.detect.features.import_actor_features` reads it.
    """
    folder.mkdir()
    with h5py.File(folder / "objects.h5", "w") as file:
        for video in videos:
            (folder / video.id).mkdir()
            for n, (actors, objects) in enumerate(zip(video.actors, video.objects, strict=True)):
                file[f"{video.id}_{FIRST + n}_features"] = objects.feature.astype(np.float32)
                file[f"{video.id}_{FIRST + n}_boxes"] = objects.box
                with h5py.File(folder / video.id / f"{FIRST + n:04d}.h5", "w") as own:
                    own["features"] = actors.feature.astype(np.float32)[..., None, None, None]
                    own["boxes"], own["labels"] = actors.box, actors.actions.astype(np.float32)

    def read(video: str, n: int) -> object:
        with h5py.File(folder / video / f"{FIRST + n:04d}.h5") as own, h5py.File(folder / "objects.h5") as file:
            names = (f"{video}_{FIRST + n}_{name}" for name in ("features", "boxes"))
            values = [own[name][:] for name in ("features", "boxes", "labels")] + [file[name][:] for name in names]
        return [torch.from_numpy(value) for value in values]

    return read


if __name__ == "__main__":
    main()
