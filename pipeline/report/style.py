"""The look of every figure: one style, colours for the colour-blind, text that can be read at half size."""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from pipeline.runtime.files import atomic, make_private

# Okabe and Ito's palette
BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"
YELLOW, BLUE, RED, PURPLE = "#f0e442", "#0072b2", "#d55e00", "#cc79a7"
GREY = "#595959"
TEXT = 14  # points: 14 pixels where a picture is shown at half its size
VARIANTS = {"none": "original", "faces": "faces hidden", "bodies": "bodies hidden"}
KINETICS = "The thesis measured on Kinetics-400: not comparable with other data."
_DPI = 150
_LETTER = 0.54  # mean width of a letter in DejaVu Sans, of its size
_STYLE: dict[str, Any] = {
    "figure.dpi": _DPI,
    "savefig.dpi": _DPI,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "font.size": TEXT,
    "axes.titlesize": TEXT + 1,
    "axes.labelsize": TEXT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "text.parse_math": False,  # class names may hold a dollar sign
    "axes.formatter.use_mathtext": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 2,
    "lines.markersize": 7,
    "errorbar.capsize": 4,
    "hatch.linewidth": 0.7,
}


class Look(NamedTuple):
    """How a series is told apart from the others: by more than its colour."""

    colour: str
    marker: str
    line: str
    hatch: str

    @property
    def drawn(self) -> dict[str, Any]:
        """Arguments of ``plot``."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.line}

    @property
    def filled(self) -> dict[str, Any]:
        """Arguments of ``bar``."""
        return {"facecolor": self.colour, "hatch": self.hatch, "edgecolor": "white", "linewidth": 0}


LOOKS = (
    Look(BLUE, "o", "-", ""),
    Look(RED, "s", "--", "//"),
    Look(GREEN, "^", "-.", ".."),
    Look(PURPLE, "D", ":", "xx"),
    Look(ORANGE, "v", "--", "\\\\"),
    Look(SKY, "P", "-", "oo"),
    Look(BLACK, "X", "-.", "++"),
)


@contextmanager
def figure(output: Path, width: float, height: float, *, private: bool = False) -> Iterator[Figure]:
    """A figure in this style, in inches of 150 pixels; it is written (PNG) when the block ends without an error.

    The same figure gives the same bytes, whatever matplotlib's settings on the machine are. A ``private`` one shows
    original frames: its folder becomes private (mode 0700).
    """
    with matplotlib.style.context(["default", _STYLE]):
        made = Figure(figsize=(width, height))
        yield made
        if private:
            make_private(output.parent)
        with atomic(output) as temporary:
            made.savefig(temporary, format="png", metadata={"Software": None})


def legend(figure: Figure, handles: Sequence[Artist] | None = None) -> None:
    """One legend for all plots, above them, of these handles; None: of whatever has a label, each label once."""
    if handles is None:
        known: dict[str, Artist] = {}
        for axis in figure.axes:
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
                known.setdefault(label, handle)
        labels = list(known)
        handles = list(known.values())
    else:
        labels = [str(handle.get_label()) for handle in handles]
    longest = max((len(line) for label in labels for line in label.splitlines()), default=0)
    columns = max(1, min(len(labels), letters(figure) // (longest + 7)))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)


def note(figure: Figure, *sentences: str | None) -> None:
    """Write below the plots what they do not show, such as what bars are or the thesis's numbers; None is skipped."""
    text = "\n".join(textwrap.fill(plain(sentence), letters(figure)) for sentence in sentences if sentence)
    if text:
        figure.supxlabel(text, x=0.01, ha="left", fontsize=TEXT, color=GREY)


def letters(figure: Figure) -> int:
    """How many letters fit in a line across the figure."""
    return int(figure.get_figwidth() * 72 / (TEXT * _LETTER)) - 2


def interval(axis: Axes, place: float, low: float | None, high: float | None, *, across: bool = False) -> None:
    """Draw a 95 % interval from ``low`` to ``high`` over a bar or a point; without both ends there is none.

    ``place`` is its place along the other axis; ``across``: it lies along the x axis.
    """
    if low is None or high is None:
        return
    middle, half = (low + high) / 2, (high - low) / 2
    looks: dict[str, Any] = {"fmt": "none", "ecolor": BLACK, "elinewidth": 1.4, "zorder": 5}
    if across:
        axis.errorbar(middle, place, xerr=half, **looks)
    else:
        axis.errorbar(place, middle, yerr=half, **looks)


def outline(colour: str, width: float, line: str = "-", rim: float = 1.6) -> dict[str, Any]:
    """Arguments of a patch: an outline with a rim that sets it off from a picture of the same colour."""
    effects = [withStroke(linewidth=width + rim, foreground=BLACK if colour == YELLOW else "white")]
    return {"fill": False, "edgecolor": colour, "linewidth": width, "linestyle": line, "path_effects": effects}


def show(axis: Axes, picture: np.ndarray) -> None:
    """Show a picture, (height, width, 3), without scales."""
    axis.imshow(picture, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def wrapped(name: str, width: int) -> str:
    """A name in lines of at most ``width`` letters, which may break after an underscore, so long names are not cut."""
    return textwrap.fill(plain(name).replace("_", "_\0 "), width).replace("\0 ", "").replace("\0", "")


def plain(name: str) -> str:
    """A text without the bytes that are not text, which no font can show."""
    return name.encode(errors="replace").decode()
