"""Figures 4.4 to 4.7: precision against the tolerance and against λ, and how the votes lie around an event."""

from collections.abc import Callable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipeline.config.tasks.report import DrawSpotting
from pipeline.report import style
from pipeline.report.intervals import mean_of
from pipeline.report.spotting import Evaluations
from pipeline.report.tables import Row
from pipeline.report.thesis_spotting import NO_REGRESSION, RMS_NET, networks_of
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made
from pipeline.spot.events import CLASSES

_COLUMNS = 4  # of panels, where there are more classes than that
_LABELS = {"card": "Card", "subs": "Substitution", "soccer": "Goal"}  # of SoccerNet's first version
_LOOSE = 5  # seconds: the least loose tolerance and the greatest tight one
_TICKS = (_LOOSE, *range(10, 61, 10))
_TOLERANCE = "Tolerance δ in seconds"
_BANDS = "Bands: 95 % interval over the seeds (Student's t), where there are several."


class _Curve(NamedTuple):
    """Average precisions in per cent: (d,) tolerances in seconds, (seeds, d) precisions."""

    seconds: np.ndarray
    values: np.ndarray

    def between(self, low: float, high: float) -> "_Curve":
        shown = (self.seconds >= low) & (self.seconds <= high)
        return _Curve(self.seconds[shown], self.values[:, shown])

    def draw(self, axis: Axes, look: style.Look, label: str, *, marked: bool = True) -> None:
        """The mean, and a band for its 95 % interval where there are several seeds."""
        drawn = look.drawn if marked else look.drawn | {"marker": ""}
        axis.plot(self.seconds, self.values.mean(0), **drawn, label=label)
        if len(self.values) > 1:
            means = [mean_of(column.tolist()) for column in self.values.T]
            low, high = (np.clip([mean[side] for mean in means], 0, 100) for side in (1, 2))
            axis.fill_between(self.seconds, low, high, color=look.colour, alpha=0.2, linewidth=0)


def draw_spotting_figure(name: str, results: Path, settings: DrawSpotting, output: Path) -> None:
    """Draw one figure (PNG): lines are means over the seeds, bands and bars their 95 % intervals.

    Raises:
        ActaError: the configuration lacks a network of the figure (of Figure 4.6: all of them), or a result is missing
            or damaged.
    """
    known = [network for network in networks_of(name) if network in settings.networks]
    lacking = [network for network in networks_of(name) if network not in known]
    if lacking and (name != "figure_4_6" or not known):
        raise ActaError(f"{name} needs the network {lacking[0]!r}, which the configuration does not have")
    FIGURES[name](Evaluations(results, settings), output)


def _curve(evaluations: Evaluations, network: str, *what: str) -> _Curve:
    """What an evaluation's ``curve`` holds under these keys."""

    def read(evaluation: Row) -> tuple[np.ndarray, np.ndarray]:
        curve = evaluation["curve"]
        seconds, values = np.array(curve["seconds"], float), 100 * np.array(reduce(getitem, what, curve), float)
        if seconds.ndim != 1 or seconds.shape != values.shape or not np.isfinite(values).all():
            raise ValueError(f"its curve has {seconds.size} tolerances, but {np.isfinite(values).sum()} precisions")
        if not (seconds >= _LOOSE).any():
            raise ValueError(f"its curve has no tolerance from {_LOOSE} s on")
        return seconds, values

    curves = list(evaluations.pick(network, evaluations.settings.test, read).values())
    seconds = curves[0][0]
    if any(not np.array_equal(times, seconds) for times, _ in curves):
        raise ActaError(f"the evaluations of {network!r} do not all have the same tolerances")
    return _Curve(seconds, np.stack([values for _, values in curves]))


def _figure_4_4(evaluations: Evaluations, output: Path) -> None:
    """A curve per class, the best first; if there are many, each has a panel, with the mean of all in grey."""
    names = list(CLASSES[evaluations.settings.version])
    curves = {name: _curve(evaluations, RMS_NET, "AP", name).between(_LOOSE, np.inf) for name in names}
    looks = dict(zip(names, style.LOOKS, strict=False))  # a class keeps its look, whatever its rank
    names.sort(key=lambda name: -float(curves[name].values[:, -1].mean()))
    if len(names) <= len(style.LOOKS):
        with style.figure(output, 8.5, 6.6) as figure:
            axis = figure.subplots()
            for name in names:
                curves[name].draw(axis, looks[name], _label(name))
            axis.set(xlabel=_TOLERANCE, ylabel="Average precision in %", xticks=_TICKS)
            axis.set_ylim(bottom=0)
            style.legend(figure)
            style.note(figure, _BANDS)
        return
    mean = _curve(evaluations, RMS_NET, "mAP").between(_LOOSE, np.inf)
    lines = -(-len(names) // _COLUMNS)
    with style.figure(output, 12, 2.5 * lines + 1.7) as figure:
        axes = figure.subplots(lines, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        for axis, name in zip(axes.flat, names, strict=False):
            axis.plot(mean.seconds, mean.values.mean(0), "--", color=style.GREY, linewidth=1.5, label="mean of all")
            curves[name].draw(axis, style.LOOKS[0], "class", marked=False)
            axis.set_title(_label(name))
            axis.set_xticks([_LOOSE, 20, 40, 60])
        axes[0, 0].set_ylim(bottom=0)
        for axis in axes.flat[len(names) :]:
            axis.set_visible(False)
        for axis in axes.flat[max(0, len(names) - _COLUMNS) : len(names)]:
            axis.set_xlabel("δ in seconds")
            axis.tick_params(labelbottom=True)  # there is no panel below it
        figure.supylabel("Average precision in %", fontsize=style.TEXT)
        style.legend(figure)
        style.note(figure, "δ: tolerance.", _BANDS)


def _figure_4_5(evaluations: Evaluations, output: Path) -> None:
    """Tight tolerances are on the left, on a scale of their own."""
    full, without = (_curve(evaluations, network, "mAP") for network in (RMS_NET, NO_REGRESSION))
    with style.figure(output, 10, 6.4) as figure:
        tight, loose = figure.subplots(1, 2, sharey=True, width_ratios=(1, 2.2))
        for axis, low, high in ((tight, 0, _LOOSE), (loose, _LOOSE, np.inf)):
            full.between(low, high).draw(axis, style.LOOKS[1], "RMS-Net")
            without.between(low, high).draw(axis, style.LOOKS[0], "without regression")
            axis.set_xlabel(_TOLERANCE if axis is loose else "δ in seconds")
        clip = (evaluations.settings.networks[RMS_NET].clip - 1) / evaluations.settings.rate
        loose.axvline(clip, color=style.GREY, linestyle=":", zorder=1, label=f"length of a clip, {clip:g} s")
        tight.set(title="tight", ylabel="mAP in %")
        tight.set_ylim(bottom=0)
        tight.xaxis.set_major_locator(MaxNLocator(integer=True))
        loose.set(title="loose", xticks=_TICKS)
        style.legend(figure)
        style.note(figure, _BANDS)


def _figure_4_6(evaluations: Evaluations, output: Path) -> None:
    """The weights are equally far apart, as 0 has no place on a logarithmic axis."""
    networks = evaluations.settings.networks
    known = [name for name in networks_of("figure_4_6") if name in networks]
    known.sort(key=lambda name: networks[name].regression_weight)
    means = [mean_of(list(evaluations.average(name, evaluations.settings.test).values())) for name in known]
    with style.figure(output, 8.5, 6) as figure:
        axis = figure.subplots()
        axis.plot([float(mean.value or 0) for mean in means], **style.LOOKS[0].drawn, zorder=4)
        for place, mean in enumerate(means):
            if mean.low is not None and mean.high is not None:
                style.interval(axis, place, max(0.0, mean.low), min(100.0, mean.high))
        axis.set_xticks(range(len(known)), [f"{networks[name].regression_weight:g}" for name in known])
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.margins(x=0.06, y=0.1)
        axis.set(xlabel="Weight λ of the regression loss (not to scale)", ylabel="Average-mAP in %")
        style.note(figure, "Bars in black: 95 % interval over the seeds (Student's t), where there are several.")


class _Example(NamedTuple):
    """Votes around an event: (n,) seconds from the beginning of the half, (n,) votes."""

    title: str
    seconds: np.ndarray
    votes: np.ndarray
    event: float


def _figure_4_7(evaluations: Evaluations, output: Path) -> None:
    path = evaluations.results / "votes.json"
    content = read_made(path)
    try:
        rate = float(content["rate"])
        if rate <= 0:
            raise ValueError(f"`rate` {rate} is not positive")
        examples = [_example(example, rate) for example in content["examples"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ActaError(f"{path} is damaged: {type(error).__name__}, {error}") from None
    if not examples:
        raise ActaError(f"{path} has no examples")
    with style.figure(output, 9, 2.6 * len(examples) + 1.3) as figure:
        axes = figure.subplots(len(examples), squeeze=False)[:, 0]
        for axis, (title, seconds, votes, event) in zip(axes, examples, strict=True):
            axis.fill_between(seconds, votes, step="mid", color=style.BLUE, alpha=0.25, linewidth=0)
            axis.step(seconds, votes, where="mid", color=style.BLUE, label="votes of overlapping clips")
            axis.axvline(event, color=style.RED, linestyle="--", label="annotated")
            axis.set_title(title)
            axis.margins(x=0)
            axis.set_ylim(bottom=0)
            axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            axis.set_ylabel("Votes")
        figure.align_ylabels()
        axes[-1].set_xlabel("Time in the half in seconds")
        style.legend(figure)


def _example(found: Row, rate: float) -> _Example:
    votes = np.array(found["votes"], float)
    seconds = (int(found["start"]) + np.arange(len(votes))) / rate
    game = Path(str(found["game"])).name
    title = f"{_label(str(found['label']))}: {game}, half {int(found['half'])}"
    return _Example(style.wrapped(title, 64), seconds, votes, float(found["event"]))


def _label(name: str) -> str:
    return style.plain(_LABELS.get(name, name).replace("->", "→"))


FIGURES: dict[str, Callable[[Evaluations, Path], None]] = {
    "figure_4_4": _figure_4_4,
    "figure_4_5": _figure_4_5,
    "figure_4_6": _figure_4_6,
    "figure_4_7": _figure_4_7,
}
