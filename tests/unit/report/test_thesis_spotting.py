"""The thesis's numbers of Ch. 4, and which networks a table needs."""

import pytest

from pipeline.report.spotting_figures import FIGURES as DRAWN
from pipeline.report.thesis_spotting import (
    COMPETITORS,
    FIGURES,
    NETWORKS,
    ON_CHALLENGE_SET,
    RMS_NET,
    ROWS,
    TABLES,
    networks_of,
    other_data,
)
from pipeline.runtime.errors import ActaError


def test_networks() -> None:
    assert networks_of("table_4_2") == ("clip_11", "rms_net", "clip_121", "challenge")
    assert networks_of("table_4_4").count(RMS_NET) == 1
    assert networks_of("table_4_5")[-1] == RMS_NET  # the gains are over it
    assert networks_of("table_4_6", {"challenge": "a", "mine": "b", "other": None})[3:] == ("mine", RMS_NET)
    assert networks_of("table_4_3", {"mine": "b"}) == networks_of("table_4_3")
    assert networks_of("figure_4_5") == ("rms_net", "no_regression")
    assert networks_of("figure_4_7") == ()
    assert {network for name in ROWS for network in ROWS[name]} == set(NETWORKS)
    assert tuple(DRAWN) == FIGURES
    assert (*TABLES, *FIGURES) == tuple(ROWS)
    with pytest.raises(ActaError, match="no table or figure 'table_4_1'"):
        networks_of("table_4_1")


def test_the_thesis_agrees_with_itself() -> None:
    """What the text says of the tables (Secs. 4.2.3 to 4.2.5)."""
    test = {name: printed.test for name, printed in NETWORKS.items() if printed.test is not None}
    ours = test[RMS_NET]
    baselines = [value for name, _, _, value in COMPETITORS if name == "SoccerNet baseline"]
    assert round(ours - max(baselines), 1) == 15.8
    assert round(ours - max(value for *_, value in COMPETITORS)) == 3
    assert round(ours - test["no_masking"], 1) == 1.5
    assert 9 < ours - test["no_regression"] < 10  # "almost 10"
    assert round(test["finetuned_resnet152"] - ours, 1) == 9.6
    masked = {name: value for name, value in test.items() if name.startswith(("p_", "q_"))}
    assert max(masked.values()) < ours
    assert [name for name in masked if name.startswith("p_") and masked[name] <= test["no_masking"]] == ["p_1"]
    assert all(value < test["no_masking"] for name, value in test.items() if name.startswith("after"))
    assert test["challenge"] > ON_CHALLENGE_SET


def test_whose_data() -> None:
    assert other_data(RMS_NET, "soccernet", 1) == other_data("challenge", "soccernet_v2", 2) == ""
    assert other_data(RMS_NET, "soccernet_v2", 2) == "not comparable: labels of SoccerNet version 2, thesis 1"
    assert other_data("challenge", "demo", 2) == "not comparable: data demo, thesis SoccerNet-v2"
