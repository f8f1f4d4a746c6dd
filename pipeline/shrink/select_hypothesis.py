"""Task `select_hypothesis`: which hypothesis of an iteration wins (Eqs. 6.1 and 6.3, Algorithm 1)."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.config.tasks.shrink import SelectHypothesis
from pipeline.models.complexity import complexity
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, atomic, write_json
from pipeline.runtime.text import read_made


@dataclass(frozen=True)
class Hypothesis:
    """What is known of one hypothesis.

    Args:
        operators: One letter, or several for several operators in one step.
        status: trained, infeasible (its axis cannot shrink further) or stopped (by successive halving).
        top1: Accuracy in per cent; None unless trained, as all below.
        top5: Likewise; it breaks ties.
        gflops: C(·) of Eq. 6.1, in 10⁹ multiply-adds.
        parameters: Trainable numbers.
        frames: What its longest pathway sees.
        temporal_stride: Of the network's convolutions, in total.
        reason: Why it is not trained.
    """

    operators: str
    status: str
    top1: float | None = None
    top5: float | None = None
    gflops: float | None = None
    parameters: int | None = None
    frames: int | None = None
    temporal_stride: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    """The winner, the equation that chose it, each hypothesis's score under it, and why, in words."""

    operators: str
    equation: str
    scores: dict[str, float | str | None]
    reason: str


def choose(base_top1: float, base_gflops: float, hypotheses: Sequence[Hypothesis]) -> Choice:
    """The winner of an iteration.

    Eq. 6.3, the highest top-1, presupposes that all hypotheses cost about the same. Eq. 6.1, multiply-adds saved per
    top-1 lost, both against the base network, takes over where one has fewer frames than the network's total temporal
    stride (Sec. 6.1.2), or where a step has several operators. Under Eq. 6.1 hypotheses that lose nothing come first,
    by accuracy. Ties are broken by top-5, then by order.

    Args:
        base_top1: Acc(B) in per cent.
        base_gflops: C(B).
        hypotheses: In the order of Algorithm 1.

    Raises:
        ActaError: an accuracy that is no number, an unknown status, or no hypothesis that was trained.
    """
    for hypothesis in hypotheses:
        if hypothesis.status not in ("trained", "infeasible", "stopped"):
            raise ActaError(f"hypothesis {hypothesis.operators!r} failed: its status is {hypothesis.status!r}")
        if hypothesis.status == "trained" and any(
            value is None or not math.isfinite(value) for value in (hypothesis.top1, hypothesis.top5, hypothesis.gflops)
        ):
            raise ActaError(
                f"hypothesis {hypothesis.operators!r} failed: it has top-1 {hypothesis.top1}, top-5 {hypothesis.top5}, "
                f"{hypothesis.gflops} GFLOPs"
            )
    trained = [hypothesis for hypothesis in hypotheses if hypothesis.status == "trained"]
    if not trained:
        reasons = "; ".join(f"{hypothesis.operators}: {hypothesis.reason}" for hypothesis in hypotheses)
        raise ActaError(f"no operator can shrink this network further; choose fewer iterations. {reasons}")
    short = [hypothesis for hypothesis in trained if (hypothesis.frames or 0) < (hypothesis.temporal_stride or 0)]
    several = [hypothesis for hypothesis in hypotheses if len(hypothesis.operators) > 1]
    if short or several:
        equation = "6.1"
        why = (
            f"{_names(short)} see{'s' if len(short) == 1 else ''} fewer frames than the temporal stride of "
            f"{short[0].temporal_stride}"
            if short
            else "a step has several operators"
        )
    else:
        equation, why = "6.3", "all cost about the same"
    ranks = {hypothesis.operators: _rank(hypothesis, base_top1, base_gflops, equation) for hypothesis in trained}
    winner = trained[0]
    for hypothesis in trained[1:]:
        if ranks[hypothesis.operators] > ranks[winner.operators]:
            winner = hypothesis
    scores = {
        hypothesis.operators: _score(hypothesis, base_top1, base_gflops, equation) if hypothesis in trained else None
        for hypothesis in hypotheses
    }
    first = [hypothesis for hypothesis in trained if ranks[hypothesis.operators][:2] == ranks[winner.operators][:2]]
    reason = f"Eq. {equation}, as {why}: {winner.operators} has "
    best = scores[winner.operators]
    if equation == "6.3":
        reason += f"top-1 {winner.top1:.2f}"
    else:
        reason += (
            f"a top-1 of {winner.top1:.2f}, which loses nothing" if isinstance(best, str) else f"the score {best:.4g}"
        )
    if len(first) > 1:
        equal = [hypothesis for hypothesis in first if hypothesis.top5 == winner.top5]
        reason += f", as have {_names([o for o in first if o is not winner])}; "
        reason += "its top-5 is higher" if len(equal) == 1 else "the top-5 too is the same, and it comes first"
    return Choice(winner.operators, equation, scores, reason)


def _names(hypotheses: Sequence[Hypothesis]) -> str:
    *first, last = (hypothesis.operators for hypothesis in hypotheses)
    return f"{', '.join(first)} and {last}" if first else last


def _rank(hypothesis: Hypothesis, base_top1: float, base_gflops: float, equation: str) -> tuple[int, float, float]:
    assert hypothesis.top1 is not None
    assert hypothesis.top5 is not None
    if equation == "6.3":
        return (0, hypothesis.top1, hypothesis.top5)
    score = _score(hypothesis, base_top1, base_gflops, equation)
    return (1, hypothesis.top1, hypothesis.top5) if isinstance(score, str) else (0, score, hypothesis.top5)


def _score(hypothesis: Hypothesis, base_top1: float, base_gflops: float, equation: str) -> float | str:
    assert hypothesis.top1 is not None
    assert hypothesis.gflops is not None
    if equation == "6.3":
        return hypothesis.top1
    lost = base_top1 - hypothesis.top1
    return "loses nothing" if lost <= 0 else (base_gflops - hypothesis.gflops) / lost


def select_hypothesis(
    base: Path, base_evaluation: Path, folders: Sequence[Path], output: Output, settings: SelectHypothesis
) -> None:
    """Choose among the hypotheses in ``folders`` and copy the winner to ``output``.

    The JSON beside it describes the network, and under ``selection`` says of every hypothesis what was measured and
    why the winner is one.

    Args:
        base: Model file of the base network.
        base_evaluation: Its evaluation.
        folders: For each of the operators its folder, with model, ``metrics.json`` and ``evaluation.json``.
        output: The model file to write.
        settings: The operators, in the order that breaks ties.

    Raises:
        ActaError: a hypothesis that failed, or none that was trained.
    """
    from pipeline.models.classifier_file import read_description

    description = read_description(base)
    cost = complexity(description.architecture, description.view.test.crop)
    accuracy = _read(base_evaluation)
    hypotheses = [
        read_hypothesis(operators, folder) for operators, folder in zip(settings.operators, folders, strict=True)
    ]
    choice = choose(accuracy["top1"], cost.gflops, hypotheses)
    winner = folders[settings.operators.index(choice.operators)] / "model.safetensors"
    content = _read(winner.with_suffix(".json"))
    content["selection"] = {
        **asdict(choice),
        "base": {"top1": accuracy["top1"], "top5": accuracy["top5"], **asdict(cost)},
        "hypotheses": [asdict(hypothesis) for hypothesis in hypotheses],
    }
    write_json(output.with_suffix(".json"), content)
    with atomic(output) as temporary:
        shutil.copyfile(winner, temporary)
    print(choice.reason)


def read_hypothesis(operators: str, folder: Path) -> Hypothesis:
    """What the folder of a hypothesis says of it.

    Raises:
        ActaError: a file is missing or damaged.
    """
    metrics = _read(folder / "metrics.json")
    if metrics.get("status") != "trained":
        return Hypothesis(operators, str(metrics.get("status")), reason=str(metrics.get("reason", "")))
    evaluation = _read(folder / "evaluation.json")
    try:
        return Hypothesis(
            operators,
            "trained",
            evaluation["top1"],
            evaluation["top5"],
            metrics["gflops"],
            metrics["parameters"],
            metrics["frames"],
            metrics["temporal_stride"],
        )
    except KeyError as error:
        raise ActaError(f"{folder}: {error} is missing in metrics.json or evaluation.json") from None


def _read(path: Path) -> dict[str, Any]:
    return read_made(path)
