"""What the tables and figures of Ch. 4 are made of, and the numbers that the thesis prints in them.

Light to import: the plan asks here which networks a table or figure needs. Average-mAP in per cent on SoccerNet (of
the challenge: SoccerNet-v2).
"""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.errors import ActaError

RMS_NET, NO_REGRESSION, CHALLENGE = "rms_net", "no_regression", "challenge"
RATE = 2.0  # frames per second
GAMES = 100  # of the validation split, and of the test split (Sec. 4.2.1)


class Printed(NamedTuple):
    """A network of the thesis: what it prints, and the settings in which its networks differ.

    Args:
        what: Its row's name.
        validation, test: Average-mAP; None where the thesis prints none.
        clip: T, in frames.
        probability, latest: p and q of the masking; p None: not masked.
        regression_weight: λ; None: there is none, or it is not told.
        backbone: What is trained with it; None: it works on features.
    """

    what: str
    validation: float | None = None
    test: float | None = None
    clip: int = 41
    probability: float | None = 1 / 3
    latest: float = 0.5
    regression_weight: float | None = 10.0
    backbone: str | None = None


_WEIGHTS = (0.0, 1.0, 5.0, 20.0, 50.0, 100.0)
NETWORKS = {
    # Table 4.2: "a grid search to find the optimal clip duration"; the thesis prints no numbers of it.
    "clip_11": Printed("Ours", clip=11),
    RMS_NET: Printed("Ours", 67.8, 65.5),
    "clip_121": Printed("Ours", clip=121),
    # Table 4.3.
    "centred": Printed("Ours w/o uniformly distributed offsets", 48.7, 46.2, probability=None, regression_weight=None),
    NO_REGRESSION: Printed("Ours w/o offset regression branch", 58.5, 55.7, regression_weight=None),
    "no_masking": Printed("Ours w/o masking", 66.5, 64.0, probability=None),
    # Table 4.4.
    "p_1_5": Printed("Ours", 66.8, 64.6, probability=1 / 5),
    "p_1_4": Printed("Ours", 67.0, 64.4, probability=1 / 4),
    "p_1_2": Printed("Ours", 67.1, 64.4, probability=1 / 2),
    "p_1": Printed("Ours", 64.7, 60.7, probability=1.0),
    "q_10": Printed("Ours", 65.5, 63.4, latest=0.1),
    "q_25": Printed("Ours", 67.4, 64.7, latest=0.25),
    "q_75": Printed("Ours", 66.5, 64.0, latest=0.75),
    "q_100": Printed("Ours", 64.7, 62.6, latest=1.0),
    # Table 4.5.
    "after_1_5": Printed("Ours, masked after the event", 65.2, 62.5, probability=1 / 5),
    "after_1_4": Printed("Ours, masked after the event", 64.6, 62.9, probability=1 / 4),
    "after_1_3": Printed("Ours, masked after the event", 63.8, 61.8),
    "after_1_2": Printed("Ours, masked after the event", 61.4, 60.7, probability=1 / 2),
    "after_1": Printed("Ours, masked after the event", 54.1, 54.1, probability=1.0),
    # Figure 4.6; of its numbers the text has that of λ = 10 only, which is `RMS_NET`'s.
    **{f"lambda_{weight:g}": Printed(f"Ours, λ = {weight:g}", regression_weight=weight) for weight in _WEIGHTS},
    # Table 4.6.
    "finetuned_resnet18": Printed("ResNet-18 + Our", 73.8, 70.9, backbone="resnet18"),
    "finetuned_resnet50": Printed("ResNet-50 + Our", 76.6, 74.9, backbone="resnet50"),
    "finetuned_resnet152": Printed("ResNet-152 + Our", 77.5, 75.1, backbone="resnet152"),
    # Sec. 4.3: trained on the training and validation splits; λ is not told.
    CHALLENGE: Printed(
        "challenge recipe (Sec. 4.3), SoccerNet-v2",
        test=63.49,
        probability=None,
        regression_weight=None,
        backbone="resnet152",
    ),
}
# Sec. 4.3: the same recipe trained on all annotated splits, on the undisclosed challenge set.
ON_CHALLENGE_SET = 60.92

# Table 4.2: the other systems, their clips in seconds, their features and their Average-mAP on the test split.
COMPETITORS = (
    ("SoccerNet baseline", 5, "ResNet-152 (PCA)", 34.5),
    ("SoccerNet baseline", 60, "ResNet-152 (PCA)", 40.6),
    ("SoccerNet baseline", 20, "ResNet-152 (PCA)", 49.7),
    ("Vanderplaetse et al.", 20, "ResNet-152 (PCA) + Audio", 56.0),
    ("Vats et al.", 15, "ResNet-152 (PCA)", 60.1),
    ("Cioppa et al.", 120, "ResNet-152 (PCA)", 62.5),
)

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
    """The networks whose evaluations a table or figure needs, each once; Figure 4.7 is drawn of votes.

    A configuration need not have them all. Tables have differences to ``rms_net``, so they need it as well.

    Args:
        name: One of `TABLES` and `FIGURES`.
        backbones: The configuration's networks with the backbone of each, or None: Table 4.6 also shows those with one
            that the thesis does not have.

    Raises:
        ActaError: there is no such table or figure.
    """
    if name not in ROWS:
        raise ActaError(f"there is no table or figure {name!r}; there are {', '.join(ROWS)}")
    needed = list(ROWS[name])
    if name == "table_4_6":
        needed += [each for each, backbone in (backbones or {}).items() if backbone and each not in NETWORKS]
    if name in TABLES:
        needed.append(RMS_NET)
    return tuple(dict.fromkeys(needed))


def other_data(network: str, dataset: str, version: int) -> str:
    """On what the thesis's numbers of a network are, if it is not this dataset; else ``""``."""
    theirs = 2 if network == CHALLENGE else 1
    if not dataset.startswith("soccernet"):
        return f"data: {dataset}; thesis: SoccerNet{'-v2' if theirs == 2 else ''}"
    return "" if version == theirs else f"labels of SoccerNet version {version}; thesis: version {theirs}"
