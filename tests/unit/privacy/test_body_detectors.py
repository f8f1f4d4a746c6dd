"""Bodies: nobody is found after `acta anonymize --what bodies`, detections say by what; masks, and Mask R-CNN's."""

import json
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

from pipeline.cli import main
from pipeline.models.weights import WEIGHTS
from pipeline.privacy.body_detectors import MaskRCNN, _crop
from pipeline.privacy.detectors import make_auditor
from pipeline.privacy.instances import DetectionShard, Instances
from pipeline.runtime.errors import ActaError


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


@pytest.fixture(scope="module")
def maskrcnn_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of the right shape; its numbers are random, so only the plumbing is tested (no weights ship)."""
    path = tmp_path_factory.mktemp("maskrcnn") / "weights.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    torch.save(model.state_dict(), path)
    return path


def test_maskrcnn_keeps_people_only_with_masks_over_their_boxes(maskrcnn_weights):
    detector = MaskRCNN(maskrcnn_weights, 0.0)
    height, width = 60, 80
    full = torch.zeros(2, 1, height, width)
    full[0, 0, 10:30, 20:40] = 0.9

    def answer(images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        assert images[0].shape == (3, height, width)
        assert float(images[0].max()) <= 1
        boxes = torch.tensor([[20.0, 10, 40, 50], [0, 0, 10, 10]])
        return [{"boxes": boxes, "labels": torch.tensor([1, 17]), "scores": torch.tensor([0.8, 0.9]), "masks": full}]

    detector._model = answer  # what the network says is given; what is made of it is tested
    found = detector(np.full((height, width, 3), 255, np.uint8))
    assert found.boxes.tolist() == [[0.25, pytest.approx(1 / 6), 0.5, pytest.approx(5 / 6)]]
    assert found.masks[0] is not None
    assert found.masks[0].shape == (40, 20)
    assert found.masks[0][:20].all()
    assert not found.masks[0][20:].any()


def test_maskrcnn_runs_on_a_state_dict_and_refuses_others(maskrcnn_weights, tmp_path):
    found = MaskRCNN(maskrcnn_weights, 0.9)(np.zeros((64, 64, 3), np.uint8))
    assert isinstance(found, Instances)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ActaError, match=r"other\.pth holds the weights of another architecture: 363 missing"):
        MaskRCNN(tmp_path / "other.pth", 0.5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_maskrcnn_on_cuda_without_a_gpu_is_an_error(maskrcnn_weights):
    with pytest.raises(ActaError, match="torch sees no GPU"):
        MaskRCNN(maskrcnn_weights, 0.5, "cuda")
