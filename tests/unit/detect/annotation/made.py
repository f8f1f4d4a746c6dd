"""Small annotations of J-HMDB-21 and UCF101-24, in all forms in which they are published."""

import pickle
from pathlib import Path

import numpy as np
from scipy.io import savemat

# Of each video the rectangles (x1, y1, x2, y2 in pixels, x2 and y2 the first outside) by frame; None: nobody is there.
CLIPS = {
    "wave/a": [(0, 0, 4, 3), (1, 0, 4, 2), None],
    "wave/b, c": [(7, 5, 8, 6)],
    "catch/d": [(2, 2, 3, 6), None],
    "catch/e": [(0, 0, 8, 6)],
}
SPLITS = {
    "wave_test_split1.txt": "a.avi 1\nb, c.avi 2\n",
    "wave_test_split2.txt": "a.avi 2\nb, c.avi 1\n\n",
    "catch_test_split1.txt": "e.avi 1\nd.avi 2\n",
    "catch_test_split2.txt": "d.avi 1\ne.avi 0\n",
}
WIDTH, HEIGHT = 8, 6


def rows_of(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def all_with(tube: object) -> dict[str, dict]:
    """Every clip's tubes: one of class 0."""
    return {name: {0: [np.array(tube, np.float32)]} for name in CLIPS}


def doubled(times: int) -> list:
    """A list that is small in a pickle and has 2 ** times values if it is written out."""
    value = [1.0, 2.0]
    for _ in range(times - 1):
        value = [value, value]
    return value


def endless() -> dict:
    value: dict = {}
    value["wave/a"] = value
    return value


def write_jhmdb(folder: Path) -> Path:
    """Masks and splits, which scipy writes as MATLAB does: a last dimension of 1 is dropped."""
    for name, frames in CLIPS.items():
        mask = np.zeros((HEIGHT, WIDTH, len(frames)), np.uint8)
        for number, box in enumerate(frames):
            if box:
                x1, y1, x2, y2 = box
                mask[y1, x1:x2, number] = 1  # an L is bounded by the same rectangle as all of it
                mask[y1:y2, x1, number] = 1
        (folder / "puppet_mask" / name).mkdir(parents=True)
        squeezed = mask[:, :, 0] if mask.shape[2] == 1 else mask
        savemat(folder / "puppet_mask" / name / "puppet_mask.mat", {"part_mask": squeezed})
    (folder / "splits").mkdir()
    for name, text in SPLITS.items():
        (folder / "splits" / name).write_text(text)
    return folder


def as_tubes(clips: dict[str, list], **changes: object) -> dict[str, object]:
    """The same as the action-tubelet detector's pickle: frames from 1, corners included."""
    labels = ["catch", "wave"]
    tubes = {
        name: {
            labels.index(name.split("/")[0]): [
                np.array([[n, b[0], b[1], b[2] - 1, b[3] - 1] for n, b in enumerate(frames, 1) if b], np.float32)
            ]
        }
        for name, frames in clips.items()
    }
    return {
        "labels": labels,
        "gttubes": tubes,
        "nframes": {name: len(frames) for name, frames in clips.items()},
        "resolution": dict.fromkeys(clips, (HEIGHT, WIDTH)),
        "train_videos": [["wave/a", "catch/e"], ["wave/b, c", "catch/d"]],
        "test_videos": [["wave/b, c", "catch/d"], ["wave/a"]],
    } | changes


def tube(start: int, boxes: list[list[int]], label: int = 1) -> dict[str, object]:
    """As in pyannot.pkl, whose corners are of 8 bits where they fit: x + width would overflow."""
    return {"label": label, "sf": start, "ef": start + len(boxes), "boxes": np.array(boxes, np.uint8)}


def corrected() -> dict[str, dict]:
    return {
        "Biking/v_1": {"numf": np.uint8(2), "label": 0, "annotations": [tube(1, [[1, 1, 80, 60]], 0)]},
        "Skiing/v_2": {
            "numf": 3,
            "label": 1,
            "annotations": [tube(0, [[200, 121, 120, 119]] * 2), tube(1, [[161, 1, 80, 239]] * 2)],
        },
    }


def write_ucf(folder: Path) -> Path:
    folder.mkdir()
    (folder / "pyannot.pkl").write_bytes(pickle.dumps(corrected(), protocol=3))
    (folder / "trainlist01.txt").write_text("Archery/v_0.avi 3\nSkiing/v_2.avi 81\nSkiing/v_gone.avi 81\n")
    (folder / "testlist01.txt").write_text("Biking/v_1.avi\n")
    return folder
