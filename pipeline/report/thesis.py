"""What the thesis's tables and figures of Ch. 5 are made of, and the numbers that it prints in them.

Cheap to import: the plan asks here which evaluations a table needs.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pipeline.report.catalogue import one_of, values


class Evaluation(NamedTuple):
    """A network and the frames that it is tested on."""

    recipe: str
    variant: str
    strategy: str
    tested: str


_Variant = Annotated[str, one_of("none", "faces", "bodies")]
_Strategy = Annotated[str, one_of("cross_entropy", "kd", "kd_rkd")]
_Recipe = Annotated[str, one_of("r2plus1d", "r3d", "slowfast")]

TABLES = ("table_5_1", "table_5_2", "table_5_3")
# Kinetics-400 validation, per cent: (top-1, top-5).
THESIS = {
    Evaluation(recipe, variant, strategy, tested): (top1, top5)
    for name in TABLES
    for recipe, variant, strategy, tested, top1, top5 in values(
        name, list[tuple[_Recipe, _Variant, _Strategy, _Variant, float, float]]
    )
}
FIGURES = ("figure_5_6", "figure_5_7")


def rows(name: str, recipe: str, compare: Sequence[str], hidden: Sequence[str]) -> list[Evaluation]:
    """The evaluations of a table, row by row, or of a figure: the reference, then what is compared with it.

    Args:
        name: One of `TABLES` and `FIGURES`.
        recipe: The recipe of Tables 5.1 and 5.2 and of the figures.
        compare: The recipes of Table 5.3.
        hidden: The anonymised variants that there are.
    """
    variants = ["none", *(what for what in ("faces", "bodies") if what in hidden)]
    match name:
        case "table_5_1" | "figure_5_6":
            return [Evaluation(recipe, "none", "cross_entropy", tested) for tested in variants]
        case "table_5_2":
            strategies = ("cross_entropy", "kd", "kd_rkd")
            return [Evaluation(recipe, seen, strategy, seen) for seen in variants for strategy in strategies]
        case "table_5_3":
            best = {seen: "cross_entropy" if seen == "none" else "kd_rkd" for seen in variants}
            return [Evaluation(other, seen, best[seen], seen) for other in compare for seen in variants]
        case _:  # figure_5_7
            return [Evaluation(recipe, seen, "kd_rkd", seen) for seen in variants]


def evaluation_path(split: str, row: Evaluation) -> str:
    """Where an evaluation lies, relative to the folder of all evaluations."""
    return f"{split}/{row.recipe}/{row.variant}/{row.strategy}/on_{row.tested}/evaluation.json"
