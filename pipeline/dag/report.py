"""The tables and figures by their numbers: where they lie, and what the page says of them."""

from typing import Any

from pipeline.dag import paths, shrink
from pipeline.dag.run import Run
from pipeline.report.catalogue import entry, names

CHAPTERS = {
    3: "3 Action detection",
    4: "4 Soccer event spotting",
    5: "5 Privacy and action recognition",
    6: "6 Progressive shrinkage",
}
ARCHITECTURES = ("table_3_1", "table_4_1", "table_6_10")  # what networks are made of, of all chapters
# What the page shows in addition to the thesis's tables and figures: category, what the menu calls it, how to read it.
OTHERS = {
    "overview": (
        "1 This run",
        "What was run",
        "Which videos, what is still found in them after anonymisation, what it cost, which tables and figures there "
        "are, which software made them, and the whole configuration.",
    ),
    "costs": (
        "1 This run",
        "Costs by rule",
        "Wall time is the sum over jobs that may have run side by side. GPU hours count each GPU. Energy is what the "
        "GPUs' own counters say; without a GPU the processor's hours stand for it. Expected is what `acta plan` said "
        "before the run.",
    ),
    "figure_costs": ("1 This run", "Costs by rule, drawn", ""),  # report/figure_costs.rst
    "certificate": (CHAPTERS[5], "Certificate", ""),  # report/certificate.rst
    "contact_sheet": (
        CHAPTERS[5],
        "Before and after",
        "Frames of some videos: original, faces hidden, bodies hidden.",
    ),
    "highlights": (
        CHAPTERS[4],
        "Highlights",
        "The events of highest rank (confidence times the weight of the class), cut out of a match and put together. "
        "The table says where in the match each clip lies.",
    ),
}


def category(name: str) -> str:
    """Under which heading of the page's menu a table or figure stands."""
    if name in OTHERS:
        return OTHERS[name][0]
    return CHAPTERS[6 if name.startswith("shrink") else int(name.split("_")[1])]


def labels(name: str, wildcards: Any) -> dict[str, str]:
    """What the page's menu says of a table or figure."""
    if name not in OTHERS:
        item, what = entry(name).title.split(": ", 1)
        return {"item": item, "what": what}
    named = [getattr(wildcards, key) for key in ("what", "game") if hasattr(wildcards, key)]
    return {"item": OTHERS[name][1], "what": ", ".join(named)}


def reading(name: str) -> str:
    """How to read a table or figure: its caption on the page."""
    return OTHERS[name][2] if name in OTHERS else entry(name).reading


def tables(chapter: int) -> str:
    """A chapter's tables but for those of architectures, as a rule's constraint."""
    others = (name for name in names() if not name.startswith("figure") and name not in ARCHITECTURES)
    return "|".join(name for name in others if category(name) == CHAPTERS[chapter])


def files_of(run: Run, name: str) -> list[str]:
    """The files of a table or figure, by its name; of a table the text first."""
    if name in ("figure_6_3", "figure_6_4"):
        return shrink.figures_of(run, name)
    if name == "figure_5_3":
        return [run.result(paths.FIGURE_5_3)]
    if name in ("figure_3_5", "figure_3_6", "figure_5_4"):
        return [run.result(paths.PRIVATE_FIGURE, name=name)]
    if name.startswith("figure"):
        return [run.result(paths.FIGURE, name=name)]
    return [f"{run.result(paths.TABLE, name=name)}.{kind}" for kind in ("md", "csv", "html")]


def targets(run: Run) -> list[str]:
    """The targets that the page is of: as configured; else all of the demo, or those whose videos are your own."""
    config = run.config
    if config.report.targets is not None:
        return list(config.report.targets)
    adapters = dict.fromkeys(("all", "classify", "shrink"), str(config.data.adapter)) | {
        "detect": config.detect.data.adapter,
        "spot": config.spot.data.adapter,
    }
    return [name for name, adapter in adapters.items() if config.is_demo or adapter != "demo"]
