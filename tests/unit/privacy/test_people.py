"""Bodies with their faces: what is hidden for a face, and when a body that was found is its own."""

import numpy as np
import pytest

from pipeline.privacy.instances import Instances
from pipeline.privacy.people import People


class Found:
    """Finds what it is given; remembers the picture that it was shown."""

    def __init__(
        self,
        boxes: list[list[float]],
        masks: list[np.ndarray | None] | None = None,
        score: float = 0.5,
        wants: tuple[int, int] | None = None,
    ):
        self._boxes, self._masks, self._score, self._wants = boxes, masks, score, wants
        self.shown = np.zeros(0)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return self._wants or (height, width)

    def __call__(self, image: np.ndarray) -> Instances:
        self.shown = image
        scores = np.full(len(self._boxes), self._score)
        return Instances.of(np.array(self._boxes, np.float32).reshape(-1, 4), scores, self._masks)


FACE = [0.4, 0.2, 0.5, 0.3]
SQUARE = np.zeros((100, 100, 3), np.uint8)


def find(
    bodies: list[list[float]],
    faces: list[list[float]],
    masks: list[np.ndarray | None] | None = None,
    image: np.ndarray = SQUARE,
) -> Instances:
    return People(Found(bodies, masks), None, Found(faces, score=0.75), None)(image)


def test_face_without_a_body_gets_a_head_and_a_body() -> None:
    found = find([], [FACE])
    assert found.boxes == pytest.approx(np.array([[0.27, 0.175, 0.63, 1.0]]), abs=1e-6)
    assert found.scores.tolist() == [0.75]
    assert found.masks == [None]
    assert not found.filled.any()


def test_body_below_a_small_face_ends_at_its_feet() -> None:
    assert find([], [[0.5, 0.1, 0.52, 0.14]]).boxes == pytest.approx(np.array([[0.438, 0.09, 0.582, 0.42]]), abs=1e-6)


def test_head_of_a_broad_face_is_whole() -> None:
    assert find([], [[0.2, 0.8, 0.6, 0.84]]).boxes == pytest.approx(np.array([[0.1, 0.79, 0.7, 1.0]]), abs=1e-6)


@pytest.mark.parametrize(("height", "width", "half"), [(100, 200, 0.09), (200, 100, 0.36)])
def test_width_of_a_body_follows_the_faces_height_in_pixels(height: int, width: int, half: float) -> None:
    found = find([], [FACE], image=np.zeros((height, width, 3), np.uint8))
    assert found.boxes == pytest.approx(np.array([[0.45 - half, 0.175, 0.45 + half, 1.0]]), abs=1e-6)


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        ([0.25, 0.125, 0.75, 0.875], [0.25, 0.125, 0.75, 0.875]),
        ([0.4, 0.2, 0.5, 0.9], [0.375, 0.175, 0.525, 0.9]),
        ([0.4, 0.1, 0.75, 0.9], [0.375, 0.1, 0.75, 0.9]),
    ],
)
def test_body_of_a_face_holds_its_head(body: list[float], whole: list[float]) -> None:
    found = find([body], [FACE])
    assert found.boxes == pytest.approx(np.array([whole]), abs=1e-6)
    assert found.scores.tolist() == [0.5]
    assert found.masks == [None]


def test_head_at_the_edge_ends_with_the_picture() -> None:
    mask = np.ones((2, 2), bool)
    found = find([[0, 0, 0.5, 1]], [[0.0, 0.0, 0.2, 0.2]], [mask])
    assert found.boxes.tolist() == [[0, 0, 0.5, 1]]
    assert found.masks[0] is not None
    assert found.masks[0].shape == (2, 2)


@pytest.mark.parametrize(
    ("body", "belongs"),
    [
        ([0.44, 0.0, 1.0, 1.0], True),  # more than half of the face
        ([0.46, 0.0, 1.0, 1.0], False),
        ([0.0, 0.24, 1.0, 1.0], True),
        ([0.0, 0.26, 1.0, 1.0], False),
        ([0.42, 0.0, 0.48, 1.0], True),  # narrower than the face
        ([0.43, 0.0, 0.47, 1.0], False),
        ([0.3, 0.1, 0.6, 0.41], True),  # half of the two heights below the chin
        ([0.3, 0.1, 0.6, 0.39], False),
        ([0.6, 0.0, 0.9, 1.0], False),  # next to it
        ([0.0, 0.31, 1.0, 1.0], False),  # below it
    ],
)
def test_body_that_is_the_faces(body: list[float], belongs: bool) -> None:
    assert len(find([body], [FACE])) == (1 if belongs else 2)


def test_body_that_covers_half_of_a_face_is_its_own() -> None:
    assert len(find([[0.25, 0.0, 0.5, 1.0]], [[0.375, 0.25, 0.625, 0.5]])) == 1


@pytest.mark.parametrize(("bottom", "belongs"), [(0.96, True), (0.94, False)])
def test_only_what_is_in_the_picture_need_be_covered(bottom: float, belongs: bool) -> None:
    assert len(find([[0.0, 0.5, 1.0, bottom]], [[0.4, 0.6, 0.6, 0.9]])) == (1 if belongs else 2)


def test_face_at_the_lower_edge_has_nothing_below() -> None:
    assert len(find([[0.0, 0.5, 1.0, 1.0]], [[0.4, 0.6, 0.6, 1.0]])) == 1


def test_mask_with_a_hole_below_the_face_is_no_body_of_its_own() -> None:
    rows = np.ones((10, 10), bool)
    rows[3:5, 4] = False  # the two heights below the chin
    assert len(find([[0, 0, 1, 1]], [FACE], [rows])) == 2
    rows[4, 4] = True
    assert len(find([[0, 0, 1, 1]], [FACE], [rows])) == 1


def test_several_bodies_do_not_add_up_to_one() -> None:
    assert len(find([[0.4, 0.0, 0.44, 1.0], [0.46, 0.0, 0.5, 1.0]], [FACE])) == 3


def test_body_that_covers_most_of_the_face_is_its_own() -> None:
    found = find([[0.42, 0.0, 0.9, 1.0], [0.41, 0.0, 0.9, 1.0], [0.43, 0.0, 0.9, 1.0]], [FACE])
    assert found.boxes[:, 0] == pytest.approx(np.array([0.42, 0.375, 0.43]), abs=1e-6)


def test_two_faces_of_one_body_are_one_instance() -> None:
    found = find([[0.3, 0.3, 0.7, 1.0]], [[0.26, 0.3, 0.36, 0.5], [0.64, 0.3, 0.74, 0.5]])
    assert found.boxes == pytest.approx(np.array([[0.235, 0.25, 0.765, 1.0]]), abs=1e-6)


def test_bodies_come_before_faces_without_one() -> None:
    found = find([[0.6, 0.1, 0.9, 0.9]], [FACE, [0.7, 0.2, 0.8, 0.3]])
    assert found.boxes[:, 0] == pytest.approx(np.array([0.6, 0.27]), abs=1e-6)
    assert found.scores.tolist() == [0.5, 0.75]


def masked(set_: tuple[slice, slice], shape: tuple[int, int] = (10, 10)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[set_] = True
    return mask


@pytest.mark.parametrize(
    ("rows", "columns", "belongs"),
    [
        (slice(0, 10), slice(0, 10), True),
        (slice(3, 10), slice(0, 10), False),  # from below the face on
        (slice(0, 10), slice(4, 5), True),  # the column that is the face's
        (slice(0, 10), slice(5, 10), False),
        (slice(0, 10), slice(0, 4), False),
    ],
)
def test_mask_counts_where_it_is_set(rows: slice, columns: slice, belongs: bool) -> None:
    mask = masked((rows, columns))
    found = find([[0, 0, 1, 1]], [FACE], [mask])
    assert len(found) == (1 if belongs else 2)
    if not belongs:
        assert found.masks[0] is mask
        assert found.masks[1] is None


def test_mask_is_measured_on_its_own_box() -> None:
    mask = np.array([[True, False]])
    assert len(find([[0.4, 0.0, 0.52, 1.0]], [FACE], [mask])) == 1  # its left half covers 0.6 of the face
    assert len(find([[0.4, 0.0, 0.48, 1.0]], [FACE], [mask])) == 2  # 0.4


def test_head_is_set_in_a_mask_wherever_it_touches_a_cell() -> None:
    face = [0.5, 0.25, 0.75, 0.5]  # its head: 0.4375 to 0.8125, 0.1875 to 0.5625
    found = find([[0, 0, 1, 1]], [face], [masked((slice(2, 8), slice(3, 7)), (8, 8))])
    assert found.boxes.tolist() == [[0, 0, 1, 1]]
    expected = masked((slice(2, 8), slice(3, 7)), (8, 8)) | masked((slice(1, 5), slice(3, 7)), (8, 8))
    assert found.masks[0] is not None
    assert found.masks[0].tolist() == expected.tolist()


def test_mask_grows_with_its_box_and_its_cells_stay_as_large() -> None:
    face = [0.25, 0.375, 0.5, 0.625]  # its head: 0.1875 to 0.5625, 0.3125 to 0.6875
    mask = masked((slice(0, 4), slice(0, 12)), (4, 12))
    found = find([[0.25, 0.5, 0.75, 1.0]], [face], [mask])
    assert found.boxes.tolist() == [[0.1875, 0.3125, 0.75, 1.0]]
    assert found.masks[0] is not None
    rows, columns = found.masks[0].shape
    assert (rows, columns) == (round(4 * 0.6875 / 0.5), round(12 * 0.5625 / 0.5))  # 5.5 and 13.5, to even ones
    edges_y, edges_x = np.linspace(0.3125, 1, rows + 1), np.linspace(0.1875, 0.75, columns + 1)
    for row in range(rows):
        for column in range(columns):
            of_head = edges_y[row] < 0.6875 and edges_x[column] < 0.5625
            of_body = edges_y[row + 1] > 0.5 and edges_x[column + 1] > 0.25
            assert found.masks[0][row, column] == (of_head or of_body)


def test_head_of_a_mask_ends_with_the_picture_on_every_side() -> None:
    whole = masked((slice(0, 4), slice(0, 4)), (4, 4))
    for face in ([0.8, 0.3, 1.0, 0.6], [0.0, 0.3, 0.2, 0.6], [0.4, 0.0, 0.6, 0.2], [0.3, 0.8, 0.7, 1.0]):
        found = find([[0, 0, 1, 1]], [face], [whole])
        assert found.boxes.tolist() == [[0, 0, 1, 1]]
        assert found.masks[0] is not None
        assert found.masks[0].tolist() == whole.tolist()


def test_nobody() -> None:
    assert len(find([], [])) == 0
    body = [0.125, 0.25, 0.5, 0.75]
    assert find([body], []).boxes.tolist() == [body]


@pytest.mark.parametrize(
    ("sides", "shown"),
    [
        ((None, None), ((120, 240), (120, 240))),
        ((60, 120), ((30, 60), (60, 120))),
        ((480, 100), ((120, 240), (50, 100))),
        ((1, 1), ((1, 1), (1, 1))),
    ],
)
def test_each_detector_sees_the_picture_at_its_own_size(
    sides: tuple[int | None, int | None], shown: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    bodies, faces = Found([]), Found([])
    both = People(bodies, sides[0], faces, sides[1])
    assert both.input_size(120, 240) == (120, 240)
    both(np.zeros((120, 240, 3), np.uint8))
    assert (bodies.shown.shape[:2], faces.shown.shape[:2]) == shown


def test_picture_of_the_right_size_is_not_touched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    faces = Found([])
    People(Found([]), None, faces, 64)(image)
    assert faces.shown is image


def test_picture_is_averaged_when_it_shrinks_and_blended_when_it_grows() -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, ::2] = 200
    small, large = Found([], wants=(1, 2)), Found([], wants=(2, 8))
    People(small, None, large, None)(image)
    assert small.shown[..., 0].tolist() == [[100, 100]]
    assert large.shown[0, :, 0].tolist() == [200, 150, 50, 50, 150, 150, 50, 0]


@pytest.mark.parametrize("wants", [(1, 8), (4, 2)])
def test_picture_is_averaged_when_one_side_shrinks(wants: tuple[int, int]) -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[0] = 90
    image[:, :2] += 100
    faces = Found([], wants=wants)
    People(Found([]), None, faces, None)(image)
    expected = {(1, 8): [[145] * 4 + [45] * 4], (4, 2): [[190, 90]] * 2 + [[100, 0]] * 2}
    assert faces.shown[..., 0].tolist() == expected[wants]
