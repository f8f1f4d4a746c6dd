# How rules describe the tables and figures that the page of a run shows.


def naming(name):
    """A function of the wildcards that returns a table's or figure's name: the given name, or the wildcard ``name``."""
    if callable(name):
        return name
    return lambda wildcards: name or wildcards.name


def reading(name=None):
    """A rule's parameter: how to read the table or figure, which is its caption on the page."""
    return lambda wildcards: page.reading(naming(name)(wildcards))


def on_page(path, name=None, caption="item"):
    """A file that the page shows; ``caption`` is for rules that make several."""
    return report(
        path,
        caption=f"../report/{caption}.rst",
        category=lambda wildcards: page.category(naming(name)(wildcards)),
        labels=lambda wildcards: page.labels(naming(name)(wildcards), wildcards),
    )


def private(path, data, name=None):
    """A file that shows original frames; on the page if they are the demo's, or if the configuration says so."""
    originals = CONFIG.report.show_originals
    shown = data.adapter == "demo" if originals is None else originals
    return on_page(path, name) if shown else path


def table(path=paths.TABLE, name=None):
    """The outputs of a rule that writes a table."""
    return {
        "drawn": result(f"{path}.csv"),
        "text": result(f"{path}.md"),
        "page": on_page(result(f"{path}.html"), name),
    }
