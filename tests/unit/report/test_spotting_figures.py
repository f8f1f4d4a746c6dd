"""Figures of Ch. 4 out of invented results: what they are drawn of."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.config.tasks.report import DrawSpotting
from pipeline.report.spotting_figures import draw_spotting_figure
from pipeline.report.thesis_spotting import (
    FIGURES,
    RMS_NET,
)
from pipeline.runtime.errors import ActaError
from pipeline.spot.events import CLASSES
from tests.unit.report.small_spotting import BY_SEED, SEEDS, VOTES, evaluation, network, settings, write, write_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path)


def draw(results: Path, name: str, given: DrawSpotting | None = None) -> Path:
    output = results / f"{name}.png"
    draw_spotting_figure(name, results, given or settings(), output)
    return output


def line(figure: Figure, label: str, axis: int = 0) -> tuple[list[float], list[float]]:
    (found,) = [one for one in figure.axes[axis].lines if one.get_label() == label]
    return np.asarray(found.get_xdata()).tolist(), np.asarray(found.get_ydata()).tolist()


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn(results: Path, name: str) -> None:
    pixels = matplotlib.image.imread(draw(results, name))
    assert min(pixels.shape[:2]) > 500
    assert pixels[..., :3].std() > 0.01


def test_the_same_figure_again(results: Path) -> None:
    assert draw(results, "figure_4_6").read_bytes() == draw(results, "figure_4_6").read_bytes()


def test_figure_4_4(results: Path, figures: list[Figure]) -> None:
    """At 60 s the mean of 64, 66 and 68; cards have half of it and come last."""
    draw(results, "figure_4_4")
    seconds, values = line(figures[0], "Goal")
    assert seconds == list(range(5, 61, 5))
    assert values[-1] == pytest.approx(66)
    assert values[0] == pytest.approx(5.5)
    assert line(figures[0], "Card")[1][-1] == pytest.approx(33)
    axis = figures[0].axes[0]
    assert axis.get_legend_handles_labels()[1] == ["Substitution", "Goal", "Card"]
    top = axis.collections[0].get_paths()[0].get_extents().ymax
    assert top == pytest.approx(66 + BY_SEED * 2 / 3**0.5)


def test_figure_4_4_of_many_classes(results: Path, figures: list[Figure]) -> None:
    """A panel each, the best first."""
    for seed in SEEDS:
        content = evaluation(0.6)
        curve = content["curve"]["mAP"]
        content["curve"]["AP"] = {name: [value * n / 17 for value in curve] for n, name in enumerate(CLASSES[2], 1)}
        write(results / f"evaluations/rms_net/seed_{seed}/test/evaluation.json", content)
    draw(results, "figure_4_4", settings(version=2))
    shown = [axis.get_title() for axis in figures[0].axes if axis.get_visible()]
    assert shown == ["Yellow→red card", *CLASSES[2][-2::-1]]


def test_figure_4_5(results: Path, figures: list[Figure]) -> None:
    draw(results, "figure_4_5")
    assert line(figures[0], "RMS-Net")[0] == [1, 2, 3, 4, 5]
    assert line(figures[0], "RMS-Net", 1)[1][-1] == pytest.approx(66)
    assert line(figures[0], "without regression", 1)[1][-1] == pytest.approx(51)
    assert line(figures[0], "length of a clip, 20 s", 1)[0] == [20, 20]


def test_figure_4_6(results: Path, figures: list[Figure]) -> None:
    """Those that there are, by λ as it is; one seed has no interval."""
    networks = {name: network(name) for name in ("lambda_100", RMS_NET)}
    networks["lambda_0"] = network("lambda_0", regression_weight=0.5, seeds=(1,))
    draw(results, "figure_4_6", settings(networks))
    axis = figures[0].axes[0]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0.5", "10", "100"]
    assert np.asarray(axis.lines[0].get_ydata()).tolist() == pytest.approx([51, 66, 51])
    half = BY_SEED * 2 / 3**0.5
    interval, _ = [bar for bars in axis.collections for bar in bars.get_segments()]
    assert interval.tolist() == [pytest.approx([1, 66 - half]), pytest.approx([1, 66 + half])]


def test_figure_4_7(results: Path, figures: list[Figure]) -> None:
    """Frame 200 of two a second is at 100 s."""
    draw(results, "figure_4_7", settings({}))
    assert [axis.get_title() for axis in figures[0].axes] == [
        "Goal: A - B, half 2", "Substitution: A - B, half 2", "Card: A - B, half 2",
    ]  # fmt: skip
    assert line(figures[0], "votes of overlapping clips", 2) == ([100, 100.5, 101, 101.5, 102], [0, 1, 5, 3, 0])
    assert line(figures[0], "annotated", 1)[0] == [103, 103]


def test_figures_say_what_they_lack(results: Path) -> None:
    with pytest.raises(ActaError, match="figure_4_5 needs the network 'no_regression'"):
        draw(results, "figure_4_5", settings({RMS_NET: network(RMS_NET)}))
    with pytest.raises(ActaError, match="figure_4_6 needs the network 'lambda_0'"):
        draw(results, "figure_4_6", settings({}))
    missing = results / "evaluations/rms_net/seed_0/test/evaluation.json"
    missing.unlink()
    with pytest.raises(ActaError, match=f"cannot read the result {missing}"):
        draw(results, "figure_4_4")
    assert not list(results.glob("*.png"))


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        ({"seconds": [5, 10], "mAP": [0.1], "AP": {}}, "2 tolerances, but 1 precisions"),
        ({"seconds": [5, 10], "mAP": [0.1, None], "AP": {}}, "2 tolerances, but 1 precisions"),
        ({"seconds": [1, 2], "mAP": [0.1, 0.2], "AP": {}}, "no tolerance from 5 s on"),
        ({"seconds": [5, 10], "mAP": [0.1, 0.2], "AP": {}}, "do not all have the same tolerances"),
        ({"seconds": [5, 10]}, "does not hold 'mAP'"),
    ],
)
def test_a_damaged_curve(results: Path, curve: dict[str, object], said: str) -> None:
    write(results / "evaluations/rms_net/seed_1/test/evaluation.json", evaluation(0.6) | {"curve": curve})
    with pytest.raises(ActaError, match=said):
        draw(results, "figure_4_5")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"rate": 2.0, "examples": []}, "has no examples"),
        ({"rate": 2.0}, "is damaged: KeyError, 'examples'"),
        ({"rate": 0, "examples": [VOTES | {"label": "card"}]}, "`rate` 0.0 is not positive"),
        ({"rate": 2.0, "examples": [VOTES]}, "is damaged: KeyError, 'label'"),
    ],
)
def test_damaged_votes(results: Path, content: object, said: str) -> None:
    write(results / "votes.json", content)
    with pytest.raises(ActaError, match=f"votes.json.*{said}"):
        draw(results, "figure_4_7")
