"""What a detector is shown of a frame, where in the upright frame its answer lies, and what a shard says of it."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.media.decode import decode, open_video, to_rgb
from pipeline.privacy import detect_people as module
from pipeline.privacy.boxes import iou
from pipeline.privacy.detect_people import detect_frame, detect_people
from pipeline.privacy.detectors import make_detector
from pipeline.privacy.instances import DetectionShard, Instances
from pipeline.runtime.errors import ActaError
from pipeline.tasks import task_settings
from tests.clips import write_clip
from tests.unit.privacy.chain import detected


class Spot:
    """Finds the one bright spot of a dark picture; remembers the shapes of what it was shown."""

    def __init__(self, size: tuple[int, int] | None = None, *, local: bool = False):
        self.shapes: list[tuple[int, ...]] = []
        self.local = local
        self._size = size

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        return self._size or (height, width)

    def __call__(self, image: np.ndarray) -> Instances:
        self.shapes.append(image.shape)
        rows, columns = np.nonzero(image.mean(axis=2) > 128)
        if not len(rows):
            return Instances()
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
    found = detect_frame(detector, spotted(), settings.model_copy(update={"long_side": long_side}), aspect=aspect)
    assert detector.shapes == [shape]
    assert found.boxes[0] == pytest.approx(SPOT, abs=0.03)


@pytest.mark.parametrize("wanted", [None, (64, 96)])
def test_turned_pictures_are_searched_too_and_their_boxes_turned_back(settings, wanted):
    detector = Spot(wanted)
    found = detect_frame(detector, spotted(), settings.model_copy(update={"search_rotated": True}))
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


def picture(left: int, top: int, width: int = 320, height: int = 224) -> av.VideoFrame:
    """A frame with a spot of 8 x 8 pixels."""
    image = np.zeros((height, width, 3), np.uint8)
    image[top : top + 8, left : left + 8] = 255
    return av.VideoFrame.from_ndarray(image, "rgb24")


def region(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    return np.array([left / 320, top / 224, right / 320, bottom / 224], np.float32)


@pytest.mark.parametrize(
    ("where", "shape"),
    [
        ((150, 110, 158, 118), (96, 128, 3)),  # columns 114 to 194, rows 74 to 154, and then to a grid of 32
        ((150, 110, 190, 118), (160, 160, 3)),  # columns 98 to 242, rows 58 to 170
        ((0, 0, 8, 8), (64, 64, 3)),
        ((312, 216, 320, 224), (64, 64, 3)),
        ((100, 40, 220, 184), (224, 320, 3)),  # most of the picture
    ],
)
def test_a_region_is_searched_with_its_surroundings(settings, where, shape):
    """A tenth of the picture's longer side, and half the region's, to each side; on the grid of the networks."""
    detector = Spot(local=True)
    left, top = (where[0] + where[2]) // 2 - 4, (where[1] + where[3]) // 2 - 4
    found = detect_frame(detector, picture(left, top), settings, region=region(*where))
    assert detector.shapes == [shape]
    assert found.boxes[0] == pytest.approx(region(left, top, left + 8, top + 8), abs=1e-6)
    assert found.boxes.dtype == np.float32


def test_only_a_region_and_its_surroundings_are_searched(settings):
    detector = Spot(local=True)
    assert not len(detect_frame(detector, picture(20, 20), settings, region=region(200, 150, 208, 158)))
    assert len(detector.shapes) == 1


def test_a_detector_that_is_not_local_is_shown_the_whole(settings):
    detector = Spot()
    found = detect_frame(detector, picture(20, 20), settings, region=region(200, 150, 208, 158))
    assert detector.shapes == [(224, 320, 3)]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("left", "top", "again"),
    [
        (96, 110, True),  # of the part's columns 96 to 223 and rows 64 to 159
        (97, 110, True),
        (98, 110, False),
        (215, 110, True),
        (214, 110, False),
        (140, 65, True),
        (140, 66, False),
        (140, 151, True),
        (140, 150, False),
    ],
)
def test_what_reaches_the_edge_of_a_part_is_looked_at_in_the_whole(settings, left, top, again):
    detector = Spot(local=True)
    found = detect_frame(detector, picture(left, top), settings, region=region(150, 110, 158, 118))
    assert detector.shapes == [(96, 128, 3), *([(224, 320, 3)] if again else [])]
    assert found.boxes[0] == pytest.approx(region(left, top, left + 8, top + 8), abs=1e-6)


@pytest.mark.parametrize(("left", "top"), [(0, 10), (10, 0), (312, 200), (300, 216)])
def test_the_edge_of_the_picture_is_none_of_a_part(settings, left, top):
    detector = Spot(local=True)
    where = region(left, top, left + 8, top + 8)
    found = detect_frame(detector, picture(left, top), settings, region=where)
    assert len(detector.shapes) == 1
    assert found.boxes[0] == pytest.approx(where, abs=1e-6)


def test_a_part_is_turned_too(settings):
    detector = Spot(local=True)
    turned = settings.model_copy(update={"search_rotated": True})
    found = detect_frame(detector, picture(150, 90), turned, region=region(150, 110, 158, 150))
    upright, sideways = (192, 128, 3), (128, 192, 3)
    assert detector.shapes == [upright, sideways, upright, sideways]
    for box in found.boxes:
        assert box == pytest.approx(region(150, 90, 158, 98), abs=1e-6)
    assert len(found) == 4


@pytest.mark.parametrize("name", ["retinaface", "centerface"])
def test_real_faces_are_found_in_a_part_as_in_the_whole(footage, settings, name):
    """Four of them, one in each quarter of a picture: the region of one finds it, and no other."""
    with open_video(footage / "giving_speech/obama_speech.mp4") as (container, stream):
        _, frame = next(iter(decode(container, stream)))
    image = np.tile(to_rgb(frame, 256, 320), (2, 2, 1))
    whole = av.VideoFrame.from_ndarray(image, "rgb24")
    detector = make_detector(settings.model_copy(update={"detector": name}))
    every = detect_frame(detector, whole, settings)
    assert len(every) >= 4
    for box in every.boxes:
        part = detect_frame(detector, whole, settings, region=box)
        assert 1 <= len(part) < len(every)
        assert iou(part.boxes, box[None]).max() > 0.9


# ---- shards


@pytest.mark.parametrize(
    ("devices", "processes"), [(("cpu", "cpu"), 6), (("cuda", "cpu"), 4), (("cpu", "cuda"), 4), (("cuda", "cuda"), 4)]
)
def test_one_gpu_is_shared_by_four_processes_at_most(chain, config, monkeypatch, tmp_path, devices, processes):
    asked = []
    monkeypatch.setattr(module, "make_detector", lambda settings, weights: None)
    monkeypatch.setattr(module, "check_search", lambda what, settings: None)
    monkeypatch.setattr(module, "map_videos", lambda *given, workers, task: asked.append(workers) or iter(()))
    settings = task_settings(config, "detect_people", what="bodies")
    faces = settings.detect.faces.model_copy(update={"device": devices[1]})
    detect = settings.detect.model_copy(update={"device": devices[0], "faces": faces})
    settings = settings.model_copy(update={"detect": detect})
    detect_people(chain / "manifest.json", chain, tmp_path / "found.h5", settings, workers=6)
    assert asked == [processes]


def test_failed_frames_are_a_line_for_each_video(chain, config, monkeypatch, tmp_path, capsys):
    bad, worse = (Instances(failed=True, reason=reason) for reason in ("no memory", "NaN"))
    videos = [
        detected("a", [Instances(), bad, worse]),
        detected("b", [Instances()]),
        detected("c", [Instances()] * 12 + [worse]),
    ]
    monkeypatch.setattr(module, "map_videos", lambda *given, **more: iter(videos))
    settings = task_settings(config, "detect_people", what="faces")
    detect_people(chain / "manifest.json", chain, tmp_path / "found.h5", settings)
    assert capsys.readouterr().err.splitlines() == [
        "a: detection failed on 2 frames, the first at 0.10 s, which are hidden whole: no memory",
        "c: detection failed on 1 frame, at 1.20 s, which is hidden whole: NaN",
    ]
    assert [frame.failed for frame in DetectionShard(tmp_path / "found.h5").frames("a")] == [False, True, True]


def test_a_search_that_finds_nothing_is_an_error_before_it_begins(chain, config, tmp_path):
    settings = task_settings(config, "detect_people", what="faces")
    blind = settings.model_copy(update={"detect": settings.detect.model_copy(update={"threshold": 1.0})})
    with pytest.raises(ActaError, match=r"^centerface, from a score of 1 on, .* so it would hide nothing"):
        detect_people(chain / "manifest.json", chain, tmp_path / "found.h5", blind)
    assert list(tmp_path.iterdir()) == []
