"""Figures 6.3 and 6.4: every hypothesis of every iteration, its accuracy over its cost."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pipeline.files import atomic
from pipeline.report.shrinking import Shrinkage
from pipeline.report.thesis_shrinkage import CHAINS, REDUCED

_NAMES = {"s": "spatial", "t": "temporal", "f": "framerate", "c": "channels", "l": "layers"}
_MARKERS = {"s": "s", "t": "^", "f": "v", "c": "o", "l": "D"}


def draw_shrinkage(of: Shrinkage, output: Path) -> None:
    """Draw all hypotheses of all iterations (Figures 6.3 and 6.4), PNG.

    Red: the winners; blue: their architectures trained without PAS.
    """
    figure, axis = plt.subplots(figsize=(9, 5.4), layout="constrained")
    numbers = range(1, of.iterations + 1)
    costs = [of.base["gflops"], *(of.winner(n)["gflops"] for n in numbers)]
    shown = set()
    for number in numbers:
        for one in of.selected(number)["selection"]["hypotheses"]:
            if one["top1"] is None:
                continue
            name = one["operators"]
            axis.scatter(
                one["gflops"],
                one["top1"],
                marker=_MARKERS.get(name, "*"),
                s=52,
                facecolor=plt.get_cmap("viridis")((number - 1) / max(1, of.iterations - 1)),
                edgecolor="black",
                linewidth=0.6,
                zorder=3,
                label=None if name in shown else _NAMES.get(name, name),
            )
            shown.add(name)
    best = [of.base["top1"], *(of.winner(n)["top1"] for n in numbers)]
    alone = [of.base["top1"], *(of.top1("pas", n, "alone") for n in numbers)]
    axis.plot(costs, best, "--", color="tab:red", label="with PAS (the winners)", zorder=2)
    axis.plot(costs, alone, "--", color="tab:blue", label="without PAS", zorder=2)
    axis.scatter(
        costs[:1], best[:1], marker="*", s=190, color="tab:red", edgecolor="black", zorder=4, label="base network"
    )
    for number, (cost, value) in enumerate(zip(costs[1:], best[1:], strict=True), 1):
        text = f"{number}: {_NAMES.get(of.winner(number)['operators'], of.winner(number)['operators'])}"
        axis.annotate(text, (cost, value), xytext=(4, 9), textcoords="offset points", fontsize=8, color="tab:red")
    axis.set_xscale("log")
    axis.invert_xaxis()
    axis.margins(x=0.13, y=0.1)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set(xlabel="GFLOPs per view (10⁹ multiply-adds; fewer to the right)", ylabel="Top-1 accuracy in %")
    title = f"Progressive shrinkage of {of.recipe} ({of.backbone}): {of.chain(of.iterations)}"
    if of.backbone in CHAINS:
        printed = REDUCED[of.backbone]
        title += f"\nThesis, Kinetics-400: {','.join(CHAINS[of.backbone])}, {printed[0][0]} → {printed[-1][0]} %"
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.3, which="both")
    figure.legend(loc="outside right center", fontsize=8, title="Colour: iteration,\ndark to light", title_fontsize=8)
    with atomic(output) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    plt.close(figure)
