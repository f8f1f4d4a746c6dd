"""What a detector is shown of a frame, and where in the upright frame its answer lies."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.errors import ActaError
from pipeline.media.decode import decode, open_video
from pipeline.privacy.detect import detect_frame
from pipeline.privacy.instances import Instances
from tests.clips import write_clip


class Spot:
    """Finds the one bright spot of a dark picture; remembers the shapes of what it was shown."""

    def __init__(self, size: tuple[int, int] | None = None):
        self.shapes: list[tuple[int, ...]] = []
        self._size = size

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return self._size or (height, width)

    def __call__(self, image: np.ndarray) -> Instances:
        self.shapes.append(image.shape)
        rows, columns = np.nonzero(image.mean(axis=2) > 128)
        height, width = image.shape[:2]
        box = [columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height]
        return Instances.of(np.array([box]), np.array([0.9]))


def spotted() -> av.VideoFrame:
    """A frame of 80 x 40 pixels with a spot in columns 10 to 19 and rows 4 to 7."""
    image = np.zeros((40, 80, 3), np.uint8)
    image[4:8, 10:20] = 255
    return av.VideoFrame.from_ndarray(image, "rgb24")


SPOT = [10 / 80, 4 / 40, 20 / 80, 8 / 40]


@pytest.fixture
def settings(config):
    return config.privacy.detect.search("faces").model_copy(update={"long_side": None})


@pytest.mark.parametrize(
    ("long_side", "aspect", "wanted", "shape"),
    [
        (None, None, None, (40, 80, 3)),
        (64, None, None, (32, 64, 3)),
        (500, None, None, (40, 80, 3)),  # smaller pictures are not enlarged
        (None, Fraction(2), None, (40, 160, 3)),  # as displayed
        (None, Fraction(1, 2), None, (40, 40, 3)),
        (80, Fraction(2), None, (20, 80, 3)),
        (None, None, (64, 96), (64, 96, 3)),  # a network that rounds up
        (None, None, (20, 40), (20, 40, 3)),  # one with an input of its own
        (None, None, (64, 40), (64, 40, 3)),
    ],
)
def test_a_detector_sees_the_displayed_picture_at_the_size_that_it_wants(settings, long_side, aspect, wanted, shape):
    detector = Spot(wanted)
    found = detect_frame(detector, spotted(), settings.model_copy(update={"long_side": long_side}), aspect)
    assert detector.shapes == [shape]
    assert found.boxes[0] == pytest.approx(SPOT, abs=0.03)


@pytest.mark.parametrize("wanted", [None, (64, 96)])
def test_turned_pictures_are_searched_too_and_their_boxes_turned_back(settings, wanted):
    detector = Spot(wanted)
    found = detect_frame(detector, spotted(), settings.model_copy(update={"turned": True}))
    upright, sideways = (wanted, wanted) if wanted else ((40, 80), (80, 40))
    assert detector.shapes == [(*upright, 3), (*sideways, 3), (*upright, 3), (*sideways, 3)]
    assert len(found) == 4
    for box in found.boxes:
        assert box == pytest.approx(SPOT, abs=0.03)
    assert found.scores == pytest.approx([0.9] * 4)
    assert len(found.masks) == len(found.filled) == 4


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_boxes_are_those_of_the_picture_as_shown(settings, tmp_path, rotation, mirrored):
    """The clip's number 1 is one white square in the top row's first eighth, however it is stored."""
    path = write_clip(tmp_path / "turned.mp4", frames=2, rotation=rotation, mirrored=mirrored)
    with open_video(path) as (container, stream):
        [_, (_, frame)] = list(decode(container, stream))
    found = detect_frame(Square(), frame, settings)
    assert found.boxes[0] == pytest.approx([0, 0, 1 / 8, 1 / 4], abs=0.04)


class Square(Spot):
    def __call__(self, image: np.ndarray) -> Instances:
        return super().__call__(np.where(image.min(axis=2, keepdims=True) > 180, 255, 0).repeat(3, axis=2))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("the runtime gave up"), "the runtime gave up"),
        (ValueError("first line\n  second\n"), "first line second"),
        (KeyError(), "KeyError"),
    ],
)
def test_a_failing_detector_fails_the_frame_and_says_why(settings, capsys, error, reason):
    class Failing(Spot):
        def __call__(self, image: np.ndarray) -> Instances:
            raise error

    found = detect_frame(Failing(), spotted(), settings)
    assert (found.failed, found.reason, len(found)) == (True, reason, 0)
    assert capsys.readouterr() == ("", ""), "who knows the file says it"


@pytest.mark.parametrize("error", [ActaError("no weights"), MemoryError()])
def test_what_no_frame_is_to_blame_for_stops_the_search(settings, error):
    class Failing(Spot):
        def __call__(self, image: np.ndarray) -> Instances:
            raise error

    with pytest.raises(type(error)):
        detect_frame(Failing(), spotted(), settings)
