"""Figures 5.6, 5.7, 6.3 and 6.4: which classes and hypotheses they show, with which intervals."""

import json
from pathlib import Path

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline.report.classification_figures import draw_drops
from pipeline.report.shrinking import Shrinkage
from pipeline.report.shrinking_figures import draw_iterations
from pipeline.report.thesis import Evaluation


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


ROWS = [Evaluation("r2plus1d", "none", "cross_entropy", tested) for tested in ("none", "faces", "bodies")]


def evaluated(path: Path, top1: dict[str, float | None], videos: int = 10) -> Path:
    classes = {label: {"videos": videos, "top1": value} for label, value in top1.items()}
    return write(path, {"top1": 50.0, "top5": 90.0, "per_class": classes})


def test_the_ten_classes_that_lose_most(tmp_path: Path, figures: list[Figure]) -> None:
    """Of equal losses the first by name; a class without test videos is left out."""
    before = evaluated(tmp_path / "0.json", {f"class {k:02d}": 80.0 for k in range(12)} | {"empty": None})
    faces = evaluated(tmp_path / "1.json", {f"class {k:02d}": 80.0 - 10 * (k % 6) for k in range(12)} | {"empty": None})
    draw_drops(ROWS, [[before], [faces], [faces]], tmp_path / "figure.png")
    axes = figures[0].axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == [
        f"class {k:02d}" for k in (5, 11, 4, 10, 3, 9, 2, 8, 1, 7)
    ]
    assert [round(bar.get_width(), 6) for bar in axes[0].patches][:10] == [80.0] * 10
    assert [round(bar.get_width(), 6) for bar in axes[1].patches][10:] == [30.0] * 2 + [40.0] * 2 + [50.0] * 2 + [
        60.0
    ] * 2 + [70.0] * 2
    said = texts(figures[0])
    assert "faces hidden; all classes: 50.0 → 50.0 %" in said
    assert "faces hidden 69.2 → 67.2 %" in said
    assert "not comparable with other data" in said.replace("\n", " ")


def test_interval_of_a_class(tmp_path: Path, figures: list[Figure]) -> None:
    """Wilson's, of 16 hits in 20 videos of two splits: 58.4 to 91.9 %; of 20 in 20: 83.9 to 100 %."""
    before = [evaluated(tmp_path / f"0{k}.json", {"run": top1}) for k, top1 in enumerate((70.0, 90.0))]
    after = [evaluated(tmp_path / f"1{k}.json", {"run": 100.0}) for k in range(2)]
    draw_drops(ROWS[:2], [before, after], tmp_path / "figure.png")
    axis = figures[0].axes[0]
    ends = [bars.get_segments()[0][:, 0].tolist() for bars in axis.collections]  # type: ignore[attr-defined]
    assert ends == [pytest.approx([58.4, 91.9], abs=0.05), pytest.approx([83.9, 100.0], abs=0.05)]
    assert [bar.get_width() for bar in axis.patches] == [80.0, 100.0]


def test_names_of_classes_are_not_cut(tmp_path: Path, figures: list[Figure]) -> None:
    name = "massaging_the_head_of_another_person_$while$ sitting on a chair"
    path = evaluated(tmp_path / "0.json", {name: 50.0})
    draw_drops(ROWS[:2], [[path], [path]], tmp_path / "figure.png")
    (label,) = figures[0].axes[0].get_yticklabels()
    assert label.get_text().replace("_\n", "_").replace("\n", " ") == name
    assert label.get_window_extent().x0 >= 0


@pytest.fixture
def shrunk(tmp_path: Path) -> Shrinkage:
    """Two iterations in which t wins; of the second, f could not be trained."""
    for number in (1, 2):
        folder = tmp_path / "small/pas" / f"iteration_{number}"
        hypotheses = []
        for name, top1 in (("s", 50.0), ("t", 60.0), ("f", 40.0 if number == 1 else None)):
            hypotheses.append({"operators": name, "top1": top1, "gflops": 8 / 2**number})
            interval = None if top1 is None else [top1 - 2, top1 + 3]
            write(folder / name / "evaluation.json", {"top1": top1, "top1_interval": interval})
        write(folder / "alone/evaluation.json", {"top1": 30.0, "top1_interval": [29.0, 32.0]})
        base = {"top1": 70.0, "gflops": 8.0}
        selection = {"operators": "t", "base": base, "hypotheses": hypotheses}
        write(folder / "selected.json", {"architecture": {"backbone": "r2plus1d_18"}, "selection": selection})
    return Shrinkage(tmp_path / "small", 2, {"pas": ("s", "t", "f")}, tmp_path, ())


def test_all_hypotheses_are_shown(shrunk: Shrinkage, tmp_path: Path, figures: list[Figure]) -> None:
    draw_iterations(shrunk, tmp_path / "figure.png")
    (axis,) = figures[0].axes
    lines = [line.get_xydata().tolist() for line in axis.lines if len(line.get_xdata())]
    assert [[8, 70], [4, 60], [2, 60]] in lines
    assert [[8, 70], [4, 30], [2, 30]] in lines
    assert [[4, 60], [2, 50]] in lines  # from the first winner to a hypothesis made of it
    points = [each.get_offsets().tolist() for each in axis.collections if isinstance(each, PathCollection)]
    assert sorted(p for some in points for p in some) == [[2, 50], [2, 60], [4, 40], [4, 50], [4, 60], [8, 70]]


def test_intervals_of_winners_and_of_networks_alone(shrunk: Shrinkage, tmp_path: Path, figures: list[Figure]) -> None:
    draw_iterations(shrunk, tmp_path / "figure.png")
    segments = [
        segment.tolist() for bars in figures[0].axes[0].collections if hasattr(bars, "get_segments")
        for segment in bars.get_segments()
    ]  # fmt: skip
    assert sorted(segments) == [[[2, 29], [2, 32]], [[2, 58], [2, 63]], [[4, 29], [4, 32]], [[4, 58], [4, 63]]]


def test_legend_and_note_of_the_shrinking_figure(shrunk: Shrinkage, tmp_path: Path, figures: list[Figure]) -> None:
    draw_iterations(shrunk, tmp_path / "figure.png")
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == [
        "base network", "with PAS (winners)", "without PAS", "spatial", "temporal", "framerate",
    ]  # fmt: skip
    said = texts(figures[0]).replace("\n", " ")
    assert "small (r2plus1d_18): t,t" in said
    assert "69.2 → 63.6 %. The thesis measured on Kinetics-400: not comparable with other data." in said


def test_figures_are_the_same_each_time(shrunk: Shrinkage, tmp_path: Path) -> None:
    pictures = []
    for _ in range(2):
        draw_iterations(shrunk, tmp_path / "figure.png")
        pictures.append((tmp_path / "figure.png").read_bytes())
    assert pictures[0] == pictures[1]
