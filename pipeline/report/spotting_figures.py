"""Figures 4.4 to 4.7: precision against the tolerance and against λ, and how the votes lie around an event."""

import textwrap
from collections.abc import Callable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipeline.config.spot_stages import ReportSpottingStage
from pipeline.errors import ActaError
from pipeline.files import atomic
from pipeline.report.detection import Row, mean_of, read_json
from pipeline.report.spotting import Evaluations
from pipeline.report.thesis_spotting import NO_REGRESSION, RMS_NET, networks_of
from pipeline.spot.events import CLASSES

RED, BLUE = "#d7191c", "#0072b2"  # the colour-blind can tell them apart, and those of the classes
_CLASSES = ((BLUE, "o", "-"), ("#e69f00", "s", "--"), ("#009e73", "^", "-."), ("#cc79a7", "D", ":"))
_COLUMNS = 6  # of panels, where there are more classes than that
_LABELS = {"card": "Card", "subs": "Substitution", "soccer": "Goal"}  # of SoccerNet's first version
_LOOSE = 5  # seconds: the least loose tolerance and the greatest tight one
_TICKS = (_LOOSE, *range(10, 61, 10))
_TOLERANCE = "Tolerance δ in seconds"


class _Curve(NamedTuple):
    """Average precisions in per cent: (d,) tolerances in seconds, (seeds, d) precisions."""

    seconds: np.ndarray
    values: np.ndarray

    def between(self, low: float, high: float) -> "_Curve":
        shown = (self.seconds >= low) & (self.seconds <= high)
        return _Curve(self.seconds[shown], self.values[:, shown])

    def draw(self, axis: Axes, colour: str, marker: str, style: str, label: str | None = None) -> None:
        """The mean, and a band for its 95 % interval where there are several seeds."""
        line = self.values.mean(0)
        axis.plot(self.seconds, line, style, marker=marker, markersize=5, color=colour, linewidth=2, label=label)
        if len(self.values) > 1:
            means = [mean_of(column.tolist()) for column in self.values.T]
            low, high = (np.clip([mean[side] for mean in means], 0, 100) for side in (1, 2))
            axis.fill_between(self.seconds, low, high, color=colour, alpha=0.2, linewidth=0)


def draw_spotting_figure(name: str, results: Path, settings: ReportSpottingStage, output: Path) -> None:
    """Draw one figure (PNG): lines are means over the seeds, bands and bars their 95 % intervals.

    Args:
        name: One of `pipeline.report.thesis_spotting.FIGURES`.
        results: ``results/<dataset>/spot``.
        settings: The dataset, its splits, networks and seeds. Of Figure 4.6 it need not have all networks.
        output: The picture.

    Raises:
        ActaError: there is no such figure, the configuration lacks a network of it, or a result is missing or damaged.
    """
    if name not in FIGURES:
        raise ActaError(f"there is no figure {name!r} of Ch. 4; there are {', '.join(FIGURES)}")
    known = [network for network in networks_of(name) if network in settings.networks]
    lacking = [network for network in networks_of(name) if network not in known]
    if lacking and (name != "figure_4_6" or not known):
        raise ActaError(f"{name} needs the network {lacking[0]!r}, which the configuration does not have")
    figure = FIGURES[name](Evaluations(results, settings))
    try:
        with atomic(output) as temporary:
            figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    finally:
        plt.close(figure)


def _curve(of: Evaluations, network: str, *what: str) -> _Curve:
    """What an evaluation's ``curve`` holds under these keys."""

    def read(evaluation: Row) -> tuple[np.ndarray, np.ndarray]:
        curve = evaluation["curve"]
        seconds, values = np.array(curve["seconds"], float), 100 * np.array(reduce(getitem, what, curve), float)
        if seconds.ndim != 1 or seconds.shape != values.shape or not np.isfinite(values).all():
            raise ValueError(f"its curve has {seconds.size} tolerances, but {np.isfinite(values).sum()} precisions")
        if not (seconds >= _LOOSE).any():
            raise ValueError(f"its curve has no tolerance from {_LOOSE} s on")
        return seconds, values

    found = list(of.pick(network, of.settings.test, read).values())
    seconds = found[0][0]
    if any(not np.array_equal(each, seconds) for each, _ in found):
        raise ActaError(f"the evaluations of {network!r} do not all have the same tolerances")
    return _Curve(seconds, np.stack([values for _, values in found]))


def _figure_4_4(of: Evaluations) -> Figure:
    """Of each class, the best first; of more than a few each in a panel, before the mean of all in grey."""
    names = list(CLASSES[of.settings.version])
    curves = {name: _curve(of, RMS_NET, "AP", name).between(_LOOSE, np.inf) for name in names}
    looks = dict(zip(names, _CLASSES, strict=False))  # a class keeps its colour, whatever its rank
    names.sort(key=lambda name: -float(curves[name].values[:, -1].mean()))
    if len(names) <= len(_CLASSES):
        figure, axis = plt.subplots(figsize=(7.5, 5), layout="constrained")
        for name in names:
            curves[name].draw(axis, *looks[name], label=_label(name))
        axis.legend(fontsize=13)
        axis.set_xticks(_TICKS)
        _dress(axis, _TOLERANCE, "Average precision in %")
        return figure
    mean = _curve(of, RMS_NET, "mAP").between(_LOOSE, np.inf)
    lines = -(-len(names) // _COLUMNS)
    figure, axes = plt.subplots(
        lines, _COLUMNS, figsize=(14, 2.6 * lines + 0.8), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes.flat, names, strict=False):
        axis.plot(mean.seconds, mean.values.mean(0), color="0.6", linewidth=1.5)
        curves[name].draw(axis, BLUE, "", "-")
        axis.set_title(_label(name), fontsize=14)
        _dress(axis)
        axis.set_xticks([_LOOSE, 20, 40, 60])
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for above in axes.flat[len(names) - _COLUMNS : -_COLUMNS]:
        above.tick_params(labelbottom=True)  # there is no panel below it
    figure.supxlabel(_TOLERANCE, fontsize=15)
    figure.supylabel("Average precision in %", fontsize=15)
    keys = [Line2D([], [], color=BLUE, linewidth=2), Line2D([], [], color="0.6", linewidth=1.5)]
    figure.legend(keys, ["class", "mean of all"], loc="outside upper center", ncols=2, frameon=False, fontsize=14)
    return figure


def _figure_4_5(of: Evaluations) -> Figure:
    """Tight tolerances to the left, on a scale of their own."""
    full, without = (_curve(of, network, "mAP") for network in (RMS_NET, NO_REGRESSION))
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 5), sharey=True, width_ratios=(1, 2.4), layout="constrained")
    tight, loose = axes
    for axis, low, high in ((tight, 0, _LOOSE), (loose, _LOOSE, np.inf)):
        full.between(low, high).draw(axis, RED, "o", "-", "RMS-Net")
        without.between(low, high).draw(axis, BLUE, "s", "--", "without regression")
    clip = (of.settings.networks[RMS_NET].clip - 1) / of.settings.rate
    loose.axvline(clip, color="0.45", linestyle=":", linewidth=1.8, zorder=1, label=f"length of a clip, {clip:g} s")
    _dress(tight, y="mAP in %")
    _dress(loose)
    tight.set_title("tight", fontsize=14)
    tight.xaxis.set_major_locator(MaxNLocator(integer=True))
    loose.set_title("loose", fontsize=14)
    loose.set_xticks(_TICKS)
    loose.legend(fontsize=13)
    figure.supxlabel(_TOLERANCE, fontsize=15)
    return figure


def _figure_4_6(of: Evaluations) -> Figure:
    """The weights lie equally far apart; 0 has no place on a logarithmic axis."""
    networks = of.settings.networks
    known = [name for name in networks_of("figure_4_6") if name in networks]
    known.sort(key=lambda name: networks[name].regression_weight)
    means = [mean_of(list(of.average(name, of.settings.test).values())) for name in known]
    figure, axis = plt.subplots(figsize=(7.5, 5), layout="constrained")
    axis.plot([float(mean.value or 0) for mean in means], "-o", color=BLUE, linewidth=2, markersize=8, zorder=4)
    for place, mean in enumerate(means):
        if mean.low is not None and mean.high is not None:
            ends = [max(0.0, mean.low), min(100.0, mean.high)]
            axis.plot([place] * 2, ends, "-_", color="black", linewidth=1.4, markersize=10)
    axis.set_xticks(range(len(known)), [f"{networks[name].regression_weight:g}" for name in known])
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.margins(x=0.06, y=0.1)
    _dress(axis, "Weight λ of the regression loss", "Average-mAP in %", from_zero=False)
    return figure


class _Example(NamedTuple):
    """Votes around an event: (n,) seconds from the beginning of the half, (n,) votes."""

    title: str
    seconds: np.ndarray
    votes: np.ndarray
    event: float


def _figure_4_7(of: Evaluations) -> Figure:
    path = of.results / "votes.json"
    content = read_json(path)
    try:
        rate = float(content["rate"])
        if rate <= 0:
            raise ValueError(f"`rate` {rate} is not positive")
        examples = [_example(each, rate) for each in content["examples"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ActaError(f"{path} is damaged: {type(error).__name__}, {error}") from None
    if not examples:
        raise ActaError(f"{path} has no examples")
    lines = len(examples)
    figure, axes = plt.subplots(lines, figsize=(8.5, 2.5 * lines + 0.9), squeeze=False, layout="constrained")
    for axis, (title, seconds, votes, event) in zip(axes.flat, examples, strict=True):
        axis.fill_between(seconds, votes, step="mid", color=BLUE, alpha=0.25, linewidth=0)
        axis.step(seconds, votes, where="mid", color=BLUE, linewidth=1.8, label="votes of overlapping clips")
        axis.axvline(event, color=RED, linestyle="--", linewidth=2.2, label="annotated")
        axis.set_title(title, fontsize=14)
        axis.margins(x=0)
        axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        _dress(axis, y="Votes")
    figure.align_ylabels()
    figure.supxlabel("Time in the half in seconds", fontsize=15)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=14)
    return figure


def _example(found: Row, rate: float) -> _Example:
    votes = np.array(found["votes"], float)
    seconds = (int(found["start"]) + np.arange(len(votes))) / rate
    game = Path(str(found["game"])).name
    title = _label(f"{found['label']}") + _plain(f": {game}, half {int(found['half'])}")
    return _Example(textwrap.shorten(title, 70, placeholder=" …"), seconds, votes, float(found["event"]))


def _dress(axis: Axes, x: str = "", y: str = "", *, from_zero: bool = True) -> None:
    axis.set_axisbelow(True)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=13)
    axis.set_xlabel(x, fontsize=15)
    axis.set_ylabel(y, fontsize=15)
    if from_zero:
        axis.set_ylim(bottom=0)


def _label(name: str) -> str:
    return _plain(_LABELS.get(name, name).replace("->", "→"))


def _plain(name: str) -> str:
    """A text that matplotlib shows as it is: no formulas, no bytes that are no text."""
    return name.encode(errors="replace").decode().replace("$", r"\$")


FIGURES: dict[str, Callable[[Evaluations], Figure]] = {
    "figure_4_4": _figure_4_4,
    "figure_4_5": _figure_4_5,
    "figure_4_6": _figure_4_6,
    "figure_4_7": _figure_4_7,
}
