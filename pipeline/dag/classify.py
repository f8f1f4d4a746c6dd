"""Action recognition (Ch. 5): what trainings, evaluations and tables read."""

from typing import Any

from pipeline.dag import paths
from pipeline.dag.run import Run, sha256_of
from pipeline.report.thesis import rows
from pipeline.runtime.errors import ActaError


def model(run: Run, split: str, recipe: str, variant: str, strategy: str) -> str:
    """A trained network's model file."""
    folder = run.result(paths.CLASSIFIER, split=split, recipe=recipe, variant=variant, strategy=strategy)
    return f"{folder}/model.safetensors"


def teacher(run: Run, wildcards: Any) -> str | list[str]:
    """The network trained on the frames that the strategy shows to the teacher; nothing where there is none."""
    shown = run.config.classify.strategies[wildcards.strategy].teacher
    return [] if shown is None else model(run, wildcards.split, wildcards.recipe, shown, "cross_entropy")


def teacher_frames(run: Run, wildcards: Any) -> list[str]:
    """The frames that the strategy shows to the teacher."""
    shown = run.config.classify.strategies[wildcards.strategy].teacher
    return [] if shown is None else run.of_shards(paths.FRAMES, variant=shown)


def teacher_options(run: Run, wildcards: Any) -> str:
    """Both as options of the command; ``{shard}`` stands for all, as 1,024 paths do not fit on a line."""
    shown = run.config.classify.strategies[wildcards.strategy].teacher
    shards = run.result(paths.FRAMES, variant=shown)
    return "" if shown is None else f"--teacher {teacher(run, wildcards)} --teacher-shards {shards}"


def frames(run: Run, wildcards: Any, variant: str) -> list[str]:
    """The frame shards that a network is trained or tested on.

    Raises:
        ActaError: the dataset has no labelled videos of the split, or fewer than a batch.
    """
    split, labelled = run.config.classify.splits[wildcards.split], run.labelled
    for role, name in (("train", split.train), ("test", split.test)):
        if labelled is not None and not labelled.get(name):
            there = ", ".join(f"{other} ({count})" for other, count in sorted(labelled.items()) if other) or "none"
            raise ActaError(
                f"classify.splits.{wildcards.split}.{role} is {name!r}, but the dataset {run.config.dataset!r} has no "
                f"labelled video of that split (data.root {run.config.data.root!r}); splits that have some: {there}"
            )
    recipe = run.config.classify.recipes[wildcards.recipe]
    videos = None if labelled is None else labelled[split.train]
    if videos is not None and videos * recipe.clip.train_clips < recipe.batch:
        raise ActaError(
            f"an epoch of {videos} videos has {videos * recipe.clip.train_clips} clips (clip.train_clips "
            f"{recipe.clip.train_clips} each), fewer than one batch: set classify.recipes.{wildcards.recipe}.batch, "
            f"which is {recipe.batch}, to at most that, and learning_rate in proportion"
        )
    return run.of_shards(paths.FRAMES, variant=variant)


def initial_weights(run: Run, wildcards: Any) -> str:
    """The hash of the weights to fine-tune from; a plan can be made before they are there."""
    initial = run.config.classify.recipes[wildcards.recipe].initial
    return "" if initial is None else sha256_of(initial)


def evaluation(run: Run, split: str, recipe: str, variant: str, strategy: str, tested: str) -> str:
    """An evaluation of a trained network."""
    names = {"split": split, "recipe": recipe, "variant": variant, "strategy": strategy, "tested": tested}
    return f"{run.result(paths.CLASSIFIER_EVALUATION, **names)}/evaluation.json"


def shown_recipes(run: Run, wildcards: Any) -> str:
    """The recipes that the table or figure of a job shows, as words."""
    classify = run.config.classify
    shown = rows(wildcards.name, classify.recipe, classify.compare, run.config.privacy.what)
    return " ".join(dict.fromkeys(row.recipe for row in shown))


def evaluations_of(run: Run, name: str) -> list[str]:
    """The evaluations that a table or figure is made of."""
    classify = run.config.classify
    return [
        evaluation(run, split, *row)
        for row in rows(name, classify.recipe, classify.compare, run.config.privacy.what)
        for split in classify.splits
    ]
