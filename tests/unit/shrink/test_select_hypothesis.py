"""The selection on invented accuracies: both equations, ties, hypotheses that cannot be and those that failed."""

import json
import math
from dataclasses import replace

import pytest

from pipeline.config.tasks.shrink import HalveHypotheses
from pipeline.runtime.errors import ActaError
from pipeline.shrink.halve_hypotheses import halve_hypotheses
from pipeline.shrink.select_hypothesis import Hypothesis, choose, read_hypotheses

BASE = (70.0, 40.0)  # top-1 and GFLOPs of B


def one(operators, top1, top5=90.0, gflops=20.0, frames=16, stride=8):
    return Hypothesis(operators, "trained", top1, top5, gflops, 1000, frames, stride)


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
    assert choose(*BASE, [one("s", 60.0, gflops=1.0), one("t", 60.1, gflops=39.0)]).operators == "t"


def test_eq_6_1_takes_over_below_the_temporal_stride():
    """s: (40 - 10) / (70 - 60) = 3; t: (40 - 20) / (70 - 62) = 2.5: s wins though t is more accurate."""
    hypotheses = [one("s", 60.0, gflops=10.0), one("t", 62.0, gflops=20.0, frames=4)]
    choice = choose(*BASE, hypotheses)
    assert (choice.operators, choice.equation) == ("s", "6.1")
    assert choice.scores == {"s": 3.0, "t": 2.5}
    assert "t sees fewer frames than the temporal stride of 8" in choice.reason
    # With as many frames as the stride Eq. 6.3 still holds.
    assert choose(*BASE, [hypotheses[0], replace(hypotheses[1], frames=8)]).operators == "t"


def test_networks_without_temporal_stride_keep_eq_6_3():
    assert choose(*BASE, [one("s", 60.0, frames=1, stride=1), one("t", 61.0, frames=1, stride=1)]).equation == "6.3"


def test_eq_6_1_puts_first_what_loses_nothing_and_ranks_it_by_accuracy():
    hypotheses = [
        one("s", 69.9, gflops=1.0, frames=4),
        one("t", 70.0, gflops=39.0, frames=4),
        one("f", 71.0, gflops=39.5, frames=4),
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


TRAINED = {"status": "trained", "gflops": 1.0, "parameters": 2, "frames": 3, "temporal_stride": 8}


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
