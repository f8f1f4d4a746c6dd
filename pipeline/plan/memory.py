"""How much GPU memory a configuration's trainings need, by calculation: a step of each is run on tensors without data.

Counted are the weights, their gradients and momenta, and what a step makes and holds at once: activations and their
gradients. Not counted are CUDA itself, cuDNN's workspaces, fragmentation, a second copy of the gradients where several
processes exchange them, and a teacher; together they take one to two GiB.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from pipeline.config.classify import RecipeSettings
from pipeline.config.detect import FeatureSettings
from pipeline.config.spot import SpotNetworkSettings
from pipeline.config.whole import Config
from pipeline.models.activations import peak_activations
from pipeline.models.actor_backbones import ActorBackbone, build_actor_backbone, freeze
from pipeline.models.architecture import Architecture
from pipeline.models.backbones import build
from pipeline.models.frame_backbones import build_frame_backbone
from pipeline.models.recompute import recompute_activations
from pipeline.models.stage import Graphs, Stage
from pipeline.models.stage_architecture import FEATURES, StageArchitecture

_CLASSES = 400  # of Kinetics; a classifier hardly counts
_ACTORS, _OBJECTS = 4, 25  # in a clip: the means of AVA's training clips (Table 3.10)
_WIDE = 16 / 9  # a picture whose width only the data knows
# A network, and its loss on what a process computes at once, in a type.
Made = tuple[nn.Module, Callable[[torch.dtype], Tensor]]


@dataclass(frozen=True)
class TrainingMemory:
    """What a training needs.

    Args:
        name: Of the network, or of the features, in the configuration.
        micro_batch: Samples that a process computes at once.
        full, half: GiB with float32, and with bfloat16 or float16.
        full_again, half_again: With recomputed activations; None: the network has no blocks.
    """

    name: str
    micro_batch: int
    full: float
    half: float
    full_again: float | None
    half_again: float | None


def of_classification(config: Config) -> Iterator[TrainingMemory]:
    """Of each network of Ch. 5, trained without a teacher."""
    for name in (config.classify.recipe, *config.classify.compare):
        recipe = config.classify.recipes[name]
        yield _memory(name, recipe.micro_batch, partial(_classifier, recipe))


def of_detection(config: Config) -> Iterator[TrainingMemory]:
    """Of each backbone of Ch. 3 that is trained, and of STAGE on each of the published features."""
    training, sides = config.detect.training, _sides(config.detect.frames.size)
    for name, features in config.detect.features.items():
        if features.backbone is not None and features.backbone.training is not None:
            yield _memory(name, features.backbone.training.micro_batch, partial(_actors, features, sides))
        if name in FEATURES:
            made = partial(_stage, StageArchitecture.published(name), training.clips * training.batch)
            yield _memory(f"stage on {name}", training.batch, made, momenta=2)


def of_spotting(config: Config) -> Iterator[TrainingMemory]:
    """Of each network of Ch. 4 that sees pictures; one on features needs a few MiB."""
    sides = _sides(config.spot.frames.stored.size)
    for name, network in config.spot.spotters.items():
        if network.backbone is not None:
            yield _memory(name, network.training.micro_batch, partial(_spotter, network, sides))


def _memory(name: str, micro_batch: int, make: Callable[[], Made], momenta: int = 1) -> TrainingMemory:
    found = [_gib(make, dtype, again, momenta) for again in (False, True) for dtype in (torch.float32, torch.bfloat16)]
    full, half, *again = found
    assert full is not None
    assert half is not None
    return TrainingMemory(name, micro_batch, full, half, *again)


def _gib(make: Callable[[], Made], dtype: torch.dtype, again: bool, momenta: int) -> float | None:
    """GiB of a step; None: nothing can be recomputed."""
    with torch.device("meta"):
        model, loss_of = make()
        model.train().to(dtype)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):  # as an autocast does, which meta tensors lack
                module.register_forward_pre_hook(lambda module, inputs: tuple(x.to(dtype) for x in inputs))
        if again and not recompute_activations(model):
            return None
        step = peak_activations(lambda: loss_of(dtype).backward())
    weights = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    # The step has made the gradients of the weights. Mixed precision keeps them, as the weights, in float32, and copies
    # of the weights in half precision besides.
    fixed = 4 * (weights + momenta * trained)
    if dtype != torch.float32:
        fixed += 2 * weights + 2 * trained
    return (step + fixed) / 2**30


def _classifier(recipe: RecipeSettings) -> Made:
    base, clip, count = recipe.backbone, recipe.clip, recipe.micro_batch
    architecture = Architecture(base.name, _CLASSES, base.width, base.blocks, clip.frames)
    model, side = build(architecture, base.dropout), clip.view.crop

    def loss(dtype: torch.dtype) -> Tensor:
        shown = [torch.empty(count, 3, len(frames), side, side, dtype=dtype) for frames in architecture.pathways]
        return _sum(model(shown))

    return model, loss


def _actors(features: FeatureSettings, sides: tuple[int, int]) -> Made:
    chosen = features.backbone
    assert chosen is not None
    assert chosen.training is not None
    backbone = ActorBackbone(chosen.network.name, _CLASSES, chosen.network.width, chosen.network.frames)
    module = build_actor_backbone(backbone, chosen.training.dropout)
    if chosen.training.trainable == "mixed_5":
        freeze(module, backbone)
    count = chosen.training.micro_batch
    frames = [backbone.span] if not backbone.name.startswith("slowfast") else [backbone.span // 4, backbone.span]

    def loss(dtype: torch.dtype) -> Tensor:
        shown = [torch.empty(count, 3, length, *sides, dtype=dtype) for length in frames]
        return _sum(module.network(shown, [torch.empty(_ACTORS, 4, dtype=dtype)] * count)[1])

    return module, loss


def _stage(architecture: StageArchitecture, clips: int) -> Made:
    model, nodes = Stage(architecture), (_ACTORS + _OBJECTS) * clips
    assert architecture.objects is not None
    objects = architecture.objects

    def loss(dtype: torch.dtype) -> Tensor:
        graphs = Graphs(
            torch.empty(1, _ACTORS * clips, architecture.actors, dtype=dtype),
            torch.empty(1, _OBJECTS * clips, objects, dtype=dtype),
            torch.empty(1, nodes, 4, dtype=dtype),
            torch.empty(1, nodes, dtype=dtype),
            torch.ones(1, nodes, dtype=torch.bool),
        )
        return _sum(model(graphs))

    return model, loss


def _spotter(network: SpotNetworkSettings, sides: tuple[int, int]) -> Made:
    """The backbone alone; what follows it is small."""
    assert network.backbone is not None
    model = build_frame_backbone(network.backbone.name, network.backbone.trainable)
    frozen, trained = model.split()
    count = network.clip * network.training.micro_batch
    at_once = network.backbone.frames_at_once or count

    def loss(dtype: torch.dtype) -> Tensor:
        with torch.no_grad():
            parts = torch.empty(count, 3, *sides, dtype=dtype).split(at_once)
            maps = torch.cat([frozen(part) for part in parts])
        return _sum(trained(maps).mean((2, 3)))

    return model, loss


def _sides(size: int | tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of stored pictures; of a shorter side alone, or of nothing, those of a wide picture."""
    if isinstance(size, tuple):
        return size
    return size or 720, round((size or 720) * _WIDE)


def _sum(values: Tensor) -> Tensor:
    return values.float().sum()
