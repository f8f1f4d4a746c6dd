"""Training clips from frame shards, compared with decoding them from the videos (PyAV with seeking, torchcodec).

The videos are ten seconds of 340 x 256 H.264 at 30 frames per second; the clips are 16 consecutive frames at 128 x 171,
on one thread. torchcodec is not a dependency: run ``pip install --no-deps --target FOLDER torchcodec`` and put FOLDER
into PYTHONPATH; it needs FFmpeg's libraries. Without torchcodec, its row is missing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from torchvision.transforms.v2 import functional as transforms

from benchmarks.footage import DEMO, _load, _there_and_back
from pipeline.cli import main as acta
from pipeline.demo.get_footage import get_footage
from pipeline.media.decode import decode, open_video, to_rgb
from pipeline.runtime.store import FrameShard

HEIGHT, WIDTH, FRAMES, CLIP = 256, 340, 300, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        videos = _write(Path(folder, "videos"), options.videos)
        shard = _store(Path(folder))
        random = np.random.default_rng(0)
        wanted = [
            (videos[int(random.integers(len(videos)))], int(random.integers(FRAMES - CLIP)))
            for _ in range(options.clips)
        ]
        ways: dict[str, Callable[[Path, int], torch.Tensor]] = {
            "frame shard": lambda path, start: shard.clip(f"clip/{path.name}", start, start + CLIP),
            "PyAV, seeking": _pyav,
        }
        if (torchcodec := _torchcodec()) is not None:
            ways["torchcodec"] = torchcodec
        reference = [_pyav(*clip) for clip in wanted[:5]]
        for name, way in ways.items():
            for clip, expected in zip(wanted, reference, strict=False):
                found = way(*clip)
                difference = (found.int() - expected.int()).abs().float().mean()
                assert found.shape == (CLIP, 3, 128, 171), f"{name}: {found.shape}"
                assert difference < 6, f"{name} gives other frames: mean difference {difference}"
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.runs):
            for name, way in ways.items():
                start = time.perf_counter()
                for clip in wanted:
                    way(*clip)
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print("| way | clips/s and core | times as fast as PyAV |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {options.clips / median:.1f} | {medians['PyAV, seeking'] / median:.2f} |")


def _write(folder: Path, count: int) -> list[Path]:
    """Real footage, resized, with x264's default key frames (at most 250 frames apart)."""
    get_footage(DEMO)
    images = [cv2.resize(image, (WIDTH, HEIGHT)) for image in _load("riding_bike/bikes.mp4")]
    paths = []
    for number in range(count):
        path = folder / "clip" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as out:
            stream: Any = out.add_stream("libx264", rate=30, options={"crf": "23"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for k in range(FRAMES):
                image = np.ascontiguousarray(_there_and_back(images, k + 31 * number))
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
            out.mux(stream.encode(None))
        paths.append(path)
    return paths


def _store(folder: Path) -> FrameShard:
    """Store the same videos in a frame shard, with the real tasks."""
    from pipeline.config.whole import load
    from pipeline.data.adapters import list_videos
    from pipeline.media.lists import write_lists

    data = load().data.model_copy(update={"adapter": "folder", "root": str(folder / "videos")})
    (name,) = write_lists(list_videos(data), folder / "lists", 1)
    root = ["--root", str(folder / "videos")]
    listed = ["task", "build_manifest", "--videos", str(folder / f"lists/{name}.json")]
    assert acta([*listed, *root, "-o", str(folder / "manifest.json")]) == 0
    settings = '{"sampling":{"rate":null},"frames":{"size":[128,171],"jpeg_quality":90}}'
    frames = ["task", "extract_frames", "--manifest", str(folder / "manifest.json"), "--settings", settings]
    assert acta([*frames, *root, "-o", str(folder / "shard.h5")]) == 0
    return FrameShard(folder / "shard.h5")


def _pyav(path: Path, start: int) -> torch.Tensor:
    """Seek to the key frame before the clip, decode up to its end, scale."""
    images = []
    with open_video(path) as (container, stream):
        assert stream.time_base is not None
        container.seek(round(start / 30 / stream.time_base), stream=stream)
        for moment, frame in decode(container, stream):
            if moment > start / 30 - 1e-3:
                images.append(to_rgb(frame, 128, 171))
                if len(images) == CLIP:
                    break
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _torchcodec() -> Callable[[Path, int], torch.Tensor] | None:
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError) as error:
        print(f"without torchcodec: {str(error).splitlines()[0]}")
        return None

    def clip(path: Path, start: int) -> torch.Tensor:
        decoder = VideoDecoder(str(path), num_ffmpeg_threads=1, seek_mode="approximate")
        frames = decoder.get_frames_in_range(start, start + CLIP).data
        return transforms.resize(frames, [128, 171], antialias=True)

    return clip


if __name__ == "__main__":
    main()
