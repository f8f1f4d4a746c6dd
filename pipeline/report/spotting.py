"""Tables 4.2 to 4.6: the thesis's numbers next to those that were measured here."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pipeline.config.tasks.report import DrawSpotting
from pipeline.report.differs import declared, differences, joined, said
from pipeline.report.intervals import mean_cells
from pipeline.report.numbered import write_numbered_table
from pipeline.report.tables import Row
from pipeline.report.thesis_spotting import (
    CHALLENGE,
    COMPETITORS,
    GAMES,
    NETWORKS,
    ON_CHALLENGE_SET,
    RATE,
    RMS_NET,
    ROWS,
    Printed,
    networks_of,
    other_data,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made

T = TypeVar("T")


class Evaluations:
    """The evaluations of a dataset, in ``results/<dataset>/spot``."""

    def __init__(self, results: Path, settings: DrawSpotting):
        self.results, self.settings = results, settings

    def pick(self, network: str, split: str | None, pick: Callable[[Row], T]) -> dict[int, T]:
        """What ``pick`` takes out of each evaluation, by seed; empty if there is no such network or no such split.

        Raises:
            ActaError: an evaluation is missing or damaged, or lacks the value.
        """
        known = self.settings.networks.get(network)
        picked = {}
        for seed in known.seeds if known and split else ():
            path = self.results / "evaluations" / network / f"seed_{seed}" / str(split) / "evaluation.json"
            try:
                picked[seed] = pick(read_made(path))
            except KeyError as error:
                raise ActaError(f"{path} does not hold {error}") from None
            except (TypeError, ValueError) as error:
                raise ActaError(f"{path} is damaged: {error}") from None
        return picked

    def average(self, network: str, split: str | None, tolerances: str = "loose") -> dict[int, float]:
        """Average-mAP in per cent, by seed, for ``loose`` (5 to 60 s) or ``tight`` (1 to 5 s) tolerances."""
        return self.pick(network, split, lambda evaluation: 100 * float(evaluation[tolerances]["a_mAP"]))


def paired(values: dict[int, float], reference: dict[int, float]) -> list[float]:
    """What each seed gains over the same seed of the reference, for the seeds that both have."""
    return [value - reference[seed] for seed, value in values.items() if seed in reference]


def write_spotting_table(name: str, results: Path, settings: DrawSpotting, output: Path) -> None:
    """Write one table (CSV, and Markdown and HTML next to it).

    Average-mAP is in per cent: the mean over the seeds and its 95 % interval. Gains are over ``rms_net`` on the test
    split, paired by seed, and have an interval of their own; ``pairs`` is the number of seeds that both have. Columns
    that begin with ``thesis`` are the thesis's; ``differs`` lists the differences from it. Networks that the
    configuration does not have are shown with what the thesis prints.

    Raises:
        ActaError: an evaluation is missing or damaged.
    """
    evaluations = Evaluations(results, settings)
    rows = [_row(evaluations, name, network) for network in _shown(name, settings)]
    columns = list(rows[0])
    if name == "table_4_2":
        known = ("what", "clip_s", "input", "thesis_test")
        competitors = [dict(zip(known, competitor, strict=True)) for competitor in COMPETITORS]
        rows = [*(row | {"differs": "number of its authors; SoccerNet"} for row in competitors), *rows]
    reason = other_data(RMS_NET, settings.dataset, settings.version)
    labels, departures = ("clip_s", "p", "q"), declared(settings.departures)
    write_numbered_table(name, rows, output, other_data=reason, columns=columns, labels=labels, departures=departures)


def _shown(table: str, settings: DrawSpotting) -> Iterator[str]:
    """The networks of its rows: the thesis's that have a number there or here, then the configuration's own."""
    yield from (name for name in ROWS[table] if name in settings.networks or NETWORKS[name].test is not None)
    backbones = {name: network.backbone for name, network in settings.networks.items()}
    yield from (name for name in networks_of(table, backbones) if name not in NETWORKS)


def _row(evaluations: Evaluations, table: str, name: str) -> Row:
    settings, network = evaluations.settings, evaluations.settings.networks.get(name)
    printed = NETWORKS.get(name)
    what = f"{network.backbone} + Our" if network and not printed else NETWORKS[name].what
    row: Row = {"what": what, "network": name, **_settings(table, name, settings)}
    row["input"] = (network.backbone or network.input) if network else None
    row |= _thesis(table, printed)
    loose, tight = (evaluations.average(name, settings.test, tolerances) for tolerances in ("loose", "tight"))
    row |= mean_cells("val", list(evaluations.average(name, settings.validation).values()))
    row |= mean_cells("test", list(loose.values())) | mean_cells("test_tight", list(tight.values()))
    row |= {"seeds": len(loose) or None, **_gains(evaluations, name, loose, tight)}
    for short, split in (("val", settings.validation), ("test", settings.test)):
        row[f"{short}_games"], row[f"{short}_left_out"] = _games(evaluations, name, split)
    return row | {"differs": _differs(name, settings, printed, {row["val_games"], row["test_games"]})}


def _settings(table: str, name: str, settings: DrawSpotting) -> Row:
    """The settings by which a table's rows differ: the configuration's where it has the network, else the thesis's."""
    network = settings.networks.get(name) or NETWORKS[name]
    if table == "table_4_2":
        rate = settings.rate if name in settings.networks else RATE
        return {"clip_s": f"{(network.clip - 1) / rate:g}"}  # 41 frames span 20 s
    if table in ("table_4_4", "table_4_5"):
        return {"p": _number(network.probability), "q": _number(network.max_offset)}
    return {}


def _thesis(table: str, printed: Printed | None) -> Row:
    validation, test = (printed.validation, printed.test) if printed else (None, None)
    row: Row = {"thesis_val": _as_printed(validation), "thesis_test": _as_printed(test)}
    reference = NETWORKS[RMS_NET]
    if table == "table_4_2":
        row["thesis_challenge_set"] = _as_printed(ON_CHALLENGE_SET) if printed is NETWORKS[CHALLENGE] else None
    else:
        gain = test - reference.test if test and reference.test and printed is not reference else None
        row["thesis_gain"] = None if gain is None else f"{gain:+.1f}"
    return row


def _as_printed(value: float | None) -> str | None:
    """With as many decimals as in the thesis: the challenge has two."""
    return None if value is None else str(value)


def _gains(evaluations: Evaluations, name: str, loose: dict[int, float], tight: dict[int, float]) -> Row:
    """Gains over RMS-Net. The challenge's recipe, which trains on other splits, has none."""
    over = "" if name in (RMS_NET, CHALLENGE) else RMS_NET
    gained = paired(loose, evaluations.average(over, evaluations.settings.test))
    found_tight = paired(tight, evaluations.average(over, evaluations.settings.test, "tight"))
    row = mean_cells("gain", gained, "{:+.2f}") | mean_cells("gain_tight", found_tight, "{:+.2f}")
    return row | {"gain_over": over if gained else None, "pairs": len(gained) or None}


def _games(evaluations: Evaluations, name: str, split: str | None) -> tuple[str, str]:
    """How many games were evaluated and left out; the seeds' numbers, where they are not the same."""
    counts = evaluations.pick(name, split, lambda row: (int(row["games"]), len(row["left_out"]))).values()
    evaluated, left_out = (", ".join(dict.fromkeys(str(pair[place]) for pair in counts)) for place in (0, 1))
    return evaluated, left_out


# What `_differs` says in words of its own, and what a network reads or how often it is trained.
_SAID_ABOVE = ("clip ", "masking", "regression_weight ", "backbone.name ", "input ", "seeds ")


def _differs(name: str, settings: DrawSpotting, printed: Printed | None, games: set[str]) -> str | None:
    """How a network differs from the thesis's."""
    network = settings.networks.get(name)
    if not network:
        return "not in the configuration"
    data = other_data(name, settings.dataset, settings.version)
    notes: list[str | None] = [data]
    if not data and games != {str(GAMES)}:
        notes.append(f"thesis {GAMES} games a split")
    notes.append(said("frames per second", settings.rate, RATE))
    if printed is None:
        return joined([*notes, "the thesis has no such network"])
    notes.append(said("clip", network.clip, printed.clip))
    notes.append(said("p", _number(network.probability), _number(printed.probability)))
    if network.probability is not None and printed.probability is not None:
        notes.append(said("q", network.max_offset, printed.max_offset))
    if printed.regression_weight is not None:
        notes.append(said("λ", network.regression_weight, printed.regression_weight))
    notes.append(said("backbone", network.backbone or "none", printed.backbone or "none"))
    if name in settings.trained and name in settings.thesis:
        own, theirs = settings.trained[name], settings.thesis[name]
        notes += [note for note in differences(own, theirs) if not note.startswith(_SAID_ABOVE)]
    return joined(notes)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{round(value, 3):g}"
