"""What the thesis's tables and figures of Ch. 5 are made of, and the numbers that it prints in them.

Light to import: the plan asks here which evaluations a table needs.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Evaluation(NamedTuple):
    """A network and the frames that it is tested on."""

    recipe: str
    variant: str
    strategy: str
    tested: str


# Kinetics-400 validation, per cent: (top-1, top-5).
THESIS = {
    # Table 5.1: the baseline on anonymised videos.
    Evaluation("r2plus1d", "none", "cross_entropy", "none"): (69.2, 88.1),
    Evaluation("r2plus1d", "none", "cross_entropy", "faces"): (67.2, 86.3),
    Evaluation("r2plus1d", "none", "cross_entropy", "bodies"): (56.5, 77.6),
    # Table 5.2; it has no row for bodies with KD alone.
    Evaluation("r2plus1d", "none", "kd", "none"): (70.6, 89.1),
    Evaluation("r2plus1d", "none", "kd_rkd", "none"): (70.4, 88.8),
    Evaluation("r2plus1d", "faces", "cross_entropy", "faces"): (68.6, 87.7),
    Evaluation("r2plus1d", "faces", "kd", "faces"): (70.3, 88.8),
    Evaluation("r2plus1d", "faces", "kd_rkd", "faces"): (70.4, 88.7),
    Evaluation("r2plus1d", "bodies", "cross_entropy", "bodies"): (65.7, 85.5),
    Evaluation("r2plus1d", "bodies", "kd_rkd", "bodies"): (68.5, 87.9),
    # Table 5.3.
    Evaluation("r3d", "none", "cross_entropy", "none"): (65.3, 85.5),
    Evaluation("r3d", "faces", "kd_rkd", "faces"): (66.4, 86.4),
    Evaluation("r3d", "bodies", "kd_rkd", "bodies"): (64.9, 85.3),
    Evaluation("slowfast", "none", "cross_entropy", "none"): (73.5, 91.3),
    Evaluation("slowfast", "faces", "kd_rkd", "faces"): (73.9, 91.3),
    Evaluation("slowfast", "bodies", "kd_rkd", "bodies"): (72.1, 90.3),
}
TABLES = ("table_5_1", "table_5_2", "table_5_3")
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
    return list(_rows(name, recipe, compare, variants))


def _rows(name: str, recipe: str, compare: Sequence[str], variants: Sequence[str]) -> Iterator[Evaluation]:
    match name:
        case "table_5_1" | "figure_5_6":
            for tested in variants:
                yield Evaluation(recipe, "none", "cross_entropy", tested)
        case "table_5_2":
            for variant in variants:
                for strategy in ("cross_entropy", "kd", "kd_rkd"):
                    yield Evaluation(recipe, variant, strategy, variant)
        case "table_5_3":
            for other in compare:
                for variant in variants:
                    yield Evaluation(other, variant, "cross_entropy" if variant == "none" else "kd_rkd", variant)
        case _:  # figure_5_7
            for variant in variants:
                yield Evaluation(recipe, variant, "kd_rkd", variant)


def evaluation_path(split: str, row: Evaluation) -> str:
    """Where an evaluation lies below the folder of all of them."""
    return f"{split}/{row.recipe}/{row.variant}/{row.strategy}/on_{row.tested}/evaluation.json"
