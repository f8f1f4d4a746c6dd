"""How a run differs from the thesis, in words: the column `differs` of the tables of Ch. 5 and 6."""

from collections.abc import Iterable, Iterator

from pipeline.config.classify import RecipeSettings, StrategySettings
from pipeline.models.architecture import BASES
from pipeline.report.catalogue import settings


def said(what: str, own: object, theirs: object) -> str | None:
    """One difference; None where there is none. Numbers have three decimals at most."""
    texts = _text(own), _text(theirs)
    return None if texts[0] == texts[1] else f"{what} {texts[0]}, thesis {texts[1]}"


def joined(notes: Iterable[str | None]) -> str | None:
    """The differences as the text of a cell."""
    return "; ".join(dict.fromkeys(note for note in notes if note)) or None


def recipe_differences(
    recipe: RecipeSettings, epochs: int, test_clips: int, *, fine_tuned: bool = False
) -> Iterator[str | None]:
    """How a recipe of the configuration differs from the thesis's: scale, then weights.

    ``fine_tuned``: the thesis too starts from a trained network, with a tenth of the learning rate (Table 6.6).
    """
    backbone, own = recipe.backbone, settings()
    theirs = own.recipes.get(backbone.name)
    if theirs is None:
        yield f"the thesis has no {backbone.name}"
    published = BASES[backbone.name].blocks
    yield said("width", backbone.width, 1)
    yield said("blocks", backbone.blocks or published, published)
    if theirs:
        yield said("frames", recipe.clip.frames, theirs.frames)
        yield said("crop", recipe.clip.view.crop, theirs.crop)
    yield said("epochs", epochs, own.epochs)
    yield said("clips of a video in an epoch", recipe.clip.train_clips, own.train_clips)
    yield said("clips of a video in evaluation", test_clips, own.test_clips)
    if theirs:
        yield said("batch", recipe.batch, theirs.batch)
        yield said("learning rate", recipe.learning_rate, theirs.learning_rate * (0.1 if fine_tuned else 1))
    if recipe.initial is not None and not fine_tuned:
        yield "weights fine-tuned from another model, thesis random"


def strategy_differences(name: str, strategy: StrategySettings) -> Iterator[str | None]:
    """How a strategy of Ch. 5 differs from the thesis's."""
    own = settings()
    if strategy.teacher is not None:
        yield said("λ", strategy.kd, own.kd)
        yield said("β", strategy.rkd, own.rkd if name == "kd_rkd" else 0)
        yield said("T", strategy.temperature, own.temperature)


def _text(value: object) -> str:
    if isinstance(value, int | float):
        return f"{round(value, 3):.10g}"
    return "–".join(map(str, value)) if isinstance(value, tuple) else str(value)
