"""SSDLite on real footage, and what is made of the network's answers."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.models.weights import open_weights
from pipeline.privacy.ssdlite import SSDLite
from pipeline.runtime.errors import ActaError


@pytest.fixture(scope="module")
def detector() -> SSDLite:
    return SSDLite(open_weights("ssdlite"), 0.2)


def picture(path: Path, index: int) -> np.ndarray:
    with av.open(str(path)) as container:
        for k, frame in enumerate(container.decode(video=0)):
            if k == index:
                return frame.to_ndarray(format="rgb24")
    raise AssertionError(f"{path} has no frame {index}")


def agree(found: np.ndarray, expected: list[list[float]]) -> None:
    assert found[found[:, 0].argsort()] == pytest.approx(np.array(sorted(expected)), abs=0.02)


def test_two_speakers(detector: SSDLite, footage: Path) -> None:
    found = detector(picture(footage / "giving_speech/obama_speech.mp4", 70))
    agree(found.boxes, [[0.41, 0.08, 0.87, 0.78], [0.09, 0.18, 0.46, 0.78]])
    assert (found.scores > 0.9).all()


def test_man_in_the_foreground(detector: SSDLite, footage: Path) -> None:
    agree(detector(picture(footage / "riding_bike/bikes.mp4", 35)).boxes, [[0.38, 0.01, 0.67, 0.97]])


def test_people_far_away_are_found_at_the_pictures_own_size(detector: SSDLite, footage: Path) -> None:
    image = picture(footage / "playing_in_park/park.mp4", 0)
    assert len(detector(cv2.resize(image, (300, 300), interpolation=cv2.INTER_AREA))) == 0
    found = detector(image)
    agree(found.boxes, [[0.41, 0.41, 0.43, 0.52], [0.83, 0.39, 0.85, 0.46], [0.25, 0.39, 0.27, 0.46]])


@pytest.mark.parametrize("shape", [(300, 300), (144, 192), (60, 300), (302, 301), (1, 2)])
def test_nobody(detector: SSDLite, shape: tuple[int, int]) -> None:
    assert detector.input_size(*shape) == shape
    assert len(detector(np.full((*shape, 3), 127, np.uint8))) == 0


class Session:
    """Stands for the network: logits and offsets that are given for some anchors, (level, anchor, row, column)."""

    def __init__(self, scores: dict[tuple[int, int, int, int], float], offsets: dict[tuple[int, int, int, int], list]):
        self._scores, self._offsets = scores, offsets
        self.seen: list[np.ndarray] = []

    def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        (image,) = inputs.values()
        self.seen.append(image)
        outputs = []
        levels = 1 + max(level for level, *_ in self._scores)
        for level in range(levels):
            anchors = 3 if level == 0 else 6
            rows, columns = (-(-side // 2 ** (level + 4)) for side in image.shape[2:])
            offsets = np.zeros((anchors, 4, rows, columns), np.float32)
            logits = np.full((anchors, 2, rows, columns), -9, np.float32)
            logits[:, 0] = 9
            for (at, anchor, row, column), score in self._scores.items():
                if at == level:
                    logits[anchor, 1, row, column] = score
                    offsets[anchor, :, row, column] = self._offsets.get((at, anchor, row, column), [0] * 4)
            outputs += [offsets.reshape(1, -1, rows, columns), logits.reshape(1, -1, rows, columns)]
        return outputs


def found_by(detector: SSDLite, session: Session, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    boxes, scores = detector._find(session, np.zeros((*shape, 3), np.uint8))
    return boxes * [*shape[::-1], *shape[::-1]], scores


@pytest.mark.parametrize(
    ("level", "anchor", "width", "height"),
    [
        (0, 0, 30, 30),
        (0, 1, 60 * 2**0.5, 60 / 2**0.5),
        (0, 2, 60 / 2**0.5, 60 * 2**0.5),
        (1, 0, 105, 105),
        (1, 1, 105 * 2**0.5, 105 / 2**0.5),
        (1, 2, 105 / 2**0.5, 105 * 2**0.5),
        (1, 3, 105 * 3**0.5, 105 / 3**0.5),
        (1, 4, 105 / 3**0.5, 105 * 3**0.5),
        (1, 5, (105 * 150) ** 0.5, (105 * 150) ** 0.5),
        (2, 0, 150, 150),
        (2, 5, (150 * 195) ** 0.5, (150 * 195) ** 0.5),
        (3, 0, 195, 195),
        (3, 5, (195 * 240) ** 0.5, (195 * 240) ** 0.5),
        (4, 0, 240, 240),
        (4, 5, (240 * 285) ** 0.5, (240 * 285) ** 0.5),
        (5, 0, 285, 285),
        (5, 5, (285 * 300) ** 0.5, (285 * 300) ** 0.5),
    ],
)
def test_anchors_have_their_published_sizes(
    detector: SSDLite, level: int, anchor: int, width: float, height: float
) -> None:
    boxes, _ = found_by(detector, Session({(level, anchor, 0, 0): 0.0}, {}), (300, 300))
    assert len(boxes) == 1
    assert boxes[0, 2:] - boxes[0, :2] == pytest.approx(np.array([width, height]), abs=1e-3)


def test_box_is_an_anchor_that_was_moved_and_scaled(detector: SSDLite) -> None:
    """The anchor of 30 x 30 pixels in the cell of the second row and fifth column of 20 x 40; down 3, right 6."""
    session = Session({(0, 0, 1, 4): 2.0}, {(0, 0, 1, 4): [1.0, 2.0, 5 * np.log(2), 5 * np.log(3)]})
    boxes, scores = found_by(detector, session, (320, 640))
    assert boxes == pytest.approx(np.array([[72 + 6 - 45, 24 + 3 - 30, 72 + 6 + 45, 24 + 3 + 30]]), abs=1e-3)
    assert scores == pytest.approx([1 / (1 + np.exp(-2))])


def test_score_must_be_over_the_threshold(detector: SSDLite) -> None:
    logit = float(np.log(0.2 / 0.8))
    session = Session({(0, 0, 0, 0): logit - 0.01, (0, 1, 0, 0): logit + 0.01, (0, 2, 1, 1): -1000.0}, {})
    assert found_by(detector, session, (64, 64))[1] == pytest.approx([0.2016], abs=1e-4)


def test_scores_that_are_no_numbers_are_an_error(detector: SSDLite) -> None:
    with pytest.raises(ValueError, match="scores that are not numbers"):
        found_by(detector, Session({(0, 0, 0, 0): float("nan")}, {}), (64, 64))


def test_network_sees_pixels_from_minus_one_to_one(detector: SSDLite) -> None:
    session = Session({(0, 0, 0, 0): 0.0}, {})
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0] = 255, 51, 0
    detector._find(session, image)
    (seen,) = session.seen
    assert (seen.shape, seen.dtype) == ((1, 3, 2, 3), np.float32)
    assert seen[0, :, 0, 0] == pytest.approx([1, -0.6, -1])
    assert (seen[0, :, 1] == -1).all()


def two(monkeypatch: pytest.MonkeyPatch, detector: SSDLite, whole: Session, finest: Session) -> None:
    monkeypatch.setattr(detector, "_whole", whole)
    monkeypatch.setattr(detector, "_finest", finest)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((300, 300), []), ((301, 20), [(301, 20)]), ((20, 301), [(20, 301)]), ((300, 299), []), ((10, 10), [])],
)
def test_pictures_over_300_pixels_are_seen_twice(
    monkeypatch: pytest.MonkeyPatch, detector: SSDLite, shape: tuple[int, int], sizes: list[tuple[int, int]]
) -> None:
    whole, finest = Session({(0, 0, 0, 0): -9.0}, {}), Session({(0, 0, 0, 0): -9.0}, {})
    two(monkeypatch, detector, whole, finest)
    detector(np.zeros((*shape, 3), np.uint8))
    assert [image.shape[2:] for image in whole.seen] == [(300, 300)]
    assert [image.shape[2:] for image in finest.seen] == sizes


def test_both_passes_count_and_doubles_are_dropped(monkeypatch: pytest.MonkeyPatch, detector: SSDLite) -> None:
    """The same place twice, as in 600 x 600 the second cell's middle is the first one's of 300 x 300; and another."""
    whole = Session({(0, 1, 9, 9): 1.0}, {(0, 1, 9, 9): [0, 0, 5 * np.log(1 / 2), 5 * np.log(1 / 2)]})
    finest = Session({(0, 1, 18, 18): 2.0, (0, 0, 5, 30): 0.0}, {})
    two(monkeypatch, detector, whole, finest)
    found = detector(np.zeros((600, 600, 3), np.uint8))
    assert found.scores == pytest.approx([1 / (1 + np.exp(-2)), 0.5])
    assert found.masks == [None, None]
    side = 30 / 600
    assert found.boxes[1, 2:] - found.boxes[1, :2] == pytest.approx([side, side], abs=1e-6)


def test_picture_is_averaged_when_it_shrinks(monkeypatch: pytest.MonkeyPatch, detector: SSDLite) -> None:
    whole, finest = Session({(0, 0, 0, 0): -9.0}, {}), Session({(0, 0, 0, 0): -9.0}, {})
    two(monkeypatch, detector, whole, finest)
    image = np.zeros((600, 600, 3), np.uint8)
    image[::2, ::2] = 204
    detector(image)
    assert whole.seen[0] == pytest.approx(np.full((1, 3, 300, 300), 51 / 127.5 - 1), abs=1e-6)


def test_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.pb").write_text("no graph")
    with pytest.raises(ActaError, match=r"other\.pb is no frozen graph that leads from 'Preprocessor/sub'"):
        SSDLite(tmp_path / "other.pb", 0.2)
