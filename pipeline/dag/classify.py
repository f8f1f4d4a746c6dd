"""Action recognition (Ch. 5): what trainings, evaluations and tables read."""

from typing import Any

from pipeline.dag import paths, refusals
from pipeline.dag.run import Run, sha256_of
from pipeline.models.weights import WEIGHTS, registered_digest
from pipeline.report.thesis import rows


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
    """The frame shards that a network is trained or tested on; errors as for `refusals.classifier`."""
    refusals.classifier(run, wildcards.split, wildcards.recipe)
    return run.of_shards(paths.FRAMES, variant=variant)


def initial_weights(run: Run, wildcards: Any) -> str:
    """The hash of the weights to fine-tune from; a plan can be made before they are there."""
    initial = run.config.classify.recipes[wildcards.recipe].initial
    if initial is None:
        return ""
    return registered_digest(initial) if initial in WEIGHTS else sha256_of(initial)


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
