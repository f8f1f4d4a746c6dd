"""What the tables and figures of Ch. 4 are made of, and the numbers that the thesis prints in them.

Cheap to import: the plan asks here which networks a table or figure needs. Average-mAP in per cent on SoccerNet (of
the challenge: SoccerNet-v2).
"""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from pipeline.report.catalogue import check_name, one_of, settings, values

RMS_NET, NO_REGRESSION, CHALLENGE = "rms_net", "no_regression", "challenge"
_OWN = settings().spotting
RATE, GAMES = _OWN.rate, _OWN.games  # games of the validation split, and of the test split (Sec. 4.2.1)


class Printed(NamedTuple):
    """A network of the thesis: what it prints, and the settings in which its networks differ.

    Args:
        what: Its row's name.
        validation, test: Average-mAP; None where the thesis prints none.
        clip: T, in frames.
        probability, max_offset: p and q of the masking; p None: not masked.
        regression_weight: λ; None: there is none, or the thesis does not say.
        backbone: The backbone that is trained with it; None: it works on features.
    """

    what: str
    validation: float | None = None
    test: float | None = None
    clip: int = _OWN.clip
    probability: float | None = _OWN.probability
    max_offset: float = _OWN.latest
    regression_weight: float | None = _OWN.regression_weight
    backbone: str | None = None


_WEIGHTS = (0.0, 1.0, 5.0, 20.0, 50.0, 100.0)
# The settings in which they differ; their numbers come below.
_SETTINGS = {
    # Table 4.2: "a grid search to find the optimal clip duration"; the thesis prints no numbers of it.
    "clip_11": Printed("Ours", clip=11),
    RMS_NET: Printed("Ours"),
    "clip_121": Printed("Ours", clip=121),
    # Table 4.3.
    "centred": Printed("Ours w/o uniformly distributed offsets", regression_weight=None),
    NO_REGRESSION: Printed("Ours w/o offset regression branch", regression_weight=None),
    "no_masking": Printed("Ours w/o masking", probability=None),
    # Table 4.4.
    "p_1_5": Printed("Ours", probability=1 / 5),
    "p_1_4": Printed("Ours", probability=1 / 4),
    "p_1_2": Printed("Ours", probability=1 / 2),
    "p_1": Printed("Ours", probability=1.0),
    "q_10": Printed("Ours", max_offset=0.1),
    "q_25": Printed("Ours", max_offset=0.25),
    "q_75": Printed("Ours", max_offset=0.75),
    "q_100": Printed("Ours", max_offset=1.0),
    # Table 4.5.
    "after_1_5": Printed("Ours, masked after the event", probability=1 / 5),
    "after_1_4": Printed("Ours, masked after the event", probability=1 / 4),
    "after_1_3": Printed("Ours, masked after the event"),
    "after_1_2": Printed("Ours, masked after the event", probability=1 / 2),
    "after_1": Printed("Ours, masked after the event", probability=1.0),
    # Figure 4.6; of its numbers the text has that of λ = 10 only, which is `RMS_NET`'s.
    **{f"lambda_{weight:g}": Printed(f"Ours, λ = {weight:g}", regression_weight=weight) for weight in _WEIGHTS},
    # Table 4.6.
    "finetuned_resnet18": Printed("ResNet-18 + Our", backbone="resnet18"),
    "finetuned_resnet50": Printed("ResNet-50 + Our", backbone="resnet50"),
    "finetuned_resnet152": Printed("ResNet-152 + Our", backbone="resnet152"),
    # Sec. 4.3: trained on the training and validation splits; λ is not told.
    CHALLENGE: Printed(
        "challenge recipe (Sec. 4.3), SoccerNet-v2", probability=None, regression_weight=None, backbone="resnet152"
    ),
}
_Pairs = dict[Annotated[str, one_of(*_SETTINGS)], tuple[float, float]]
# Validation and test split; several tables have `RMS_NET`.
_PAIRS = values("table_4_2", _Pairs, "networks") | {
    network: pair
    for name in ("table_4_3", "table_4_4", "table_4_5", "table_4_6")
    for network, pair in values(name, _Pairs).items()
}
_ON_V2 = values("table_4_2", dict[Annotated[str, one_of("test", "challenge_set")], float], "challenge")
NETWORKS = _SETTINGS | {
    name: _SETTINGS[name]._replace(validation=validation, test=test) for name, (validation, test) in _PAIRS.items()
}
NETWORKS[CHALLENGE] = NETWORKS[CHALLENGE]._replace(test=_ON_V2["test"])
# Sec. 4.3: the same recipe trained on all annotated splits, on the undisclosed challenge set.
ON_CHALLENGE_SET = _ON_V2["challenge_set"]

# Table 4.2: the other systems, their clips in seconds, their features and their Average-mAP on the test split.
COMPETITORS = values("table_4_2", list[tuple[str, int, str, float]], "competitors")

# The networks of each row or curve, in the thesis's order; Table 4.4 has the best one twice.
ROWS: dict[str, tuple[str, ...]] = {
    "table_4_2": ("clip_11", RMS_NET, "clip_121", CHALLENGE),
    "table_4_3": (RMS_NET, "centred", NO_REGRESSION, "no_masking"),
    "table_4_4": (
        *("p_1_5", "p_1_4", RMS_NET, "p_1_2", "p_1"),
        *("q_10", "q_25", RMS_NET, "q_75", "q_100"),
    ),
    "table_4_5": ("after_1_5", "after_1_4", "after_1_3", "after_1_2", "after_1"),
    "table_4_6": ("finetuned_resnet18", "finetuned_resnet50", "finetuned_resnet152"),
    "figure_4_4": (RMS_NET,),
    "figure_4_5": (RMS_NET, NO_REGRESSION),
    "figure_4_6": ("lambda_0", "lambda_1", "lambda_5", RMS_NET, "lambda_20", "lambda_50", "lambda_100"),
    "figure_4_7": (),
}
TABLES = tuple(name for name in ROWS if name.startswith("table"))
FIGURES = tuple(name for name in ROWS if name.startswith("figure"))


def networks_of(name: str, backbones: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """The networks whose evaluations a table or figure needs, each once; Figure 4.7 is drawn from votes.

    A configuration need not have them all. Tables show differences from ``rms_net``, so they need it as well.
    ``backbones``: the backbone, if any, of each network of the configuration; Table 4.6 also shows those networks with
    a backbone that the thesis does not have.

    Raises:
        ActaError: there is no such table or figure.
    """
    check_name(name, tuple(ROWS))
    needed = list(ROWS[name])
    if name == "table_4_6":
        needed += [network for network, backbone in (backbones or {}).items() if backbone and network not in NETWORKS]
    if name in TABLES:
        needed.append(RMS_NET)
    return tuple(dict.fromkeys(needed))


def other_data(network: str, dataset: str, version: int) -> str:
    """Why the thesis's numbers of a network cannot be compared with this dataset's; else ``""``."""
    theirs = 2 if network == CHALLENGE else 1
    if not dataset.startswith("soccernet"):
        return f"not comparable: data {dataset}, thesis SoccerNet{'-v2' if theirs == 2 else ''}"
    return "" if version == theirs else f"not comparable: labels of SoccerNet version {version}, thesis {theirs}"
