"""Progressive architecture shrinkage (Ch. 6): what hypotheses, selections, studies and tables read."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from pipeline.dag import classify, paths, refusals
from pipeline.dag.run import Run
from pipeline.report.thesis_shrinkage import BEYOND, STUDIED, measured_on_a_device, networks_of, plans_of


def iterations(run: Run) -> Iterable[int]:
    """The iterations, from 1."""
    return range(1, run.config.shrink.iterations + 1)


def _iteration(run: Run, recipe: str, plan: str, iteration: int) -> str:
    return run.result(paths.ITERATION, recipe=recipe, plan=plan, iteration=iteration)


def base(run: Run, wildcards: Any) -> str:
    """The base network's model file: a network of Ch. 5, or one from elsewhere."""
    chosen = run.config.shrink.base
    if chosen.strategy is None:
        assert chosen.model is not None
        return chosen.model.replace("{recipe}", wildcards.recipe)
    return classify.model(run, run.config.shrink.split, wildcards.recipe, chosen.variant, chosen.strategy)


def base_evaluation(run: Run, wildcards: Any) -> str:
    """Its evaluation, on the frames that it was trained on."""
    chosen = run.config.shrink.base
    if chosen.strategy is None:
        return f"{run.result(paths.BASE, recipe=wildcards.recipe)}/evaluation.json"
    names = (chosen.variant, chosen.strategy, chosen.variant)
    return classify.evaluation(run, run.config.shrink.split, wildcards.recipe, *names)


def frames(run: Run, wildcards: Any) -> list[str]:
    """The frame shards that the base network and all hypotheses see; errors as of `classify.frames`."""
    shown = SimpleNamespace(split=run.config.shrink.split, recipe=wildcards.recipe)
    return classify.frames(run, shown, run.config.shrink.base.variant)


def previous(run: Run, wildcards: Any) -> str:
    """The winner of the iteration before; in the first one the base network."""
    before = int(wildcards.iteration) - 1
    if before == 0:
        return base(run, wildcards)
    plan = run.config.shrink.plans[wildcards.plan].start_from or wildcards.plan
    return f"{_iteration(run, wildcards.recipe, plan, before)}/selected.safetensors"


def folders(run: Run, wildcards: Any, *, started: bool = False) -> list[str]:
    """The folders of an iteration's hypotheses, in the order that breaks ties; of their first epochs if ``started``."""
    folder = _iteration(run, wildcards.recipe, wildcards.plan, wildcards.iteration)
    operators = run.config.shrink.plans[wildcards.plan].operators
    return [f"{folder}/{name}/started" if started else f"{folder}/{name}" for name in operators]


def measured(run: Run, wildcards: Any, *, started: bool = False) -> list[str]:
    """What a selection reads of the hypotheses."""
    names = ("model.safetensors", "model.json", "metrics.json", "evaluation.json")
    return [f"{folder}/{name}" for folder in folders(run, wildcards, started=started) for name in names]


def stored_logits(run: Run, wildcards: Any) -> str | list[str]:
    """The base network's stored logits, where the plan has them."""
    if not run.config.shrink.plans[wildcards.plan].store_logits:
        return []
    return run.result(paths.TEACHER_LOGITS, recipe=wildcards.recipe, plan=wildcards.plan)


def begun(run: Run, wildcards: Any, name: str) -> str | list[str]:
    """A file of successive halving in an iteration's folder, where the plan has it."""
    if run.config.shrink.plans[wildcards.plan].halving is None:
        return []
    folder = _iteration(run, wildcards.recipe, wildcards.plan, wildcards.iteration)
    return f"{folder}/{paths.filled(name, operators=wildcards.operators)}"


def options(inputs: Any) -> str:
    """Options of the command for the inputs that not every plan has."""
    names = ("stored", "started", "survivors")
    return " ".join(f"--{name} {path}" for name in names if (path := getattr(inputs, name, None)))


def transferred(run: Run, wildcards: Any) -> str:
    """The network of another dataset that is fine-tuned here (Table 6.6); errors as for `refusals.transferred`."""
    return refusals.transferred(run, wildcards.recipe, wildcards.network)


def is_slowfast(run: Run, recipe: str) -> bool:
    """Whether a base network is a SlowFast, whose figure is 6.4."""
    return run.config.classify.recipes[recipe].backbone.name.startswith("slowfast")


def exports(run: Run) -> list[str]:
    """What the winners of PAS cost once they are exported."""
    return [
        f"{_iteration(run, recipe, 'pas', n)}/export/export.json"
        for recipe in run.config.shrink.recipes
        for n in iterations(run)
    ]


def results_of(run: Run, name: str, recipes: Sequence[str] | None = None) -> list[str]:
    """What a table or figure of Ch. 6 (all figures: ``shrink_figure``) is made of, for these or all base networks."""
    shrink = run.config.shrink
    recipes = shrink.recipes if recipes is None else recipes
    if name == "table_6_6":
        networks = ["base", *(f"pas_{n}" for n in iterations(run))]
        return [
            f"{run.result(paths.TRANSFERRED, split=split, recipe=recipe, network=network)}/{file}"
            for split in run.config.classify.splits
            for recipe in recipes
            for network in networks
            for file in ("evaluation.json", "model.json")
        ]
    if name == "table_6_7":  # activations are compared in ResNets only
        recipes = [recipe for recipe in recipes if not is_slowfast(run, recipe)]
    # What a side study starts from, and no iteration after it.
    last = max(1, min(STUDIED.get(name, shrink.iterations + 1) - 1, shrink.iterations))
    winners = [f"{_iteration(run, recipe, 'pas', n)}/selected.json" for recipe in recipes for n in range(1, last + 1)]
    operators = {plan: plan_settings.operators for plan, plan_settings in shrink.plans.items()}
    wanted = list(winners)
    if name == "table_6_5":
        wanted += [path.replace("selected.json", "export/export.json") for path in winners]
        for recipe in recipes:
            numbers = measured_on_a_device(shrink.iterations)
            wanted += [f"{_iteration(run, recipe, 'pas', n)}/resources.json" for n in numbers if n]
            wanted.append(run.result(paths.BASE_RESOURCES, recipe=recipe))
    if name == "shrink_beyond":
        for recipe in recipes:
            folders = [_iteration(run, recipe, plan, n) for n in iterations(run) for plan in BEYOND]
            wanted += [f"{folder}/selected.json" for folder in folders]
            wanted.append(run.result(paths.TEACHER_LOGITS, recipe=recipe, plan="stored").replace(".h5", ".json"))
            wanted += [
                f"{_iteration(run, recipe, 'halving', n)}/{name}/started/metrics.json"
                for n in iterations(run)
                for name in operators["halving"]
            ]
    trained = networks_of(name, recipes, shrink.iterations, operators)
    return wanted + [
        f"{run.result('shrink')}/{network}/{file}"
        for network in trained
        for file in ("evaluation.json", "metrics.json")
    ]


def shown_plans(run: Run, wildcards: Any) -> str:
    """The plans that the table of a job shows, or its figure, as words."""
    return " ".join(plans_of(getattr(wildcards, "name", "shrink_figure")))


def figures_of(run: Run, name: str) -> list[str]:
    """The pictures of the base networks of one family; all of them where there is none."""
    recipes = run.config.shrink.recipes
    family = [recipe for recipe in recipes if is_slowfast(run, recipe) == (name == "figure_6_4")]
    return [run.result(paths.FIGURE, name=f"shrink_{recipe}") for recipe in family or recipes]
