"""Peak memory of `acta anonymize` on one minute and on one hour of 720p video."""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.footage import write_720p
from benchmarks.measure import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=25, help="frames per second of the videos")
    options = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (1, 60):
            clip = write_720p(Path(folder, f"{minutes}.mp4"), 60 * minutes * options.rate, options.rate)
            cost = run([sys.executable, "-m", "pipeline", "anonymize", str(clip), f"{folder}/out{minutes}.mp4"])
            peaks.append(cost.peak)
            print(f"{minutes} min at {options.rate} frames/s: peak {cost.peak:.0f} MB, {cost.wall:.0f} s", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
