"""Task `halve_hypotheses`: which hypotheses of an iteration go on after their first epochs (beyond the thesis; Ch. 7).

Successive halving (Jamieson and Talwalkar, AISTATS 2016), with one rung: hypotheses that start badly are stopped.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline.config.tasks.shrink import HalveHypotheses
from pipeline.runtime.files import Output, write_json
from pipeline.shrink.select_hypothesis import read_hypotheses


def halve_hypotheses(folders: Sequence[Path], output: Output, settings: HalveHypotheses) -> None:
    """Write which hypotheses go on after their first epochs: those with the best top-1, then top-5, then the order.

    Args:
        folders: The folder of each hypothesis, in the order of the operators.
        output: The JSON to write.
        settings: The operators, and how many go on.

    Raises:
        ActaError: a hypothesis that failed.
    """
    hypotheses = read_hypotheses(settings.operators, folders)
    trained = [hypothesis for hypothesis in hypotheses if hypothesis.status == "trained"]
    trained.sort(key=lambda hypothesis: (-(hypothesis.top1 or 0.0), -(hypothesis.top5 or 0.0)))
    # One that cannot be trained goes on too: the selection reports it.
    going = [h.operators for h in hypotheses if h in trained[: settings.keep] or h.status == "infeasible"]
    write_json(output, {"survivors": going, "hypotheses": [asdict(hypothesis) for hypothesis in hypotheses]})
