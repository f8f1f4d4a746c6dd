"""Task `report_overview`: the first item of a run's page: what was run, on what, at what cost."""

import html
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline import __version__
from pipeline.config.tasks.report import ReportOverview
from pipeline.media.lists import shard_names
from pipeline.report.catalogue import entry, names
from pipeline.report.tables import MISSING, TOTAL, cell, escape, html_table, page, read_rows, write_text
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import Output
from pipeline.runtime.text import read_made

_PACKAGES = ("torch", "torchvision", "snakemake", "av", "numpy", "h5py", "onnxruntime", "opencv-python-headless")


class Footage(NamedTuple):
    """Videos of one kind."""

    what: str
    videos: int  # that could be opened
    seconds: float  # in total
    left_out: int | None  # by some task; None: there is no quarantine list


def report_overview(results: Path, costs: Path, output: Output, settings: ReportOverview) -> None:
    """Write the page (HTML).

    Args:
        results: ``results/<dataset>``: its manifests, quarantine lists, certificates, tables and figures.
        costs: The table of `pipeline.report.report_costs`.
        output: The page.
        settings: The dataset and the whole configuration.

    Raises:
        ActaError: a manifest, a certificate or the costs cannot be read.
    """
    name = settings.dataset
    body = [f"<h1>Acta: {escape(name)}</h1>\n"]
    if settings.demo:
        body.append(
            '<p class="note">This is the demo: short made videos and tiny networks. It shows what the system does; '
            "no number that was measured here can be compared with the thesis's.</p>\n"
        )
    rows = [(row.what, row.videos, f"{row.seconds / 3600:.2f}", row.left_out) for row in footage(results)]
    body += ["<h2>On what</h2>\n", _table("videos", ("videos", "opened", "hours", "left out by a task"), rows)]
    if certified := list(_certified(results, settings.configuration)):
        columns = ("hidden", "auditor", "frames", "found before", "found after", "residual")
        body += ["<h2>What is still found after anonymisation</h2>\n", _table("privacy", columns, certified)]
    body += ["<h2>At what cost</h2>\n", _costs(costs)]
    body += ["<h2>Made</h2>\n", _made(results, settings.configuration)]
    body += ["<h2>With what</h2>\n", _table("software", ("package", "version"), _software())]
    configuration = yaml.safe_dump(settings.configuration, sort_keys=False, allow_unicode=True, width=100)
    body.append(f"<details><summary>The configuration</summary>\n<pre>{html.escape(configuration)}</pre>\n</details>\n")
    write_text(output, page(f"Acta: {name}", "".join(body)))


def _table(name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return html_table(name, columns, [[cell(value) for value in row] for row in rows])


def footage(results: Path) -> Iterator[Footage]:
    """The videos of each kind in the lists of the last plan."""
    for what, folder, listed in (
        ("videos", results, "manifest"),
        ("videos with boxes", results / "detect", "manifest"),
        ("matches", results / "spot", "games"),
    ):
        lists = folder / "lists"
        names = [name for place in (lists, *sorted(lists.glob("*/"))) if place.is_dir() for name in shard_names(place)]
        manifests = [read_made(path) for name in names if (path := folder / listed / f"{name}.json").is_file()]
        if not manifests:
            continue
        if listed == "games":
            halves = [manifest["halves"] for manifest in manifests if manifest["halves"]]
            durations = [sum(half["duration"] or 0 for half in of_game) for of_game in halves]
        else:
            durations = [video["duration"] or 0 for manifest in manifests for video in manifest["videos"]]
        yield Footage(what, len(durations), sum(durations), _left_out(folder / "quarantine.tsv"))


def _left_out(table: Path) -> int | None:
    """Videos in a quarantine list, each counted once even if several tasks left it out; None: there is no list."""
    if not table.is_file():
        return None
    lines = table.read_text(errors="surrogateescape").splitlines()[1:]
    return len({line.split("\t")[0] for line in lines})


def _certified(results: Path, configuration: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for what in configuration["privacy"]["what"]:
        path = results / "audit" / what / "certificate.json"
        if not path.is_file():
            continue
        certificate = read_made(path)
        for auditor, counts in certificate["overall"].items():
            rate = counts["residual_rate"]
            residual = None if rate is None else f"{100 * rate:.2f} %"
            yield (path.parent.name, auditor, certificate["frames"], counts["before"], counts["after"], residual)


def _costs(table: Path) -> str:
    rows = read_rows(table)
    columns = list(rows[0]) if rows else [""]
    last = [[row[column] for column in columns] for row in rows if row[columns[0]] == TOTAL]
    if not last:
        raise ActaError(f"{table} has no row {TOTAL!r}")
    shown = html_table("costs", columns, last)
    return f"{shown}<p>By rule, and compared with the plan: the item <em>Costs</em>.</p>\n"


def _made(results: Path, configuration: dict[str, Any]) -> str:
    """The tables and figures that are there, with their titles, and how to make the others."""
    folders = ("tables", "figures", "private", "statistics")
    drawn = {path.stem for folder in folders for path in (results / folder).glob("*.*")}
    # Figures 6.3 and 6.4 are one picture for each base network.
    recipes = {name: recipe["backbone"]["name"] for name, recipe in configuration["classify"]["recipes"].items()}
    backbones = [backbone for name, backbone in recipes.items() if f"shrink_{name}" in drawn]
    drawn |= {"figure_6_4" if backbone.startswith("slowfast") else "figure_6_3" for backbone in backbones}
    made = "".join(f"<li>{escape(entry(name).title)}</li>\n" for name in names() if name in drawn)
    others = "".join(
        f"<li><code>snakemake {name}</code> {escape(entry(name).title)}</li>\n" for name in names() if name not in drawn
    )
    more = f"<details><summary>Not made in this run</summary>\n<ul>\n{others}</ul>\n</details>\n" if others else ""
    return f"<ul>\n{made}</ul>\n{more}"


def _software() -> list[tuple[str, str]]:
    versions = [("Acta", __version__), ("Python", platform.python_version())]
    for package in _PACKAGES:
        try:
            versions.append((package, version(package)))
        except PackageNotFoundError:
            versions.append((package, MISSING))
    return versions
