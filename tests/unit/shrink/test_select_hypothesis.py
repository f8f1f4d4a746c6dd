"""The selection on invented accuracies: both equations, ties, hypotheses that cannot be and those that failed."""

import json
import math
from dataclasses import replace

import pytest

from pipeline.config.tasks.shrink import HalveHypotheses
from pipeline.models.architecture import BASES, OPERATORS, Architecture, parse_reductions
from pipeline.models.complexity import complexity
from pipeline.runtime.errors import ActaError
from pipeline.shrink.halve_hypotheses import halve_hypotheses
from pipeline.shrink.select_hypothesis import Hypothesis, read_hypotheses
from pipeline.shrink.select_hypothesis import choose as select

BASE = (70.0, 40.0)  # top-1 and GFLOPs of B
FACTORS = {"t": 2.0, "f": 2.0}


def choose(*base_and_hypotheses):
    return select(*base_and_hypotheses, FACTORS)


def one(operators, top1, top5=90.0, gflops=20.0, before=40.0):
    return Hypothesis(operators, "trained", top1, top5, gflops, 1000, before)


def infeasible(operators):
    return Hypothesis(operators, "infeasible", reason=f"operator {operators} leaves nothing")


def test_eq_6_3_takes_the_most_accurate():
    """Table 6.8: iteration 1 of R(2+1)D-18."""
    measured = {"s": 67.7, "t": 68.6, "f": 69.0, "c": 69.5, "l": 68.8}
    choice = choose(69.2, 40.8, [one(name, value) for name, value in measured.items()])
    assert (choice.operators, choice.equation) == ("c", "6.3")
    assert choice.scores == measured
    assert choice.reason == "Eq. 6.3, as all cost about the same: c has top-1 69.50"


def test_eq_6_3_does_not_look_at_the_cost():
    assert choose(*BASE, [one("s", 60.0, gflops=1.0), one("c", 60.1, gflops=39.0)]).operators == "c"


def test_eq_6_1_takes_over_where_fewer_frames_save_too_little():
    """s: (40 - 10) / (70 - 60) = 3; t: (40 - 24) / (70 - 62) = 2: s wins though t is more accurate."""
    hypotheses = [one("s", 60.0, gflops=10.0), one("t", 62.0, gflops=24.0)]
    choice = choose(*BASE, hypotheses)
    assert (choice.operators, choice.equation) == ("s", "6.1")
    assert choice.scores == {"s": 3.0, "t": 2.0}
    assert "as t leaves 0.60 of the multiply-adds, more than 1/2: s has the score 3" in choice.reason
    # Where half the frames cost half, Eq. 6.3 still holds; so it does for another factor.
    assert choose(*BASE, [hypotheses[0], replace(hypotheses[1], gflops=20.1)]).operators == "t"
    assert select(*BASE, hypotheses, {"t": 1.6, "f": 2}).operators == "t"


def equations(backbone, chain):
    """By which equation each iteration of a chain chooses, on full-scale networks that are all equally accurate."""
    size, before, found = BASES[backbone].size, Architecture(backbone, 400), []
    for operator in chain:
        hypotheses = []
        for letter in OPERATORS:
            try:
                after = before.reduced(parse_reductions(letter), size)
            except ActaError as error:
                hypotheses.append(Hypothesis(letter, "infeasible", reason=str(error)))
            else:
                costs = (complexity(network, size).gflops for network in (after, before))
                hypotheses.append(one(letter, 60.0, 90.0, *costs))
        found.append(choose(*BASE, hypotheses).equation)
        before = before.reduced(parse_reductions(operator), size)
    return found


@pytest.mark.parametrize(
    ("backbone", "chain", "expected"),
    [
        # The thesis's own chains (Figures 6.3 and 6.4): R(2+1)D has a total temporal stride of 8.
        ("r2plus1d_18", "cfttt", ["6.3", "6.3", "6.1", "6.1", "6.1"]),
        ("slowfast_4x16_r50", "csstf", ["6.3"] * 5),
        ("slowfast_4x16_r50", "cstsf", ["6.3"] * 5),
        # SlowFast off its chain: the Slow pathway has one frame left, and a third reduction costs 0.90.
        ("slowfast_4x16_r50", "tfc", ["6.3", "6.3", "6.1"]),
        ("slowfast_8x8_r50", "tffc", ["6.3", "6.3", "6.3", "6.1"]),
    ],
)
def test_the_measured_ratio_decides_on_published_networks(backbone, chain, expected):
    assert equations(backbone, chain) == expected


def test_a_third_temporal_reduction_of_slowfast_costs_nine_tenths():
    twice = Architecture("slowfast_4x16_r50", 400, reductions=parse_reductions("t,f"))
    thrice = twice.reduced(parse_reductions("t"), 256)
    hypothesis = one("t", 69.9, 90.0, complexity(thrice, 256).gflops, complexity(twice, 256).gflops)
    choice = choose(*BASE, [one("s", 69.0, gflops=5.0, before=9.0), hypothesis])
    assert "t leaves 0.90 of the multiply-adds, more than 1/2" in choice.reason


def test_eq_6_1_puts_first_what_loses_nothing_and_ranks_it_by_accuracy():
    hypotheses = [
        one("s", 69.9, gflops=1.0),
        one("t", 70.0, gflops=39.0),
        one("f", 71.0, gflops=39.5),
    ]
    choice = choose(*BASE, hypotheses)
    assert choice.operators == "f"
    assert choice.reason.endswith("f has a top-1 of 71.00, which loses nothing")
    assert choice.scores["t"] == choice.scores["f"] == "loses nothing"
    assert choice.scores["s"] == pytest.approx(390)


def test_several_operators_in_a_step_need_eq_6_1():
    choice = choose(*BASE, [one("tf", 60.0, gflops=10.0), one("sc", 61.0, gflops=10.0)])
    assert (choice.operators, choice.equation) == ("sc", "6.1")
    assert "a step has several operators" in choice.reason


def test_a_tie_is_broken_by_top_5():
    choice = choose(*BASE, [one("s", 60.0, 80.0), one("t", 60.0, 81.0), one("c", 60.0, 80.5)])
    assert choice.operators == "t"
    assert choice.reason.endswith("as have s and c; its top-5 is higher")


def test_a_full_tie_goes_to_the_first_of_the_order():
    """METHOD: at R(2+1)D's iteration 5, t and f both leave frame 0 and tie exactly."""
    choice = choose(*BASE, [one("s", 59.0), one("t", 60.0), one("f", 60.0)])
    assert choice.operators == "t"
    assert choice.reason.endswith("as have f; the top-5 too is the same, and it comes first")
    assert choose(*BASE, [one("s", 59.0), one("f", 60.0), one("t", 60.0)]).operators == "f"


def test_an_infeasible_hypothesis_is_passed_over():
    choice = choose(*BASE, [one("s", 50.0), infeasible("t"), infeasible("f")])
    assert choice.operators == "s"
    assert choice.scores == {"s": 50.0, "t": None, "f": None}


def test_nothing_left_to_shrink_is_an_error():
    with pytest.raises(ActaError, match="no operator can shrink this network further; choose fewer iterations"):
        choose(*BASE, [infeasible("s"), infeasible("t")])


@pytest.mark.parametrize(
    ("failed", "message"),
    [
        (Hypothesis("t", "None"), "hypothesis 't' failed: its status is 'None'"),
        (one("t", math.nan), "hypothesis 't' failed: it has top-1 nan"),
        (Hypothesis("t", "trained"), "hypothesis 't' failed: it has top-1 None"),
    ],
)
def test_a_failed_hypothesis_is_an_error(failed, message):
    with pytest.raises(ActaError, match=message):
        choose(*BASE, [one("s", 60.0), failed])


def test_stopped_hypotheses_do_not_win():
    assert choose(*BASE, [one("s", 10.0), Hypothesis("t", "stopped", reason="was bad")]).operators == "s"


def write(folder, metrics, evaluation=None):
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(metrics))
    if evaluation is not None:
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


TRAINED = {"status": "trained", "gflops": 1.0, "parameters": 2, "previous_gflops": 2.0}


def test_a_hypothesis_without_evaluation_is_an_error(tmp_path):
    folder = write(tmp_path / "s", TRAINED)
    with pytest.raises(ActaError, match=r"cannot read the result .*/s/evaluation.json"):
        read_hypotheses(["s"], [folder])
    (folder / "evaluation.json").write_text("{}")
    with pytest.raises(ActaError, match=r"/s: 'top1' is missing"):
        read_hypotheses(["s"], [folder])
    (folder / "metrics.json").write_text("{")
    with pytest.raises(ActaError, match=r"/s/metrics.json, line 1: .* it is no JSON; make it again"):
        read_hypotheses(["s"], [folder])


def test_halving_keeps_the_best_and_what_is_infeasible(tmp_path):
    folders = [
        write(tmp_path / "s", TRAINED, {"top1": 20.0, "top5": 60.0}),
        write(tmp_path / "t", TRAINED, {"top1": 30.0, "top5": 50.0}),
        write(tmp_path / "f", {"status": "infeasible", "reason": "one frame"}),
        write(tmp_path / "c", TRAINED, {"top1": 20.0, "top5": 70.0}),
        write(tmp_path / "l", TRAINED, {"top1": 20.0, "top5": 70.0}),
    ]
    halve_hypotheses(folders, tmp_path / "survivors.json", HalveHypotheses(operators=("s", "t", "f", "c", "l"), keep=2))
    assert json.loads((tmp_path / "survivors.json").read_text())["survivors"] == ["t", "f", "c"]
