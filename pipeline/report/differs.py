"""What is not as in the thesis, in words: the column `differs` of the tables of Ch. 5 and 6."""

from collections.abc import Iterable, Iterator

from pipeline.config.classify import RecipeSettings, StrategySettings
from pipeline.models.architecture import BASES
from pipeline.report.catalogue import settings


def said(what: str, own: object, theirs: object) -> str | None:
    """One difference; None where there is none. Numbers have three decimals at most."""
    texts = _text(own), _text(theirs)
    return None if texts[0] == texts[1] else f"{what} {texts[0]}, thesis {texts[1]}"


def joined(notes: Iterable[str | None]) -> str | None:
    """The differences as a cell."""
    return "; ".join(dict.fromkeys(note for note in notes if note)) or None


def recipe_differences(
    recipe: RecipeSettings, epochs: int, test_clips: int, *, fine_tuned: bool = False
) -> Iterator[str]:
    """What a recipe has otherwise: scale, then weights.

    Args:
        recipe: The configuration's.
        epochs: Of its training.
        test_clips: Of a video in evaluation.
        fine_tuned: Whether the thesis too starts from a trained network, with a tenth of the learning rate (Table 6.6).
    """
    backbone, own = recipe.backbone, settings()
    theirs = own.recipes.get(backbone.name)
    if theirs is None:
        yield f"the thesis has no {backbone.name}"
    published = BASES[backbone.name].blocks
    pairs: list[tuple[str, object, object]] = [
        ("width", backbone.width, 1),
        ("blocks", backbone.blocks or published, published),
    ]
    if theirs:
        pairs += [("frames", recipe.clip.frames, theirs.frames), ("crop", recipe.clip.view.crop, theirs.crop)]
    pairs += [
        ("epochs", epochs, own.epochs),
        ("clips of a video in an epoch", recipe.clip.train_clips, own.train_clips),
        ("clips of a video in evaluation", test_clips, own.test_clips),
    ]
    if theirs:
        rate = theirs.learning_rate * (0.1 if fine_tuned else 1)
        pairs += [("batch", recipe.batch, theirs.batch), ("learning rate", recipe.learning_rate, rate)]
    yield from (note for what, measured, other in pairs if (note := said(what, measured, other)))
    if recipe.initial is not None and not fine_tuned:
        yield "weights fine-tuned from another model, thesis random"


def strategy_differences(name: str, strategy: StrategySettings) -> Iterator[str]:
    """What a strategy of Ch. 5 has otherwise."""
    own = settings()
    if strategy.teacher is not None:
        for what, measured, theirs in (
            ("λ", strategy.kd, own.kd),
            ("β", strategy.rkd, own.rkd if name == "kd_rkd" else 0),
            ("T", strategy.temperature, own.temperature),
        ):
            if note := said(what, measured, theirs):
                yield note


def _text(value: object) -> str:
    if isinstance(value, int | float):
        return f"{round(value, 3):.10g}"
    return "–".join(map(str, value)) if isinstance(value, tuple) else str(value)
