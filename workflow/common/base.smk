# What all rules use: the typed configuration, the shards, and the parameters that decide what reruns.
import gc
import os
import sys
from functools import cache, partial
from pathlib import Path
from shlex import quote

# A plan only builds; collecting garbage that is not there costs it a tenth of its time.
gc.disable()

PROJECT = Path(workflow.basedir)
# The package and nothing else: a socket.py in the project's folder, where Snakemake itself looks first, is not the
# standard library's.
PACKAGE = str(PROJECT / "workflow/python")
sys.path[:] = [PACKAGE, *(place for place in sys.path if place != str(PROJECT))]

from pipeline.config.base import canonical
from pipeline.config.base import parse as parse_config  # Snakemake has its own parse
from pipeline.config.files import read_configuration
from pipeline.config.spot_stages import imported_features
from pipeline.config.stage_settings import stage_settings
from pipeline.config.whole import Config
from pipeline.data.adapters import list_annotated, list_videos
from pipeline.data.demo import FOOTAGE, action_names, interaction_files
from pipeline.data.games import list_games
from pipeline.data.lists import (
    PlansLists,
    game_texts,
    list_texts,
    record_path,
    shard_names,
    write_if_changed,
)
from pipeline.data.matches import match_files
from pipeline.digest import digest_code
from pipeline.errors import ActaError
from pipeline.files import make_private
from pipeline.models.weights import detector_digests, registered_digest
from pipeline.report.catalogue import entry, names
from pipeline.report.thesis import FIGURES, TABLES, Evaluation, evaluation_path, rows
from pipeline.report.thesis_detection import FIGURES as CHAPTER_3_FIGURES
from pipeline.report.thesis_detection import TABLES as CHAPTER_3_TABLES
from pipeline.report.thesis_detection import networks_of as networks_for
from pipeline.report.thesis_shrinkage import BEYOND, networks_of
from pipeline.report.thesis_spotting import FIGURES as CHAPTER_4_FIGURES
from pipeline.report.thesis_spotting import TABLES as CHAPTER_4_TABLES
from pipeline.report.thesis_spotting import networks_of as spotters_for
from pipeline.slurm import stop_orphans
from pipeline.stages import code_digest
from pipeline.wheels import file_sha256


def check(function, *arguments):
    """Turn a mistake in the configuration or the annotations into Snakemake's own kind of error: one clear message."""
    try:
        return function(*arguments)
    except ActaError as error:
        raise WorkflowError(str(error))


# Snakemake reads these files by itself, and keeps the last of what a file says twice without a word.
if workflow.is_main_process:
    for path in workflow.configfiles:
        check(read_configuration, Path(path))
CONFIG = check(parse_config, Config, config, "configuration")
DATASET = f"results/{CONFIG.dataset}"
LOGS = f"logs/{CONFIG.dataset}"
ROOT = CONFIG.data.root
IS_DEMO = CONFIG.data.adapter == "demo"
VARIANTS = list(CONFIG.privacy.what)

# The lists are brought up to date whenever a plan is made, and only there: jobs read what the plan was made from, and a
# plan that is only looked at changes nothing that another one reads.
LISTS = (
    check(
        partial(PlansLists, looking=workflow.output_settings.dryrun),
        Path(DATASET),
        Path(f".snakemake/acta.lists.{CONFIG.dataset}"),
    )
    if workflow.is_main_process
    else None
)
if LISTS:
    SHARDS = LISTS.write(
        "lists",
        check(list_texts, check(list_videos, CONFIG.data), CONFIG.data.shards),
    )
else:
    SHARDS = shard_names(Path(DATASET, "lists"))
if not SHARDS:
    raise WorkflowError(
        f"no videos were found for the dataset {CONFIG.dataset!r} in data.root {ROOT!r}"
    )


# Frames of one user for another are for a group, never for everybody: raw ones are among them.
CACHE = Path(os.environ.get("SNAKEMAKE_OUTPUT_CACHE", ""))
if workflow.workflow_settings.cache is not None and workflow.is_main_process:
    if CACHE.is_dir() and CACHE.stat().st_mode & 0o007:
        raise WorkflowError(
            f"everybody may enter the cache {CACHE}, where raw frames would lie; chmod o-rwx {CACHE}"
        )


def make_cached_private():
    """Make the folders of original frames private before a cache puts links into them: there no task does it."""
    kinds = ("frames/none", "detect/frames/none", "spot/frames", "private")
    within = tuple(f"{DATASET}/{kind}/" for kind in kinds)
    written = (path for job in workflow.dag.jobs for path in job.output)
    for folder in {Path(path).parent for path in written if path.startswith(within)}:
        check(make_private, folder)


wildcard_constraints:
    shard=r"\d+-of-\d+",
    what="faces|bodies",
    variant="none|faces|bodies",
    tested="none|faces|bodies",
    split="|".join([*CONFIG.classify.splits, *CONFIG.spot.data.splits]),
    recipe="|".join(CONFIG.classify.recipes),
    strategy="|".join(CONFIG.classify.strategies),
    plan="|".join(CONFIG.shrink.plans),
    iteration=r"\d+",
    operators="[stfcl]{1,4}",
    features="|".join([*CONFIG.detect.features, *CONFIG.spot.features]),
    network="|".join([*CONFIG.detect.networks, *CONFIG.spot.spotters]),
    seed=r"\d+",
    game=r"[a-z0-9_-]+",


def result(path, **wildcards):
    """A path below this dataset's results, with those wildcards filled in that are given."""
    for name, value in wildcards.items():
        path = path.replace(f"{{{name}}}", value)
    return f"{DATASET}/{path}"


def shards(path, **wildcards):
    """The same path for every shard."""
    return [result(path, shard=shard, **wildcards) for shard in SHARDS]


def list_file(folder, name):
    """Where a list is."""
    return LISTS.path(folder, name) if LISTS else result(f"{folder}/{name}.json")


def options(lists="lists", **paths):
    """A rule's parameter: command-line options whose paths hold ``{shard}``; 1,024 paths each would not fit on a line."""
    text = " ".join(f"--{name} {' '.join(values)}" for name, values in paths.items())
    return lambda wildcards: f"--lists {DATASET}/{lists} {text}"


def log_of(path):
    """Logs lie by rule: logs/<dataset>/<rule>/<wildcards>.log; beside each what its job cost."""
    return f"{LOGS}/{path}"


def settings(stage, **fixed):
    """A rule's parameter: the JSON of what the stage reads of the configuration, as a function of the wildcards.

    ``fixed`` gives what the rule's paths don't say.
    """

    @cache
    def text(what, **names):
        return canonical(stage_settings(CONFIG, stage, what, **names))

    chosen = ("split", "recipe", "strategy", "variant", "plan", "operators")
    chosen += ("features", "network", "seed", "boxes")

    def of(wildcards):
        names = {k: getattr(wildcards, k) for k in chosen if hasattr(wildcards, k)}
        return text(getattr(wildcards, "what", None), **names, **fixed)

    return of


def weights(stage):
    """A rule's parameter: hashes of the weights that the stage uses."""

    @cache
    def digests(what):
        found = check(detector_digests, stage_settings(CONFIG, stage, what))
        return [f"{name}={found[name]}" for name in sorted(found)]

    return lambda wildcards: digests(wildcards.what)


def remember_min_job_age():
    """Keep the Slurm plugin at the command that it began with while the controller is away.

    Plugin 2.8 asks the controller for MinJobAge at each status check. Without an answer it turns to sacct, and on a
    cluster without accounting it then forgets all running jobs and waits for ever. The value is asked for once here.
    """
    import snakemake_executor_plugin_slurm as plugin

    age = plugin.get_min_job_age()
    plugin.get_min_job_age = lambda: age
