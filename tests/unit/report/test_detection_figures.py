"""Figures of Ch. 3 out of invented results: which detection is right, and what is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.detect.annotation.ava import read_label_map, read_rows
from pipeline.report.detection_figures import draw_examples, draw_gains, judge, said_of
from pipeline.runtime.errors import ActaError
from tests.shards import numbered, stored, write_shard
from tests.unit.report.small_detection import label_map, settings, write_files, write_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return write_files(tmp_path)


def test_right_and_wrong(files: dict[str, Path]) -> None:
    """Frame 2 is not annotated and action 77 is none; on frame 1 there is nobody."""
    counts, right = judge(read_rows(files["detections"]), read_rows(files["truth"]), read_label_map(files["label_map"]))
    assert counts.tolist() == [True, True, True, True, True, False, False, True]
    assert right.tolist() == [True, True, False, False, False, False, False, True]


def test_what_is_annotated_there(files: dict[str, Path]) -> None:
    actions = read_label_map(files["label_map"])
    box, other = np.array([0.1, 0.2, 0.5, 0.8]), np.array([0.6, 0.2, 0.9, 0.8])
    people = [(box, 3), (other, 4), (box, 1)]
    assert said_of(box, people, actions) == "annotated: use a, stand"
    assert said_of(np.array([0.0, 0.0, 0.1, 0.1]), people, actions) == "annotated: nobody here"
    assert said_of(box, [], actions) == "annotated: nobody here"
    assert said_of(box, [(box, 77)], actions) == "annotated: action 77"


def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles and labels of the figures to come."""
    from matplotlib.axes import Axes

    said: list[str] = []
    for name in ("set_title", "set_xlabel"):
        original = getattr(Axes, name)

        def spy(self: Axes, text: str, *rest: Any, original: Any = original, **named: Any) -> Any:
            said.append(text)
            return original(self, text, *rest, **named)

        monkeypatch.setattr(Axes, name, spy)
    return said


def draw(name: str, files: dict[str, Path], output: Path) -> bytes:
    draw_examples(
        name, files["detections"], files["truth"], files["label_map"], [files["frames"]], [files["features"]], output
    )
    return output.read_bytes()


def test_figure_3_5(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = texts(monkeypatch)
    assert draw("figure_3_5", files, tmp_path / "private/five.png").startswith(b"\x89PNG")
    assert said == ["use a: 0.90", "v, 0 s", "use b: 0.30", "v, 0 s"]
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700


def test_figure_3_6(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = texts(monkeypatch)
    assert draw("figure_3_6", files, tmp_path / "private/six.png").startswith(b"\x89PNG")
    assert said == [
        "use a: 0.95", "annotated: nobody here\nv, 0 s",
        "use b: 0.70", "annotated: use a, stand\nv, 0 s",
        "stand: 0.60", "annotated: nobody here\nv, 1 s",
    ]  # fmt: skip


def test_nothing_to_show(files: dict[str, Path], tmp_path: Path) -> None:
    files["detections"].write_text("")
    assert draw("figure_3_5", files, tmp_path / "private/none.png").startswith(b"\x89PNG")


def test_the_same_picture_again(files: dict[str, Path], tmp_path: Path) -> None:
    assert draw("figure_3_6", files, tmp_path / "a/1.png") == draw("figure_3_6", files, tmp_path / "a/2.png")


def test_a_video_that_no_shard_has(files: dict[str, Path], tmp_path: Path) -> None:
    files["detections"].write_text("w,0001,0.1,0.2,0.5,0.8,1,0.9\n")
    with pytest.raises(ActaError, match="none of the frame shards has the video 'w'"):
        draw("figure_3_5", files, tmp_path / "private/five.png")
    write_shard(files["frames"], [stored(tmp_path / "s", "w", numbered(20), split="val")])
    with pytest.raises(ActaError, match="none of the feature shards has the video 'w'"):
        draw("figure_3_5", files, tmp_path / "private/five.png")


def test_figure_3_4(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six actions the five that gain most; talk is not annotated, stand is a pose."""
    from matplotlib.axes import Axes

    labels: list[str] = []
    original = Axes.set_yticks

    def spy(self: Axes, places: Any, names: Sequence[str] = (), **named: Any) -> Any:
        labels.extend(names)
        return original(self, places, names or None, **named)

    monkeypatch.setattr(Axes, "set_yticks", spy)
    draw_gains(results, settings(), label_map(tmp_path), tmp_path / "four.png")
    assert (tmp_path / "four.png").read_bytes().startswith(b"\x89PNG")
    assert labels == ["use f", "use e", "use d", "use c", "use b"]


def test_no_gains_without_a_backbone(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ActaError, match="nothing to gain over"):
        draw_gains(results, settings(without_backbone=["mine"]), label_map(tmp_path), tmp_path / "four.png")
