"""The demo's action videos: drawn the same each time, read by the ordinary adapter, faces and figures found in them."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config.whole import Config
from pipeline.data.adapters import list_videos
from pipeline.demo.get_footage import ACTIONS, action_names
from pipeline.demo.make_actions import FRAMES, HEIGHT, WIDTH, draw, make_actions
from pipeline.privacy.detectors import make_auditor


@pytest.fixture(scope="module")
def made(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("actions")
    make_actions(footage, root, workers=2)
    return root


def test_the_folder_adapter_lists_what_the_demo_announces(config: Config, made: Path) -> None:
    folder = config.data.model_copy(update={"adapter": "folder", "root": str(made)})
    listed = {(v.path, v.label, v.split) for v in list_videos(folder)}
    assert listed == set(action_names())
    announced = {(v.path, v.label, v.split) for v in list_videos(config.data)}
    assert listed < announced


def test_videos_are_whole(made: Path) -> None:
    for name, _, _ in action_names():
        with av.open(str(made / name)) as container:
            assert (container.streams.video[0].frames, container.streams.video[0].height) == (FRAMES, HEIGHT)


def test_drawing_is_repeatable_and_varied(footage: Path) -> None:
    first, again, other = (np.stack(list(draw("swaying", number, footage))) for number in (0, 0, 1))
    assert first.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("label", ACTIONS)
def test_a_face_and_a_body_are_found(footage: Path, label: str) -> None:
    """In most frames of three videos; a thing at the mouth may hide a face now and then."""
    found = {"centerface": 0, "selfie": 0}
    images = [image for number in range(3) for image in list(draw(label, number, footage))[::9]]
    for name, threshold in (("centerface", 0.2), ("selfie", 0.3)):
        detector = make_auditor(name, threshold)
        found[name] = sum(len(detector(_fit(detector, image))) > 0 for image in images)
    assert min(found.values()) >= 0.75 * len(images), found


def _fit(detector, image: np.ndarray) -> np.ndarray:
    import cv2

    height, width = detector.input_size(*image.shape[:2])
    return cv2.resize(image, (width, height))
