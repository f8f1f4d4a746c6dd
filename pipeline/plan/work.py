"""How much work a job has: what other jobs cost is scaled by it. The table of tasks says which counts for a task.

Multiply-adds count three times where a network trains (once forward, twice backward) and once where it only looks.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline.plan.graph import Job

if TYPE_CHECKING:
    from pipeline.plan.site import Site

TRAINED = 3  # multiply-adds of a step of training over those of a look
HALVED = 0.5  # Sec. 6.2.2: each operator about halves the multiply-adds
MULTIPLY_ADDS = "10¹² multiply-adds"
_FLOAT32 = 4  # bytes of a stored parameter

Amount = Callable[["Site", Job], float | None]


@dataclass(frozen=True)
class Kind:
    """How a rule's jobs are weighed.

    Args:
        unit: Of the work, in the plural, as it is printed.
        amount: A job's work in that unit; None: it is not known (yet).
        gpu: Whether a job computes on a GPU; None: none does.
        grows: Whether what a job writes grows with its work; else all jobs of the rule count as writing the same.
        writes: Bytes that a job writes, where the configuration tells by itself.
    """

    unit: str
    amount: Amount
    gpu: Callable[["Site", Job], bool] | None = None
    grows: bool = False
    writes: Amount | None = None

    def on_gpu(self, site: "Site", job: Job) -> bool:
        return self.gpu is not None and self.gpu(site, job)


Weigh = Callable[[str], Kind | None]  # by a rule's name; None: it runs no task
JOBS = Kind("jobs", lambda site, job: 1.0)


# Where jobs compute.


def where(settings: Callable[["Site", Job], Any]) -> Callable[["Site", Job], bool]:
    """Whether a job computes on a GPU, by the key ``device`` of settings; without settings it does not."""

    def on_gpu(site: "Site", job: Job) -> bool:
        found = settings(site, job)
        return found is not None and found.device == "cuda"

    return on_gpu


def searching(site: "Site", job: Job) -> bool:
    what = site.wildcard(job, "what", ("faces", "bodies"))
    search = site.config.privacy.detect.search("bodies" if what == "bodies" else "faces")
    return what is not None and search.uses_gpu


def features_backbone(site: "Site", job: Job) -> Any:
    name = site.wildcard(job, "features", tuple(site.config.detect.features))
    return site.config.detect.features[name].backbone if name else None


def backbone_training(site: "Site", job: Job) -> Any:
    source = features_backbone(site, job)
    return source.training if source else None


def frame_features(site: "Site", job: Job) -> Any:
    name = site.wildcard(job, "features", tuple(site.config.spot.features))
    return site.config.spot.features[name] if name else None


def spotter(site: "Site", job: Job) -> Any:
    spotters = site.config.spot.spotters
    return spotters[site.wildcard(job, "network", tuple(spotters)) or site.config.spot.main_network]


def classifier(site: "Site", job: Job) -> Any:
    return site.config.classify.training


def spotter_training_settings(site: "Site", job: Job) -> Any:
    return spotter(site, job).training


CLASSIFYING = where(classifier)
SPOTTING = where(spotter_training_settings)


def evaluating_graphs(site: "Site", job: Job) -> bool:
    """The backbone's own classifier needs no GPU: its scores are read."""
    return job.rule == "evaluate_stage" and bool(site.config.detect.training.device == "cuda")


# Work of Ch. 5 and 6.


def video_shard(site: "Site", job: Job) -> float | None:
    """Bytes of a shard's videos, of Ch. 3 or of Ch. 5."""
    return site.bytes_of_shard("detect" if job.rule.endswith("_detection") else "")


def _recipe(site: "Site", job: Job) -> str | None:
    return site.wildcard(job, "recipe", tuple(site.config.classify.recipes))


def _split(site: "Site", job: Job) -> Any:
    splits = site.config.classify.splits
    return splits[site.wildcard(job, "split", tuple(splits)) or site.config.shrink.split]


def parameters(site: "Site", job: Job) -> float | None:
    """Bytes of a base network's model file; a reduced one's is smaller by what nobody knows before."""
    recipe = _recipe(site, job)
    return None if recipe is None else _FLOAT32 * site.network(recipe)[1]


def classifier_training(site: "Site", job: Job) -> float | None:
    if job.rule != "train_classifier":
        return _reduced_training(site, job)
    recipe, strategies = _recipe(site, job), site.config.classify.strategies
    strategy = site.wildcard(job, "strategy", tuple(strategies))
    taught = strategy is not None and strategies[strategy].teacher is not None
    return _steps(site, recipe, _split(site, job).train, TRAINED + taught, site.config.classify.training.epochs)


def _steps(site: "Site", recipe: str | None, split: str, times: float, epochs: int) -> float | None:
    if recipe is None:
        return None
    clips = site.clips(split, site.config.classify.recipes[recipe].clip.train_clips)
    return site.network(recipe)[0] * times * clips * epochs


def _reduced(site: "Site", job: Job) -> float | None:
    """How much of its base network's multiply-adds a network of Ch. 6 has."""
    iteration = _iteration(site, job)
    return None if iteration is None else HALVED**iteration


def _iteration(site: "Site", job: Job) -> int | None:
    """The wildcard ``iteration``, or that in ``network``: ``<plan>/iteration_<n>/…`` or ``pas_<n>`` or ``base``."""
    for name in ("iteration", "network"):
        value = site.graph.wildcard(job, name)
        if value == "base":
            return 0
        match = re.search(r"(?:^|iteration_|pas_)(\d+)", value or "")
        if match:
            return int(match[1])
    return None


def hypothesis(site: "Site", job: Job) -> float | None:
    shrink = site.config.shrink
    plan = shrink.plans.get(site.graph.wildcard(job, "plan") or "pas", shrink.plans["pas"])
    part = _reduced(site, job)
    if part is None:
        return None
    epochs = shrink.epochs
    if plan.halving:  # the first epochs are jobs of their own
        epochs = plan.halving.epochs if job.rule == "try_hypothesis_start" else epochs - plan.halving.epochs
    teacher = plan.teacher is not None and not plan.store_logits
    return _steps(site, _recipe(site, job), _split(site, job).train, TRAINED * part + teacher, epochs)


def _reduced_training(site: "Site", job: Job) -> float | None:
    part = _reduced(site, job)
    alone = job.rule == "train_classifier_alone"
    epochs = site.config.shrink.epochs if alone else site.config.classify.training.epochs
    return None if part is None else _steps(site, _recipe(site, job), _split(site, job).train, TRAINED * part, epochs)


def logits(site: "Site", job: Job) -> float | None:
    return _steps(site, _recipe(site, job), _split(site, job).train, 1, site.config.shrink.epochs)


def evaluation(site: "Site", job: Job) -> float | None:
    recipe = _recipe(site, job)
    part = 1.0 if job.rule == "evaluate_classifier" else _reduced(site, job)
    if recipe is None or part is None:
        return None
    clips = site.clips(_split(site, job).test, site.config.classify.test_clips)
    return site.network(recipe, tested=True)[0] * part * clips


# Work of Ch. 3.


def keyframes_of_shard(site: "Site", job: Job) -> float | None:
    total = site.keyframes(tuple(site.config.detect.data.boxes))
    return total / site.shards if total is not None and site.shards else None


def _train_keyframes(site: "Site", epochs: int | None) -> float | None:
    total = site.keyframes(site.config.detect.splits.train)
    return total * epochs if total is not None and epochs is not None else None


def detector_training(site: "Site", job: Job) -> float | None:
    detector = site.config.detect.detector
    return _train_keyframes(site, detector.epochs if detector else None)


def backbone_keyframes(site: "Site", job: Job) -> float | None:
    training = backbone_training(site, job)
    return _train_keyframes(site, training.epochs if training else None)


def graph_training(site: "Site", job: Job) -> float | None:
    return _train_keyframes(site, site.config.detect.training.epochs)


def tested_keyframes(site: "Site", job: Job) -> float | None:
    return site.keyframes((site.config.detect.splits.test,))


# Work of Ch. 4.


def game(site: "Site", job: Job) -> float | None:
    return site.bytes_of_games(tuple(site.config.spot.data.splits), mean=True)


def games(which: Literal["train", "split", "test"]) -> Amount:
    def amount(site: "Site", job: Job) -> float | None:
        splits = site.config.spot.splits
        if which == "train":
            return site.bytes_of_games(splits.train)
        shown = site.wildcard(job, "split", tuple(site.config.spot.data.splits)) if which == "split" else None
        return site.bytes_of_games((shown or splits.test,))

    return amount


def spotter_training(site: "Site", job: Job) -> float | None:
    """Clips and epochs; by the number of events, which nobody knows before the games are read, None."""
    network = spotter(site, job)
    clips = network.sampling
    if clips.foreground is None or clips.background is None:
        return None
    return (clips.foreground + clips.background) * network.training.epochs
