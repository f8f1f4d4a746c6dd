"""Peak memory of `acta anonymize` on one minute and on one hour of 720p video (the minute, sixty times).

Options after `--` go to `acta anonymize`. On two cores, an hour of video takes a night at the default detection size.
With `--rate 12 -- --long-side 320` it takes an hour and a half, with the same buffers.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

from benchmarks.footage import write_720p
from benchmarks.measure import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=25, help="frames per second of the videos")
    parser.add_argument("options", nargs="*", help="options of acta anonymize, after --")
    options = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        minute = write_720p(Path(folder, "minute.mp4"), 60 * options.rate, options.rate)
        hour = minute.with_name("hour.mp4")
        ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "59", "-i", str(minute)]
        subprocess.run([*ffmpeg, "-c", "copy", str(hour)], check=True)
        for clip in (minute, hour):
            out = f"{folder}/hidden_{clip.name}"
            cost = run([sys.executable, "-m", "pipeline", "anonymize", str(clip), out, *options.options])
            peaks.append(cost.peak)
            print(f"{clip.stem} at {options.rate} frames/s: peak {cost.peak:.0f} MB, {cost.wall:.0f} s", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
