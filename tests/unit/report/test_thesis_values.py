"""The numbers of thesis.yaml against the thesis's own text, which is not part of the project: ACTA_THESIS names it.

In the text a table's cells stand one a line above its caption, most of them column by column.
"""

import copy
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.report import catalogue
from pipeline.report.catalogue import entry, names

KINDS = ("i3d", "r101_i3d_nl", "slowfast_nl")
LINES_OF_A_TABLE = 135
Sequences = list[list[object]]


@pytest.fixture(scope="module")
def text() -> str:
    path = os.environ.get("ACTA_THESIS")
    if not path:
        pytest.skip("the environment variable ACTA_THESIS does not name the thesis's text")
    return Path(path).read_text(encoding="utf-8")


def above(text: str, name: str) -> list[str]:
    """The cells above a table's caption, without spaces, signs of addition and units."""
    number = name.removeprefix("table_").replace("_", ".")
    lines = text.splitlines()
    (caption,) = (place for place, line in enumerate(lines) if line.startswith(f"Table {number}:"))
    cells = (re.sub(r"\s", "", line) for line in lines[max(0, caption - LINES_OF_A_TABLE) : caption])
    return [re.sub(r"^\+?([\d.]+)M?$", r"\1", cell) for cell in cells if cell]


def occurs(cells: list[str], wanted: list[object]) -> bool:
    """Whether these stand one after another."""
    needed = [_cell(value) for value in wanted]
    places = range(len(cells) - len(needed) + 1)
    return any(all(map(_same, cells[place : place + len(needed)], needed)) for place in places)


def _cell(value: object) -> str:
    return "–" if value is None else str(value).replace(" ", "")


def _same(printed: str, mine: str) -> bool:
    if printed == mine:
        return True
    try:
        return float(printed) == float(mine)
    except ValueError:
        return False


def _transposed(rows: Any) -> Sequences:
    """Column by column."""
    return [list(column) for column in zip(*rows, strict=True)]


def _table_3_3(values: Any) -> Sequences:
    networks, test = values["networks"], values["test"]
    single, averaged = ("slowfast_nl", "slowfast_nl_16x8"), "averaged"
    found = [networks[kind][network] for kind in single for network in ("backbone", "stage")]
    return [found, [test[kind] for kind in single], [networks[averaged]["stage"], test[averaged]]]


def _table_3_4(values: Any) -> Sequences:
    """Group by group, first the backbone."""
    return [[cell for pair in zip(of["backbone"], of["stage"], strict=True) for cell in pair] for of in values.values()]


def _table_3_5(values: Any) -> Sequences:
    jhmdb = [[cells[0] for cells in of.values()] for of in values.values()]
    return [*jhmdb, [cells[1] for of in values.values() for cells in of.values() if cells[1] is not None]]


def _table_3_6(values: Any) -> Sequences:
    """A combination is a column of the three features."""
    return _transposed(of.values() for of in values.values())


def _table_3_8(values: Any) -> Sequences:
    found: Sequences = []
    for kind in KINDS:
        backbone, stage, *others = values["networks"][kind].values()
        found += [[backbone, stage], others[:4], others[4:]]
    return found


def _table_3_9(values: Any) -> Sequences:
    """Times stand between the epochs, and of six numbers of clips one is left out."""
    rows = [[(cell or "").replace("x", "×").replace("~", "∼") for cell in row] for row in values.values()]
    gpus, clips, epochs, times = map(list, zip(*rows, strict=True))
    mixed = [*epochs[:4], times[3], epochs[4], epochs[5] + times[5], epochs[6], times[6]]
    return [gpus[:-1], [cell for cell in clips[:-1] if cell], [gpus[-1], clips[-1]], mixed]


def _table_4_4(values: Any) -> Sequences:
    best = values["rms_net"]
    p = [values["p_1_5"], values["p_1_4"], best, values["p_1_2"], values["p_1"]]
    q = [values["q_10"], values["q_25"], best, values["q_75"], values["q_100"]]
    return _transposed(p) + _transposed(q)


def _table_5(*groups: tuple[int, int, int]) -> Callable[[Any], Sequences]:
    """Rows from … to of a column (4: top-1, 5: top-5)."""
    return lambda values: [[row[column] for row in values[first:last]] for column, first, last in groups]


def _table_6_1(values: Any) -> Sequences:
    found: Sequences = []
    for rows in values["networks"].values():
        top1, top5, gflops = _transposed(rows)
        found += [top1, top5, [f"{each}×10" for each in gflops]]
    return found


def _table_6_2(values: Any) -> Sequences:
    return [column for rows in values.values() for column in _transposed(rows)]


def _table_6_3(values: Any) -> Sequences:
    found: Sequences = []
    for first, last in ((0, 6), (6, 11), (11, 13)):
        rows = values[first:last]
        for column in (2, 3):
            found.append(["N/A" if row[column] is None else row[column] for row in rows])
        found.append([f"{row[4]}×{row[5] or 'N/A'}" for row in rows])
    return found


def _table_6_6(values: Any) -> Sequences:
    return [[cell for cell in column if cell is not None] for of in values.values() for column in of.values()]


def _columns(values: Any) -> Sequences:
    """Of rows that are mappings: a column for each key."""
    return _transposed(row.values() for row in values.values())


def _table_6_9(values: Any) -> Sequences:
    reduced = [row for iteration, row in values.items() if iteration]
    return [*([row[o] for row in reduced] for o in "stfcl"), [row["alone"] for row in values.values()]]


# Of each table what stands one after another in the text.
SEQUENCES: dict[str, Callable[[Any], Sequences]] = {
    "table_3_2": lambda values: [
        list(values["competitors"].values()),
        [cell for of in values["networks"].values() for cell in of.values()],
    ],
    "table_3_3": _table_3_3,
    "table_3_4": _table_3_4,
    "table_3_5": _table_3_5,
    "table_3_6": _table_3_6,
    "table_3_7": lambda values: [list(of.values()) for of in values.values()],
    "table_3_8": _table_3_8,
    "table_3_9": _table_3_9,
    "table_3_10": lambda values: _transposed([cells for of in values.values() for cells in of.values()]),
    "table_4_1": lambda values: [
        [row[1] for row in values],
        ["C (number of classes)" if row[2] == "C" else row[2] for row in values],
    ],
    "table_4_2": lambda values: [
        [row[1] for row in values["competitors"]],
        [row[3] for row in values["competitors"]],
        list(values["networks"]["rms_net"]),
    ],
    "table_4_3": lambda values: _transposed(values.values()),
    "table_4_4": _table_4_4,
    "table_4_5": lambda values: _transposed(values.values()),
    "table_4_6": lambda values: _transposed(values.values()),
    "table_5_1": _table_5((4, 0, 1), (5, 0, 1), (4, 1, 3), (5, 1, 3)),
    "table_5_2": _table_5((4, 0, 3), (4, 3, 6), (4, 6, 8), (5, 0, 8)),
    "table_5_3": _table_5((4, 0, 3), (4, 3, 6), (5, 0, 3), (5, 3, 6)),
    "table_6_1": _table_6_1,
    "table_6_2": _table_6_2,
    "table_6_3": _table_6_3,
    "table_6_4": _columns,
    "table_6_5": lambda values: [list(cells) for of in values.values() for cells in of.values()],
    "table_6_6": _table_6_6,
    "table_6_7": lambda values: [list(values.values())],
    "table_6_8": _columns,
    "table_6_9": _table_6_9,
}


def _said_in_table_6_10(values: Any) -> list[str]:
    found = []
    for pathways in values["sizes"].values():
        for place, (_, channels, frames, side) in enumerate(pathways):
            name = ("Slow", "Fast")[place] + " :" if len(pathways) > 1 else ""
            found.append(f"{name} {frames}/(γ̄t γ̄f )×({side}/γ̄s )2")
            found += [f", {channels}/γ̄c"] if channels else []
    return found


def _layers_misfit(squeezed: str, values: Any) -> list[str]:
    """Which of blocks, kernels and strides are others in the text, where Slow's stand before Fast's."""
    sizes, kernels, strides = (values[part] for part in ("sizes", "kernels", "strides"))
    stages = [name for name in kernels if name.startswith("res")]
    convolutions = [pathway[0] for pathway in kernels["conv1"]]
    convolutions += [kernel for place in (0, 1) for name in stages for kernel in kernels[name][place]]
    compared = {
        "blocks": (r"×(\d+)/γ̄l", [(sizes[name][place][0],) for place in (0, 1) for name in stages]),
        "kernels": (r"(\d)×(\d)2?,(\d+)/γ̄c", convolutions),
        "maxima": (r"(\d)×(\d)2max()", [pathway[0] for pathway in kernels["pool1"]]),
        "strides": (r"stride(\d+),(\d)2", [pair for pathways in strides.values() for pair in pathways]),
    }
    return [
        what
        for what, (pattern, wanted) in compared.items()
        if [match.groups() for match in re.finditer(pattern, squeezed)]
        != [tuple("" if number is None else str(number) for number in one) for one in wanted]
    ]


def _said_of_settings(own: Any) -> list[str]:
    spotting = own["spotting"]
    return [
        f"the model takes T = {spotting['clip']} frames as input",
        f"frames at {spotting['rate']:g} FPS",
        f"The masking probability p is set to {spotting['probability']}, while the maximum relative temporal "
        f"offset q is set to {spotting['latest']}",
        f"(defined in Eq. 4.3) is set to {spotting['regression_weight']:g}",
        f"{spotting['games']} for validation, and {spotting['games']} for testing",
    ]


# What the text has in sentences or formulas.
SAID: dict[str, Callable[[Any], list[str]]] = {
    "settings": _said_of_settings,
    "table_3_1": lambda values: [cell.replace("N", "Nt").replace("A", "At") for _, *cells in values for cell in cells],
    "table_3_8": lambda values: [f"reaches {values['on_annotated']['slowfast_nl']} validation mAP"],
    "figure_3_4": lambda values: [f"{action} (+{gain}" for action, gain in values.items()],
    "table_4_2": lambda values: [f"{value}" for value in values["challenge"].values()],
    "table_6_1": lambda values: [f"[{' , '.join(chain)} ]" for chain in values["chains"].values()],
    "table_6_10": _said_in_table_6_10,
}


def content(name: str) -> Any:
    return catalogue._content()["settings"] if name == "settings" else entry(name).values


def misfits(text: str, name: str, values: Any) -> list[object]:
    """What of an entry's values is not in the text."""
    wanted = SEQUENCES[name](values) if name in SEQUENCES else []
    cells = above(text, name) if wanted else []
    squeezed = re.sub(r"\s", "", text)
    said = SAID[name](values) if name in SAID else []
    return [
        *(_layers_misfit(squeezed, values) if name == "table_6_10" else []),
        *(sequence for sequence in wanted if not occurs(cells, sequence)),
        *(sentence for sentence in said if re.sub(r"\s", "", sentence) not in squeezed),
    ]


def leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all numbers."""
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from leaves(value, (*path, key))
    elif isinstance(values, int | float) or (isinstance(values, str) and re.fullmatch(r"[\d/x]+", values)):
        yield path


def changed(values: Any, path: tuple[Any, ...]) -> Any:
    """The values with another number in this place."""
    values = copy.deepcopy(values)
    of = values
    for key in path[:-1]:
        of = of[key]
    here = of[path[-1]]
    of[path[-1]] = f"{here}1" if isinstance(here, str) else here + 1 if isinstance(here, int) else round(here + 0.1, 2)
    return values


def test_everything_that_is_printed_is_checked() -> None:
    assert {name for name in names() if entry(name).values is not None} | {"settings"} == {*SEQUENCES, *SAID}


@pytest.mark.parametrize("name", sorted({*SEQUENCES, *SAID}))
def test_numbers_are_those_of_the_thesis(text: str, name: str) -> None:
    assert misfits(text, name, content(name)) == []


@pytest.mark.parametrize("name", sorted({*SEQUENCES, *SAID}))
def test_a_changed_number_would_be_found(text: str, name: str) -> None:
    values = content(name)
    assert [path for path in leaves(values) if not misfits(text, name, changed(values, path))] == []


def test_tables_agree_with_each_other() -> None:
    """The same measurement is printed in several of them."""
    best = {tuple(entry(name).values["rms_net"]) for name in ("table_4_3", "table_4_4")}
    assert best == {tuple(entry("table_4_2").values["networks"]["rms_net"])}
    assert entry("table_5_1").values[0] == entry("table_5_2").values[0]
    base = {tuple(row[2:4]) for row in entry("table_6_3").values if row[0] == "R(2+1)D-18"}
    assert base == {tuple(entry("table_6_1").values["networks"]["r2plus1d_18"][0][:2])}
    # Table 3.4 has 13, 15 and 32 actions a group, and as a whole Table 3.2's mAP.
    for kind, networks in entry("table_3_4").values.items():
        for network, groups in networks.items():
            whole = sum(count * value for count, value in zip((13, 15, 32), groups, strict=True)) / 60
            assert whole == pytest.approx(entry("table_3_2").values["networks"][kind][network], abs=0.06)
