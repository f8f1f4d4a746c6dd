"""Frame extraction compared with ffmpeg writing JPEG files of the same size and quality, on the same cores."""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np

from benchmarks.footage import write_720p
from benchmarks.measure import compare, table
from pipeline.config.data import DataSettings
from pipeline.data.adapters import list_videos
from pipeline.data.build_manifest import build_manifest
from pipeline.media.lists import write_lists
from pipeline.runtime.store import FrameShard, decode_jpegs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--qscale", type=int, default=2, help="ffmpeg's quality; choose it so that the PSNRs are similar"
    )
    parser.add_argument("--quality", type=int, default=90, help="acta's libjpeg quality")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for k in range(options.videos):
            if k == 0:
                write_720p(folder / "videos/0.mp4", options.frames)
            else:
                shutil.copy(folder / "videos/0.mp4", folder / f"videos/{k}.mp4")
        manifest = _manifest(folder)
        for size in ((128, 171), (720, 1280)):
            settings = {"sampling": {"rate": None}, "frames": {"size": size, "jpeg_quality": options.quality}}
            acta = [sys.executable, "-m", "pipeline", "task", "extract_frames"]
            acta += ["--manifest", str(manifest), "--root", str(folder / "videos"), "--settings", json.dumps(settings)]
            commands = {
                f"ffmpeg, {cores} processes of one thread": _ffmpeg(folder, size, options.qscale, cores, 1),
                "ffmpeg, one process at a time, its own threads": _ffmpeg(folder, size, options.qscale, 1, 0),
                f"acta, {cores} cores": [*acta, "--cores", str(cores), "-o", str(folder / "acta/a.h5")],
            }
            results = compare(commands, options.runs)
            print(f"\n{options.videos} videos of {options.frames} frames, 1280x720 -> {size[1]}x{size[0]}\n")
            print(table(results, options.videos * options.frames, next(iter(commands))))
            _quality(folder, size)


def _manifest(folder: Path) -> Path:
    data = DataSettings(adapter="folder", root=str(folder / "videos"), annotations=None, shards=1, max_bad_fraction=0.0)
    [shard] = write_lists(list_videos(data), folder / "lists", 1)
    build_manifest(folder / f"lists/{shard}.json", folder / "videos", folder / "manifest.json", workers=2)
    return folder / "manifest.json"


def _ffmpeg(folder: Path, size: tuple[int, int], qscale: int, processes: int, threads: int) -> list[str]:
    """A command that runs ffmpeg on all videos, this many at a time."""
    lines = []
    for video in sorted((folder / "videos").iterdir()):
        out = folder / "jpegs" / video.stem
        out.mkdir(parents=True, exist_ok=True)
        graph = ffmpeg.input(str(video), threads=threads).filter("scale", size[1], size[0])
        options = {"q:v": qscale, "pix_fmt": "yuvj420p", "fps_mode": "passthrough", "threads": threads}
        graph = graph.output(f"{out}/%06d.jpg", loglevel="error", **options)
        lines.append(shlex.join(ffmpeg.compile(graph, cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True)))
    commands = folder / f"{processes}x{threads}_{size[0]}.sh"
    commands.write_text("\n".join(lines) + "\n")
    return ["sh", "-c", f"xargs -P {processes} -d '\\n' -I@ sh -c @ < {shlex.quote(str(commands))}"]


def _quality(folder: Path, size: tuple[int, int]) -> None:
    """Bytes per frame, and PSNR of both against the scaled frames, on the first hundred frames of the first video."""
    shard = FrameShard(folder / "acta/a.h5")
    jpegs = sorted((folder / "jpegs/0").iterdir())[:100]
    sides = {
        "ffmpeg": [np.frombuffer(path.read_bytes(), np.uint8).copy() for path in jpegs],
        "acta": shard.jpegs(shard.ids[0], 0, 100),
    }
    with av.open(str(folder / "videos/0.mp4")) as container:
        reference = [
            f.to_ndarray(format="rgb24", width=size[1], height=size[0], interpolation="BILINEAR")
            for f, _ in zip(container.decode(video=0), range(100), strict=False)
        ]
    for name, images in sides.items():
        decoded = decode_jpegs(images).permute(0, 2, 3, 1).numpy().astype(float)
        error = np.mean((decoded - np.stack(reference)) ** 2)
        size_of_one = np.mean([len(image) for image in images])
        print(f"{name}: {size_of_one:.0f} bytes a frame, PSNR {10 * np.log10(255**2 / error):.2f} dB")


if __name__ == "__main__":
    main()
