"""Figure 5.4: the right video, evenly spaced frames, the boxes where the faces are, in a private folder."""

import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.axes import Axes

from pipeline.config.tasks.privacy import DrawFaceSample
from pipeline.privacy.instances import DetectedVideo, Instances, write_detections
from pipeline.report.draw_face_sample import draw_face_sample
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.store import StoredVideo, write_frames
from pipeline.tasks import TASKS

PROVENANCE = Provenance("test", "{}", "0123456789abcdef")
THREE = DrawFaceSample(videos=1, frames=3)
BOX = (0.25, 0.25, 0.5, 0.75)


def faces(count: int, filled: int = 0) -> Instances:
    found = Instances.of(np.tile(BOX, (count, 1)), np.full(count, 0.875))
    for _ in range(filled):
        found.add(np.array([0.5, 0.5, 0.75, 0.75]), 0.5, None)
    return found


def write(folder: Path, videos: dict[str, list[Instances]], later: float = 0.0) -> tuple[Path, Path]:
    """A shard of black frames, ten a second, and one of detections, which may be at later times."""
    folder.mkdir(exist_ok=True)
    image = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    stored, found = [], []
    for name, frames in videos.items():
        times, spooled = np.arange(len(frames)) / 10, folder / f"{name}.jpg"
        spooled.write_bytes(image * len(frames))
        sizes = np.full(len(frames), len(image), np.uint64)
        stored.append(StoredVideo(name, "run", "", 48, 64, times, sizes, spooled))
        found.append(DetectedVideo(name, "run", "", times + later, frames))
    write_frames(folder / "frames.h5", stored, [], PROVENANCE)
    write_detections(folder / "faces.h5", found, [], PROVENANCE)
    return folder / "frames.h5", folder / "faces.h5"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels below the frames and the scores in them, as they come."""
    texts: list[str] = []
    for name in ("set_xlabel", "annotate"):
        original = getattr(Axes, name)

        def spy(self: Axes, text: str, *rest: Any, original: Any = original, **named: Any) -> Any:
            texts.append(text)
            return original(self, text, *rest, **named)

        monkeypatch.setattr(Axes, name, spy)
    return texts


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stands below the pictures to come."""
    texts: list[str] = []
    monkeypatch.setattr("pipeline.report.style.note", lambda figure, text: texts.append(text))
    return texts


def draw(tmp_path: Path, *shards: tuple[Path, Path]) -> Path:
    output = tmp_path / "private" / "figure.png"
    draw_face_sample([each[0] for each in shards], [each[1] for each in shards], output, THREE)
    return output


def test_frames_are_evenly_spaced(tmp_path: Path, said: list[str], notes: list[str]) -> None:
    """Of eleven frames, 0 to 1 s, six. What was filled in has no score of its own; frame 8 shows nobody."""
    frames = [faces(1)] * 4 + [faces(0, filled=1)] * 4 + [faces(0), faces(2), faces(2)]
    draw(tmp_path, write(tmp_path / "a", {"v": frames}))
    assert said == [
        "0.00 s",
        "0.88",
        "0.20 s",
        "0.88",
        "0.40 s",
        "0.60 s",
        "0.80 s: none found",
        "1.00 s",
        "0.88",
        "0.88",
    ]
    assert notes == ["v: a face in 10 of 11 frames."]


@pytest.mark.parametrize(
    ("videos", "shown"),
    [
        ({"few": [faces(1), faces(0)], "many": [faces(2), faces(0)], "none": [faces(0)]}, "many"),
        ({"always": [faces(9), faces(9)], "at times": [faces(1), faces(0)]}, "at times"),
        ({"always": [faces(2)], "more": [faces(3)]}, "more"),
        ({"b": [faces(1), faces(0)], "a": [faces(1), faces(0)]}, "a"),
        ({"filled": [faces(1, filled=8), faces(0)], "found": [faces(2), faces(0)]}, "found"),
    ],
)
def test_which_video(tmp_path: Path, notes: list[str], videos: dict[str, list[Instances]], shown: str) -> None:
    """Most faces found in a frame, among the videos that hide them at times; of equal ones the first by name."""
    draw(tmp_path, write(tmp_path / "a", videos))
    assert notes[0].startswith(f"{shown}: ")


def test_all_shards_are_looked_at(tmp_path: Path, notes: list[str]) -> None:
    shards = [write(tmp_path / f"{k}", {f"v{k}": [faces(k), faces(0)]}) for k in (1, 3, 2)]
    draw(tmp_path, *shards)
    assert notes[0].startswith("v3: ")


def test_boxes_are_where_the_faces_are(tmp_path: Path) -> None:
    """The box reaches from a quarter to half of the width, and from a quarter to three quarters of the height."""
    image = cv2.imread(str(draw(tmp_path, write(tmp_path / "a", {"v": [faces(1), faces(0)]})))).astype(int)
    rows, columns = np.nonzero(image.max(axis=2)[:600, :545] < 8)  # the first frame's picture is black
    left, right, top, bottom = columns.min(), columns.max(), rows.min(), rows.max()
    yellow = (image[..., 2] > 200) & (image[..., 1] > 190) & (image[..., 0] < 110)
    middle = round(top + 0.5 * (bottom - top))
    sides = np.flatnonzero(yellow[middle, left:right]) / (right - left)
    assert sides.min() == pytest.approx(0.25, abs=0.02)
    assert sides.max() == pytest.approx(0.5, abs=0.02)


def test_picture_is_private_and_the_same_each_time(tmp_path: Path) -> None:
    shards = write(tmp_path / "a", {"v": [faces(1), faces(0)]})
    first = draw(tmp_path, shards).read_bytes()
    assert first == draw(tmp_path, shards).read_bytes()
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700


def test_where_nobody_shows_a_face_the_picture_says_so(tmp_path: Path) -> None:
    """The workflow makes it of any videos."""
    assert draw(tmp_path, write(tmp_path / "a", {"v": [faces(0), faces(0)]})).stat().st_size > 1000


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="no video has both frames and detections, so there is nothing to show"):
        draw(tmp_path, write(tmp_path / "a", {}))


def test_shards_that_do_not_belong_together(tmp_path: Path) -> None:
    first, _ = write(tmp_path / "a", {"v": [faces(1)]})
    with pytest.raises(ActaError, match="1 frame shards but 0 detection shards"):
        draw_face_sample([first], [], tmp_path / "figure.png", THREE)
    with pytest.raises(
        ActaError, match=r"faces.h5: the detections of 'v' are at other times than the frames in .*a/frames"
    ):
        draw(tmp_path, write(tmp_path / "a", {"v": [faces(1)]}, later=0.05))


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives the task's settings on."""
    given: list[object] = []
    monkeypatch.setattr("pipeline.report.draw_face_sample.draw_face_sample", lambda **named: given.append(named))
    words = ["--frames", "a", "b", "--detections", "c", "d", "--settings", THREE.model_dump_json(), "-o", "out.png"]
    options = TASKS["draw_face_sample"].parser().parse_args(words)
    options.run(options)
    frames, detections = (Path("a"), Path("b")), (Path("c"), Path("d"))
    assert given == [{"frames": frames, "detections": detections, "output": Path("out.png"), "settings": THREE}]
