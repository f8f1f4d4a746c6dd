"""Figures 6.3 and 6.4: every hypothesis of every iteration, its accuracy over its cost."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pipeline.report import style
from pipeline.report.shrinking import Shrinkage
from pipeline.report.thesis_shrinkage import CHAINS, REDUCED

_NAMES = {"s": "spatial", "t": "temporal", "f": "framerate", "c": "channels", "l": "layers"}
_MARKERS = {"s": "s", "t": "^", "f": "v", "c": "o", "l": "D"}
_OTHER = "P"  # of a joint hypothesis
_EDGE: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.8}


def draw_iterations(shrinkage: Shrinkage, output: Path) -> None:
    """Draw all hypotheses of all iterations (Figures 6.3 and 6.4), PNG.

    A line leads from each network to the hypotheses made of it. Dashed: the winners; dotted: their architectures
    trained without PAS; both with the bootstrap intervals of their evaluations.
    """
    numbers = range(1, shrinkage.iterations + 1)
    costs, best = ([shrinkage.network(n)[column] for n in (0, *numbers)] for column in ("gflops", "top1"))
    alone = [best[0], *(shrinkage.top1("pas", n, "alone") for n in numbers)]
    with style.figure(output, 11, 8.6) as figure:
        axis = figure.subplots()
        axis.plot(costs, best, "--", color=style.RED, zorder=2.5)
        axis.plot(costs, alone, ":", color=style.BLUE, marker="X", zorder=2.5)
        used = [name for number in numbers for name in _hypotheses(axis, shrinkage, number, costs, best)]
        axis.scatter(costs[:1], best[:1], marker="*", s=330, color=style.RED, zorder=4, **_EDGE)
        for number in numbers:
            for name in ("alone", shrinkage.selection(number)["operators"]):
                evaluation = shrinkage.read("pas", number, f"{name}/evaluation.json")
                low, high = evaluation.get("top1_interval", (None, None))
                style.interval(axis, costs[number], low, high)
            axis.annotate(
                f"{number}",
                (costs[number], best[number] if high is None else high),
                (0, 10),
                textcoords="offset points",
                ha="center",
                weight="bold",
                zorder=6,
                path_effects=[withStroke(linewidth=3, foreground="white")],
            )
        _scales(axis)
        title = f"{shrinkage.recipe} ({shrinkage.backbone}): {shrinkage.chain(shrinkage.iterations)}"
        axis.set_title(style.wrapped(title, style.letters(figure)))
        style.legend(figure, _keys([*dict.fromkeys(used)]))
        style.note(
            figure,
            "Numbers and shades, dark to light: iterations. Thin lines lead to a network's hypotheses. Bars in black: "
            "95 % bootstrap interval over the test videos of the winners and of their architectures without PAS.",
            _printed(shrinkage.backbone),
        )


def _hypotheses(axis: Axes, shrinkage: Shrinkage, number: int, costs: list[float], best: list[float]) -> list[str]:
    """Draw the trained hypotheses of an iteration; their operators."""
    colour = matplotlib.colormaps["viridis"]((number - 1) / max(1, shrinkage.iterations - 1))
    hypotheses = shrinkage.selection(number)["hypotheses"]
    trained = [hypothesis for hypothesis in hypotheses if hypothesis["top1"] is not None]
    for hypothesis in trained:
        ends = [costs[number - 1], hypothesis["gflops"]], [best[number - 1], hypothesis["top1"]]
        axis.plot(*ends, color="0.7", linewidth=0.8, zorder=2)
        marker = _MARKERS.get(hypothesis["operators"], _OTHER)
        axis.scatter(hypothesis["gflops"], hypothesis["top1"], marker=marker, s=90, color=colour, zorder=3, **_EDGE)
    return [hypothesis["operators"] for hypothesis in trained]


def _scales(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.invert_xaxis()
    axis.margins(x=0.08, y=0.1)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set(xlabel="GFLOPs per view (10⁹ multiply-adds; fewer to the right)", ylabel="Top-1 accuracy in %")


def _keys(operators: list[str]) -> list[Line2D]:
    """Entries of the legend."""
    edge: dict[str, Any] = {"markeredgecolor": "black", "markersize": 10, "linestyle": ""}
    return [
        Line2D([], [], marker="*", color=style.RED, label="base network", **edge | {"markersize": 16}),
        Line2D([], [], color=style.RED, linestyle="--", label="with PAS (winners)"),
        Line2D([], [], color=style.BLUE, linestyle=":", marker="X", label="without PAS"),
        *(
            Line2D([], [], marker=_MARKERS.get(name, _OTHER), color="white", label=_NAMES.get(name, name), **edge)
            for name in operators
        ),
    ]


def _printed(backbone: str) -> str | None:
    """What the thesis has for this backbone."""
    if backbone not in CHAINS:
        return None
    top1 = [printed[0] for printed in REDUCED[backbone]]
    return f"Thesis: {','.join(CHAINS[backbone])}, {top1[0]} → {top1[-1]} %. {style.KINETICS}"
