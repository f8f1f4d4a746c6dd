"""All that a configuration asks for, examined without a plan: what `acta config check` says of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from pipeline.config.tasks.spot import imported_features
from pipeline.config.whole import Config
from pipeline.dag import refusals, report, spot
from pipeline.dag.refusals import MissingError
from pipeline.dag.run import Run
from pipeline.data.adapters import list_annotated, list_videos
from pipeline.data.games import list_games
from pipeline.media.lists import labelled_by_split, named_by_split
from pipeline.report import catalogue, thesis, thesis_detection
from pipeline.runtime.errors import ActaError

TARGETS = ("all", "classify", "shrink", "detect", "spot", "everything")
DATA = {5: "data", 6: "data", 3: "detect.data", 4: "spot.data"}
SUBMISSION = "submission"


@dataclass
class Findings:
    """What will not end well (``refused``), and what is not known as files are not there yet (``notes``); each once.

    ``strict``: what is not there is refused too.
    """

    strict: bool
    refused: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep what is refused within."""
        try:
            yield
        except ActaError as error:
            noted = isinstance(error, MissingError) and not self.strict
            (self.notes if noted else self.refused)[str(error)] = None


def examine(config: Config, targets: Sequence[str] = ()) -> Findings:
    """Examine what is asked for; files that are not there are noted, but refused if ``targets`` name what needs them.

    Args:
        config: The configuration.
        targets: Chapters, tables or figures, as for snakemake; none: those of the run's page that have data of their
            own. Recognition and shrinkage are then left out where no video has a split and a label, as of recordings
            that are only anonymised.

    Raises:
        ActaError: a target is none of these.
    """
    findings = Findings(strict=bool(targets))
    run = Run(config, (), (), {})
    page = report.targets(run)
    wanted = [name for target in targets or page for name in (page if target == "everything" else [target])]
    chapters = {_chapter(name) for target in wanted for name in _items(config, target)}
    for lists in _lists(run, chapters):
        with findings.collected():
            run = lists(run)
    chosen = targets or config.report.targets
    if not chosen and run.labelled is not None and not set(run.labelled) - {""}:
        wanted = [target for target in wanted if target not in ("classify", "shrink")]
        findings.notes["no video has a split and a label, so recognition and shrinkage are not looked at"] = None
    for target in wanted:
        for name in _items(config, target):
            for check in _checks(run, name):
                with findings.collected():
                    check()
    return findings


def _items(config: Config, target: str) -> list[str]:
    """The tables and figures of a target, and ``submission``."""
    match target:
        case "all":
            return ["figure_5_3"]
        case "classify":
            return [n for n in (*thesis.TABLES, *thesis.FIGURES) if n != "table_5_3" or config.classify.compare]
        case "shrink":
            return list(config.shrink.tables)
        case "detect":
            return list(config.detect.tables)
        case "spot":
            return [*config.spot.tables, SUBMISSION]
    if target in catalogue.names():
        return [target]
    raise ActaError(
        f"{target!r} is none of {', '.join(TARGETS)}, and no table or figure; `acta plan` takes rules and files too"
    )


def _chapter(name: str) -> int:
    return 4 if name == SUBMISSION else int(report.category(name)[0])


def _checks(run: Run, name: str) -> Iterator[Callable[[], None]]:
    """What may refuse a table or figure, or a training behind it."""
    config, chapter = run.config, _chapter(name)
    if name in ("table_3_1", "table_4_1"):  # of architectures: they need no data
        return
    yield partial(refusals.demo, run, DATA[chapter])
    if name != SUBMISSION:
        yield partial(refusals.item, run, name)
    if chapter == 5 and name in (*thesis.TABLES, *thesis.FIGURES):
        rows = thesis.rows(name, config.classify.recipe, config.classify.compare, config.privacy.what)
        for recipe in dict.fromkeys(row.recipe for row in rows):
            for split in config.classify.splits:
                yield partial(refusals.classifier, run, split, recipe)
    elif chapter == 6:
        splits = config.classify.splits if name == "table_6_6" else [config.shrink.split]
        for split in splits:
            for recipe in config.shrink.recipes:
                yield partial(refusals.classifier, run, split, recipe)
    elif chapter == 3:
        for features in config.detect.features:
            for network in thesis_detection.networks_of(name) or ("",):
                yield partial(refusals.stage, run, features, network)
    elif chapter == 4:
        tested = [config.spot.splits.submitted if name == SUBMISSION else config.spot.splits.test]
        of_main = name in (SUBMISSION, "figure_4_7")
        for network in [config.spot.main_network] if of_main else spot.networks(run, name):
            yield partial(refusals.spotter, run, network)
        yield partial(refusals.games, run, tested)


def _lists(run: Run, chapters: set[int]) -> Iterator[Callable[[Run], Run]]:
    """What finds the videos and games of these chapters, where they are the dataset's own."""
    config = run.config
    adapters = {
        5: config.data.adapter,
        6: config.data.adapter,
        3: config.detect.data.adapter,
        4: config.spot.data.adapter,
    }
    own = {chapter for chapter in chapters if run.config.is_demo or adapters[chapter] != "demo"}
    if own & {5, 6}:
        yield _with_videos
    if 3 in own:
        yield _with_annotated
    if 4 in own:
        yield _with_games


def _with_videos(run: Run) -> Run:
    data = run.config.data
    if data.adapter != "demo":
        _there({"data.root": data.root, "data.annotations": data.annotations})
    found = list(list_videos(data))
    if not found:
        raise ActaError(f"no videos were found for the dataset {run.config.dataset!r} in data.root {data.root!r}")
    return replace(run, labelled=labelled_by_split(found))


def _with_annotated(run: Run) -> Run:
    data = run.config.detect.data
    if data.adapter != "demo":
        boxes = {f"detect.data.boxes.{split}": path for split, path in data.boxes.items()}
        proposals = {f"detect.data.proposals.{split}": path for split, path in data.proposals.items()}
        _there({"detect.data.root": data.root, **boxes, **proposals})
    return replace(run, annotated=named_by_split(list_annotated(data)))


def _with_games(run: Run) -> Run:
    data = run.config.spot.data
    if data.adapter != "demo":
        lists = {f"spot.data.splits.{split}": path for split, path in data.splits.items()}
        _there({"spot.data.root": data.root, **lists})
    games: dict[str, list[str]] = {split: [] for split in data.splits}
    for game, rows in list_games(data, imported_features(run.config.spot)).items():
        games[rows[0].split].append(game)
    return replace(run, games=games)


def _there(named: Mapping[str, str | None]) -> None:
    for key, path in named.items():
        if path is not None and not Path(path).exists():
            raise MissingError(f"{key} {path!r} is not there; what depends on it is not known")
