"""One run of the workflow: its configuration, its shards and games, where its results lie, how its tasks are called."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

from pipeline.config.whole import Config
from pipeline.dag import paths
from pipeline.dag.paths import filled
from pipeline.models.weights import detector_digests, registered_digest
from pipeline.runtime.digest import code_digest
from pipeline.runtime.provenance import canonical
from pipeline.runtime.wheels import file_sha256
from pipeline.tasks import TASKS, task_settings


@dataclass(frozen=True)
class Run:
    """What the plan of a run is made from.

    ``shards`` are those of the videos of Ch. 5 and 6, ``detection_shards`` of Ch. 3, ``games`` those of each split of
    Ch. 4. ``labelled``: how many videos of Ch. 5 and 6 have a label, by split; ``annotated``: how many of Ch. 3 are
    named, by split; both are None in a job, which trusts its plan.
    """

    config: Config
    shards: Sequence[str]
    detection_shards: Sequence[str]
    games: Mapping[str, Sequence[str]]
    labelled: Mapping[str, int] | None = None
    annotated: Mapping[str, int] | None = None

    def result(self, path: str, **wildcards: object) -> str:
        """A path below this dataset's results, with those wildcards filled in that are given."""
        return f"results/{self.config.dataset}/{filled(path, **wildcards)}"

    @property
    def anonymised(self) -> list[str]:
        """Patterns of the shards of frames and detections of every variant."""
        hidden = self.config.privacy.what
        frames = [filled(paths.FRAMES, variant=variant) for variant in ("none", *hidden)]
        return frames + [filled(paths.DETECTIONS, what=what) for what in hidden]

    def of_shards(self, path: str, **wildcards: object) -> list[str]:
        """The same path for every shard of the videos of Ch. 5 and 6."""
        return [self.result(path, shard=shard, **wildcards) for shard in self.shards]

    def of_detection_shards(self, path: str, **wildcards: object) -> list[str]:
        """The same path for every shard of the videos of Ch. 3."""
        return [self.result(path, shard=shard, **wildcards) for shard in self.detection_shards]

    def of_games(self, splits: Sequence[str], path: str, **wildcards: object) -> list[str]:
        """The same path for every game of these splits."""
        return [
            self.result(path, game=game, **wildcards) for split in dict.fromkeys(splits) for game in self.games[split]
        ]

    def game_lists(self, splits: Sequence[str]) -> str:
        """The folders of the lists of these splits' games, as words of a command."""
        return " ".join(quote(self.result(paths.GAME_LISTS, split=split)) for split in dict.fromkeys(splits))

    def split_of(self, game: str) -> str:
        """The split of a game."""
        return next(split for split, games in self.games.items() if game in games)

    def task(self, name: str, **fixed: str | Callable[[Any], str]) -> dict[str, Any]:
        """Parameters of a rule that runs a task: what decides whether its jobs rerun.

        What the settings' ``from_config`` asks for is a wildcard of the rule, or ``fixed``: a text, or a function
        of the wildcards.
        """
        task = TASKS[name]
        parameters: dict[str, Any] = {"code": code_digest(task.dotted)}
        if task.settings is not None:
            parameters["settings"] = self._settings(name, fixed)
        return parameters

    def _settings(self, name: str, fixed: Mapping[str, str | Callable[[Any], str]]) -> Callable[[Any], str]:
        """The JSON of what a task reads, as a function of the wildcards: Snakemake would fill a text's braces."""
        asked = [wanted for wanted in TASKS[name].asked if wanted not in fixed]

        @cache
        def text(**values: str) -> str:
            return canonical(task_settings(self.config, name, **values))

        def of_job(wildcards: Any) -> str:
            values = {key: getattr(wildcards, key) for key in asked if hasattr(wildcards, key)}
            return text(**values, **{key: one(wildcards) if callable(one) else one for key, one in fixed.items()})

        return of_job

    def detector_weights(self, name: str) -> Callable[[Any], list[str]]:
        """A rule's parameter: hashes of the weights that a task on people uses, by the wildcard ``what``."""

        @cache
        def digests(what: str) -> list[str]:
            hashes = detector_digests(task_settings(self.config, name, what=what))  # type: ignore[arg-type]
            return [f"{network}={hashes[network]}" for network in sorted(hashes)]

        return lambda wildcards: digests(wildcards.what)

    def weights_digest(self, path: str | None, registered: str | None) -> str:
        """The hash of weights that are no output of a rule; a plan can be made before they are there.

        Without a path, they are the registered ones of this name, if there are any.
        """
        if path is None:
            return registered_digest(registered) if registered else ""
        return "" if path.startswith(self.result("")) else sha256_of(path)


def command(name: str, options: str) -> str:
    """The shell line of a rule that runs a task; its own options may hold what Snakemake is to fill in."""
    task = TASKS[name]
    line = f"python -m pipeline --costs {{log}} task {name} {options}"
    if task.launched:  # as many processes as the profile says
        line = f"SRUN_CPUS_PER_TASK={{threads}} {{resources.launcher}} {line}"
    if task.settings is not None:
        line += " --settings {params.settings:q}"
    if any(parameter.name == "workers" for parameter in task.parameters):
        line += " --cores {threads}"
    return f"{line} &> {{log}}"


def named(prefix: str, files: Mapping[str, str]) -> dict[str, str]:
    """Inputs of a rule: files by split, each with a name of its own."""
    return {f"{prefix}_{split}": path for split, path in files.items()}


def roles(*files: Mapping[str, str]) -> list[str]:
    """A parameter of such a rule: which file is which split's, as swapping two leaves the set of inputs as it is."""
    return [f"{split}={Path(path).name}" for part in files for split, path in part.items()]


def by_split(option: str, prefix: str, files: Mapping[str, str]) -> str:
    """The same files as an option of the rule's command."""
    return " ".join([f"--{option}", *(f"{split}={{input.{prefix}_{split}:q}}" for split in files)])


def about(model: str) -> str:
    """The description next to a model file."""
    return model.replace(".safetensors", ".json")


@cache
def sha256_of(path: str) -> str:
    """The hash of a file that the plan reads; ``missing`` where it is not there (yet)."""
    return file_sha256(Path(path)) if Path(path).is_file() else "missing"
