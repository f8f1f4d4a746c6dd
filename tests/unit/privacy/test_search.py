"""Which frames are searched, and that no face is bare in those that are not: made scenes, and real footage."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from av.video.frame import VideoFrame

from pipeline.config.privacy import SearchSettings
from pipeline.media.decode import decode, open_video, to_rgb
from pipeline.privacy import search as module
from pipeline.privacy.anonymize import anonymize_video
from pipeline.privacy.boxes import enlarge
from pipeline.privacy.detect_people import _around, detect_frame
from pipeline.privacy.detectors import make_auditor, make_detector
from pipeline.privacy.instances import Instances
from pipeline.privacy.search import _Run, _Seen, _weight, search
from pipeline.runtime.errors import ActaError

HEIGHT, WIDTH, SIDE = 120, 320, 24
RATE = 60  # so that with an interval of 0.1 s frames 0, 6, 12 … are searched
Square = tuple[int, int, int]  # left, top, side
PLACE: Square = (100, 40, SIDE)


def texture(seed: int, height: int, width: int, size: float, levels: tuple[int, int]) -> np.ndarray:
    """Smooth spots of about that size, dark and bright."""
    spots = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((height, width)), (0, 0), size)
    return np.interp(spots, (spots.min(), spots.max()), levels).astype(np.uint8)


FACES = [texture(seed, SIDE, SIDE, 2, (30, 225)) for seed in (1, 2)]
SCENES = [texture(seed, HEIGHT, WIDTH, 6, levels) for seed, levels in ((3, (90, 160)), (4, (50, 120)), (5, (130, 200)))]


def draw(squares: list[Square], scene: int = 0, who: int = 0, scale: int = 1) -> np.ndarray:
    """A scene with a face in each square; a square may reach out of the picture."""
    margin = 400
    picture = cv2.copyMakeBorder(SCENES[scene], *[margin] * 4, cv2.BORDER_REPLICATE)
    for left, top, side in squares:
        face = cv2.resize(FACES[who], (side, side), interpolation=cv2.INTER_AREA)
        picture[margin + top : margin + top + side, margin + left : margin + left + side] = face
    picture = picture[margin : margin + HEIGHT, margin : margin + WIDTH]
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)


def boxes(squares: list[Square]) -> np.ndarray:
    corners = np.array([(x, y, x + side, y + side) for x, y, side in squares], np.float32).reshape(-1, 4)
    return corners / np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float32)


@dataclass
class Film:
    """Pictures, and where the faces are; what a detector finds when it looks at frame k."""

    pictures: list[np.ndarray]
    faces: list[list[Square]]
    times: list[float] = field(default_factory=list)
    missed: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    mask: np.ndarray | None = None
    scores: dict[int, float] = field(default_factory=dict)
    searched: list[int] = field(default_factory=list)
    regions: dict[int, np.ndarray] = field(default_factory=dict)

    def frames(self) -> Iterator[tuple[float, VideoFrame]]:
        for k, picture in enumerate(self.pictures):
            frame = VideoFrame.from_ndarray(picture, "gray")
            frame.pts = k
            yield (self.times[k] if self.times else k / RATE), frame

    def find(self, frame: VideoFrame, *, region: np.ndarray | None) -> Instances:
        """As a local detector: with a region it finds only what is whole in that and its surroundings."""
        assert frame.pts is not None
        self.searched.append(frame.pts)
        if region is not None:
            self.regions[frame.pts] = region * [WIDTH, HEIGHT, WIDTH, HEIGHT]
        if frame.pts in self.failed:
            return Instances(failed=True, reason=f"frame {frame.pts}")
        found = boxes([] if frame.pts in self.missed else self.faces[frame.pts])
        if region is not None:
            around = _around(region, HEIGHT, WIDTH) / np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
            seen = np.clip(found, 0, 1)
            found = found[(seen[:, :2] >= around[:2]).all(axis=1) & (seen[:, 2:] <= around[2:]).all(axis=1)]
        score = self.scores.get(frame.pts, 0.9)
        return Instances.of(found, np.full(len(found), score), [self.mask] * len(found))

    def run(self, settings: SearchSettings, threads: int = 2, **changes: float) -> list[Instances]:
        settings = settings.model_copy(update={"fill_gap": 0, "interval": 0.1, **changes})
        self.searched.clear()
        self.regions.clear()
        found = list(search(self.frames(), self.find, settings, threads))
        assert [frame.pts for _, frame, _ in found] == list(range(len(self.pictures)))
        assert sorted(set(self.searched)) == sorted(self.searched), "a frame was searched twice"
        self.searched.sort()
        return [instances for _, _, instances in found]

    def bare(self, hidden: list[Instances]) -> list[int]:
        """Frames in which a face is not wholly inside one hidden box."""
        return [
            k
            for k, (squares, instances) in enumerate(zip(self.faces, hidden, strict=True))
            if not instances.failed
            for face in Instances.of(boxes(squares), np.ones(len(squares))).boxes
            if not any(
                (box[:2] <= face[:2] + 1e-6).all() and (box[2:] >= face[2:] - 1e-6).all() for box in instances.boxes
            )
        ]


def film(faces: Callable[[int], list[Square]], count: int = 13, **options: int) -> Film:
    squares = [faces(k) for k in range(count)]
    return Film([draw(each, **options) for each in squares], squares)


def cuts(scenes: list[int], faces: Callable[[int], list[Square]]) -> Film:
    """A film of these scenes, a frame each; the faces of scene 1 look otherwise than those of the others."""
    squares = [faces(scene) for scene in scenes]
    return Film([draw(each, scene, scene % 2) for each, scene in zip(squares, scenes, strict=True)], squares)


@pytest.fixture
def settings(config) -> SearchSettings:
    return config.privacy.detect.search("faces")


@pytest.mark.parametrize(
    ("bodies", "faces", "side"), [(640, 2560, 2560), (2560, 640, 2560), (None, 640, None), (640, None, None)]
)
def test_frames_are_compared_as_large_as_the_finest_network_needs(config, monkeypatch, bodies, faces, side):
    sides = []
    monkeypatch.setattr(module, "small_grey", lambda frame, long_side: sides.append(long_side) or draw([]))
    settings = config.privacy.detect.search("bodies")
    both = {"long_side": bodies, "faces": settings.faces.model_copy(update={"long_side": faces})}
    Film([draw([])] * 2, [[], []]).run(settings.model_copy(update=both))
    assert sides == [side] * 2


EVERY = list(range(13))
KEYS = [0, 6, 12]


def still(k: int) -> list[Square]:
    return [PLACE]


def row(step: int) -> Callable[[int], list[Square]]:
    """A row of like faces, 48 pixels apart, that moves as one."""
    return lambda k: [(48 * i - step * k, 40, SIDE) for i in range(12) if -SIDE < 48 * i - step * k < WIDTH]


BACK = [0, 5, 10, 15, 10, 5, 0, 5, 10, 15, 10, 5, 0]
MOTIONS: dict[str, Callable[[int], list[Square]]] = {
    "like faces, after six frames one stands where another stood": row(8),
    "the same, backwards": row(-8),
    "like faces, each frame one stands where another stood": row(48),
    "like faces, two frames to the next": row(24),
    "fast": lambda k: [(20 + 20 * k, 40, SIDE)],
    "downwards": lambda k: [(100, 5 * k, SIDE)],
    "speeds up": lambda k: [(20 + k * k, 40, SIDE)],
    "turns back within the interval": lambda k: [(100 + BACK[k], 40, SIDE)],
    "jumps and is back": lambda k: [(220 if k == 3 else 100, 40, SIDE)],
    "jumps to another's height": lambda k: [(100, 40, SIDE), (200, 80 if k == 9 else 20, SIDE)],
    "two change places": lambda k: [(100, 40 + 7 * k, SIDE), (130, 124 - 7 * k, SIDE)],
    "another comes and goes": lambda k: [PLACE, (200, 40, SIDE)] if k in (2, 3) else [PLACE],
    "comes and goes next to another": lambda k: [PLACE, (126, 40, SIDE)] if k == 2 else [PLACE],
    "comes and goes where none is": lambda k: [(200, 40, SIDE)] if k == 9 else [],
    "comes in from the left": lambda k: [(4 * k - 30, 40, SIDE)],
    "comes in from below": lambda k: [(100, 130 - 3 * k, SIDE)],
    "goes out to the right": lambda k: [(280 + 4 * k, 40, SIDE)],
    "goes out and another comes in": lambda k: [(280 + 6 * k, 40, SIDE), (6 * k - 40, 80, SIDE)],
    "zooms": lambda k: [(100 - 2 * k, 40 - 2 * k, SIDE + 4 * k)],
    "zooms and is back": lambda k: [(100 - 2 * BACK[k], 40 - 2 * BACK[k], SIDE + 4 * BACK[k])],
    "slow": lambda k: [(100 + k // 3, 40, SIDE)],
    "still": still,
    "small": lambda k: [(100 + 2 * k, 40, 8)],
}


@pytest.mark.parametrize("interval", [0.1, 1.0])
@pytest.mark.parametrize("name", MOTIONS)
def test_no_face_is_bare_whatever_it_does(settings, name, interval):
    made = film(MOTIONS[name])
    assert made.bare(made.run(settings, interval=interval)) == []


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 20, 29])
def test_no_face_of_a_pan_is_bare(settings, step):
    made = film(row(step), 20)
    assert made.bare(made.run(settings)) == []


@pytest.mark.parametrize("step", [1, 3, 6])
def test_no_face_is_bare_where_the_pictures_that_are_compared_are_a_quarter_as_large(settings, step):
    """A pixel there is four, so a face is found to two pixels only."""
    made = film(lambda k: [(100 + step * k // 4, 40, SIDE)], scale=4)
    assert made.bare(made.run(settings)) == []


@pytest.mark.parametrize(
    ("name", "searched"),
    [
        ("still", KEYS),
        ("slow", KEYS),
        ("another comes and goes", [0, 2, 3, 6, 12]),
        ("comes and goes where none is", [0, 6, 9, 12]),
        ("jumps and is back", [0, 3, 6, 12]),
        ("fast", EVERY),
        ("like faces, after six frames one stands where another stood", EVERY),
    ],
)
def test_frames_are_searched_where_the_picture_asks_for_it(settings, name, searched):
    made = film(MOTIONS[name])
    made.run(settings)
    assert made.searched == searched


SPANS = {
    "a cut": [0] * 4 + [1] * 9,
    "a cut right before a searched frame": [0] * 6 + [1] * 7,
    "a cut right after a searched frame": [0] * 7 + [1] * 6,
    "three cuts in an interval": [0, 0, 1, 1, 2, 0, 0] + [0] * 6,
    "a cut there and back": [0, 1, 1, 1, 1, 1, 0] + [0] * 6,
    "a cut before the last frame": [0] * 12 + [1],
}


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize(
    "faces",
    [
        lambda scene: [PLACE],
        lambda scene: [PLACE] if scene else [],
        lambda scene: [] if scene else [PLACE],
        lambda scene: [(100 + 6 * scene, 40 - 4 * scene, SIDE + 8 * scene)],
    ],
    ids=["same place", "after", "before", "near"],
)
def test_no_face_is_bare_around_a_cut_and_both_sides_are_searched(settings, name, faces):
    made = cuts(SPANS[name], faces)
    hidden = made.run(settings)
    assert made.bare(hidden) == []
    sides = {k + d for k in range(12) for d in (0, 1) if SPANS[name][k] != SPANS[name][k + 1]}
    assert sides <= set(made.searched)


def test_all_frames_of_an_interval_with_a_cut_are_searched_and_no_others(settings):
    made = cuts([0] * 8 + [1] * 12, lambda scene: [])
    made.run(settings)
    assert made.searched == [0, 6, *range(7, 13), 18, 19]


@pytest.mark.parametrize("interval", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8])
def test_the_first_and_the_last_frame_are_searched(settings, count, interval):
    made = film(still, count)
    hidden = made.run(settings, interval=interval)
    assert made.bare(hidden) == []
    assert not any(hidden[k].filled.any() for k in made.searched)
    keys = {0, 6, count - 1} if interval == 0.1 else {0, count - 1}
    assert made.searched == (sorted(keys & set(range(count))) if interval else list(range(count)))


@pytest.mark.parametrize(
    ("faces", "frame", "region"),
    [
        # alone on either side, and where it is new: around all three
        (lambda k: [(20 + 20 * k, 40, SIDE)], 3, (20, 27, 164, 77)),
        # a place that a searched frame shows and this one does not, and one that only this one shows
        (lambda k: [(220 if k == 3 else 100, 40, SIDE)], 3, (100, 27, 257, 77)),
        # nothing but what is new
        (lambda k: [PLACE, (200, 40, SIDE)] if k == 3 else [PLACE], 3, (187, 27, 237, 77)),
        # alone in the frame before
        (lambda k: [(200, 40, SIDE)] if k < 6 else [], 2, (200, 40, 224, 64)),
        # alone in the frame behind
        (lambda k: [(200, 40, SIDE)] if k >= 6 else [], 4, (200, 40, 224, 64)),
    ],
)
def test_a_frame_is_searched_around_all_that_is_in_doubt(settings, faces, frame, region):
    made = film(faces)
    made.run(settings)
    assert made.regions[frame] == pytest.approx(np.array(region), abs=8)
    assert not {0, 6, 12} & set(made.regions), "whose turn it is, is searched whole"


def test_around_a_cut_frames_are_searched_whole(settings):
    made = cuts(SPANS["a cut"], lambda scene: [PLACE])
    made.run(settings)
    assert made.searched == [*range(7), 12]
    assert made.regions == {}


@pytest.mark.parametrize(
    ("rate", "interval", "searched"),
    [
        (25, 0.1, [0, 3, 6, 9]),
        (30, 0.1, [0, 3, 6, 9]),
        (10, 0.1, list(range(10))),
        (25, 0.0, list(range(10))),
        (8, 0.1, list(range(10))),
    ],
)
def test_frames_are_searched_at_the_interval(settings, rate, interval, searched):
    made = film(still, 10)
    made.times = [k / rate for k in range(10)]
    made.run(settings, interval=interval)
    assert made.searched == searched


@pytest.mark.parametrize(
    ("times", "searched"),
    [
        ([5.0, 5.05, 0.0, 0.05, 0.1, 0.15], [0, 2, 4, 5]),  # back
        ([0.0] * 40, [0, 16, 32, 39]),  # repeated
        ([k / 240 for k in range(40)], [0, 16, 24, 39]),  # more frames in an interval than are passed over
        ([0.0, 0.04, 0.08, 0.5, 0.54, 1.0, 2.0, 2.04], [0, 3, 5, 6, 7]),  # variable
    ],
)
def test_times_that_repeat_go_back_or_vary(settings, times, searched):
    made = film(still, len(times))
    made.times = times
    assert made.bare(made.run(settings)) == []
    assert made.searched == searched


@pytest.mark.parametrize("name", ["fast", "jumps and is back", "another comes and goes", "still"])
def test_no_face_is_bare_whatever_the_times(settings, name):
    made = film(MOTIONS[name])
    made.times = [0.3, 0.3, 0.3, 0.2, 0.21, 0.9, 0.9, 0.9, 0.91, 0.91, 0.92, 0.92, 0.0]
    assert made.bare(made.run(settings)) == []


def test_where_an_instance_has_no_partner_the_frames_between_are_searched(settings):
    """Though the picture does not change: what one of two looks overlooked, another may find."""
    made = film(still)
    made.missed = (6,)
    hidden = made.run(settings)
    assert made.searched == EVERY
    assert [k for k in EVERY if not len(hidden[k])] == [6]


@pytest.mark.parametrize(("shift", "searched"), [(12, KEYS), (13, [*range(7), 12])])
def test_partners_overlap_by_three_tenths(settings, shift, searched):
    """Boxes that jump over an unchanged picture: squares of 24, 12 apart, have an IoU of 1/3, 13 apart of 0.297."""
    made = film(still)
    made.faces = [[(100 + shift * (k >= 6), 40, SIDE)] for k in EVERY]
    made.pictures = [SCENES[0]] * 13
    hidden = made.run(settings)
    assert made.searched == searched
    assert all((each.boxes[:, 0] * WIDTH).min() <= 100.01 for each in hidden[:6])
    assert all((each.boxes[:, 2] * WIDTH).max() >= 123.99 + shift for each in hidden[1:])


def test_what_is_overlooked_in_frames_out_of_turn_stays_hidden(settings):
    """As long as a frame's turn to be searched has not come, it hides what those on its sides show."""
    made = film(still, 10)
    made.pictures[3:] = [draw([PLACE], 1)] * 7
    made.missed = (1, 2, 3, 4, 5, 7, 8, 9)
    assert made.bare(made.run(settings)) == []
    assert made.searched == list(range(10))


def test_a_passed_over_frame_hides_one_whole_box_around_the_way_of_each(settings):
    made = film(lambda k: [(100 + k, 40, SIDE), (200, 20, SIDE)], 7)
    made.mask = np.eye(4, dtype=bool)
    hidden = made.run(settings)
    assert made.searched == [0, 6]
    for k, each in enumerate(hidden[1:6], 1):
        assert each.filled.tolist() == [True, True]
        assert each.masks == [None, None]
        assert each.scores == pytest.approx([0.9, 0.9])
        expected = [[100, 39.5, 130, 64.5], [199.5, 19.5, 224.5, 44.5]]
        assert sorted((each.boxes * [WIDTH, HEIGHT, WIDTH, HEIGHT]).tolist()) == [
            pytest.approx(row, abs=1e-3) for row in expected
        ], k
    assert [each.filled.any() for each in hidden] == [False, *[True] * 5, False]
    assert hidden[0].masks[0] is made.mask


def test_a_frame_searched_between_two_others_has_one_whole_box_for_each_face(settings):
    """Around where it is found and where it is hidden anyway; it counts as found, with its own score."""
    made = film(lambda k: [(100 + k, 40, SIDE)] + ([(150, 40, SIDE)] if k == 2 else []), 7)
    made.mask, made.scores = np.eye(4, dtype=bool), {2: 0.6}
    hidden = made.run(settings)
    assert made.searched == [0, 2, 6]
    assert hidden[2].filled.tolist() == [False, False]
    assert hidden[2].scores == pytest.approx([0.6, 0.6])
    assert hidden[2].masks[0] is None
    assert hidden[2].masks[1] is made.mask
    expected = [[100, 39.5, 130, 64.5], [150, 40, 174, 64]]
    assert hidden[2].boxes * [WIDTH, HEIGHT, WIDTH, HEIGHT] == pytest.approx(np.array(expected), abs=1e-3)


def test_the_lower_score_of_two_counts(settings):
    made = film(still, 13)
    made.scores = {0: 0.8, 6: 0.5, 12: 0.7}
    hidden = made.run(settings)
    assert [round(float(each.scores[0]), 2) for each in hidden] == [0.8, *[0.5] * 11, 0.7]


def test_a_failed_frame_hides_those_up_to_the_next_searched_ones_whole(settings):
    made = film(still, 19)
    made.failed = (6,)
    hidden = made.run(settings)
    assert [k for k, each in enumerate(hidden) if each.failed] == list(range(1, 12))
    assert {each.reason for each in hidden if each.failed} == {"frame 6"}
    assert made.searched == [0, 6, 12, 18]


def test_a_failed_frame_between_others_is_hidden_whole_alone(settings):
    made = film(MOTIONS["fast"])
    made.failed = (4,)
    hidden = made.run(settings)
    assert [k for k, each in enumerate(hidden) if each.failed] == [4]
    assert made.bare(hidden) == []


@pytest.mark.parametrize("name", ["still", "fast", "another comes and goes"])
@pytest.mark.parametrize("interval", [0.1, 1.0])
def test_the_result_does_not_depend_on_the_threads(settings, name, interval):
    made = film(MOTIONS[name], 17)
    one, three = (made.run(settings, threads, interval=interval, fill_gap=3) for threads in (1, 3))
    for first, second in zip(one, three, strict=True):
        assert first.boxes.tolist() == second.boxes.tolist()
        assert first.filled.tolist() == second.filled.tolist()


def test_gaps_are_filled_over_frames_that_were_not_searched(settings):
    made = film(still, 31)
    made.missed = tuple(range(6, 19))
    assert made.bare(made.run(settings, fill_gap=13)) == []
    assert made.bare(made.run(settings, fill_gap=12)) == list(range(6, 19))


def test_without_a_detector_nothing_is_found(settings):
    found = list(search(film(still, 3).frames(), None, settings, 2))
    assert [(frame.pts, len(instances), instances.failed) for _, frame, instances in found] == [
        (k, 0, False) for k in range(3)
    ]
    assert [time for time, _, _ in found] == [0, 1 / RATE, 2 / RATE]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("interval", [0.1, 1.0])
def test_a_bounded_number_of_frames_is_held_back(settings, threads, interval):
    """Decoded frames are what a long interval or a high rate would fill the memory with."""
    made = film(still, 400)
    made.times = [k / 240 for k in range(400)]
    read = 0

    def frames() -> Iterator[tuple[float, VideoFrame]]:
        nonlocal read
        for each in made.frames():
            read += 1
            yield each

    changed = settings.model_copy(update={"fill_gap": 5, "interval": interval})
    held = [read - done for done, _ in enumerate(search(frames(), made.find, changed, threads), 1)]
    assert len(held) == 400
    assert max(held) <= 64 + 16 + 2 * threads + 5


def test_so_many_frames_are_searched_at_once_as_there_are_threads(settings):
    """Those of several intervals, and those between: each waits until three are being searched."""
    together = threading.Barrier(3, timeout=20)
    made = film(row(8), 36)

    def find(frame: VideoFrame, *, region: np.ndarray | None) -> Instances:
        together.wait()
        return made.find(frame, region=region)

    changed = settings.model_copy(update={"fill_gap": 0, "interval": 0.1})
    assert len(list(search(made.frames(), find, changed, 3))) == 36


def test_an_error_ends_the_search(settings):
    def find(frame: VideoFrame, *, region: np.ndarray | None) -> Instances:
        raise ActaError("the weights are not there")

    with pytest.raises(ActaError, match="the weights are not there"):
        list(search(film(still).frames(), find, settings, 2))


def test_no_face_of_a_real_pan_is_left(footage, config, tmp_path):
    """A row of like pictures of two faces each, which goes by at 11 pixels a frame and 60 frames a second."""
    speech = str(footage / "giving_speech/obama_speech.mp4")
    tiles = "trim=end_frame=1,loop=20:1,setpts=N/60/TB,split=4[a][b][c][d];[a][b][c][d]hstack=4,crop=640:240:n*11:0"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", speech, "-filter_complex", tiles]
    pan, output = tmp_path / "pan.mp4", tmp_path / "out.mp4"
    subprocess.run([*ffmpeg, "-r", "60", "-frames:v", "9", "-pix_fmt", "yuv420p", str(pan)], check=True)
    anonymize_video(pan, output, config.privacy.detect.search("faces"), config.privacy.obfuscate.faces)
    before, after = pictures(pan), pictures(output)
    assert len(before) == len(after) == 9
    for judge in (make_auditor("centerface", 0.3), make_auditor("retinaface", 0.5)):
        assert len(judge(before[4])) >= 4
        assert [len(judge(picture)) for picture in after] == [0] * 9


def pictures(path: Path) -> list[np.ndarray]:
    with open_video(path) as (container, stream):
        return [to_rgb(frame, 256, 640) for _, frame in decode(container, stream)]


@pytest.mark.parametrize(("first", "last"), [(70, 85), (180, 195)])
def test_each_face_that_a_search_of_every_frame_finds_is_hidden(footage, config, first, last):
    """A street with cyclists, hand-held: what the detector finds there comes, goes and moves."""
    settings = config.privacy.detect.search("faces")
    find = partial(detect_frame, make_detector(settings), settings=settings)
    with open_video(footage / "riding_bike/bikes.mp4") as (container, stream):
        frames = list(islice(decode(container, stream), first, last))
    every = [find(frame).boxes for _, frame in frames]
    assert sum(map(len, every)) >= 5
    for truth, (_, _, hidden) in zip(every, search(frames, find, settings, 2), strict=True):
        for face in truth:
            larger = [enlarge(box, 1.5) for box in hidden.boxes]
            assert any((box[:2] <= face[:2]).all() and (box[2:] >= face[2:]).all() for box in larger)


def test_large_frames_count_as_several_of_those_that_are_held_back():
    sizes = ((64, 48), (3840, 2160), (7680, 4320))
    seen = [_Seen(0.0, VideoFrame(*size, "gray"), np.zeros((0, 0), np.uint8)) for size in sizes]
    assert _weight(_Run(seen, True, False)) == 1 + 1 + 4
