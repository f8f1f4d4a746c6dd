"""Statistics by hand, and pictures that are what they say and the same each time."""

import resource
import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.axes import Axes

from pipeline.config.privacy import ContactSheetSettings
from pipeline.privacy.instances import DetectedVideo, Instances, write_detections
from pipeline.report.draw_contact_sheet import draw_contact_sheet
from pipeline.report.draw_sensitive_information import draw_sensitive_information
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.store import StoredVideo, write_frames

PROVENANCE = Provenance("test", "{}", "0123456789abcdef")
HEAD = "label,what,videos,frames,videos_with_instances_percent,instances_per_frame\n"
ONE_ROW = ContactSheetSettings(videos=1, frames=1)


# ---- statistics


def frame(count: int, filled: int = 0) -> Instances:
    found = Instances.of(np.tile([0.1, 0.1, 0.2, 0.2], (count, 1)), np.ones(count))
    for _ in range(filled):
        found.add(np.array([0.1, 0.1, 0.2, 0.2]), 0.5, None)
    return found


def detected(name: str, label: str, split: str, *frames: Instances) -> DetectedVideo:
    return DetectedVideo(name, label, split, np.arange(len(frames)) / 10, list(frames))


def shard(path: Path, *videos: DetectedVideo) -> Path:
    write_detections(path, videos, [], PROVENANCE)
    return path


@pytest.fixture
def faces(tmp_path: Path) -> list[Path]:
    """Two classes over two shards; the numbers are worked out in the test below."""
    return [
        shard(
            tmp_path / "faces-0.h5",
            detected("a", "run", "train", frame(0), frame(2), frame(1), frame(0)),
            detected("b", "walk", "train", frame(0), frame(0)),
        ),
        shard(
            tmp_path / "faces-1.h5",
            detected("c", "run", "val", frame(0, filled=1), frame(0)),
            detected("d", "run", "train", frame(1)),
        ),
    ]


def tell(tmp_path: Path, detections: dict[str, list[Path]], splits: tuple[str, ...] = ()) -> str:
    draw_sensitive_information(detections, tmp_path / "table.csv", tmp_path / "figure.png", splits)
    return (tmp_path / "table.csv").read_text()


def test_statistics_by_hand(tmp_path: Path, faces: list[Path]) -> None:
    """run: 3 videos, 7 frames, 5 faces, a filled one too, in 3 of the videos; walk: 1 video, 2 frames, none."""
    assert tell(tmp_path, {"faces": faces}) == HEAD + (
        "run,faces,3,7,100.0,0.7143\nwalk,faces,1,2,0.0,0.0000\n(all),faces,4,9,75.0,0.5556\n"
    )


def test_statistics_of_one_split(tmp_path: Path, faces: list[Path]) -> None:
    assert tell(tmp_path, {"faces": faces}, ("val",)) == HEAD + (
        "run,faces,1,2,100.0,0.5000\n(all),faces,1,2,100.0,0.5000\n"
    )


def test_statistics_of_two_splits(tmp_path: Path, faces: list[Path]) -> None:
    assert tell(tmp_path, {"faces": faces}, ("val", "train")) == tell(tmp_path, {"faces": faces})


def test_statistics_of_faces_and_bodies(tmp_path: Path, faces: list[Path]) -> None:
    bodies = [shard(tmp_path / "bodies.h5", detected("a", "run", "train", frame(3), frame(1)))]
    lines = tell(tmp_path, {"faces": faces, "bodies": bodies}).splitlines()
    assert lines[4:] == ["run,bodies,1,2,100.0,2.0000", "(all),bodies,1,2,100.0,2.0000"]


def test_statistics_do_not_depend_on_the_order_of_shards(tmp_path: Path, faces: list[Path]) -> None:
    assert tell(tmp_path, {"faces": faces}) == tell(tmp_path, {"faces": faces[::-1]})


def test_statistics_without_videos(tmp_path: Path) -> None:
    with pytest.raises(ActaError, match=r"no videos with detections of faces$"):
        tell(tmp_path, {"faces": [shard(tmp_path / "empty.h5")]})


def test_statistics_of_a_split_without_videos(tmp_path: Path, faces: list[Path]) -> None:
    with pytest.raises(ActaError, match=r"no videos with detections of faces in the splits \['test'\]"):
        tell(tmp_path, {"faces": faces}, ("test",))


def test_label_with_a_comma_stays_one_cell(tmp_path: Path) -> None:
    path = shard(tmp_path / "d.h5", detected("a", "run,fast", "", frame(1)))
    assert tell(tmp_path, {"faces": [path]}).splitlines()[1] == '"run,fast",faces,1,1,100.0,1.0000'


@pytest.mark.parametrize("label", ["日本語", "k\udce9", "$x^$", ""], ids=ascii)
def test_strange_label_is_counted(tmp_path: Path, label: str) -> None:
    path = shard(tmp_path / "d.h5", detected("a", label, "", frame(1)))
    draw_sensitive_information({"faces": [path]}, tmp_path / "table.csv", tmp_path / "figure.png")
    lines = (tmp_path / "table.csv").read_bytes().splitlines()
    assert [line.split(b",")[1:] for line in lines[1:]] == [[b"faces", b"1", b"1", b"100.0", b"1.0000"]] * 2


def test_figure_is_a_picture_of_two_plots(tmp_path: Path, faces: list[Path]) -> None:
    tell(tmp_path, {"faces": faces})
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    image = cv2.imread(str(tmp_path / "figure.png"))
    assert image.shape == (780, 1500, 3)
    assert (image == 255).all(axis=2).mean() > 0.5
    for half in (image[:, :750], image[:, 750:]):
        assert (half.max(axis=2) < 80).any()


def test_table_is_written_as_markdown_and_html_too(tmp_path: Path, faces: list[Path]) -> None:
    tell(tmp_path, {"faces": faces})
    assert "| walk | faces | 1 | 2 | 0.0 | 0.0000 |" in (tmp_path / "table.md").read_text()
    assert '<td class="number begins">3</td>' in (tmp_path / "table.html").read_text()


def test_figure_of_four_hundred_classes_has_few_marks(tmp_path: Path) -> None:
    """Markers of this many classes would run together, so a curve has about a dozen."""
    marks = []
    drawn = Axes.plot

    def spy(self: Axes, *values: Any, **looks: Any) -> Any:
        marks.append(len(values[0]) / looks["markevery"])
        return drawn(self, *values, **looks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Axes, "plot", spy)
        videos = [detected(f"v{k}", f"class {k}", "", frame(k % 3)) for k in range(400)]
        tell(tmp_path, {"faces": [shard(tmp_path / "many.h5", *videos)]})
    assert [round(count) for count in marks] == [12, 12]


def test_figure_is_the_same_each_time(tmp_path: Path, faces: list[Path]) -> None:
    pictures = []
    for _ in range(2):
        tell(tmp_path, {"faces": faces})
        pictures.append((tmp_path / "figure.png").read_bytes())
    assert pictures[0] == pictures[1]


# ---- contact sheet


def frames(path: Path, colour: tuple[int, int, int], *names: str, count: int = 5) -> Path:
    """Videos of one plain colour (blue, green, red)."""
    path.parent.mkdir(exist_ok=True)
    image = cv2.imencode(".jpg", np.full((48, 64, 3), colour, np.uint8))[1].tobytes()
    spooled = path.parent / "spooled"
    spooled.write_bytes(image * count)
    videos = [
        StoredVideo(name, "run", "", 48, 64, np.arange(count) / 10, np.full(count, len(image), np.uint64), spooled)
        for name in names
    ]
    write_frames(path, videos, [], PROVENANCE)
    return path


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles to come of plots."""
    said: list[str] = []
    original = Axes.set_title

    def spy(self: Axes, text: str, **looks: Any) -> Any:
        said.append(text)
        return original(self, text, **looks)

    monkeypatch.setattr(Axes, "set_title", spy)
    return said


BEFORE, AFTER, THIRD = (0, 0, 220), (220, 0, 0), (0, 200, 0)


def variants(tmp_path: Path, *names: str) -> dict[str, list[Path]]:
    return {
        "none": [frames(tmp_path / "none.h5", BEFORE, *names)],
        "faces": [frames(tmp_path / "faces.h5", AFTER, *names)],
    }


def panels(image: np.ndarray, colour: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Centres (row, column) of the areas of one colour, from left to right and from top to bottom."""
    near = (np.abs(image.astype(int) - colour).max(axis=2) < 12).astype(np.uint8)
    _, _, statistics, centres = cv2.connectedComponentsWithStats(near)
    large = [i for i in range(1, len(centres)) if statistics[i, cv2.CC_STAT_AREA] > 2000]
    return sorted((round(centres[i][1]), round(centres[i][0])) for i in large)


def draw(tmp_path: Path, shards: dict[str, list[Path]], settings: ContactSheetSettings) -> np.ndarray:
    output = tmp_path / "private" / "sheet.png"
    draw_contact_sheet(shards, output, settings)
    assert output.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return cv2.imread(str(output))


def test_sheet_has_a_row_for_each_video_and_columns_for_each_variant(tmp_path: Path) -> None:
    image = draw(tmp_path, variants(tmp_path, "a", "b"), ContactSheetSettings(videos=2, frames=3))
    assert image.shape[1] == int(2.4 * 6 * 150) + 30
    before, after = panels(image, BEFORE), panels(image, AFTER)
    assert (len(before), len(after)) == (6, 6)
    for (row, column), (other_row, other_column) in zip(before, after, strict=True):
        assert abs(row - other_row) <= 1
        assert 0 < other_column - column < 1.2 * image.shape[1] / 6


def test_sheet_shows_the_variants_in_the_order_given(tmp_path: Path) -> None:
    shards = variants(tmp_path, "a") | {"bodies": [frames(tmp_path / "bodies.h5", THIRD, "a")]}
    image = draw(tmp_path, shards, ONE_ROW)
    columns = [panels(image, colour)[0][1] for colour in (BEFORE, AFTER, THIRD)]
    assert columns == sorted(columns)


def test_sheet_shows_as_many_videos_as_there_are(tmp_path: Path) -> None:
    image = draw(tmp_path, variants(tmp_path, "a", "b"), ContactSheetSettings(videos=50, frames=1))
    assert len(panels(image, BEFORE)) == 2


def test_sheet_shows_videos_that_every_variant_has(tmp_path: Path) -> None:
    shards = {
        "none": [frames(tmp_path / "none.h5", BEFORE, "a", "b")],
        "faces": [frames(tmp_path / "faces.h5", AFTER, "b", "c")],
    }
    image = draw(tmp_path, shards, ContactSheetSettings(videos=9, frames=1))
    assert (len(panels(image, BEFORE)), len(panels(image, AFTER))) == (1, 1)


def test_sheet_names_the_variants_above_its_columns(tmp_path: Path, titles: list[str]) -> None:
    draw(tmp_path, variants(tmp_path, "a", "b"), ContactSheetSettings(videos=2, frames=2))
    assert titles == ["original", "faces hidden"] * 2


def test_sheet_takes_videos_of_all_shards(tmp_path: Path) -> None:
    shards = {
        name: [frames(tmp_path / f"{name}-{video}.h5", colour, video) for video in ("a", "b", "c")]
        for name, colour in (("none", BEFORE), ("faces", AFTER))
    }
    image = draw(tmp_path, shards, ContactSheetSettings(videos=9, frames=1))
    assert len(panels(image, AFTER)) == 3


def test_sheet_of_a_video_of_one_frame(tmp_path: Path) -> None:
    shards = {"none": [frames(tmp_path / "none.h5", BEFORE, "a", count=1)]}
    image = draw(tmp_path, shards, ContactSheetSettings(videos=1, frames=3))
    assert len(panels(image, BEFORE)) == 3


def test_sheet_without_common_videos(tmp_path: Path) -> None:
    shards = {
        "none": [frames(tmp_path / "none.h5", BEFORE, "a")],
        "faces": [frames(tmp_path / "faces.h5", AFTER, "b")],
    }
    with pytest.raises(ActaError, match="no video is in every variant, so there is nothing to show"):
        draw_contact_sheet(shards, tmp_path / "private" / "sheet.png", ONE_ROW)
    assert not (tmp_path / "private").exists()


def test_sheet_lies_in_a_private_folder(tmp_path: Path) -> None:
    """It shows original frames."""
    (tmp_path / "private").mkdir(mode=0o755)
    draw(tmp_path, variants(tmp_path, "a"), ONE_ROW)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700


def test_sheet_is_the_same_each_time(tmp_path: Path) -> None:
    pictures = []
    for _ in range(2):
        draw(tmp_path, variants(tmp_path, "a", "b"), ContactSheetSettings(videos=2, frames=2))
        pictures.append((tmp_path / "private" / "sheet.png").read_bytes())
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("name", ["run/$x^$.mp4", "k\udce9.mp4", "a_b{c}\\d.mp4", "a\tb", "50 $ and 60 $"], ids=ascii)
def test_sheet_of_a_video_with_a_strange_name(tmp_path: Path, name: str) -> None:
    assert len(panels(draw(tmp_path, variants(tmp_path, name), ONE_ROW), BEFORE)) == 1


def test_sheet_of_more_shards_than_files_may_be_open(tmp_path: Path) -> None:
    """A dataset has a thousand shards; many systems let a process hold as many files open."""
    shards = {
        name: [frames(tmp_path / f"{name}-{k}.h5", colour, f"v{k:02d}") for k in range(70)]
        for name, colour in (("none", BEFORE), ("faces", AFTER))
    }
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (120, limits[1]))
    try:
        image = draw(tmp_path, shards, ONE_ROW)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(panels(image, BEFORE)) == 1
