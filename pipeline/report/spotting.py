"""Tables 4.2 to 4.6: the thesis's numbers beside those that were measured here."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pipeline.config.tasks.report import DrawSpotting, ReportedNetwork
from pipeline.report.differs import joined, said
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
    TABLES,
    Printed,
    networks_of,
    other_data,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made

T = TypeVar("T")


class Evaluations:
    """The evaluations of a dataset.

    Args:
        results: ``results/<dataset>/spot``.
        settings: Which networks, seeds and splits there are.
    """

    def __init__(self, results: Path, settings: DrawSpotting):
        self.results, self.settings = results, settings

    def pick(self, network: str, split: str | None, pick: Callable[[Row], T]) -> dict[int, T]:
        """What ``pick`` takes out of each evaluation, by seed; empty if there is no such network or no such split.

        Raises:
            ActaError: an evaluation is missing or damaged, or has nothing of the kind.
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
        """Average-mAP in per cent, by seed.

        Args:
            network, split: Which evaluations.
            tolerances: ``loose`` (5 to 60 s) or ``tight`` (1 to 5 s).

        Raises:
            ActaError: as `pick`.
        """
        return self.pick(network, split, lambda evaluation: 100 * float(evaluation[tolerances]["a_mAP"]))


def paired(values: dict[int, float], reference: dict[int, float]) -> list[float]:
    """What each seed gains over the same seed of the reference; of the seeds that both have."""
    return [value - reference[seed] for seed, value in values.items() if seed in reference]


def write_spotting_table(name: str, results: Path, settings: DrawSpotting, output: Path) -> None:
    """Write one table (CSV, and Markdown and HTML beside it).

    Columns that begin with ``thesis`` are the thesis's; ``differs`` says what is not as there.

    Args:
        name: One of `pipeline.report.thesis_spotting.TABLES`.
        results: ``results/<dataset>/spot``.
        settings: The dataset, its splits, networks and seeds.
        output: The table. Average-mAP in per cent: the mean over the seeds and its 95 % interval. Gains are over
            ``rms_net`` on the test split, paired by seed, and have their own; ``pairs`` is the number of seeds that
            both have. Networks that the configuration does not have are shown with what the thesis prints.

    Raises:
        ActaError: there is no such table, or an evaluation is missing or damaged.
    """
    if name not in TABLES:
        raise ActaError(f"there is no table {name!r} of Ch. 4; there are {', '.join(TABLES)}")
    evaluations = Evaluations(results, settings)
    rows = [_row(evaluations, name, network) for network in _shown(name, settings)]
    columns = list(rows[0])
    if name == "table_4_2":
        rows = [*_competitors(), *rows]
    write_numbered_table(
        name,
        rows,
        output,
        other_data=other_data(RMS_NET, settings.dataset, settings.version),
        columns=columns,
        labels=("clip_s", "p", "q"),
    )


def _shown(table: str, settings: DrawSpotting) -> Iterator[str]:
    """The networks of its rows: those of the thesis that have a number there or here, then the configuration's own."""
    yield from (name for name in ROWS[table] if name in settings.networks or NETWORKS[name].test is not None)
    backbones = {name: network.backbone for name, network in settings.networks.items()}
    yield from (name for name in networks_of(table, backbones) if name not in NETWORKS)


def _competitors() -> Iterator[Row]:
    for name, seconds, features, test in COMPETITORS:
        row: Row = {"what": name, "clip_s": seconds, "input": features, "thesis_test": test}
        yield row | {"differs": "number of its authors; SoccerNet"}


def _row(evaluations: Evaluations, table: str, name: str) -> Row:
    settings, network = evaluations.settings, evaluations.settings.networks.get(name)
    printed = NETWORKS.get(name)
    row: Row = {"what": _what(name, network), "network": name, **_settings(table, name, settings)}
    row["input"] = (network.backbone or network.input) if network else None
    row |= _thesis(table, printed)
    loose, tight = (evaluations.average(name, settings.test, tolerances) for tolerances in ("loose", "tight"))
    row |= mean_cells("val", list(evaluations.average(name, settings.validation).values()))
    row |= (
        mean_cells("test", list(loose.values()))
        | mean_cells("test_tight", list(tight.values()))
        | {"seeds": len(loose) or None}
    )
    row |= _gains(evaluations, name, loose, tight)
    games = {
        short: _games(evaluations, name, split)
        for short, split in (("val", settings.validation), ("test", settings.test))
    }
    for short, (evaluated, left_out) in games.items():
        row |= {f"{short}_games": evaluated, f"{short}_left_out": left_out}
    return row | {"differs": _differs(name, settings, printed, {evaluated for evaluated, _ in games.values()})}


def _what(name: str, network: ReportedNetwork | None) -> str:
    return NETWORKS[name].what if name in NETWORKS or not network else f"{network.backbone} + Our"


def _settings(table: str, name: str, settings: DrawSpotting) -> Row:
    """What the rows of a table differ in: the configuration's where it has the network, else the thesis's."""
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
    """With the thesis's own decimals: the challenge has two."""
    return None if value is None else str(value)


def _gains(evaluations: Evaluations, name: str, loose: dict[int, float], tight: dict[int, float]) -> Row:
    """Over RMS-Net. The challenge's recipe, for which other splits train, has none."""
    over = "" if name in (RMS_NET, CHALLENGE) else RMS_NET
    gained = paired(loose, evaluations.average(over, evaluations.settings.test))
    found_tight = paired(tight, evaluations.average(over, evaluations.settings.test, "tight"))
    row = mean_cells("gain", gained, "{:+.2f}") | mean_cells("gain_tight", found_tight, "{:+.2f}")
    return row | {"gain_over": over if gained else None, "pairs": len(gained) or None}


def _games(evaluations: Evaluations, name: str, split: str | None) -> tuple[str, str]:
    """How many games were evaluated and left out; the seeds' numbers, where they are not the same."""

    def numbers(evaluation: Row) -> tuple[int, int]:
        return int(evaluation["games"]), len(evaluation["left_out"])

    counts = evaluations.pick(name, split, numbers).values()
    evaluated, left_out = (", ".join(dict.fromkeys(str(pair[place]) for pair in counts)) for place in (0, 1))
    return evaluated, left_out


def _differs(name: str, settings: DrawSpotting, printed: Printed | None, games: set[str]) -> str | None:
    """What is not as in the thesis."""
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
    return joined([*notes, said("backbone", network.backbone or "none", printed.backbone or "none")])


def _number(value: float | None) -> str:
    return "none" if value is None else f"{round(value, 3):g}"
