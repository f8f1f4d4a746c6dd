"""Every figure is readable at half size, the same on every machine, and whole or not there."""

import re
import stat
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline.report import style
from tests import PROJECT


def draw(output: Path, *, private: bool = False) -> Figure:
    with style.figure(output, 8, 5, private=private) as figure:
        axis = figure.subplots()
        for place, look in enumerate(style.LOOKS):
            axis.plot([0, 1], [place, place + 1], **look.drawn, label=f"series {place}")
        axis.bar([0, 1], [1, 2], **style.LOOKS[1].filled, label="bars")
        style.interval(axis, 0, 0.5, 1.5)
        axis.set(title="Title", xlabel="Seconds", ylabel="Per cent")
        style.legend(figure)
        style.note(figure, "Bars in black: 95 % interval. " * 6, None, "And another.")
    return figure


def test_no_text_is_too_small_at_half_size(tmp_path: Path) -> None:
    """14 pixels: em of the font, at 150 dots an inch, halved."""
    figure = draw(tmp_path / "a.png")
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert len(sizes) > 20
    assert min(sizes) / 72 * 150 / 2 >= 14


def test_nothing_covers_anything(tmp_path: Path) -> None:
    """Legend, plot and note lie one above the other, inside of the picture."""
    figure = draw(tmp_path / "a.png")
    legend, axis = figure.legends[0].get_window_extent(), figure.axes[0].get_tightbbox()
    (note,) = (text.get_window_extent() for text in figure.findobj(Text) if "another" in text.get_text())
    assert axis is not None
    assert figure.bbox.height >= legend.y1 > legend.y0 >= axis.y1 > axis.y0 >= note.y1 > note.y0 >= 0
    for box in (legend, axis, note):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width


def test_settings_of_the_machine_change_nothing(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 5, "savefig.dpi": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        draw(tmp_path / "b.png")
        assert matplotlib.rcParams["font.size"] == 5
    first, second = (tmp_path / name for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()
    assert b"Software" not in first.read_bytes()
    assert cv2.imread(str(first)).shape == (750, 1200, 3)


def test_a_private_figure(tmp_path: Path) -> None:
    draw(tmp_path / "private/a.png", private=True)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), style.figure(tmp_path / "private/a.png", 4, 3, private=True) as figure:
        figure.subplots().plot([1 / 0])
    assert not (tmp_path / "private").exists()


def test_looks_differ_by_more_than_colour() -> None:
    for part in ("colour", "marker", "hatch"):
        assert len({getattr(look, part) for look in style.LOOKS}) == len(style.LOOKS)
    neighbours = zip(style.LOOKS, style.LOOKS[1:], strict=False)
    assert all(one.line != other.line for one, other in neighbours)


def test_a_label_is_in_the_legend_once(tmp_path: Path) -> None:
    with style.figure(tmp_path / "a.png", 8, 4) as figure:
        for axis in figure.subplots(1, 2):
            axis.plot([0, 1], label="same")
        style.legend(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["same"]


@pytest.mark.parametrize("across", [False, True])
def test_interval(tmp_path: Path, across: bool) -> None:
    with style.figure(tmp_path / "a.png", 4, 4) as figure:
        axis = figure.subplots()
        style.interval(axis, 3, 10, 14, across=across)
        style.interval(axis, 3, None, None, across=across)
    (bars,) = axis.collections
    (ends,) = np.array(bars.get_segments())  # type: ignore[attr-defined]
    assert ends.tolist() == ([[10, 3], [14, 3]] if across else [[3, 10], [3, 14]])


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("riding mechanical bull", ["riding", "mechanical", "bull"]),
        ("talk_on_the_phone", ["talk_on_", "the_phone"]),
        ("unbelievablylong", ["unbelievab", "lylong"]),
        ("k\udce9", ["k?"]),
    ],
)
def test_long_names_are_not_cut(name: str, lines: list[str]) -> None:
    assert style.wrapped(name, 12 if "_" in name else 10).splitlines() == lines


def test_dollar_signs_are_text(tmp_path: Path) -> None:
    with style.figure(tmp_path / "a.png", 4, 3) as figure:
        figure.subplots().set_title("$x^$")  # a formula that cannot be parsed


def test_no_figure_has_a_style_of_its_own() -> None:
    """Sizes of text, backends and writing are this module's alone."""
    own = re.compile(r"pyplot|matplotlib\.use|rcParams|savefig|fontsize=[\d.]|labelsize")
    modules = [path for path in sorted((PROJECT / "pipeline").rglob("*.py")) if path.name != "style.py"]
    found = {path.name for path in modules if "matplotlib" in path.read_text() and own.search(path.read_text())}
    assert found == set()
