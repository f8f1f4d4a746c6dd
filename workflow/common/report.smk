# The tables and figures by their numbers: where they lie, what the page says of them, whether it may show them.
CHAPTERS = {
    3: "3 Action detection",
    4: "4 Soccer event spotting",
    5: "5 Privacy and action recognition",
    6: "6 Progressive shrinkage",
}
# What the page shows beside the thesis's tables and figures: category, what the menu calls it, how to read it.
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
    "figure_costs": (
        "1 This run",
        "Costs by rule, drawn",
        "",  # report/figure_costs.rst
    ),
    "certificate": (
        CHAPTERS[5],
        "Certificate",
        "",  # report/certificate.rst
    ),
    "contact_sheet": (
        CHAPTERS[5],
        "Before and after",
        "Frames of some videos: original, faces hidden, bodies hidden.",
    ),
    "highlights": (
        CHAPTERS[4],
        "Highlights",
        "The events of highest rank (confidence times the weight of the class), cut out of a match and put together. The "
        "table says where in the match each clip lies.",
    ),
}


def naming(name):
    """A function of the wildcards that gives a table's or figure's name: a given one, or the wildcard ``name``."""
    if callable(name):
        return name
    return lambda wildcards: name or wildcards.name


def chapter(name):
    return 6 if name.startswith("shrink") else int(name.split("_")[1])


def category(name):
    return OTHERS[name][0] if name in OTHERS else CHAPTERS[chapter(name)]


def labels(name, wildcards):
    """What the page's menu says."""
    if name not in OTHERS:
        item, what = entry(name).title.split(": ", 1)
        return {"item": item, "what": what}
    of = [
        getattr(wildcards, key) for key in ("what", "game") if hasattr(wildcards, key)
    ]
    return {"item": OTHERS[name][1], "what": ", ".join(of)}


def reading(name=None):
    """A rule's parameter: how to read the table or figure, its caption on the page."""

    def of(wildcards):
        found = naming(name)(wildcards)
        return OTHERS[found][2] if found in OTHERS else entry(found).reading

    return of


def on_page(path, name=None, caption="item"):
    """A file that the page shows; ``caption`` is for rules that make several."""
    return report(
        path,
        caption=f"../report/{caption}.rst",
        category=lambda wildcards: category(naming(name)(wildcards)),
        labels=lambda wildcards: labels(naming(name)(wildcards), wildcards),
    )


def private(path, data, name=None):
    """A file that shows original frames; on the page if they are the demo's, or if the configuration says so."""
    originals = CONFIG.report.originals
    shown = data.adapter == "demo" if originals is None else originals
    return on_page(path, name) if shown else path


def table():
    """The outputs of a rule that writes tables."""
    path = result("tables/{name}")
    return {
        "drawn": f"{path}.csv",
        "text": f"{path}.md",
        "page": on_page(f"{path}.html"),
    }


def where(name):
    """The files of a table or figure, by its name; of a table the text first."""
    if name in ("figure_6_3", "figure_6_4"):
        return figures_of(name)
    if name == "figure_5_3":
        return [result("statistics/figure_5_3.png")]
    if name in ("figure_3_5", "figure_3_6", "figure_5_4"):
        return [result(f"private/{name}.png")]
    if name.startswith("figure"):
        return [result(f"figures/{name}.png")]
    return [result(f"tables/{name}.{kind}") for kind in ("md", "csv", "html")]


def chapters():
    """The targets that the page is of: as configured, or all whose videos are not the demo's in a run on other data."""
    asked = CONFIG.report.targets
    if asked is None:
        asked = ["all", "classify", "shrink"]
        asked += ["detect"] * (IS_DEMO or CONFIG.detect.data.adapter != "demo")
        asked += ["spot"] * (IS_DEMO or CONFIG.spot.data.adapter != "demo")
    return [getattr(rules, name).input for name in asked]
