"""frame-mAP of 57,000 keyframes in AVA's formats, compared with the evaluators that papers use.

The peer is mmaction2's copy of ActivityNet's evaluator (32 processes), from its package; with ``--activitynet`` also
ActivityNet's own, from a checkout. A keyframe has 3 people with 1 to 3 annotated actions each, and a detection for each
of the 60 classes with a score of at least 0.02, as backbones write them.
"""

import argparse
import importlib
import io
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detect.evaluate_files import evaluate_files
from pipeline.runtime.wheels import WheelMember, fetch

_FOLDER = "mmaction/evaluation/functional"
_MEMBERS = {
    "ava_utils.py": "883b3e5dc21b3a0ca3cbf92395dfc8f8d49515593bc6374f8b8a56383a876cd8",
    "ava_evaluation/__init__.py": "3977d5ce6a7f8d8b9c01b0daa82c17214e4f3b1520320349ce34140916192c13",
    "ava_evaluation/metrics.py": "a1e6fa19b6f85d04359774fea81a2a2280cb139f11058b58980af373f69ab690",
    "ava_evaluation/np_box_list.py": "d2ed6785e48734d3c4c78e2de1a18702a61aef64eb89500e29849acd3d43bda3",
    "ava_evaluation/np_box_ops.py": "8188c6c9e7b92ce5132a44b826cb21de6acf8137deb9613a68fcb1c208cb1666",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keyframes", type=int, default=57_000)
    parser.add_argument(
        "--activitynet", type=Path, metavar="FOLDER", help="the folder Evaluation/ in a checkout of ActivityNet"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, options.keyframes)
        rows = []
        for capacity in (0, 50):
            start = time.perf_counter()
            found = evaluate_files(
                folder / "labels", folder / "truth", folder / "found", folder / "excluded", capacity=capacity
            )
            rows.append((f"Acta, capacity {capacity}", found["mAP"], time.perf_counter() - start))
        start = time.perf_counter()
        value = _mmaction(folder)
        rows.append(("mmaction2, no capacity", value, time.perf_counter() - start))
        if options.activitynet:
            start = time.perf_counter()
            value = _activitynet(options.activitynet, folder)
            rows.append(("ActivityNet, capacity 50", value, time.perf_counter() - start))
        lines = (folder / "found").read_bytes().count(b"\n")
    print(f"{options.keyframes} keyframes, {lines} detections, files read each time\n")
    print("| evaluator | mAP | seconds |\n|---|---|---|")
    for label, value, seconds in rows:
        print(f"| {label} | {value:.12f} | {seconds:.1f} |")


def _write(folder: Path, keyframes: int) -> None:
    random = np.random.default_rng(0)
    classes = np.arange(1, 61)
    labels = "".join(f'item {{\n  name: "action {n}"\n  id: {n}\n}}\n' for n in classes)
    (folder / "labels").write_text(labels)
    (folder / "excluded").write_text("elsewhere,0902\n")
    with (folder / "truth").open("w") as truth, (folder / "found").open("w") as found:
        for frame in range(keyframes):
            place = f"video{frame // 900},{902 + frame % 900:04d}"
            for _ in range(3):
                x, y = random.random(2) * 0.6
                width, height = 0.1 + 0.3 * random.random(2)
                box = np.array([x, y, x + width, y + height])
                true = random.choice(classes, random.integers(1, 4), replace=False)
                truth.writelines(f"{place},{','.join(f'{v:.3f}' for v in box)},{n},0\n" for n in true)
                seen = ",".join(f"{v:.3f}" for v in box + 0.02 * random.standard_normal(4))
                scores = random.random(60) ** 6
                scores[true - 1] = random.random(len(true))
                found.writelines(
                    f"{place},{seen},{n},{score:.6f}\n"
                    for n, score in zip(classes, scores, strict=True)
                    if score >= 0.02
                )


def _mmaction(folder: Path) -> float:
    package = folder / "peer" / "functional"
    fetch({package / name: WheelMember("mmaction2==1.2.0", f"{_FOLDER}/{name}", sha) for name, sha in _MEMBERS.items()})
    sys.path.insert(0, str(folder / "peer"))
    ava: Any = importlib.import_module("functional.ava_utils")
    with redirect_stdout(io.StringIO()):
        paths = [str(folder / name) for name in ("found", "labels", "truth", "excluded")]
        found = ava.ava_eval(paths[0], "mAP", paths[1], paths[2], paths[3], verbose=False, ignore_empty_frames=False)
    return float(found["overall"])


def _activitynet(checkout: Path, folder: Path) -> float:
    """ActivityNet's evaluator for AVA 2.2. The annotations here include all frames."""
    sys.path[:0] = [str(checkout), str(checkout / "ava")]
    np.bool, np.float, np.NAN = np.bool_, np.float64, np.nan  # type: ignore[misc]  # names that numpy 2 dropped
    performance: Any = importlib.import_module("get_ava_performance")
    kept: dict[str, float] = {}
    performance.pprint.pprint = lambda metrics, indent: kept.update(metrics)
    performance.run_evaluation(*((folder / name).open() for name in ("labels", "truth", "found")))
    return kept["PascalBoxes_Precision/mAP@0.5IOU"]


if __name__ == "__main__":
    main()
