"""`acta spot` on the features of a 90-minute match, and on a half's video, compared with ffmpeg and the bare backbone.

The network is that of Table 4.1 with random weights. On a video, acta's single process is compared with two that run
one after the other: ffmpeg, which decodes, samples 2 frames a second and scales them, and torchvision's MobileNetV2 on
as many frames. Files go into a separate folder and are removed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
from torchvision.models import get_model

from benchmarks.footage import write_720p
from benchmarks.measure import Run, compare, run
from pipeline.config.whole import load
from pipeline.models.rms_net import RmsNet, RmsNetArchitecture
from pipeline.runtime.device import pinned_threads
from pipeline.spot.spotter_file import SpotterDescription, save_spotter
from pipeline.spot.video import Models, spot_match

RATE, HALF, HEIGHT, WIDTH = 2, 45 * 60, 224, 398
BATCH = load().spot.features["mobilenet"].batch
# Runs as many pictures, already scaled, through torchvision's network without its classifier.
_BACKBONE = f"""
import sys, torch
from torchvision.models import mobilenet_v2
network = mobilenet_v2()
network.load_state_dict(torch.load(sys.argv[1], weights_only=True))
network = network.features.eval().to(memory_format=torch.channels_last)
pictures = torch.randint(0, 256, ({BATCH}, 3, {HEIGHT}, {WIDTH}), dtype=torch.uint8)
mean, deviation = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
with torch.inference_mode():
    for start in range(0, int(sys.argv[2]), {BATCH}):
        some = pictures[:int(sys.argv[2]) - start].to(torch.float32, memory_format=torch.channels_last)
        network(some.div_(255).sub_(mean).div_(deviation)).mean((2, 3))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3, help="length of the half whose video is decoded")
    parser.add_argument("--long", type=float, default=20, help="minutes of the longer video, to compare peak memory")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.save(get_model("mobilenet_v2", weights=None).state_dict(), folder / "weights.pth")
        _from_features(folder, options.runs, options.threads)
        _from_video(folder, options.minutes, options.runs)
        _memory(folder, options.minutes, options.long)


def _save_network(path: Path, channels: int, features: str) -> Path:
    network = RmsNet(RmsNetArchitecture(3, channels, 41, 256, (256, 128), 9, 0.1, 64, True))
    save_spotter(path, network, SpotterDescription(network.architecture, 1, RATE, features, None, None, None, {}))
    return path


def _from_features(folder: Path, runs: int, threads: int) -> None:
    halves = {number: folder / f"{number}.npy" for number in (1, 2)}
    for number, path in halves.items():
        np.save(path, np.random.default_rng(number).standard_normal((HALF * RATE, 512), np.float32))
    model = _save_network(folder / "features.safetensors", 512, "imported")
    settings = load().spot
    print(f"a match of 90 minutes, {RATE} frames/s of 512 channels, {threads} threads\n")
    print("| what | wall s | cpu s |\n|---|---|---|")
    commands: dict[str, Sequence[str]] = {"python -c 'import torch'": [sys.executable, "-c", "import torch"]}
    for stride in (41, 4, 1):
        commands[f"acta spot, stride {stride}"] = _spot(
            *halves.values(), model=model, output=folder / "events.json", options=["--stride", str(stride)]
        )
    for what, found in compare(commands, runs).items():
        print(f"| {what} | {_median(found, 'wall'):.2f} | {_median(found, 'cpu'):.2f} |")
    with pinned_threads(threads):
        for stride in (41, 4, 1):
            seconds = []
            for _ in range(runs):
                start = time.perf_counter(), time.process_time()
                spot_match(halves, Models(model), settings, stride=stride)
                seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
            wall, cpu = (statistics.median(each) for each in zip(*seconds, strict=True))
            print(f"| files to events without imports, stride {stride} | {wall:.2f} | {cpu:.2f} |")


def _from_video(folder: Path, minutes: float, runs: int) -> None:
    half = _write_half(folder / "half.mkv", minutes)
    frames = round(60 * minutes * RATE)
    filters = f"fps={RATE},scale={WIDTH}:{HEIGHT}"
    commands: dict[str, Sequence[str]] = {
        "acta spot": _video_command(folder, half),
        "ffmpeg": [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(half), "-vf", filters, "-f", "null", "-"],
        "backbone": [sys.executable, "-c", _BACKBONE, str(folder / "weights.pth"), str(frames)],
    }
    found = compare(commands, runs)
    print(f"\na half of {minutes:g} minutes, 640x360 at 25 frames/s, {frames} frames to MobileNetV2\n")
    print("| what | wall s | cpu s | peak MB |\n|---|---|---|---|")
    for what, each in found.items():
        print(f"| {what} | {_median(each, 'wall'):.2f} | {_median(each, 'cpu'):.2f} | {_median(each, 'peak'):.0f} |")
    for kind in ("wall", "cpu"):
        rows = zip(*(found[what] for what in commands), strict=True)
        ratios = [getattr(a, kind) / (getattr(b, kind) + getattr(c, kind)) for a, b, c in rows]
        print(f"acta over ffmpeg and backbone, {kind}: {statistics.median(ratios):.3f}")


def _memory(folder: Path, short: float, long: float) -> None:
    half = folder / "long.mkv"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", str(folder / "half.mkv")]
    subprocess.run([*ffmpeg, "-t", str(60 * long), "-c", "copy", str(half)], check=True)
    peaks = [run(_video_command(folder, path)).peak for path in (folder / "half.mkv", half)]
    print(f"\npeak memory: {peaks[0]:.0f} MB of {short:g} minutes, {peaks[1]:.0f} MB of {long:g} minutes")


def _write_half(path: Path, minutes: float) -> Path:
    """Write ten seconds of the demo's footage in a loop, encoded like a broadcast: several references and B-frames."""
    clip = write_720p(path.with_name("clip.mp4"), 250)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", str(clip)]
    encoded = ["-vf", "scale=640:360", "-c:v", "libx264", "-preset", "medium", "-crf", "21", "-g", "250"]
    subprocess.run([*ffmpeg, "-t", str(60 * minutes), *encoded, str(path)], check=True)
    return path


def _video_command(folder: Path, half: Path) -> list[str]:
    """The command `acta spot`, with all of MobileNetV2's dimensions as features."""
    stored = {"size": [HEIGHT, WIDTH], "jpeg_quality": 90}
    features = {"backbone": {"name": "mobilenet_v2", "weights": str(folder / "weights.pth")}, "pca": None}
    changes = {
        "frames": {"convert": 25.0, "rate": RATE, "stored": stored},
        "features": {"mobilenet": features | {"crop": None, "batch": BATCH}},
    }
    config = folder / "config.yaml"
    config.write_text(json.dumps({"spot": changes}))
    model = _save_network(folder / "video.safetensors", 1280, "mobilenet")
    return _spot(half, model=model, output=folder / "events.json", options=["--config", str(config)])


def _spot(*halves: Path, model: Path, output: Path, options: list[str]) -> list[str]:
    command = [sys.executable, "-m", "pipeline", "spot", *map(str, halves), "--model", str(model), "--overwrite"]
    return [*command, "-o", str(output), *options]


def _median(runs: list[Run], what: str) -> float:
    return statistics.median(getattr(each, what) for each in runs)


if __name__ == "__main__":
    main()
