"""What two pictures tell: whether a content is still there, whether there is something new, whether there was a cut."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.media.decode import decode, open_video
from pipeline.privacy.motion import follow, is_cut, small_grey, something_new
from tests.clips import read_number, write_clip

HEIGHT, WIDTH = 64, 96
EDGES = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])


def flat(value: int = 100) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), value, np.uint8)


def noise(seed: int, height: int = HEIGHT, width: int = WIDTH, contrast: int = 100) -> np.ndarray:
    """Grey levels 128 - contrast and 128 + contrast at random: the same picture at each contrast."""
    return (128 + contrast * np.random.default_rng(seed).choice([-1, 1], (height, width))).astype(np.uint8)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return (np.array([left, top, right, bottom]) / EDGES).astype(np.float32)


def with_face(left: int, top: int, *, side: int = 24, height: int = 24, contrast: int = 100) -> np.ndarray:
    picture = flat()
    picture[top : top + height, left : left + side] = noise(1, 48, 48, contrast)[:height, :side]
    return picture


class TestCut:
    @pytest.mark.parametrize(("levels", "cut"), [(0, False), (12, False), (13, True), (100, True)])
    def test_mean_difference_tells(self, levels: int, cut: bool) -> None:
        assert is_cut(flat(), flat(100 + levels)) == cut
        assert is_cut(flat(100 + levels), flat()) == cut

    def test_it_is_the_mean_of_all_the_picture(self) -> None:
        after = flat()
        after[:, : WIDTH // 2] += 25  # 12.5 on the average
        assert is_cut(flat(), after)
        after[:, : WIDTH // 2] -= 1
        assert not is_cut(flat(), after)

    def test_another_size_is_a_cut(self) -> None:
        assert is_cut(flat(), flat()[:, 1:])


class TestFollow:
    @pytest.mark.parametrize(("right", "down"), [(0, 0), (6, 0), (-6, 0), (0, 6), (0, -6), (3, -2)])
    def test_content_is_found_where_it_went(self, right: int, down: int) -> None:
        found = follow(box(30, 20, 54, 44), with_face(30, 20), with_face(30 + right, 20 + down))
        assert found is not None
        assert found * EDGES == pytest.approx(
            [29.5 + right, 19.5 + down, 54.5 + right, 44.5 + down], abs=1e-4
        )  # known to half a pixel

    @pytest.mark.parametrize(("right", "down"), [(7, 0), (-7, 0), (0, 7), (0, -7), (30, 0)])
    def test_it_is_not_looked_for_farther_than_a_quarter_of_its_side(self, right: int, down: int) -> None:
        assert follow(box(30, 20, 54, 44), with_face(30, 20), with_face(30 + right, 20 + down)) is None

    @pytest.mark.parametrize(("side", "height", "reach"), [(12, 24, 3), (24, 12, 3), (3, 3, 1), (4, 4, 1)])
    def test_the_shorter_side_counts_and_a_pixel_is_always_allowed(self, side: int, height: int, reach: int) -> None:
        place = box(30, 20, 30 + side, 20 + height)
        before = with_face(30, 20, side=side, height=height)
        assert follow(place, before, with_face(30 + reach, 20, side=side, height=height)) is not None
        assert follow(place, before, with_face(30 + reach + 1, 20, side=side, height=height)) is None

    @pytest.mark.parametrize(("contrast", "there"), [(100, True), (30, True), (29, False), (0, False)])
    def test_half_of_the_variance_may_differ(self, contrast: int, there: bool) -> None:
        """Contrast 100 -> 30 is a squared difference of 0.49 of the variance, 100 -> 29 one of 0.504."""
        before, after = (with_face(30, 20, contrast=each) for each in (100, contrast))
        assert (follow(box(30, 20, 54, 44), before, after) is not None) == there

    def test_another_face_is_not_it(self) -> None:
        after = flat()
        after[20:44, 30:54] = noise(2, 24, 24)
        assert follow(box(30, 20, 54, 44), with_face(30, 20), after) is None

    def test_flat_content_could_be_anywhere(self) -> None:
        assert follow(box(30, 20, 54, 44), flat(), flat()) is None

    @pytest.mark.parametrize(
        ("place", "there"),
        [
            ((30, 20, 54, 44), True),
            ((29.9, 20, 54, 44), False),
            ((30, 19.9, 54, 44), False),
            ((30, 20, 54.1, 44), False),
            ((30, 20, 54, 44.1), False),
        ],
    )
    def test_every_pixel_that_the_box_touches_is_compared(self, place: tuple[float, ...], there: bool) -> None:
        before, after = with_face(30, 20, contrast=10), with_face(30, 20, contrast=10)
        after[:, [29, 54]] += np.uint8(100)
        after[[19, 44]] += np.uint8(100)
        assert (follow(box(*place), before, after) is not None) == there

    @pytest.mark.parametrize("size", [(0, 24), (24, 0)])
    def test_a_box_too_thin_to_have_pixels_has_one(self, size: tuple[int, int]) -> None:
        found = follow(box(30, 20, 30 + size[0], 20 + size[1]), with_face(30, 20), with_face(30, 20))
        assert found is not None
        assert found * EDGES == pytest.approx([29.5, 19.5, 30.5 + size[0], 20.5 + size[1]], abs=1e-4)

    def test_the_answer_stays_in_the_picture(self) -> None:
        found = follow(box(0, 0, WIDTH, HEIGHT), noise(1), noise(1))
        assert found is not None
        assert found.tolist() == [0, 0, 1, 1]
        assert found.dtype == np.float32


class TestSomethingNew:
    def new(self, picture: np.ndarray, before: np.ndarray, after: np.ndarray, *hidden: np.ndarray) -> bool:
        return something_new(picture, (before, after), hidden) is not None

    def with_square(self, side: int, levels: int, left: int = 40, top: int = 20) -> np.ndarray:
        picture = flat()
        picture[top : top + side, left : left + side] += np.uint8(levels)
        return picture

    def test_the_same_picture_has_none(self) -> None:
        assert not self.new(noise(1), noise(1), noise(1))

    @pytest.mark.parametrize(
        ("side", "levels", "new"),
        [
            (7, 41, False),  # 49 of the 121 pixels of the smaller square
            (7, 43, True),
            (15, 17, False),  # all of them
            (15, 18, True),
            (17, 17, False),  # 289 of the larger square's 441
            (18, 17, True),
            (30, 12, False),  # all of them
            (30, 13, True),
        ],
    )
    def test_the_mean_over_a_face_tells(self, side: int, levels: int, new: bool) -> None:
        assert self.new(self.with_square(side, levels), flat(), flat()) == new

    @pytest.mark.parametrize(
        ("side", "around"),
        [
            (7, (34, 14, 53, 33)),
            (15, (25, 5, 70, 50)),
            (30, (24, 4, 86, 64)),  # the picture ends at row 64
        ],
    )
    def test_the_answer_is_the_box_of_the_squares_that_are_new(self, side: int, around: tuple[int, ...]) -> None:
        found = something_new(self.with_square(side, 60), (flat(), flat()), [])
        assert found is not None
        assert found.dtype == np.float32
        assert found * EDGES == pytest.approx(around, abs=1e-4)

    def test_one_box_is_around_all_that_is_new(self) -> None:
        one, other = self.with_square(9, 60, 10, 10), self.with_square(9, 60, 70, 40)
        both = np.maximum(one, other)
        boxes = [something_new(picture, (flat(), flat()), []) for picture in (one, other, both)]
        assert boxes[2] == pytest.approx([*boxes[0][:2], *boxes[1][2:]])

    def test_what_one_side_shows_is_none(self) -> None:
        face = self.with_square(20, 100)
        assert self.new(face, flat(), flat())
        assert not self.new(face, face, flat())
        assert not self.new(face, flat(), face)

    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("sign", [-1, 1])
    def test_what_moved_by_six_pixels_is_none(self, axis: int, sign: int) -> None:
        picture = noise(1)
        near, far = (np.roll(picture, sign * pixels, axis) for pixels in (6, 7))
        inside = box(8, 8, WIDTH - 8, HEIGHT - 8)  # where nothing was rolled in
        edges = [box(0, 0, WIDTH, 8), box(0, 0, 8, HEIGHT), box(WIDTH - 8, 0, WIDTH, HEIGHT), box(0, 56, WIDTH, HEIGHT)]
        assert not self.new(picture, near, flat(), *edges)
        assert not self.new(picture, flat(), near, *edges)
        assert self.new(picture, far, far, *edges)
        assert not self.new(picture, far, far, inside, *edges)

    def test_what_is_hidden_is_none(self) -> None:
        face = self.with_square(24, 100)
        assert not self.new(face, flat(), flat(), box(40, 20, 64, 44))
        assert self.new(face, flat(), flat(), box(0, 20, 24, 44))

    def test_an_eighth_of_a_box_around_it_is_hidden_too(self) -> None:
        """The margin is 8 pixels: a bar of 8 next to the box is none, one of 16 is."""
        picture = flat()
        picture[:, 72:80] = 255
        hidden = box(8, 0, 72, 64)
        assert not self.new(picture[:, :80], flat()[:, :80], flat()[:, :80], hidden * [96 / 80, 1, 96 / 80, 1])
        picture[:, 72:88] = 255
        assert self.new(picture, flat(), flat(), hidden)
        picture = flat()
        picture[:, 41:52] = 255  # outside a margin of 4
        assert self.new(picture, flat(), flat(), box(56, 0, 88, 64))
        picture = flat()
        picture[26:38] += np.uint8(20)  # above a margin of 2
        assert self.new(picture, flat(), flat(), box(0, 40, 96, 56))

    @pytest.mark.parametrize(("levels", "new"), [(45, False), (46, True)])
    def test_what_is_just_beyond_an_eighth_is_new(self, levels: int, new: bool) -> None:
        """The margin ends at column 80, two pixels into the square's blurred edge."""
        assert self.new(self.with_square(7, levels, left=80), flat(), flat(), box(8, 0, 72, 64)) == new

    def test_a_picture_smaller_than_a_face_is_judged(self) -> None:
        small = np.full((4, 3), 100, np.uint8)
        assert not self.new(small, small, small)
        assert self.new(small, small + np.uint8(30), small + np.uint8(30))


class TestSmallGrey:
    @pytest.mark.parametrize(
        ("size", "long_side", "shape"),
        [
            ((720, 1280), None, (180, 320)),
            ((720, 1280), 640, (180, 320)),
            ((1440, 2560), None, (360, 640)),
            ((1440, 2560), 1280, (180, 320)),
            ((2560, 1440), None, (640, 360)),
            ((240, 320), 1280, (240, 320)),
            ((120, 200), None, (120, 200)),
            ((720, 1280), 200, (112, 200)),
        ],
    )
    def test_a_quarter_of_what_the_detector_sees(
        self, size: tuple[int, int], long_side: int | None, shape: tuple[int, int]
    ) -> None:
        frame = av.VideoFrame(size[1], size[0], "yuv420p")
        assert small_grey(frame, long_side).shape == shape

    @pytest.mark.parametrize("rotation", [0, 90, 180, 270])
    def test_it_is_upright(self, tmp_path, rotation: int) -> None:
        clip = write_clip(tmp_path / "turned.mp4", frames=6, rate=Fraction(10), rotation=rotation)
        with open_video(clip) as (container, stream):
            frames = [frame for _, frame in decode(container, stream)]
        assert [read_number(small_grey(frame, None)[..., None]) for frame in frames] == list(range(6))
