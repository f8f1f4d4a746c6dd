"""What the tables of Ch. 6 are made of, and the numbers that the thesis prints in them.

Cheap to import: the plan asks here which files a table needs. Kinetics-400 validation unless said otherwise; accuracies
in per cent, GFLOPs per view. Networks are numbered: 0 is the base network, n is PAS-n.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from pipeline.report.catalogue import one_of, values

R2PLUS1D, SLOWFAST = "r2plus1d_18", "slowfast_4x16_r50"
_Backbone = Annotated[str, one_of(R2PLUS1D, SLOWFAST)]
_Operator = Annotated[str, one_of("s", "t", "f", "c", "l")]
_Iteration = Annotated[int, Field(ge=0, le=5)]


class Published(NamedTuple):
    """A row of Table 6.3; None: not told."""

    what: str
    pretraining: str
    top1: float
    top5: float | None
    gflops: float
    views: int | None


# Figures 6.3 and 6.4: the operators in the order in which they were chosen.
CHAINS = values("table_6_1", dict[_Backbone, Annotated[str, Field(pattern="^[stfcl]{5}$")]], "chains")
# Table 6.1: (top-1, top-5, GFLOPs) by backbone and network.
REDUCED = values("table_6_1", dict[_Backbone, list[tuple[float, float, float]]], "networks")
# Table 6.2: (top-1, top-5) without PAS, by backbone; PAS-1 to PAS-5.
ALONE = values("table_6_2", dict[_Backbone, list[tuple[float, float]]])
# Table 6.3.
COMPARED = values("table_6_3", list[Published])
# Table 6.4: top-1 at iteration 3 by plan and operator.
ABLATION = values(
    "table_6_4", dict[Annotated[str, one_of("pas", "without_kd", "without_fine_tuning")], dict[_Operator, float]]
)
# Table 6.5: (GPU utilisation, GPU memory) in per cent of a V100 (32 GB), by backbone and network.
RESOURCES = values("table_6_5", dict[_Backbone, dict[_Iteration, tuple[float, float]]])
# Table 6.6: top-1 by dataset, backbone and network; None is a blank.
TRANSFER = values("table_6_6", dict[Annotated[str, one_of("ucf101", "hmdb51")], dict[_Backbone, list[float | None]]])
# Table 6.7: top-1 of operator l at iteration 1 by plan.
FEATURES = values("table_6_7", dict[Annotated[str, one_of("pas", "mse", "margin_relu")], float])
# Table 6.8: top-1 at iteration 1 by plan and operator.
MODES = values("table_6_8", dict[Annotated[str, one_of("pas", "teacher_eval")], dict[_Operator, float]])
# Table 6.9: top-1 on the first split of UCF101, without Kinetics-400, by iteration; operators, then without PAS.
SMALL = values("table_6_9", dict[_Iteration, dict[Annotated[str, one_of("s", "t", "f", "c", "l", "alone")], float]])
ITERATION_OF_ABLATION = 3
# Side studies of one iteration, which need no later one.
STUDIED = {"table_6_4": ITERATION_OF_ABLATION, "table_6_7": 1, "table_6_8": 1}
BEYOND = ("inherit", "halving", "pairs", "stored")


def measured_on_a_device(iterations: int) -> list[int]:
    """The networks of Table 6.5, and the last one."""
    return [number for number in range(iterations + 1) if number in (0, 1, 3, 5, iterations)]


def plans_of(name: str) -> tuple[str, ...]:
    """The plans whose hypotheses a table or figure shows; all show the winners of ``pas``."""
    studied: dict[str, Iterable[str]] = {
        "table_6_4": ABLATION,
        "table_6_7": FEATURES,
        "table_6_8": MODES,
        "shrink_beyond": BEYOND,
    }
    return tuple(dict.fromkeys(("pas", *studied.get(name, ()))))


def networks_of(
    name: str, recipes: Sequence[str], iterations: int, operators: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """The trained networks that a table or figure needs, as folders below ``shrink/``.

    Args:
        name: ``table_6_1`` … ``table_6_10``, ``shrink_figure``, ``shrink_costs`` or ``shrink_beyond``.
        recipes: The base networks.
        iterations: How many there are.
        operators: Of each plan its hypotheses.
    """
    every = range(1, iterations + 1)
    for recipe in recipes:
        match name:
            case "table_6_4":
                at = min(ITERATION_OF_ABLATION, iterations)
                for plan in ABLATION:
                    yield from (f"{recipe}/{plan}/iteration_{at}/{o}" for o in operators[plan] if o in "stf")
            case "table_6_7":
                yield from (f"{recipe}/{plan}/iteration_1/l" for plan in FEATURES)
            case "table_6_8":
                yield from (f"{recipe}/{plan}/iteration_1/{o}" for plan in MODES for o in operators[plan])
            case "shrink_beyond":
                for plan in ("pas", *BEYOND):
                    yield from (f"{recipe}/{plan}/iteration_{n}/{o}" for n in every for o in operators[plan])
            case "table_6_3" | "table_6_10":
                return  # of what was selected
            case _:
                yield from (f"{recipe}/pas/iteration_{n}/{o}" for n in every for o in operators["pas"])
                if name in ("table_6_2", "table_6_9", "shrink_figure"):
                    yield from (f"{recipe}/pas/iteration_{n}/alone" for n in every)
