"""What the tables and figures of Ch. 3 are made of, and the numbers that the thesis prints in them.

Light to import: the plan asks here which networks a table or figure needs. Frame-mAP at an overlap of 0.5, in per cent,
on AVA 2.1's validation split unless said otherwise; by features, then by network.
"""

from pipeline.errors import ActaError

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
# What a table's gains are over.
REFERENCES = {
    "table_3_2": BACKBONE,
    "table_3_3": BACKBONE,
    "table_3_4": BACKBONE,
    "table_3_5": LINEAR,
    "table_3_7": STAGE,
    "table_3_8": STAGE,
}

PRINTED: dict[str, dict[str, dict[str, float]]] = {
    "table_3_2": {
        I3D: {BACKBONE: 19.7, STAGE: 23.0},
        R101: {BACKBONE: 23.9, STAGE: 26.3},
        SLOWFAST: {BACKBONE: 28.2, STAGE: 29.8},
    },
    # AVA 2.2.
    "table_3_3": {
        SLOWFAST: {BACKBONE: 29.1, STAGE: 30.0},
        SLOWFAST_16X8: {BACKBONE: 29.4, STAGE: 30.3},
        AVERAGED: {STAGE: 31.8},
    },
    "table_3_6": {
        I3D: dict(zip(_GRID, (21.2, 21.7, 22.0, 21.7, 23.0, 22.8, 21.7, 22.7, 21.9), strict=True)),
        R101: dict(zip(_GRID, (26.2, 26.1, 26.3, 26.3, 26.1, 25.8, 26.3, 26.0, 25.6), strict=True)),
        SLOWFAST: dict(zip(_GRID, (29.7, 29.2, 29.6, 29.8, 29.3, 29.6, 29.6, 29.3, 29.5), strict=True)),
    },
    "table_3_7": {
        I3D: {"sto_1l": 20.2, "sto_2l": 20.4, "sto_stage": 20.5, STAGE: 23.0},
        R101: {"sto_1l": 24.7, "sto_2l": 25.0, "sto_stage": 25.5, STAGE: 26.3},
        SLOWFAST: {"sto_1l": 28.5, "sto_2l": 28.7, "sto_stage": 29.5, STAGE: 29.8},
    },
    "table_3_8": {
        I3D: {BACKBONE: 19.7, STAGE: 23.0} | dict(zip(_ABLATIONS, (21.5, 22.1, 22.1, 22.3, 21.6, 21.4), strict=True)),
        R101: {BACKBONE: 23.9, STAGE: 26.3} | dict(zip(_ABLATIONS, (25.8, 25.7, 26.1, 25.6, 25.6, 26.3), strict=True)),
        SLOWFAST: {BACKBONE: 28.2, STAGE: 29.8}
        | dict(zip(_ABLATIONS, (29.6, 29.4, 28.9, 29.8, 29.6, 29.5), strict=True)),
    },
}
# Table 3.3: STAGE on AVA 2.2's test split, trained on train and val. The text of the thesis does not show in which rows
# its first two numbers stand; they are taken for STAGE's.
TEST_SERVER = {SLOWFAST: 29.6, SLOWFAST_16X8: 29.9, AVERAGED: 31.6}
# Table 3.4, in the order of `GROUPS`.
BY_GROUP: dict[str, dict[str, tuple[float, float, float]]] = {
    I3D: {BACKBONE: (37.4, 20.4, 12.2), STAGE: (40.4, 23.5, 15.7)},
    R101: {BACKBONE: (41.4, 26.5, 15.5), STAGE: (43.4, 29.0, 18.1)},
    SLOWFAST: {BACKBONE: (48.3, 28.8, 19.8), STAGE: (50.3, 31.4, 20.8)},
}
# Table 3.5: (J-HMDB-21, mean of three splits; UCF101-24, first split); `published`: what the features' authors report.
PUBLISHED = "published"
BY_DATASET: dict[str, dict[str, tuple[float | None, float | None]]] = {
    ACTION_TUBES: {PUBLISHED: (27.0, None), LINEAR: (28.6, None), STAGE_ACTORS: (29.6, None)},
    AMTNET: {PUBLISHED: (45.0, None), LINEAR: (47.0, 67.7), STAGE_ACTORS: (48.1, 69.1)},
}
# Sec. 3.3.2: STAGE on annotated boxes.
ON_ANNOTATED = {SLOWFAST: 36.5}

# Table 3.2: the other systems.
COMPETITORS = {
    "AVA": 15.6,
    "ACRN": 17.4,
    "STEP": 18.6,
    "Better baseline": 21.9,
    "SMAD": 22.2,
    "RTPR": 22.3,
    "ACAM": 24.4,
    "VATX": 24.9,
    "SlowFast": 26.3,
    "LFB (R101-I3D-NL)": 26.8,
}
# Table 3.9: GPUs, clips per GPU, epochs, training time. Five numbers of clips stand beside the six others; SlowFast's
# is taken for the one that is left out.
TRAININGS: dict[str, tuple[str, str | None, str, str | None]] = {
    "ACRN": ("11", "1", "63", None),
    "Better baseline": ("11", "3", "78", None),
    "SMAD": ("8", "2", "11", None),
    "VATX": ("10", "3", "71", "~7 days"),
    "SlowFast": ("128", None, "68", None),
    "LFB": ("8x2", "2", "10x2", "~2x2 days"),
    "STAGE": ("1", "6", "20", "<1 day"),
}
# Table 3.10: (GFLOPs, 10⁶ parameters) of the backbone, and what STAGE adds for 4 actors and 25 objects.
COMPLEXITY: dict[str, dict[str, tuple[float, float]]] = {
    I3D: {BACKBONE: (108, 12), STAGE: (0.11, 6.4)},
    R101: {BACKBONE: (359, 54.3), STAGE: (0.24, 17)},
    SLOWFAST_16X8: {BACKBONE: (234, 59.9), STAGE: (0.26, 21.8)},
}
# Sec. 3.3.1: the greatest gains in average precision on I3D (Figure 3.4), in points.
GREATEST_GAINS = {"watch (e.g., TV)": 14.0, "listen to (a person)": 10.7, "play musical instrument": 10.7}

# Which data set the numbers are of, and the names under which a dataset of the configuration is it.
_AVA_2_1 = ("AVA 2.1", ("ava", "ava21", "avav21"))
_AVA_2_2 = ("AVA 2.2", ("ava", "ava22", "avav22"))
_SINGLE_LABEL = ("J-HMDB-21 and UCF101-24", ("jhmdb21", "jhmdb", "ucf10124", "ucf24"))


def networks_of(name: str) -> tuple[str, ...]:
    """The networks whose evaluations (of Table 3.9: whose trainings) a table or figure needs, as in ``networks/``.

    ``backbone`` is the features' own classifier. Features without one have none; Table 3.8 also shows evaluations of
    ``stage`` on annotated boxes, where there are any.

    Raises:
        ActaError: there is no such table or figure.
    """
    if name not in _NEEDED:
        raise ActaError(f"there is no table or figure {name!r}; there are {', '.join(_NEEDED)}")
    return _NEEDED[name]


def kind_of(like: str | None) -> str:
    """The thesis's features whose numbers stand beside a user's; ``""``: none's."""
    return SLOWFAST if like == "slowfast_nl_8x8" else like or ""


def other_data(name: str, dataset: str) -> str:
    """On what the thesis's numbers of a table are, if it is not this dataset; else ``""``."""
    other, names = {"table_3_3": _AVA_2_2, "table_3_5": _SINGLE_LABEL}.get(name, _AVA_2_1)
    return "" if dataset.replace("_", "") in names else f"data: {dataset}; thesis: {other}"
