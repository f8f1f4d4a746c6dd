"""Task `select_hypothesis`: which hypothesis of an iteration wins (Eqs. 6.1 and 6.3, Algorithm 1)."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.config.tasks.shrink import SelectHypothesis
from pipeline.models.complexity import complexity
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output, atomic, write_json
from pipeline.runtime.text import read_made

# What frame counts and pixels that do not divide evenly add to 1/γ, as a share of it. Over the chains of both published
# networks it is at most 0.2 %; R(2+1)D's first clip below its temporal stride costs 3.6 % more or above.
_ROUNDING = 0.02


@dataclass(frozen=True)
class Hypothesis:
    """What is known of one hypothesis.

    Args:
        operators: One letter, or several for several operators in one step.
        status: trained, infeasible (its axis cannot shrink further) or stopped (by successive halving).
        top1: Accuracy in per cent; None unless trained, as all below.
        top5: Likewise; it breaks ties.
        gflops: C(·) of Eq. 6.1, in 10⁹ multiply-adds.
        parameters: Number of trainable parameters.
        previous_gflops: C(·) of the network to which the operators were applied.
        reason: Why it is not trained.
    """

    operators: str
    status: str
    top1: float | None = None
    top5: float | None = None
    gflops: float | None = None
    parameters: int | None = None
    previous_gflops: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    """The winner, the equation that chose it, each hypothesis's score under it, and why, in words."""

    operators: str
    equation: str
    scores: dict[str, float | str | None]
    reason: str


def choose(
    base_top1: float, base_gflops: float, hypotheses: Sequence[Hypothesis], factors: Mapping[str, float]
) -> Choice:
    """The winner of an iteration.

    Eq. 6.3, the highest top-1, presupposes that all hypotheses cost about the same. Eq. 6.1, multiply-adds saved per
    top-1 lost, both against the base network, takes over where a temporal operator saves less than its factor, because
    a part of the network is down to one frame (Sec. 6.1.2), or where a step has several operators. Under Eq. 6.1
    hypotheses that lose nothing come first, by accuracy. Ties are broken by top-5, then by order.

    Args:
        base_top1: Acc(B) in per cent.
        base_gflops: C(B).
        hypotheses: In the order of Algorithm 1.
        factors: γ of the temporal operators, t and f.

    Raises:
        ActaError: an accuracy that is no number, an unknown status, or no hypothesis that was trained.
    """
    for hypothesis in hypotheses:
        if hypothesis.status not in ("trained", "infeasible", "stopped"):
            raise ActaError(f"hypothesis {hypothesis.operators!r} failed: its status is {hypothesis.status!r}")
        measured = (hypothesis.top1, hypothesis.top5, hypothesis.gflops, hypothesis.previous_gflops)
        if hypothesis.status == "trained" and any(value is None or not math.isfinite(value) for value in measured):
            raise ActaError(
                "hypothesis {!r} failed: it has top-1 {}, top-5 {}, {} GFLOPs, of {} before".format(
                    hypothesis.operators, *measured
                )
            )
    trained = [hypothesis for hypothesis in hypotheses if hypothesis.status == "trained"]
    if not trained:
        reasons = "; ".join(f"{hypothesis.operators}: {hypothesis.reason}" for hypothesis in hypotheses)
        raise ActaError(f"no operator can shrink this network further; choose fewer iterations. {reasons}")
    costly = [told for hypothesis in trained if (told := _costly(hypothesis, factors))]
    equation, why = "6.1", "a step has several operators"
    if costly:
        why = "; ".join(costly)
    elif all(len(hypothesis.operators) <= 1 for hypothesis in hypotheses):
        equation, why = "6.3", "all cost about the same"
    scores: dict[str, float | str | None] = dict.fromkeys(hypothesis.operators for hypothesis in hypotheses)
    ranks: dict[str, tuple[int, float]] = {}
    for hypothesis in trained:
        top1 = hypothesis.top1 or 0.0
        score: float | str = top1
        if equation == "6.1":
            lost, saved = base_top1 - top1, base_gflops - (hypothesis.gflops or 0.0)
            score = "loses nothing" if lost <= 0 else saved / lost
        scores[hypothesis.operators] = score
        ranks[hypothesis.operators] = (1, top1) if isinstance(score, str) else (0, score)
    winner = max(trained, key=lambda hypothesis: (*ranks[hypothesis.operators], hypothesis.top5 or 0.0))
    first = [hypothesis for hypothesis in trained if ranks[hypothesis.operators] == ranks[winner.operators]]
    best = scores[winner.operators]
    reason = f"Eq. {equation}, as {why}: {winner.operators} has "
    if equation == "6.3":
        reason += f"top-1 {winner.top1:.2f}"
    elif isinstance(best, str):
        reason += f"a top-1 of {winner.top1:.2f}, which loses nothing"
    else:
        reason += f"the score {best:.4g}"
    if len(first) > 1:
        equal = [hypothesis for hypothesis in first if hypothesis.top5 == winner.top5]
        reason += f", as have {_names([o for o in first if o is not winner])}; "
        reason += "its top-5 is higher" if len(equal) == 1 else "the top-5 too is the same, and it comes first"
    return Choice(winner.operators, equation, scores, reason)


def _costly(hypothesis: Hypothesis, factors: Mapping[str, float]) -> str:
    """How a temporal operator falls short of its factor; empty: it does not, or it is another operator."""
    factor = factors.get(hypothesis.operators)
    left = (hypothesis.gflops or 0.0) / (hypothesis.previous_gflops or math.inf)
    if factor is None or left * factor <= 1 + _ROUNDING:
        return ""
    return f"{hypothesis.operators} leaves {left:.2f} of the multiply-adds, more than 1/{factor:g}"


def _names(hypotheses: Sequence[Hypothesis]) -> str:
    *first, last = (hypothesis.operators for hypothesis in hypotheses)
    return f"{', '.join(first)} and {last}" if first else last


def select_hypothesis(
    base: Path, base_evaluation: Path, folders: Sequence[Path], output: Output, settings: SelectHypothesis
) -> None:
    """Choose among the hypotheses in ``folders`` and copy the winner to ``output``.

    The JSON next to it describes the network, and under ``selection`` says what was measured of every hypothesis and
    why the winner won.

    Args:
        base: Model file of the base network.
        base_evaluation: Its evaluation.
        folders: The folder of each hypothesis, with model, ``metrics.json`` and ``evaluation.json``.
        output: The model file to write.
        settings: The operators, in the order that breaks ties, and γ of the temporal ones.

    Raises:
        ActaError: a hypothesis that failed, or none that was trained.
    """
    from pipeline.models.classifier_file import read_description

    description = read_description(base)
    cost = complexity(description.architecture, description.view.test.crop)
    accuracy = read_made(base_evaluation)
    hypotheses = read_hypotheses(settings.operators, folders)
    choice = choose(accuracy["top1"], cost.gflops, hypotheses, {"t": settings.t, "f": settings.f})
    winner = folders[settings.operators.index(choice.operators)] / "model.safetensors"
    content = read_made(winner.with_suffix(".json"))
    content["selection"] = {
        **asdict(choice),
        "base": {"top1": accuracy["top1"], "top5": accuracy["top5"], **asdict(cost)},
        "hypotheses": [asdict(hypothesis) for hypothesis in hypotheses],
    }
    write_json(output.with_suffix(".json"), content)
    with atomic(output) as temporary:
        shutil.copyfile(winner, temporary)
    print(choice.reason)


def read_hypotheses(operators: Sequence[str], folders: Sequence[Path]) -> list[Hypothesis]:
    """What the folder of each hypothesis says of it.

    Raises:
        ActaError: a file is missing or damaged.
    """
    return [_read_hypothesis(*pair) for pair in zip(operators, folders, strict=True)]


def _read_hypothesis(operators: str, folder: Path) -> Hypothesis:
    metrics = read_made(folder / "metrics.json")
    if metrics.get("status") != "trained":
        return Hypothesis(operators, str(metrics.get("status")), reason=str(metrics.get("reason", "")))
    evaluation = read_made(folder / "evaluation.json")
    try:
        accuracies = {key: evaluation[key] for key in ("top1", "top5")}
        costs = {key: metrics[key] for key in ("gflops", "parameters", "previous_gflops")}
    except KeyError as error:
        raise ActaError(f"{folder}: {error} is missing in metrics.json or evaluation.json") from None
    return Hypothesis(operators, "trained", **accuracies, **costs)
