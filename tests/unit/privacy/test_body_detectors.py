"""`acta anonymize --what bodies` on real footage: nobody is found afterwards, and the detections say by what."""

import json
from pathlib import Path

import av
import h5py
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.models.weights import WEIGHTS
from pipeline.privacy.body_detectors import _crop
from pipeline.privacy.detectors import make_auditor
from pipeline.privacy.instances import DetectionShard


@pytest.fixture(scope="module")
def hidden(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip of the man in the car without him, and what was found in it."""
    folder = tmp_path_factory.mktemp("bodies")
    source = footage / "talking_in_car/carphone_pristine.mp4"
    kept = ["--keep-detections", str(folder / "found.h5")]
    assert main(["anonymize", str(source), str(folder / "out.mp4"), "--what", "bodies", *kept]) == 0
    return folder


@pytest.mark.parametrize("auditor", [("centerface", 0.2), ("retinaface", 0.4), ("pose", 0.5)])
def test_nobody_is_found_afterwards(hidden: Path, auditor: tuple[str, float]) -> None:
    judge = make_auditor(*auditor)
    height, width = judge.input_size(144, 176)
    with av.open(str(hidden / "out.mp4")) as container:
        images = [frame.to_ndarray(format="rgb24", width=width, height=height) for frame in container.decode(video=0)]
    assert len(images) == 120
    assert [k for k, image in enumerate(images[::3]) if len(judge(image))] == []


def test_kept_detections_name_both_networks(hidden: Path) -> None:
    with h5py.File(hidden / "found.h5") as file:
        provenance = json.loads(file.attrs["provenance"])
    assert provenance["weights"] == {name: WEIGHTS[name].source.sha256 for name in ("ssdlite", "centerface")}
    (name,) = (shard := DetectionShard(hidden / "found.h5")).ids
    assert all(1 <= len(frame) <= 3 for frame in shard.frames(name))


def test_options_are_those_of_the_body_detector(footage: Path, tmp_path: Path) -> None:
    source = footage / "talking_in_car/carphone_pristine.mp4"
    options = ["--detector", "selfie", "--threshold", "0.9", "--interval", "1", "--long-side", "64"]
    kept = ["--keep-detections", str(tmp_path / "found.h5")]
    assert main(["anonymize", str(source), str(tmp_path / "out.mp4"), "--what", "bodies", *options, *kept]) == 0
    with h5py.File(tmp_path / "found.h5") as file:
        detect = json.loads(file.attrs["provenance"])["settings"]["detect"]
    faces = detect.pop("faces")
    assert (detect["detector"], detect["threshold"], detect["interval"], detect["long_side"]) == (
        "selfie",
        0.9,
        1.0,
        64,
    )
    assert (faces["detector"], faces["threshold"], faces["long_side"]) == ("centerface", None, 1280)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ([2, 3, 6, 8], 5, 4),
        ([2.5, 3.5, 5.5, 7.5], 5, 4),  # every cell that is touched
        ([-5, -5, 4, 4], 4, 4),
        ([6, 6, 50, 50], 4, 4),
        ([3, 3, 3, 3], 1, 1),  # one cell at least
        ([3, 5, 7, 5], 1, 4),
    ],
)
def test_a_mask_is_cut_to_its_box(box, rows, columns):
    mask = np.ones((10, 10), bool)
    cut = _crop(mask, np.array(box, np.float32))
    assert (cut.shape, cut.all()) == ((rows, columns), True)
    assert not _crop(~mask, np.array(box, np.float32)).any()


def test_a_large_mask_keeps_sixty_four_cells_a_side():
    mask = np.zeros((300, 200), bool)
    mask[150, 100] = True
    cut = _crop(mask, np.array([0, 0, 200, 300], np.float32))
    assert (cut.shape, cut.sum()) == ((64, 64), 1)
