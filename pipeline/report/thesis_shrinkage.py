"""What the tables of Ch. 6 are made of, and the numbers that the thesis prints in them.

Light to import: the plan asks here which files a table needs. Kinetics-400 validation unless said otherwise; accuracies
in per cent, GFLOPs per view. Networks are numbered: 0 is the base network, n is PAS-n.
"""

from collections.abc import Iterator, Sequence

R2PLUS1D, SLOWFAST = "r2plus1d_18", "slowfast_4x16_r50"
CHAINS = {R2PLUS1D: "cfttt", SLOWFAST: "cstsf"}

# Table 6.1: (top-1, top-5, GFLOPs) by backbone and network.
REDUCED = {
    R2PLUS1D: (
        (69.2, 88.1, 40.8),
        (69.5, 88.7, 20.4),
        (68.8, 88.1, 10.2),
        (67.5, 87.0, 5.4),
        (66.0, 86.3, 3.2),
        (63.6, 84.6, 2.5),
    ),
    SLOWFAST: (
        (73.5, 91.3, 36.6),
        (73.8, 91.7, 18.9),
        (73.4, 91.1, 10.2),
        (71.7, 90.3, 5.1),
        (69.8, 88.9, 2.9),
        (67.0, 87.3, 1.4),
    ),
}
# Table 6.2: (top-1, top-5) without PAS, by backbone; PAS-1 to PAS-5.
ALONE = {
    R2PLUS1D: ((67.9, 87.5), (65.0, 85.4), (61.1, 83.1), (60.7, 82.5), (59.5, 81.3)),
    SLOWFAST: ((73.1, 91.0), (70.5, 89.5), (68.1, 88.4), (66.0, 86.8), (61.2, 83.6)),
}
# Table 6.4: top-1 at iteration 3 by plan and operator.
ABLATION = {
    "pas": {"s": 66.2, "t": 67.5, "f": 66.9},
    "without_kd": {"s": 65.6, "t": 66.3, "f": 65.4},
    "without_fine_tuning": {"s": 64.5, "t": 65.7, "f": 65.3},
}
# Table 6.5: (GPU utilisation, GPU memory) in per cent of a V100 (32 GB), by backbone and network.
RESOURCES = {
    R2PLUS1D: {0: (39.1, 11.3), 1: (20.8, 6.1), 3: (12.7, 3.2), 5: (7.7, 1.0)},
    SLOWFAST: {0: (26.7, 9.7), 1: (28.6, 7.7), 3: (17.2, 3.8), 5: (8.2, 0.8)},
}
# Table 6.6: top-1 by dataset, backbone and network; None is a blank.
TRANSFER: dict[str, dict[str, tuple[float | None, ...]]] = {
    "ucf101": {R2PLUS1D: (94.4, 94.0, 93.5, 91.6, 89.8, 87.0), SLOWFAST: (95.0, 95.3, 95.1, 94.0, 92.8, 90.4)},
    "hmdb51": {R2PLUS1D: (70.0, 71.0, 68.1, 63.3, 58.9, 54.0), SLOWFAST: (None, None, None, 70.4, 68.3, 63.3)},
}
# Table 6.7: top-1 of operator l at iteration 1 by plan.
FEATURES = {"pas": 68.8, "mse": 68.1, "margin_relu": 68.0}
# Table 6.8: top-1 at iteration 1 by plan and operator.
MODES = {
    "pas": {"s": 67.7, "t": 68.6, "f": 69.0, "c": 69.5, "l": 68.8},
    "teacher_eval": {"s": 67.5, "t": 68.4, "f": 68.8, "c": 69.0, "l": 68.2},
}
# Table 6.9: top-1 on the first split of UCF101, without Kinetics-400, by iteration; operators, then without PAS.
SMALL = {
    0: {"alone": 62.3},
    1: {"s": 60.5, "t": 62.0, "f": 61.5, "c": 67.3, "l": 65.5, "alone": 64.6},
    2: {"s": 63.8, "t": 66.3, "f": 66.2, "c": 66.7, "l": 66.5, "alone": 64.0},
    3: {"s": 63.5, "t": 65.4, "f": 65.8, "c": 65.3, "l": 65.1, "alone": 60.3},
    4: {"s": 62.8, "t": 65.3, "f": 64.1, "c": 63.0, "l": 63.5, "alone": 59.3},
    5: {"s": 62.2, "t": 63.7, "f": 63.9, "c": 61.8, "l": 62.2, "alone": 57.8},
}
ITERATION_OF_ABLATION = 3
BEYOND = ("inherit", "halving", "pairs", "stored")


def networks_of(
    name: str, recipes: Sequence[str], iterations: int, operators: dict[str, Sequence[str]]
) -> Iterator[str]:
    """The trained networks that a table or figure needs, as folders below ``shrink/``.

    Args:
        name: ``table_6_1`` … ``table_6_9``, ``shrink_figure``, ``shrink_costs`` or ``shrink_beyond``.
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
            case _:
                yield from (f"{recipe}/pas/iteration_{n}/{o}" for n in every for o in operators["pas"])
                if name in ("table_6_2", "table_6_9", "shrink_figure"):
                    yield from (f"{recipe}/pas/iteration_{n}/alone" for n in every)
