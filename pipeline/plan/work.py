"""How much work a job has: what other jobs cost is scaled by it. The table of tasks says how each task is weighed.

Multiply-adds count three times where a network is trained (once forward, twice backward) and once where it only runs.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline.plan.graph import Job

if TYPE_CHECKING:
    from pipeline.plan.site import Chapter, Site

TRAINED = 3  # multiply-adds of a training step relative to those of a forward pass
HALVED = 0.5  # Sec. 6.2.2: each operator about halves the multiply-adds
MULTIPLY_ADDS = "10¹² multiply-adds"
PIXELS = "10⁶ pixels"
_FLOAT32 = 4  # bytes of a stored parameter
_MATCH = 90 * 60.0  # seconds
_WIDE = 9 / 16  # height over width, where only the longer side is known

Amount = Callable[["Site", Job], float | None]


@dataclass(frozen=True)
class Kind:
    """How a rule's jobs are weighed.

    Args:
        unit: The unit of the work, in the plural, as it is printed.
        amount: A job's work in that unit; None: it is not known (yet).
        gpu: Whether a job computes on a GPU; None: none does.
        grows: Whether what a job writes grows with its work; otherwise all jobs of the rule count as writing the same.
        writes: Bytes that a job writes, where they follow from the configuration and the data; None: not (yet).
        told: What they follow from.
    """

    unit: str
    amount: Amount
    gpu: Callable[["Site", Job], bool] | None = None
    grows: bool = False
    writes: Amount | None = None
    told: str = ""

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
    features = site.chosen(job, "features", site.config.detect.features)
    return features.backbone if features else None


def backbone_training(site: "Site", job: Job) -> Any:
    source = features_backbone(site, job)
    return source.training if source else None


def frame_features(site: "Site", job: Job) -> Any:
    return site.chosen(job, "features", site.config.spot.features)


def spotter(site: "Site", job: Job) -> Any:
    spotters = site.config.spot.spotters
    return site.chosen(job, "network", spotters) or spotters[site.config.spot.main_network]


def classifier(site: "Site", job: Job) -> Any:
    return site.config.classify.training


CLASSIFYING = where(classifier)
SPOTTING = where(lambda site, job: spotter(site, job).training)


def evaluating_graphs(site: "Site", job: Job) -> bool:
    """The backbone's own classifier needs no GPU, as its scores are only read."""
    return job.rule == "evaluate_stage" and bool(site.config.detect.training.device == "cuda")


# Work of Ch. 5 and 6.


def chapter_of(job: Job) -> "Chapter":
    """Whose videos a job works on."""
    if "game" in job.rule or job.rule in ("extract_frame_features", "project_features"):
        return "spot"
    return "detect" if job.rule.endswith("_detection") else "classify"


def decoded_pixels(site: "Site", job: Job) -> float | None:
    """Pixels of a shard's or a game's frames, as they are decoded and as they are stored."""
    chapter = chapter_of(job)
    sample, jobs = site.sample(chapter), site.jobs_of(chapter)
    if sample is None or not jobs:
        return None
    return (sample.decoded * sample.video_pixels + sample.frames * sample.pixels) / jobs / 1e6


def stored_pixels(site: "Site", job: Job) -> float | None:
    """Pixels of a shard's or a game's stored frames."""
    chapter = chapter_of(job)
    sample, jobs = site.sample(chapter), site.jobs_of(chapter)
    return None if sample is None or not jobs else sample.frames * sample.pixels / jobs / 1e6


def searched_pixels(site: "Site", job: Job) -> float | None:
    """Pixels of the pictures of a shard that the networks of a search are shown."""
    sample, what = site.sample("classify"), site.wildcard(job, "what", ("faces", "bodies"))
    if sample is None or what is None or not site.jobs_of("classify"):
        return None
    search = site.config.privacy.detect.search("bodies" if what == "bodies" else "faces")
    longest = (network.long_side or math.inf for network in search.networks)
    shown = sum(min(sample.video_pixels, _WIDE * side**2) for side in longest)
    return sample.frames * shown * (4 if search.search_rotated else 1) / site.jobs_of("classify") / 1e6


def video_shard(site: "Site", job: Job) -> float | None:
    """Bytes of a shard's videos, of Ch. 3 or of Ch. 5."""
    return site.bytes_of_shard("detect" if job.rule.endswith("_detection") else "")


def recipe_of(site: "Site", job: Job) -> str | None:
    return site.wildcard(job, "recipe", site.config.classify.recipes)


def split_of(site: "Site", job: Job) -> Any:
    splits = site.config.classify.splits
    return site.chosen(job, "split", splits) or splits[site.config.shrink.split]


def classifier_training(site: "Site", job: Job) -> float | None:
    alone = job.rule == "train_classifier_alone"
    epochs = site.config.shrink.epochs if alone else site.config.classify.training.epochs
    if job.rule == "train_classifier":
        strategy = site.chosen(job, "strategy", site.config.classify.strategies)
        times: float | None = TRAINED + (strategy is not None and strategy.teacher is not None)
    else:
        part = _reduced(site, job)
        times = None if part is None else TRAINED * part
    return _steps(site, job, times, epochs)


def _steps(site: "Site", job: Job, times: float | None, epochs: int) -> float | None:
    """Work of a training whose steps count this many times as much as the base network's forward passes."""
    recipe, split = recipe_of(site, job), split_of(site, job).train
    if recipe is None or times is None:
        return None
    clips = site.clips(split, site.config.classify.recipes[recipe].clip.train_clips)
    return site.network(recipe)[0] * times * clips * epochs


def _reduced(site: "Site", job: Job) -> float | None:
    """The share of its base network's multiply-adds that a network of Ch. 6 has.

    The iteration is the wildcard ``iteration`` or part of ``network``: ``<plan>/iteration_<n>/…``, ``pas_<n>`` or
    ``base``.
    """
    for name in ("iteration", "network"):
        value = site.graph.wildcard(job, name)
        if value == "base":
            return 1.0
        match = re.search(r"(?:^|iteration_|pas_)(\d+)", value or "")
        if match:
            return HALVED ** int(match[1])
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
    return _steps(site, job, TRAINED * part + teacher, epochs)


def logits(site: "Site", job: Job) -> float | None:
    return _steps(site, job, 1, site.config.shrink.epochs)


def evaluation(site: "Site", job: Job) -> float | None:
    recipe = recipe_of(site, job)
    part = 1.0 if job.rule in ("evaluate_classifier", "evaluate_classifier_base") else _reduced(site, job)
    if recipe is None or part is None:
        return None
    clips = site.clips(split_of(site, job).test, site.config.classify.test_clips)
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
    return site.bytes_of_game()


def game_frames(site: "Site", job: Job) -> float | None:
    """Stored frames of a game, or those of its features where there are no videos: then as of 90 minutes."""
    sample, games = site.sample("spot"), site.jobs_of("spot")
    if sample is not None:
        return sample.frames / games if games else None
    return None if site.config.spot.data.videos else _MATCH * site.config.spot.frames.rate


def frames_of_games(which: Literal["train", "split", "test"]) -> Amount:
    """Frames of all games of the splits that a job reads."""

    def amount(site: "Site", job: Job) -> float | None:
        splits, frames = site.config.spot.splits, game_frames(site, job)
        shown = site.wildcard(job, "split", site.config.spot.data.splits) if which == "split" else None
        read = splits.train if which == "train" else (shown or splits.test,)
        return None if frames is None else frames * sum(map(site.games, read))

    return amount


def spotter_training(site: "Site", job: Job) -> float | None:
    """Clips times epochs; None if they depend on the number of events, which is unknown before the games are read."""
    network = spotter(site, job)
    clips = network.sampling
    if clips.foreground is None or clips.background is None:
        return None
    return (clips.foreground + clips.background) * network.training.epochs
