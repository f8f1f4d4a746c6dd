"""How a run differs from the thesis's, in words: the column `differs` of the tables of Ch. 3 to 6."""

from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from pipeline.config.classify import RecipeSettings
from pipeline.config.tasks.report import RecognitionValues, decisive
from pipeline.models.architecture import BASES


def said(what: str, own: object, theirs: object) -> str | None:
    """One difference, or None. Numbers have three decimals, or digits, at most."""
    texts = _text(own), _text(theirs)
    return None if texts[0] == texts[1] else f"{what} {texts[0]}, thesis {texts[1]}"


def joined(notes: Iterable[str | None]) -> str | None:
    """The differences as a cell."""
    return "; ".join(dict.fromkeys(note for note in notes if note)) or None


def differences(own: Mapping[str, object], theirs: Mapping[str, object], above: str = "") -> Iterator[str]:
    """Every value of ``theirs`` that is another one in ``own``, by its key: ``clip.frames 8, thesis 16``.

    ``above`` is put before the keys.
    """
    for key, value in theirs.items():
        mine = own.get(key, "set" if value is None else None)  # a group that one of them does not have
        if note := said(f"{above}{key}", mine, value):
            yield note


def recipe_differences(
    own: BaseModel, recipe: RecipeSettings, thesis: RecognitionValues, *, fine_tuned: bool = False
) -> Iterator[str]:
    """How a recipe and its training differ from the thesis's with the same backbone, or any if it has none.

    Args:
        own: Has ``training``, ``test_clips`` and ``rate``.
        recipe: The configuration's.
        thesis: The thesis's values.
        fine_tuned: Whether the thesis too starts from a trained network, with a tenth of the learning rate (Table 6.6).
    """
    named = {other.backbone.name: other for other in thesis.recipes.values()}
    theirs = named.get(recipe.backbone.name)
    if theirs is None:
        yield f"the thesis has no {recipe.backbone.name}"
        yield from differences(
            decisive(_filled(recipe).backbone, "backbone."), decisive(_as_published(recipe).backbone, "backbone.")
        )
    else:
        if fine_tuned:
            theirs = theirs.model_copy(update={"learning_rate": theirs.learning_rate / 10})
        yield from differences(decisive(_filled(recipe)), decisive(_filled(theirs)))
    yield from differences(decisive(vars(own)["training"]), decisive(thesis.training))
    for name, key in (("test_clips", "test_clips"), ("sampling.rate", "rate")):
        if note := said(name, vars(own)[key], vars(thesis)[key]):
            yield note
    if recipe.initial is not None and not fine_tuned:
        yield "weights fine-tuned from another model, thesis random"


def strategy_differences(own: RecognitionValues, thesis: RecognitionValues, strategy: str) -> Iterator[str]:
    """How a strategy of Ch. 5 differs from the thesis's."""
    if own.strategies[strategy].teacher is not None:
        yield from differences(decisive(own.strategies[strategy]), decisive(thesis.strategies[strategy]))


def privacy_differences(own: RecognitionValues, thesis: RecognitionValues, variants: Iterable[str]) -> Iterator[str]:
    """How the people of these variants are found and hidden otherwise than in the thesis."""
    for what in variants:
        for values, theirs in ((own.detect, thesis.detect), (own.obfuscate, thesis.obfuscate)):
            if what in values:
                yield from (f"{what}: {note}" for note in differences(decisive(values[what]), decisive(theirs[what])))


def declared(departures: Mapping[str, str]) -> str:
    """What a configuration declares as departures from the thesis, as a note under a table; empty if nothing."""
    listed = "; ".join(f"{key}: {reason}" for key, reason in departures.items())
    return f"Departures from the thesis that the configuration declares: {listed}." if listed else ""


def _filled(recipe: RecipeSettings) -> RecipeSettings:
    """With the blocks of the published network, if the recipe names none."""
    blocks = recipe.backbone.blocks or BASES[recipe.backbone.name].blocks
    return recipe.model_copy(update={"backbone": recipe.backbone.model_copy(update={"blocks": tuple(blocks)})})


def _as_published(recipe: RecipeSettings) -> RecipeSettings:
    whole = recipe.backbone.model_copy(update={"width": 1.0, "blocks": None})
    return _filled(recipe.model_copy(update={"backbone": whole}))


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int | float):
        return f"{round(value, 3):.10g}" if abs(value) >= 1 else f"{value:.3g}"
    return "–".join(map(str, value)) if isinstance(value, tuple) else str(value)
