"""`acta anonymize` compared with deface on the same 720p clip: speed, and which of deface's faces are hidden.

``make benchmark`` installs the peer into a separate environment and runs this.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.footage import write_720p
from benchmarks.measure import PROJECT, compare, table
from pipeline.config.whole import load
from pipeline.privacy.boxes import enlarge, iou
from pipeline.privacy.instances import DetectionShard

PEER = PROJECT / ".venv-peer" / "bin"
_PEER_BOXES = """
import json, sys, imageio
from deface.centerface import CenterFace
model = CenterFace(in_shape=None, backend='auto')
found = []
for frame in imageio.get_reader(sys.argv[1]).iter_data():
    height, width = frame.shape[:2]
    found.append((model(frame, threshold=0.2)[0][:, :4] / [width, height, width, height]).tolist())
json.dump(found, open(sys.argv[2], 'w'))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = write_720p(Path(folder, "clip.mp4"), options.frames)
        acta = [sys.executable, "-m", "pipeline", "anonymize", "--overwrite", str(clip)]
        results = compare(
            {
                "deface, default": [str(PEER / "deface"), str(clip), "-o", f"{folder}/deface.mp4"],
                "acta, default": [*acta, f"{folder}/acta.mp4"],
                "acta, centerface at full size": [
                    *acta,
                    f"{folder}/center.mp4",
                    "--long-side=0",
                    "--interval=0",
                ],
            },
            options.runs,
        )
        print(table(results, options.frames, "deface, default"))
        subprocess.run([str(PEER / "python"), "-c", _PEER_BOXES, str(clip), f"{folder}/boxes.json"], check=True)
        theirs = [
            np.array(boxes, np.float32).reshape(-1, 4) for boxes in json.loads(Path(folder, "boxes.json").read_text())
        ]
        ours = _boxes(clip, folder, [])
        same = _boxes(clip, folder, ["--long-side=0", "--interval=0", "--fill-gap=0"])
    factor = load().privacy.obfuscate.faces.enlarge
    covered = np.array(
        [c for t, o in zip(theirs, ours, strict=True) for c in _covered(t, [enlarge(b, factor) for b in o])]
    )
    equal = np.array(
        [v for t, o in zip(theirs, same, strict=True) for v in (iou(t, o).max(axis=1) if len(o) else 0 * t[:, 0])]
    )
    print(f"\ndeface finds {len(covered)} boxes in {len(theirs)} frames")
    heights = np.array([round((box[3] - box[1]) * 720) for boxes in theirs for box in boxes])
    for name, chosen in (("all", heights > 0), ("24 pixels and higher", heights >= 24), ("lower", heights < 24)):
        share = 100 * (covered[chosen] >= 0.9).mean()
        print(f"{name} ({chosen.sum()}): {share:.2f} % have 90 % of their area obfuscated by acta's default")
    print(f"with IoU >= 0.9 to a box of acta's centerface at full size: {100 * (equal >= 0.9).mean():.2f} %")


def _boxes(clip: Path, folder: str, options: list[str]) -> list[np.ndarray]:
    kept = Path(folder, "detections.h5")
    command = [sys.executable, "-m", "pipeline", "anonymize", str(clip), f"{folder}/again.mp4", "--overwrite"]
    subprocess.run([*command, *options, "--keep-detections", str(kept)], check=True, capture_output=True, cwd=PROJECT)
    shard = DetectionShard(kept)
    return [frame.boxes for frame in shard.frames(shard.ids[0])]


def _covered(boxes: np.ndarray, hidden: list[np.ndarray], grid: int = 40) -> list[float]:
    """Share of each box's area, sampled on a grid, that is in at least one hidden rectangle."""
    shares = []
    for box in boxes:
        xs = box[0] + (np.arange(grid) + 0.5) / grid * (box[2] - box[0])
        ys = box[1] + (np.arange(grid) + 0.5) / grid * (box[3] - box[1])
        inside = np.zeros((grid, grid), bool)
        for x1, y1, x2, y2 in hidden:
            inside |= ((ys >= y1) & (ys <= y2))[:, None] & ((xs >= x1) & (xs <= x2))[None]
        shares.append(float(inside.mean()))
    return shares


if __name__ == "__main__":
    main()
