"""The thesis's numbers of Ch. 3, and which networks a table needs."""

import pytest

from pipeline.report.catalogue import other_data
from pipeline.report.detection import TABLES as WRITTEN
from pipeline.report.thesis_detection import (
    NETWORKS,
    PRINTED,
    TABLES,
    kind_of,
    networks_of,
)
from pipeline.runtime.errors import ActaError


def test_networks() -> None:
    assert networks_of("table_3_8")[:2] == ("backbone", "stage")
    assert set(networks_of("table_3_7")) == {"sto_1l", "sto_2l", "sto_stage", "stage"}
    assert len(networks_of("table_3_6")) == 9
    assert networks_of("table_3_10") == ()
    assert tuple(WRITTEN) == TABLES
    for name, by_features in PRINTED.items():
        assert all(set(printed) <= set(networks_of(name)) for printed in by_features.values())
    named = {network for name in TABLES if name != "table_3_6" for network in networks_of(name)}
    assert named == set(NETWORKS)
    with pytest.raises(ActaError, match="no table or figure 'table_4_1'"):
        networks_of("table_4_1")


def test_the_thesis_agrees_with_itself() -> None:
    """STAGE's numbers stand in Tables 3.2, 3.6, 3.7 and 3.8; the text speaks of gains of 16, 10 and 6 %."""
    heads = {"i3d": 4, "r101_i3d_nl": 2, "slowfast_nl": 2}
    for features, relative in zip(heads, (16, 10, 6), strict=True):
        values = {PRINTED[name][features]["stage"] for name in ("table_3_2", "table_3_7", "table_3_8")}
        assert values == {PRINTED["table_3_6"][features][f"layers2_heads{heads[features]}"]}
        backbone = PRINTED["table_3_2"][features]["backbone"]
        assert round(100 * (values.pop() / backbone - 1)) in (relative, relative + 1)
        assert backbone == PRINTED["table_3_8"][features]["backbone"]


def test_whose_numbers_stand_next_to_measured_ones() -> None:
    assert [kind_of(like) for like in ("slowfast_nl_8x8", "slowfast_nl_16x8", "i3d", None)] == [
        "slowfast_nl", "slowfast_nl_16x8", "i3d", "",
    ]  # fmt: skip
    assert other_data("table_3_3", "ava_2_1") == "not comparable: data ava_2_1, thesis AVA 2.2"
    assert other_data("table_3_3", "ava_2_2") == other_data("table_3_2", "ava") == ""
    assert other_data("table_3_5", "ucf101_24") == ""
