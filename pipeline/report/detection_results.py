"""The evaluations and trainings that the tables of Ch. 3 are made of."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.config.tasks.report import DrawDetection
from pipeline.report.tables import Row
from pipeline.report.thesis_detection import BACKBONE
from pipeline.runtime.errors import ActaError
from pipeline.runtime.text import read_made

Pick = Callable[[Row], float | None]


def gains(values: Sequence[float], reference: Sequence[float]) -> list[float]:
    """What each seed gains over the same seed of the reference; a single value counts for every seed.

    Empty if either is empty.
    """
    if not values or not reference:
        return []
    count = max(len(values), len(reference))
    measured, theirs = (list(series) * count if len(series) == 1 else series for series in (values, reference))
    return [value - other for value, other in zip(measured, theirs, strict=True)]


class Measured:
    """The evaluations and trainings of a dataset, in ``results/<dataset>/detect``."""

    def __init__(self, results: Path, settings: DrawDetection):
        self.results, self.settings = results, settings

    def paths(self, features: str, network: str, boxes: str = "detected") -> list[Path]:
        """Evaluations of a network: one a seed; one of a backbone; none where the features have no such classifier."""
        folder = self.results / "evaluations" / features / network
        if network == BACKBONE:
            return [] if features in self.settings.without_backbone else [folder / boxes / "evaluation.json"]
        return [folder / f"seed_{seed}" / boxes / "evaluation.json" for seed in self.settings.seeds]

    def values(self, features: str, network: str, pick: Pick, boxes: str = "detected") -> list[float]:
        """What ``pick`` takes out of each evaluation, in per cent, in the order of `paths`; empty if one is None.

        Raises:
            ActaError: an evaluation is missing or damaged, or lacks the value.
        """
        values = []
        for path in self.paths(features, network, boxes):
            try:
                values.append(pick(read_made(path)))
            except (KeyError, TypeError) as error:
                raise ActaError(f"{path} does not hold {error}: nothing is annotated or detected there") from None
        return [100 * value for value in values if value is not None] if None not in values else []

    def trainings(self, features: str, network: str) -> list[Row]:
        """``metrics.json`` of each seed."""
        folder = self.results / "networks" / features / network
        return [read_made(folder / f"seed_{seed}" / "metrics.json") for seed in self.settings.seeds]

    def shards(self, features: str) -> list[Path]:
        return sorted((self.results / "features" / features).glob("*.h5"))


class MeanOfSplits(Measured):
    """A dataset's evaluations averaged with those of its other splits, which are datasets of their own.

    ``splits``: the evaluated ones by name: this dataset, and those of ``settings.mean_over`` that have every evaluation
    of these features' networks.
    """

    def __init__(self, results: Path, settings: DrawDetection, features: str, networks: Sequence[str]):
        super().__init__(results, settings)
        folders = {name: results.parents[1] / name / results.name for name in settings.mean_over}
        folders[settings.dataset] = results
        self.splits = {name: Measured(folder, settings) for name, folder in folders.items()}
        for name, split in list(self.splits.items()):
            paths = (path for network in networks for path in split.paths(features, network))
            if name != settings.dataset and not all(path.is_file() for path in paths):
                del self.splits[name]

    def values(self, features: str, network: str, pick: Pick, boxes: str = "detected") -> list[float]:
        """The mean over the splits for each seed; empty if a split lacks the value."""
        found = [split.values(features, network, pick, boxes) for split in self.splits.values()]
        return [float(np.mean(seed)) for seed in zip(*found, strict=True)] if all(found) else []
