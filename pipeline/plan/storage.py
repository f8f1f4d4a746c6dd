"""How many bytes a job writes, where that follows from the configuration and the data (`pipeline.plan.sample`).

The layouts are those of the shards' modules; `pipeline.plan.work` says how much computing the same jobs are. The table
of tasks names these functions, so networks are only imported where one of them is sized: help must be there at once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.plan.graph import Job
from pipeline.plan.work import chapter_of, features_backbone, recipe_of, split_of
from pipeline.plan.work import spotter as spotter_of
from pipeline.runtime.errors import ActaError

if TYPE_CHECKING:
    from torch import nn

    from pipeline.config.detect import BackboneFeaturesSettings
    from pipeline.models.actor_backbones import ActorBackbone
    from pipeline.plan.sample import Hidden, Sample
    from pipeline.plan.site import Site

_FLOAT32, _FLOAT16 = 4, 2  # bytes
_SHARD = 12_000  # of a shard besides its arrays: HDF5's own structures, provenance, seal
_VIDEO = 200  # of a shard's index for each video: id, label, split, hash, size, place
_FRAME = 8  # of a time stamp, of an offset
_INSTANCE = 16 + 4 + 1 + 4 + 8  # box, score, filled, grid, offset
_ENTITY = 16 + 4  # box and score
# Objects on a keyframe: in AVA, by the detector of Visual Genome (the mean of Table 3.10), and in the demo, by its own.
_PUBLISHED_OBJECTS, _OWN_OBJECTS = 25, 6.7
_PUBLISHED_SIZE, _TORCHVISION_SIZE = 2048, 1024  # of their features
_FRAME_FEATURES = {"mobilenet_v2": 1280, "resnet18": 512, "resnet34": 512}
_DEEP_FRAME_FEATURES = 2048  # of the other ResNets
_PROGRAMS = 700_000  # of an exported network besides its numbers


def frames(site: "Site", job: Job) -> float | None:
    """The frame store of a shard or a game."""
    sample = site.sample(chapter_of(job))
    return None if sample is None else _shared(site, job, sample, sample.jpeg_bytes + 2 * _FRAME)


def obfuscated(site: "Site", job: Job) -> float | None:
    """The frame store of an anonymised variant."""
    sample, hidden = site.sample("classify"), _hidden(site, job)
    if sample is None or hidden is None:
        return None
    return _shared(site, job, sample, sample.jpeg_bytes * hidden.share + 2 * _FRAME)


def people(site: "Site", job: Job) -> float | None:
    """The detection shard."""
    sample, hidden = site.sample("classify"), _hidden(site, job)
    if sample is None or hidden is None:
        return None
    return _shared(site, job, sample, 2 * _FRAME + 1 + hidden.instances * (_INSTANCE + hidden.mask_bytes))


def _hidden(site: "Site", job: Job) -> "Hidden | None":
    sample = site.sample("classify")
    return None if sample is None else site.chosen(job, "what", sample.hidden)


def _shared(site: "Site", job: Job, sample: "Sample", frame: float) -> float | None:
    """The mean over the jobs of a rule, by the bytes of a frame."""
    jobs = site.jobs_of(chapter_of(job))
    return _SHARD + (sample.frames * frame + sample.videos * _VIDEO) / jobs if jobs else None


# Ch. 3.


def _objects(site: "Site") -> tuple[float, int]:
    """How many objects a keyframe has, people included where a detector finds both, and the size of a feature."""
    detect = site.config.detect
    if detect.objects is None:
        return 0, 0
    if detect.objects.imported:
        return _PUBLISHED_OBJECTS, _PUBLISHED_SIZE
    count = min(_OWN_OBJECTS, detect.objects.max_detections)
    return count, detect.detector.feature_size if detect.detector else _TORCHVISION_SIZE


def objects(site: "Site", job: Job) -> float | None:
    """The object shard: 16-bit features, boxes, scores, kinds."""
    count, size = _objects(site)
    return _of_keyframes(site, _FRAME * 2 + count * (_FLOAT16 * size + _ENTITY + 4))


def actors(site: "Site", job: Job) -> float | None:
    """The feature shard: people, annotated and as many found, and objects."""
    detect, splits = site.config.detect, tuple(site.config.detect.data.boxes)
    keyframes, annotated = site.keyframes(splits), site.keyframes(splits, people=True)
    backbone, actions = _computed(site, job), site.actions
    if not keyframes or not annotated or backbone is None or actions is None:
        return None
    number = _FLOAT16 if backbone.half_precision else _FLOAT32
    actor = number * _actor_backbone(backbone, actions).feature_size + _ENTITY + 1 + actions + _FLOAT32 * actions
    count, size = _objects(site)
    imported = detect.objects is not None and detect.objects.imported
    things = count if imported else max(0.0, count - annotated / keyframes)
    people = 2 * annotated / keyframes
    return _of_keyframes(site, 3 * _FRAME + people * actor + things * (_FLOAT16 * size + _ENTITY))


def _computed(site: "Site", job: Job) -> "BackboneFeaturesSettings | None":
    """The backbone whose features a job writes or reads; None where they are imported."""
    features = site.chosen(job, "features", site.config.detect.features)
    while features is not None and features.average_of:  # which are of one size
        features = site.config.detect.features[features.average_of[0]]
    return features.backbone if features else None


def _actor_backbone(settings: "BackboneFeaturesSettings", actions: int) -> "ActorBackbone":
    from pipeline.models.actor_backbones import ActorBackbone  # imports torch, which other plans need not wait for

    network = settings.network
    return ActorBackbone(network.name, actions, network.width, network.frames)


def _of_keyframes(site: "Site", keyframe: float) -> float | None:
    total, jobs = site.keyframes(tuple(site.config.detect.data.boxes)), site.jobs_of("detect")
    return _SHARD + total * keyframe / jobs if total is not None and jobs else None


# Ch. 4.


def frame_features(site: "Site", job: Job) -> float | None:
    """A game's features of frames, as the backbone gives them."""
    sample, features = site.sample("spot"), site.chosen(job, "features", site.config.spot.features)
    if sample is None or features is None or features.backbone is None:
        return None
    return _shared(site, job, sample, _FLOAT32 * _of_frame(features.backbone.name) + _FRAME)


def _of_frame(backbone: str) -> int:
    return _FRAME_FEATURES.get(backbone, _DEEP_FRAME_FEATURES)


def projected_features(site: "Site", job: Job) -> float | None:
    """A game's features of frames after the projection."""
    sample, features = site.sample("spot"), site.chosen(job, "features", site.config.spot.features)
    if sample is None or features is None or features.pca is None:
        return None
    return _shared(site, job, sample, _FLOAT32 * features.pca + _FRAME)


# Models. Those of Ch. 5 and 6 are counted without torch (`pipeline.models.complexity`).


def classifier(site: "Site", job: Job) -> float | None:
    """The model file of a recipe's network; a winner of Ch. 6 counts as the network that it was made from."""
    recipe = recipe_of(site, job)
    return None if recipe is None else _FLOAT32 * site.network(recipe)[1]


def hypothesis(site: "Site", job: Job) -> float | None:
    """The model file of the base network under the job's own operators; earlier winners count as of the base's size."""
    from pipeline.models.architecture import Reduction
    from pipeline.models.complexity import complexity

    recipe = recipe_of(site, job)
    if recipe is None:
        return None
    architecture, crop = site.architecture(recipe)
    factors = site.config.shrink.factors.model_dump()
    operators = [Reduction(name, factors[name]) for name in site.graph.wildcard(job, "operators") or ""]
    try:
        return _FLOAT32 * complexity(architecture.reduced(operators, crop)).parameters
    except ActaError:  # an impossible hypothesis is an empty file
        return 0.0


def exported(site: "Site", job: Job) -> float | None:
    """A network's program and its ONNX file: its numbers twice, and the code."""
    stored = classifier(site, job)
    return None if stored is None else 2 * stored + _PROGRAMS


def logits(site: "Site", job: Job) -> float | None:
    """The teacher's logits of every clip of every epoch."""
    recipe = recipe_of(site, job)
    if recipe is None:
        return None
    split, classes = split_of(site, job).train, {video.label for video in site.videos}
    clips = site.clips(split, site.config.classify.recipes[recipe].clip.train_clips)
    return float(_FLOAT32 * site.config.shrink.epochs * clips * len(classes))


def detector(site: "Site", job: Job) -> float | None:
    """The model file of a detector of people and objects."""
    training = site.config.detect.detector
    if training is None:
        return None

    def build() -> "nn.Module":
        from pipeline.models.object_detector import ObjectDetector, build_detector

        classes, side, size = training.classes, training.short_side, training.feature_size
        return build_detector(ObjectDetector("mobilenet_v2_fpn", classes, side, size))

    return _count(build)


def actor_backbone(site: "Site", job: Job) -> float | None:
    """The model file of a backbone of Ch. 3."""
    settings, actions = features_backbone(site, job), site.actions
    if settings is None or actions is None:
        return None

    def build() -> "nn.Module":
        from pipeline.models.actor_backbones import build_actor_backbone

        return build_actor_backbone(_actor_backbone(settings, actions))

    return _count(build)


def stage(site: "Site", job: Job) -> float | None:
    """The model file of STAGE or of an ablation; None with imported features, whose size is only in their files."""
    from pipeline.models.stage_architecture import StageArchitecture
    from pipeline.models.stage_complexity import stage_complexity

    detect, backbone, actions = site.config.detect, _computed(site, job), site.actions
    network = site.chosen(job, "network", detect.networks)
    features = site.chosen(job, "features", detect.features)
    if backbone is None or actions is None or network is None or features is None:
        return None
    architecture = StageArchitecture(
        actors=_actor_backbone(backbone, actions).feature_size,
        objects=_objects(site)[1] if network.objects else None,
        classes=actions,
        layers=network.layers,
        heads=network.heads or features.heads,
        receptive_field=network.receptive_field,
        attention=network.attention,
        proximity=network.proximity,
        actor_actor=network.actor_actor,
        object_object=network.object_object,
    )
    return _FLOAT32 * stage_complexity(architecture).parameters


def spotter(site: "Site", job: Job) -> float | None:
    """The model file of RMS-Net; None with imported features, whose size is only in their files."""
    spot, network = site.config.spot, spotter_of(site, job)
    features = spot.features.get(network.input)
    if features is not None and features.backbone is None:
        return None
    channels = 1 if features is None or features.backbone is None else features.pca or _of_frame(features.backbone.name)

    def build() -> "nn.Module":
        from pipeline.models.rms_net import RmsNet
        from pipeline.spot.train_spotter import architecture_of

        return RmsNet(architecture_of(network, spot.data.version, channels))

    return _count(build)


def _count(build: "Callable[[], nn.Module]") -> float:
    """Bytes of a network's numbers, without memory for them."""
    import torch

    with torch.device("meta"):
        state = build().state_dict()
    return float(sum(tensor.numel() * tensor.element_size() for tensor in state.values()))
