"""The base network B that shrinking starts from: a network of Ch. 5, or a model file from elsewhere."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.classify.video_clips import find_classes
from pipeline.config.tasks.shrink import StoreTeacherLogits, TryHypothesis
from pipeline.models.architecture import BASES
from pipeline.models.classifier_file import Description, read_description
from pipeline.runtime.errors import ActaError


def read_base(model: Path, shards: Sequence[Path], settings: TryHypothesis | StoreTeacherLogits) -> Description:
    """What the base network is.

    Args:
        model: Its model file.
        shards: The frame shards on which hypotheses are trained.
        settings: Those of the hypothesis or of the stored logits.

    Raises:
        ActaError: it was trained on other frames, for other classes or by another recipe; the message says which.
    """
    said, recipe = read_description(model), settings.recipe
    if said.variant != settings.variant:
        raise ActaError(
            f"the base network {model} was trained on frames of the variant {said.variant!r}, but shrink.base.variant "
            f"is {settings.variant!r}"
        )
    found = set(find_classes(shards, settings.split.train, None))
    if odd := sorted(found ^ set(said.classes)):
        raise ActaError(
            f"the base network {model} has {len(said.classes)} classes, the training videos {len(found)}; they differ, "
            f"such as {odd[0]!r}. Fine-tune it first: classify.recipes.<name>.initial"
        )
    network, wanted = said.architecture, recipe.backbone
    published = BASES[network.backbone].blocks
    pairs = {
        "backbone.name": (network.backbone, wanted.name),
        "backbone.width": (network.width, wanted.width),
        "backbone.blocks": (tuple(network.blocks or published), tuple(wanted.blocks or BASES[wanted.name].blocks)),
        "clip.frames": (network.raw_frames, recipe.clip.frames),
        "clip.view": (said.view, recipe.clip.view),
        "sampling.rate": (said.rate, settings.sampling.rate),
    }
    for key, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise ActaError(
                f"the base network {model} was trained with another recipe: {key} is {_text(theirs)} there and "
                f"{_text(ours)} here; set it to that, or shrink another network (shrink.recipes, shrink.base)"
            )
    return said


def _text(value: object) -> str:
    return "null" if value is None else str(value)
