"""Wildcards of a rule's job, and runs of other configurations than the shipped one."""

from types import SimpleNamespace
from typing import Any

from pipeline.config.base import parse
from pipeline.config.whole import Config
from pipeline.dag.run import Run


def wild(**names: object) -> SimpleNamespace:
    """Wildcards as Snakemake gives them: texts."""
    return SimpleNamespace(**{name: str(value) for name, value in names.items()})


def changed(run: Run, **changes: Any) -> Run:
    """A run whose configuration differs by path, as ``shrink__iterations=1``."""
    values = run.config.model_dump(mode="json")
    for name, value in changes.items():
        *parents, key = name.split("__")
        place = values
        for parent in parents:
            place = place[parent]
        place[key] = value
    return Run(parse(Config, values), run.shards, run.detection_shards, run.games)
