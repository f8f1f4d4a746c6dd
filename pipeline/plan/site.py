"""Where a plan reads the work of jobs from: the configuration, the graph, the lists that planning wrote, the disk."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pipeline.config.whole import Config
from pipeline.media.lists import Listed, read_game_list, read_list
from pipeline.models.architecture import Architecture
from pipeline.models.complexity import complexity
from pipeline.plan.graph import Graph, Job
from pipeline.plan.sample import Sample, Wanted, sample_videos
from pipeline.plan.work import JOBS, Kind, Weigh

T = TypeVar("T")
Chapter = Literal["classify", "detect", "spot"]
_CORNERS = ("x1", "y1", "x2", "y2")


class Site:
    """One run of the workflow.

    Args:
        config: The whole configuration.
        graph: The jobs.
        folder: Where the workflow runs, with ``results/`` and ``logs/`` in it.
        weigh: How the jobs of a rule are weighed.
    """

    def __init__(self, config: Config, graph: Graph, folder: Path, weigh: Weigh):
        self.config, self.graph, self.folder, self.weigh = config, graph, folder, weigh
        self.results = folder / "results" / config.dataset
        # Caches of the object, as cached methods would keep every object for ever.
        self.bytes_of_shard = cache(self._bytes_of_shard)
        self.bytes_of_game = cache(self._bytes_of_game)
        self.keyframes = cache(self._keyframes)
        self.network = cache(self._network)
        self.clips = cache(self._clips)
        self.sample = cache(self._sample)
        self.jobs_of = cache(self._jobs_of)
        self.sampled: dict[Chapter, Sample | None] = {}  # what was asked for so far

    def kind(self, rule: str) -> Kind:
        """How the jobs of a rule are weighed; those that run no task are all weighed the same."""
        return self.weigh(rule) or JOBS

    @cached_property
    def videos(self) -> list[Listed]:
        """The videos of Ch. 5 and 6."""
        return _rows(self.results / "lists")

    @cached_property
    def shards(self) -> int:
        """Shards of the videos of Ch. 3."""
        return len(list((self.results / "detect" / "lists").glob("*.json")))

    def _sample(self, chapter: Chapter) -> Sample | None:
        """What is known of the videos of a chapter; None where they are not there (yet)."""
        config = self.config
        if chapter == "spot":
            root, frames, rate = config.spot.data.root, config.spot.frames.stored, config.spot.frames.rate
            lists = self.results.glob("spot/lists/*/*.json")
            rows = [row for path in sorted(lists) for row in read_game_list(path)[1] if row.id.startswith("video/")]
            wanted = Wanted(rate, frames, {})
        elif chapter == "detect":
            root, rows = config.detect.data.root or ".", _rows(self.results / "detect" / "lists")
            wanted = Wanted(config.detect.sampling.rate, config.detect.frames, {})
        else:
            privacy = config.privacy
            hide = {what: (privacy.detect.search(what), getattr(privacy.obfuscate, what)) for what in privacy.what}
            root, rows = config.data.root, self.videos
            wanted = Wanted(config.sampling.rate, config.frames, hide)
        kept = self.folder / "logs" / config.dataset / "sample.json"
        sample = sample_videos(rows, self.folder / root, wanted, kept, chapter)
        self.sampled[chapter] = sample
        return sample

    def _jobs_of(self, chapter: Chapter) -> int:
        """Jobs into which a task on the videos of a chapter is divided: shards, or games."""
        folder = {"classify": "lists", "detect": "detect/lists", "spot": "spot/lists/*"}[chapter]
        return len(list(self.results.glob(f"{folder}/*.json")))

    def _bytes_of_shard(self, chapter: Literal["", "detect"]) -> float | None:
        """Mean bytes of a shard's videos; None where they are not there (yet)."""
        folder = self.results / chapter / "lists"
        count = len(list(folder.glob("*.json")))
        root = self.config.detect.data.root if chapter else self.config.data.root
        total = None if root is None else _bytes(_rows(folder) if chapter else self.videos, self.folder / root)
        return None if total is None or not count else total / count

    def _bytes_of_game(self) -> float | None:
        """Mean bytes of a game's files; None where they are not there."""
        root = self.folder / self.config.spot.data.root
        totals = [_bytes(read_game_list(path)[1], root) for path in self.results.glob("spot/lists/*/*.json")]
        known = [total for total in totals if total is not None]
        return sum(known) / len(known) if known and len(known) == len(totals) else None

    def games(self, split: str) -> int:
        """Games of a split of Ch. 4."""
        return len(list((self.results / "spot" / "lists" / split).glob("*.json")))

    def _keyframes(self, splits: tuple[str, ...], *, people: bool = False) -> int | None:
        """Annotated keyframes of Ch. 3, or the ``people`` on them.

        None where the file is not there (yet), or nobody has annotated a split.
        """
        boxes = self.config.detect.data.boxes
        paths = [self.folder / boxes[split] for split in splits if split in boxes]
        if len(paths) < len(splits) or not all(path.is_file() for path in paths):
            return None
        return sum(_count_rows(path, ["video", "time", *_CORNERS] if people else ["video", "time"]) for path in paths)

    def _clips(self, split: str, clips: int) -> int:
        """Clips of all videos of a split of Ch. 5."""
        return clips * sum(split in video.split.split() for video in self.videos)

    def _network(self, recipe: str, *, tested: bool = False) -> tuple[float, int]:
        """Multiply-adds (in 10¹²) of a recipe's base network for one clip, and its parameters."""
        architecture, _ = self.architecture(recipe)
        view = self.config.classify.recipes[recipe].clip.view
        cost = complexity(architecture, (view.test if tested else view).crop)
        return cost.gflops / 1e3, cost.parameters

    def architecture(self, recipe: str) -> tuple[Architecture, int]:
        """A recipe's base network, and the side of its training crop in pixels."""
        settings, labels = self.config.classify.recipes[recipe], {video.label for video in self.videos}
        network, clip = settings.backbone, settings.clip
        architecture = Architecture(network.name, max(2, len(labels)), network.width, network.blocks, clip.frames)
        return architecture, clip.view.crop

    @cached_property
    def actions(self) -> int | None:
        """Actions of Ch. 3; None where the file is not there (yet)."""
        from pipeline.detect.annotation.ava import read_label_map

        path = self.folder / self.config.detect.data.label_map
        return len(read_label_map(path).names) if path.is_file() else None

    def wildcard(self, job: Job, name: str, known: Collection[str]) -> str | None:
        """A job's wildcard, if it is among the ``known`` values."""
        value = self.graph.wildcard(job, name)
        return value if value in known else None

    def chosen(self, job: Job, name: str, known: Mapping[str, T]) -> T | None:
        """The one of the ``known`` that a job's wildcard names, if it names one."""
        return known.get(self.graph.wildcard(job, name) or "")


def _rows(folder: Path) -> list[Listed]:
    return [row for path in sorted(folder.glob("*.json")) for row in read_list(path)]


def _bytes(rows: Sequence[Listed], root: Path) -> int | None:
    """Bytes of files; missing ones (-1) count as none. In the lists the demo's own videos have the size 0."""
    total = 0
    for row in rows:
        if row.size:
            total += max(0, row.size)
        elif (root / row.path).is_file():
            total += (root / row.path).stat().st_size
        else:
            return None
    return total


def _count_rows(path: Path, columns: list[str]) -> int:
    from pipeline.detect.annotation.ava import read_table

    return len(read_table(path)[columns].dropna().drop_duplicates())
