# Used by all rules: the typed configuration, the lists of videos and games, and the run, which gives rules their files.
import gc
import os
import sys
from functools import partial
from pathlib import Path

# Making a plan produces no garbage; looking for it would take a tenth of the time.
gc.disable()

PROJECT = Path(workflow.basedir)
# Only the package: Snakemake puts the project's folder first, so a socket.py there would hide the standard library's.
PACKAGE = str(PROJECT / "workflow/python")
sys.path[:] = [PACKAGE, *(place for place in sys.path if place != str(PROJECT))]

from pipeline.config.base import parse as parse_config  # Snakemake has its own parse
from pipeline.config.files import read_configuration
from pipeline.config.tasks.spot import imported_features
from pipeline.config.whole import Config, base_of
from pipeline.dag import classify, detect, paths, refusals, shrink, spot
from pipeline.dag import report as page
from pipeline.dag.run import Run, about, by_split, command, named, roles
from pipeline.data.adapters import list_annotated, list_videos
from pipeline.data.games import list_games
from pipeline.demo.get_footage import FOOTAGE, action_names, interaction_files
from pipeline.demo.make_matches import match_files
from pipeline.media.lists import (
    PlansLists,
    game_texts,
    labelled_by_split,
    list_texts,
    named_by_split,
    record_path,
    shard_names,
    write_if_changed,
)
from pipeline.runtime.errors import ActaError
from pipeline.runtime.files import make_private
from pipeline.runtime.slurm import stop_orphans


def check(function, *arguments):
    """Turn a mistake in the configuration or the annotations into Snakemake's own kind of error, with one clear message."""
    try:
        return function(*arguments)
    except ActaError as error:
        raise WorkflowError(str(error))


# So far `config` is what the command line says. What is below it depends on the dataset.
configfile: str(base_of(config))


# Snakemake also reads these files, but if a key appears twice in a file, it silently keeps the last.
if workflow.is_main_process:
    for path in workflow.configfiles:
        check(read_configuration, Path(path))
CONFIG = check(parse_config, Config, config, "configuration")
DATASET = f"results/{CONFIG.dataset}"
VARIANTS = list(CONFIG.privacy.what)
CLASSIFY, SHRINK, DETECTION, SPOT = (
    CONFIG.classify,
    CONFIG.shrink,
    CONFIG.detect,
    CONFIG.spot,
)

# The lists are updated only when a plan is made: jobs read the lists that the plan was made from. A dry run changes
# nothing that another run reads.
LISTS = None
if workflow.is_main_process:
    LISTS = check(
        partial(PlansLists, looking=workflow.output_settings.dryrun),
        Path(DATASET),
        Path(f".snakemake/acta.lists.{CONFIG.dataset}"),
    )
    videos, boxes = CONFIG.data, DETECTION.data
    found = check(list, check(list_videos, videos))
    named_videos = check(list, check(list_annotated, boxes))
    labelled, annotated = labelled_by_split(found), named_by_split(named_videos)
    shards = LISTS.write(paths.LISTS, check(list_texts, found, videos.shards))
    detection_shards = LISTS.write(
        paths.DETECTION_LISTS,
        check(list_texts, named_videos, boxes.shards),
    )
    listed = check(list_games, SPOT.data, imported_features(SPOT))
    games = {}
    # One list, and one job of each kind, per game; a list is in the folder of the game's split.
    for split in SPOT.data.splits:
        texts = game_texts({k: g for k, g in listed.items() if g[0].split == split})
        games[split] = LISTS.write(paths.filled(paths.GAME_LISTS, split=split), texts)
    if LISTS.alone:  # the lists then match this configuration, which `acta clean` needs
        write_if_changed(record_path(CONFIG.dataset), CONFIG.model_dump_json())
    LISTS.share()
else:
    labelled = annotated = None
    shards = shard_names(Path(DATASET, paths.LISTS))
    detection_shards = shard_names(Path(DATASET, paths.DETECTION_LISTS))
    games = {
        split: shard_names(Path(DATASET, paths.filled(paths.GAME_LISTS, split=split)))
        for split in SPOT.data.splits
    }
if not shards:
    raise WorkflowError(
        f"no videos were found for the dataset {CONFIG.dataset!r} in data.root {CONFIG.data.root!r}"
    )
RUN = Run(CONFIG, shards, detection_shards, games, labelled, annotated)
IS_DEMO = CONFIG.is_demo
result = RUN.result


def of(function, **fixed):
    """Turn a function of the run and the wildcards into a rule's function of the wildcards."""
    return lambda wildcards: check(partial(function, RUN, wildcards, **fixed))


def drawn_from(function, name=None):
    """A rule's function of the wildcards: what a table or figure is made of, unless it cannot be made."""

    def files(wildcards):
        asked = name or wildcards.name
        check(refusals.item, RUN, asked)
        return check(function, RUN, asked)

    return files


def verbatim(value):
    """A rule's parameter with ``{shard}`` in its paths for all shards, because 1,024 paths do not fit on a command line."""
    return lambda wildcards: value


def list_file(folder, name):
    """The path of a list."""
    return LISTS.path(folder, name) if LISTS else result(f"{folder}/{name}.json")


def log_of(path):
    """The path of a log, logs/<dataset>/<rule>/<wildcards>.log; the job's cost is stored next to it."""
    return f"logs/{CONFIG.dataset}/{path}"


def on_gpu(settings):
    return int(settings is not None and settings.device == "cuda")


def threads_of(settings, loading=False):
    """Compute threads, which are part of the result; if a GPU computes, also some to load data."""
    if settings is None:
        return 1
    return settings.threads + (12 if loading and on_gpu(settings) else 0)


# A shared cache of frames is for a group, never for everybody, because it also holds raw frames.
CACHE = Path(os.environ.get("SNAKEMAKE_OUTPUT_CACHE", ""))
if workflow.workflow_settings.cache is not None and workflow.is_main_process:
    if CACHE.is_dir() and CACHE.stat().st_mode & 0o007:
        raise WorkflowError(
            f"everybody may enter the cache {CACHE}, where raw frames would lie; chmod o-rwx {CACHE}"
        )


def make_cached_private():
    """Make the folders of original frames private before a cache puts links into them; with a cache, no task does."""
    kinds = ("frames/none", "detect/frames/none", "spot/frames", "private")
    within = tuple(f"{DATASET}/{kind}/" for kind in kinds)
    written = (path for job in workflow.dag.jobs for path in job.output)
    for folder in {Path(path).parent for path in written if path.startswith(within)}:
        check(make_private, folder)


def remember_min_job_age():
    """Keep the Slurm plugin on its status command while the controller does not respond.

    Plugin 2.8 asks the controller for MinJobAge at each status check. Without an answer it switches to sacct; on a
    cluster without accounting it then forgets all running jobs and waits for ever. So the value is fetched once, here.
    """
    import snakemake_executor_plugin_slurm as plugin

    age = plugin.get_min_job_age()
    plugin.get_min_job_age = lambda: age


wildcard_constraints:
    shard=r"\d+-of-\d+",
    what="faces|bodies",
    variant="none|faces|bodies",
    tested="none|faces|bodies",
    split="|".join([*CLASSIFY.splits, *SPOT.data.splits]),
    recipe="|".join(CLASSIFY.recipes),
    strategy="|".join(CLASSIFY.strategies),
    plan="|".join(SHRINK.plans),
    iteration=r"\d+",
    operators="[stfcl]{1,4}",
    features="|".join([*DETECTION.features, *SPOT.features]),
    network="|".join([*DETECTION.networks, *SPOT.spotters]),
    boxes="detected|annotated",
    seed=r"\d+",
    game=r"[a-z0-9_-]+",


# The environment of jobs. Where the videos are and how many may be bad does not affect results, so these are not
# parameters: moving the folder reruns nothing.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # containers often set it
os.environ.update(
    # Jobs find the package without installing it, in any environment.
    PYTHONPATH=":".join(filter(None, [PACKAGE, os.environ.get("PYTHONPATH")])),
    PYTHONSAFEPATH="1",
    # Otherwise glibc returns memory and requests it again at every training step, which takes a tenth of the time.
    MALLOC_TRIM_THRESHOLD_="1000000000",
    MALLOC_MMAP_THRESHOLD_="1000000000",
    # Without Slurm, each job takes a GPU of its own.
    ACTA_ASSIGN_GPUS="1",
    ACTA_ROOT=CONFIG.data.root,
    ACTA_MAX_BAD=str(CONFIG.data.max_bad_fraction),
    ACTA_DETECTION_ROOT=DETECTION.data.root or ".",
    ACTA_DETECTION_MAX_BAD=str(DETECTION.data.max_bad_fraction),
    ACTA_COUNTED=DETECTION.data.evaluated or DETECTION.data.label_map,
    ACTA_SHOWN=DETECTION.data.boxes.get(DETECTION.splits.test, ""),
    ACTA_GAMES_ROOT=SPOT.data.root,
    ACTA_GAMES_MAX_BAD=str(SPOT.data.max_bad_fraction),
)
shell.prefix("set -euo pipefail; ")
