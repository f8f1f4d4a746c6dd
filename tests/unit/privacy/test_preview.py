"""What a detector found, drawn: by value."""

import numpy as np

from pipeline.privacy.instances import Instances
from pipeline.privacy.preview import draw

GREEN, YELLOW, RED = (0, 255, 0), (255, 255, 0), (255, 0, 0)


def found(*, filled: bool = False, failed: bool = False) -> Instances:
    boxes = np.array([[0.25, 0.5, 0.75, 0.75]], np.float32)
    return Instances(boxes, np.array([0.87], np.float32), [None], np.array([filled]), failed)


def border(image: np.ndarray, x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    area = image[y1:y2, x1:x2]
    return np.concatenate([area[0], area[-1], area[:, 0], area[:, -1]])


def test_a_box_is_drawn_on_its_edge_with_its_score_above() -> None:
    image = np.full((100, 200, 3), 90, np.uint8)
    draw(image, found())
    assert (border(image, 50, 50, 150, 75) == GREEN).all()
    assert (image[51:74, 51:149] == 90).all()
    assert (image[38:49, 50:80] != 90).any()
    image[35:75, 50:150] = 90
    assert (image == 90).all()


def test_a_filled_in_box_looks_otherwise() -> None:
    image = np.full((100, 200, 3), 90, np.uint8)
    draw(image, found(filled=True))
    assert (border(image, 50, 50, 150, 75) == YELLOW).all()


def test_lines_grow_with_the_picture() -> None:
    image = np.full((500, 1000, 3), 90, np.uint8)
    draw(image, found())
    assert (image[300, 249:251] == GREEN).all()
    assert (image[300, 255:740] == 90).all()


def test_a_score_at_the_upper_edge_is_in_the_picture() -> None:
    image = np.full((100, 200, 3), 90, np.uint8)
    top = found()
    top.boxes[0, 1] = 0
    draw(image, top)
    assert (image[2:12, 52:80] == GREEN).all(axis=2).any()


def test_a_frame_on_which_the_detector_failed_has_a_red_border() -> None:
    image = np.full((100, 200, 3), 90, np.uint8)
    draw(image, Instances(failed=True))
    for edge in (0, 1):
        assert (border(image, edge, edge, 200 - edge, 100 - edge) == RED).all()
    assert (image[5:-5, 5:-5] == 90).all()


def test_the_red_border_begins_at_the_very_edge_and_is_three_lines_wide() -> None:
    image = np.full((500, 500, 3), 90, np.uint8)
    draw(image, Instances(failed=True))
    for edge in (image[:, 250], image[250], image[::-1, 250], image[250, ::-1]):
        assert (edge[:2] == RED).all()
        assert (edge[3:20] == 90).all()


def test_a_box_is_one_line_wide_and_a_score_two_lines_above() -> None:
    image = np.full((500, 500, 3), 90, np.uint8)
    draw(image, found())
    assert (image[250:375, 125] == GREEN).all()
    assert (image[260:370, 124] == 90).all()
    assert (image[260:370, 126] == 90).all()
    assert (image[374, 125:375] == GREEN).all()
    assert (image[375, 125:375] == 90).all()
    rows = np.flatnonzero((image[:250, 120:200] != 90).any(axis=(1, 2)))
    assert rows.max() == 248
