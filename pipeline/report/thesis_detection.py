"""What the tables and figures of Ch. 3 are made of, and the numbers that the thesis prints in them.

Cheap to import: the plan asks here which networks a table or figure needs. Frame-mAP at an overlap of 0.5, in per cent,
on AVA 2.1's validation split unless said otherwise; by features, then by network.
"""

from typing import Annotated

from pipeline.report.catalogue import check_name, one_of, values

BACKBONE, STAGE, LINEAR, STAGE_ACTORS = "backbone", "stage", "linear", "stage_actors"
# Features; in all tables but 3.3 and 3.10 the thesis's SlowFast-NL is the 8×8 one.
I3D, R101, SLOWFAST, SLOWFAST_16X8 = "i3d", "r101_i3d_nl", "slowfast_nl", "slowfast_nl_16x8"
AVERAGED, ACTION_TUBES, AMTNET = "averaged", "action_tubes", "amtnet"
KINDS = {I3D: "I3D", R101: "R101-I3D-NL", SLOWFAST: "SlowFast-NL", SLOWFAST_16X8: "SlowFast-NL, 16×8"}
LAYERS, HEADS = (1, 2, 3), (2, 4, 8)
GROUPS = ("pose", "person-person", "person-object")

NETWORKS = {
    BACKBONE: "Original backbone",
    STAGE: "STAGE",
    LINEAR: "Linear classifier",
    STAGE_ACTORS: "STAGE (actors only)",
    "sto_1l": "1L STO",
    "sto_2l": "2L STO",
    "sto_stage": "STO (STAGE)",
    "no_proximity": "STAGE w/o boxes proximity",
    "no_temporal": "STAGE w/o temporal connections",
    "no_actor_actor": "STAGE w/o actor-actor interactions",
    "no_object_object": "STAGE w/o object-object interactions",
    "transformer": "STAGE w/ Transformer attention",
    "feature_distance": "STAGE w/ nodes' Euclidean distance",
}
_GRID = tuple(f"layers{layers}_heads{heads}" for layers in LAYERS for heads in HEADS)
_ABLATIONS = tuple(NETWORKS)[7:]

_NEEDED: dict[str, tuple[str, ...]] = {
    "table_3_2": (BACKBONE, STAGE),
    "table_3_3": (BACKBONE, STAGE),
    "table_3_4": (BACKBONE, STAGE),
    "table_3_5": (LINEAR, STAGE_ACTORS),
    "table_3_6": _GRID,
    "table_3_7": ("sto_1l", "sto_2l", "sto_stage", STAGE),
    "table_3_8": (BACKBONE, STAGE, *_ABLATIONS),
    "table_3_9": (STAGE,),
    "table_3_10": (),
    "figure_3_4": (BACKBONE, STAGE),
    "figure_3_5": (STAGE,),
    "figure_3_6": (STAGE,),
}
TABLES = tuple(name for name in _NEEDED if name.startswith("table"))
FIGURES = tuple(name for name in _NEEDED if name.startswith("figure"))
# The network over which a table's gains are measured.
REFERENCES = {
    "table_3_2": BACKBONE,
    "table_3_3": BACKBONE,
    "table_3_4": BACKBONE,
    "table_3_5": LINEAR,
    "table_3_7": STAGE,
    "table_3_8": STAGE,
}

PUBLISHED = "published"
_Kind = Annotated[str, one_of(*KINDS, AVERAGED, ACTION_TUBES, AMTNET)]
_Network = Annotated[str, one_of(*NETWORKS, *_GRID)]
_ByNetwork = dict[_Kind, dict[_Network, float]]

PRINTED: dict[str, dict[str, dict[str, float]]] = {
    "table_3_2": values("table_3_2", _ByNetwork, "networks"),
    "table_3_3": values("table_3_3", _ByNetwork, "networks"),
    "table_3_6": values("table_3_6", _ByNetwork),
    "table_3_7": values("table_3_7", _ByNetwork),
    "table_3_8": values("table_3_8", _ByNetwork, "networks"),
}
# Table 3.3: STAGE on AVA 2.2's test split, trained on train and val.
TEST_SERVER = values("table_3_3", dict[_Kind, float], "test")
# Table 3.4, in the order of `GROUPS`.
BY_GROUP = values("table_3_4", dict[_Kind, dict[_Network, tuple[float, float, float]]])
# Table 3.5: (J-HMDB-21, mean of three splits; UCF101-24, first split); `published`: what the features' authors report.
BY_DATASET = values(
    "table_3_5",
    dict[_Kind, dict[Annotated[str, one_of(PUBLISHED, LINEAR, STAGE_ACTORS)], tuple[float | None, float | None]]],
)
# Sec. 3.3.2: STAGE on annotated boxes.
ON_ANNOTATED = values("table_3_8", dict[_Kind, float], "on_annotated")
# Table 3.2: the other systems.
COMPETITORS = values("table_3_2", dict[str, float], "competitors")
# Table 3.9: GPUs, clips per GPU, epochs, training time.
TRAININGS = values("table_3_9", dict[str, tuple[str, str | None, str, str | None]])
# Table 3.10: (GFLOPs, 10⁶ parameters) of the backbone, and what STAGE adds for 4 actors and 25 objects.
COMPLEXITY = values("table_3_10", dict[_Kind, dict[_Network, tuple[float, float]]])
# Sec. 3.3.1: the greatest gains in average precision on I3D, in points.
GREATEST_GAINS = values("figure_3_4", dict[str, float])


def networks_of(name: str) -> tuple[str, ...]:
    """The networks whose evaluations (of Table 3.9: whose trainings) a table or figure needs, as in ``networks/``.

    ``backbone`` is the features' own classifier. Features without one have none; Table 3.8 also shows evaluations of
    ``stage`` on annotated boxes, where there are any.

    Raises:
        ActaError: there is no such table or figure.
    """
    check_name(name, tuple(_NEEDED))
    return _NEEDED[name]


def kind_of(like: str | None) -> str:
    """The thesis's features with which a user's are compared; ``""``: with none."""
    return SLOWFAST if like == "slowfast_nl_8x8" else like or ""
