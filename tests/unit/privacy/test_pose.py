"""BlazePose: on real footage, and what is made of its two networks' answers."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.models.weights import open_weights
from pipeline.privacy.detectors import make_auditor
from pipeline.privacy.pose import Pose


@pytest.fixture(scope="module")
def speech(footage: Path) -> list[np.ndarray]:
    with av.open(str(footage / "giving_speech/obama_speech.mp4")) as container:
        frames = [frame for k, frame in enumerate(container.decode(video=0)) if k % 35 == 0]
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def test_people_are_found_and_confirmed(speech: list[np.ndarray]) -> None:
    for image in speech:
        found = make_auditor("pose", 0.5)(image)
        assert len(found) >= 1
        assert (found.scores > 0.8).all()


def test_place_of_a_person(speech: list[np.ndarray]) -> None:
    """The hips of the one on the right are behind a desk, at the lower edge; his head is near the upper one."""
    hips, ends = make_auditor("pose", 0.5)._propose(speech[1])
    height, width = speech[1].shape[:2]
    assert 0.6 < hips[0, 0] / width < 0.72
    assert 0.75 < hips[0, 1] / height < 1.1
    assert ends[0, 1] / height < 0.15


def test_proposal_that_is_no_person_is_refused(footage: Path) -> None:
    """The roof of a bus, seen from above."""
    with av.open(str(footage / "riding_bike/bikes.mp4")) as container:
        image = next(container.decode(video=0)).to_ndarray(format="rgb24")
    detector = make_auditor("pose", 0.5)
    assert len(detector._propose(image)[0]) == 1
    assert len(detector(image)) == 0


def test_same_people_at_other_sizes(speech: list[np.ndarray]) -> None:
    detector = make_auditor("pose", 0.5)
    assert detector.input_size(123, 45) == (123, 45)
    first = detector(speech[1])
    for side in (224, 640):
        image = cv2.resize(speech[1], (side, side * 3 // 4), interpolation=cv2.INTER_AREA)
        assert detector(image).boxes == pytest.approx(first.boxes, abs=0.03)


class Networks:
    """Stand for both networks; proposals are (logit, anchor, head, hips, end), their points relative to the anchor."""

    def __init__(
        self, proposals: list[tuple[float, int, tuple[float, float], tuple[float, float], tuple[float, float]]]
    ):
        self._proposals = proposals
        self.presence = 0.9
        self.pictures: list[np.ndarray] = []
        self.crops: list[np.ndarray] = []

    def propose(self, tensor: np.ndarray) -> list[np.ndarray]:
        self.pictures.append(tensor)
        places, logits = np.zeros((1, 2254, 12), np.float32), np.full((1, 2254, 1), -1000, np.float32)
        for logit, anchor, head, hips, end in self._proposals:
            logits[0, anchor, 0] = logit
            places[0, anchor, :8] = *head, 44, 44, *hips, *end
        return [places, logits]

    def land(self, tensor: np.ndarray) -> list[np.ndarray]:
        self.crops.append(tensor)
        return [np.zeros((1, 195), np.float32), np.full((1, 1), self.presence, np.float32)]


@pytest.fixture
def pose(monkeypatch: pytest.MonkeyPatch) -> tuple[Pose, Networks]:
    """Anchor 28 * 2 * 14 + 2 * 14 is in the cell of row and column 14 of the finest 28 x 28: at (116, 116) of 224."""
    detector = Pose(open_weights("pose_landmarks"), 0.5, open_weights("pose"))
    networks = Networks([(3.0, 812, (0, 0), (4, 44), (4, -56))])
    monkeypatch.setattr(detector._detector, "run", networks.propose)
    monkeypatch.setattr(detector._landmarks, "run", networks.land)
    return detector, networks


def test_points_are_given_in_pixels_of_the_picture(pose: tuple[Pose, Networks]) -> None:
    hips, ends = pose[0]._propose(np.zeros((448, 224, 3), np.uint8))
    assert hips.tolist() == [[240, 320]]
    assert ends.tolist() == [[240, 120]]


def test_box_is_the_square_about_the_hips(pose: tuple[Pose, Networks]) -> None:
    found = pose[0](np.zeros((400, 448, 3), np.uint8))
    assert found.boxes == pytest.approx(np.array([[40 / 448, 120 / 400, 440 / 448, 1]]))
    assert found.scores == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("anchor", "center"),
    [
        (0, (4, 4)),
        (1, (4, 4)),
        (2, (12, 4)),
        (56, (4, 12)),
        (1567, (220, 220)),
        (1568, (8, 8)),
        (1571, (24, 8)),
        (1959, (216, 216)),
        (1960, (16, 16)),
        (1966, (48, 16)),
        (2253, (208, 208)),
    ],
)
def test_anchors(pose: tuple[Pose, Networks], anchor: int, center: tuple[float, float]) -> None:
    detector, networks = pose
    networks._proposals = [(3.0, anchor, (0, 0), (0, 0), (1, 0))]
    hips, ends = detector._propose(np.zeros((224, 224, 3), np.uint8))
    assert hips.tolist() == [list(center)]
    assert ends.tolist() == [[center[0] + 1, center[1]]]


def test_detector_sees_the_picture_letterboxed(pose: tuple[Pose, Networks]) -> None:
    detector, networks = pose
    image = np.full((100, 400, 3), 255, np.uint8)
    image[..., 1] = 51
    detector._propose(image)
    (seen,) = networks.pictures
    assert seen.shape == (1, 224, 224, 3)
    assert seen[0, :56] == pytest.approx(np.full((56, 224, 3), [1, -0.6, 1]), abs=1e-6)
    assert (seen[0, 56:] == 0).all()


def test_picture_of_a_pixels_height_keeps_it(pose: tuple[Pose, Networks]) -> None:
    pose[0]._propose(np.full((1, 1000, 3), 255, np.uint8))
    assert pose[1].pictures[0][0].sum(axis=(1, 2)).tolist() == [224 * 3] + [0] * 223


@pytest.mark.parametrize(("side", "value"), [(448, 51), (223, 204)])
def test_picture_is_averaged_when_it_shrinks(pose: tuple[Pose, Networks], side: int, value: int) -> None:
    detector, networks = pose
    image = np.zeros((side, side, 3), np.uint8)
    image[::2, ::2] = 204
    detector._propose(image)
    assert networks.pictures[0].max() == pytest.approx(value / 127.5 - 1, abs=0.02)


def test_proposals_of_one_head_are_one(pose: tuple[Pose, Networks]) -> None:
    detector, networks = pose
    networks._proposals = [
        (1.0, 812, (0, 0), (0, 10), (0, -10)),
        (2.0, 813, (10, 0), (0, 30), (0, -10)),  # 44 pixels wide, 34 in common: 0.63 of both
        (1.5, 0, (0, 0), (0, 50), (0, -10)),
        (0.1, 812 - 8, (0, 0), (0, 70), (0, -10)),  # 32 pixels to the left: 12 to 2 in common, 0.16 at most
        (-0.1, 812 + 16, (0, 0), (0, 70), (0, -10)),  # below one half
    ]
    hips, _ = detector._propose(np.zeros((224, 224, 3), np.uint8))
    assert hips.tolist() == [[116, 146], [4, 54], [84, 186]]


@pytest.mark.parametrize(("offset", "count"), [(23.8, 2), (23.4, 1)])
def test_overlap_of_heads_from_which_on_they_are_one(pose: tuple[Pose, Networks], offset: float, count: int) -> None:
    """Two squares of 44 pixels overlap to 0.3 when they are 23.7 apart."""
    detector, networks = pose
    networks._proposals = [(1.0, 812, (0, 0), (0, 9), (0, 0)), (2.0, 813, (offset, 0), (0, 9), (0, 0))]
    assert len(detector._propose(np.zeros((224, 224, 3), np.uint8))[0]) == count


def test_presence_must_be_over_the_threshold(pose: tuple[Pose, Networks]) -> None:
    detector, networks = pose
    networks.presence = 0.49
    assert len(detector(np.zeros((224, 224, 3), np.uint8))) == 0
    networks.presence = 0.51
    assert detector(np.zeros((224, 224, 3), np.uint8)).scores == pytest.approx([0.51])


@pytest.mark.parametrize("what", ["presence", "proposals"])
def test_numbers_that_are_none_are_an_error(pose: tuple[Pose, Networks], what: str) -> None:
    detector, networks = pose
    if what == "presence":
        networks.presence = float("nan")
    else:
        networks._proposals = [(float("nan"), 812, (0, 0), (0, 0), (0, 1))]
    with pytest.raises(ValueError, match="scores that are not numbers"):
        detector(np.zeros((224, 224, 3), np.uint8))


def crop(pose: tuple[Pose, Networks], end: tuple[float, float]) -> np.ndarray:
    """What the landmark network sees of a person with hips in the middle of a picture whose quarters differ."""
    detector, networks = pose
    image = np.zeros((224, 224, 3), np.uint8)
    image[:112, :112], image[:112, 112:], image[112:, :112] = 51, 102, 153
    detector._presence(image, np.array([112.0, 112.0]), np.array(end))
    (seen,) = networks.crops
    assert (seen.shape, seen.dtype) == ((1, 256, 256, 3), np.float32)
    return seen[0, ..., 0] * 255


QUARTERS = [(60, 60), (60, 196), (196, 60), (196, 196)]


@pytest.mark.parametrize(
    ("end", "values"),
    [
        ((112, 32), [51, 102, 153, 0]),  # upright
        ((192, 112), [102, 0, 51, 153]),  # lying, the end to the right: turned a quarter to the left
        ((112, 192), [0, 153, 102, 51]),
        ((32, 112), [153, 51, 0, 102]),
    ],
)
def test_crop_shows_the_person_upright(
    pose: tuple[Pose, Networks], end: tuple[float, float], values: list[int]
) -> None:
    seen = crop(pose, end)
    assert [round(float(seen[place])) for place in QUARTERS] == values


@pytest.mark.parametrize(("reach", "inside"), [(70, True), (94, False)])
def test_crop_reaches_beyond_the_end_by_a_quarter(pose: tuple[Pose, Networks], reach: float, inside: bool) -> None:
    """Beyond the picture, 112 pixels from its middle, there is black."""
    seen = crop(pose, (112, 112 - reach))
    assert (seen[2, 64] == 51) == inside


def test_size_of_the_crop(pose: tuple[Pose, Networks]) -> None:
    """A line 50 pixels above the hips, of which 64 are 100 in the crop."""
    detector, networks = pose
    image = np.zeros((224, 224, 3), np.uint8)
    image[62] = 255
    detector._presence(image, np.array([112.0, 112.0]), np.array([112.0, 48.0]))
    assert int(networks.crops[0][0, :, 128, 0].argmax()) == pytest.approx(128 - 50 * 128 / 80, abs=1)
