"""What an auditor is shown of a stored frame, and what is counted; the detectors themselves are tested elsewhere."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pipeline.media.jpeg import decode_stored
from pipeline.privacy import audit as module
from pipeline.privacy.instances import Instances
from pipeline.runtime.errors import VideoError


class Frames:
    """A shard of two frames of 30 x 50 pixels, one grey and one white."""

    def source(self, video: str) -> str:
        return "sha256"

    def times(self, video: str) -> np.ndarray:
        return np.arange(2.0)

    def jpegs(self, video: str) -> list[np.ndarray]:
        images = [np.full((30, 50, 3), value, np.uint8) for value in (128, 255)]
        return [cv2.imencode(".jpg", image)[1] for image in images]


class White:
    """Finds one instance in a white picture; remembers the shapes of what it was shown."""

    def __init__(self, size: tuple[int, int]):
        self.size, self.shapes = size, []

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        assert (height, width) == (30, 50)
        return self.size

    def __call__(self, image: np.ndarray) -> Instances:
        self.shapes.append(image.shape)
        count = 2 if image.mean() > 200 else 0
        return Instances.of(np.tile([[0, 0, 1, 1]], (count, 1)), np.ones(count))


@pytest.mark.parametrize("size", [(30, 50), (32, 64), (32, 50), (30, 64), (20, 20)])
def test_an_auditor_sees_frames_at_the_size_that_it_wants(monkeypatch, size):
    auditor = White(size)
    monkeypatch.setattr(module, "make_auditor", lambda name, threshold: auditor)
    assert module._count(Frames(), "video", "centerface", 0.2) == [0, 2]
    assert auditor.shapes == [(*size, 3)] * 2


def test_a_stored_frame_that_is_no_picture_is_an_error(monkeypatch):
    class Broken(Frames):
        def jpegs(self, video: str) -> list[np.ndarray]:
            return [np.zeros(10, np.uint8)]

    monkeypatch.setattr(module, "make_auditor", lambda name, threshold: White((30, 50)))
    with pytest.raises(VideoError, match="a stored frame is no JPEG image"):
        module._count(Broken(), "video", "centerface", 0.2)


def test_detections_and_the_frames_that_still_have_some_are_counted(monkeypatch):
    asked = []

    def make(name: str, threshold: float) -> White:
        asked.append((name, threshold))
        return White((30, 50))

    monkeypatch.setattr(module, "make_auditor", make)
    settings = SimpleNamespace(auditors={"pose": 0.5})
    row = module._audit(module._Job("a", "walking"), Frames(), Frames(), settings)
    figures = {"before": 2, "after": 2, "frames_with_residual": 1}
    assert row == {"id": "a", "label": "walking", "sha256": "sha256", "frames": 2, "auditors": {"pose": figures}}
    assert set(asked) == {("pose", 0.5)}


def test_a_stored_frame_that_is_larger_than_any_frame_is_not_decoded(monkeypatch):
    image = np.zeros((48, 64, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1]
    assert decode_stored(jpeg, cv2.IMREAD_COLOR).shape == image.shape
    monkeypatch.setenv("ACTA_MAX_PIXELS", str(48 * 64 - 1))
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(VideoError, match=r"^64x48 pixels; at most 3,071 are read"):
        decode_stored(jpeg, cv2.IMREAD_COLOR)
    monkeypatch.undo()
