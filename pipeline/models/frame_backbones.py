"""torchvision's image networks without their classifiers: a vector of each frame (Secs. 4.1.1 and 4.2.5)."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.config.names import FrameBackboneName
from pipeline.models.checkpoints import read_state
from pipeline.models.opened import Opened, opened
from pipeline.models.state import load_state
from pipeline.runtime.errors import ActaError

Trainable = Literal["none", "last_block", "conv5", "conv4"]

_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class FrameBackbone(nn.Module):
    """An image network up to the average over the picture.

    The last ``blocks`` of the ``network`` train (`build_frame_backbone`), the scales and shifts of their batch norms
    included; the running statistics of every batch norm stay as they are, whatever mode the network is put in. ``size``
    is the number of its outputs.
    """

    def __init__(self, network: nn.Sequential, blocks: int, size: int):
        super().__init__()
        self._fused: nn.Module | None = None
        self.network, self.size, self._blocks = network, size, blocks
        frozen, _ = self.split()
        frozen.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "FrameBackbone":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def split(self) -> tuple[nn.Sequential, nn.Sequential]:
        """The part that is frozen and the part that trains after it; both share this network's weights."""
        blocks: list[nn.Module] = []
        for stage in self.network:
            # A ResNet's stages are plain `Sequential`s of blocks; MobileNetV2's blocks are subclasses of it.
            blocks.extend(stage if type(stage) is nn.Sequential else [stage])
        cut = len(blocks) - self._blocks
        return nn.Sequential(*blocks[:cut]), nn.Sequential(*blocks[cut:])

    def blocks(self) -> list[nn.Module]:
        """What trains; see `pipeline.models.recompute`."""
        return list(self.split()[1])

    def forward(self, pictures: Tensor, at_once: int | None = None) -> Tensor:
        """A vector of each picture; gradients reach the part that trains only.

        Args:
            pictures: RGB (n, 3, height, width), uint8, or floating point on the same scale of 0 to 255.
            at_once: Pictures that the frozen part computes at once; None: all.

        Returns:
            (n, size), in the parameters' type (bfloat16 under autocast).
        """
        if self._fused is not None:
            with torch.no_grad():
                return self._fused(self._normalised(pictures)).mean((2, 3))
        frozen, trained = self.split()
        with torch.no_grad():
            maps = torch.cat([frozen(self._normalised(part)) for part in pictures.split(at_once or len(pictures))])
        return trained(maps).mean((2, 3))

    def fuse(self) -> "FrameBackbone":
        """For inference from now on: batch norm becomes a part of the convolutions, in a quarter less time."""
        from torch.fx.experimental.optimization import fuse

        self._fused = fuse(self.network.eval())
        return self

    def _normalised(self, pictures: Tensor) -> Tensor:
        from torchvision.transforms.functional import normalize  # seconds, which jobs on features need not wait for

        dtype = next(self.parameters()).dtype
        return normalize(pictures.to(dtype, memory_format=torch.channels_last) / 255, _MEAN, _STD, inplace=True)


def build_frame_backbone(name: FrameBackboneName, trainable: Trainable = "none") -> FrameBackbone:
    """A backbone with random weights.

    Args:
        name: Which of torchvision's.
        trainable: What trains: nothing, the last residual block (Table 4.6), the last stage, or the last two (the
            challenge, Sec. 4.3). In MobileNetV2 that is features 17, 14 or 7 and all after it.
    """
    from torchvision.models import get_model

    model = get_model(name, weights=None)
    if name == "mobilenet_v2":
        network, size = model.features, model.last_channel
        counts = {"none": 0, "last_block": 2, "conv5": 5, "conv4": 12}
    else:
        network = nn.Sequential()
        for part in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            network.add_module(part, getattr(model, part))
        size, last = model.fc.in_features, len(model.layer4)
        counts = {"none": 0, "last_block": 1, "conv5": last, "conv4": last + len(model.layer3)}
    # Channels last: a tenth (ResNet) to a quarter (MobileNetV2) less time on a CPU.
    return FrameBackbone(network.to(memory_format=torch.channels_last), counts[trainable], size)


def load_frame_weights(backbone: FrameBackbone, source: Path | Opened) -> None:
    """Load torchvision's weights (.pth) of the same network; its classifier is left out.

    Raises:
        ActaError: the file cannot be read, or holds the weights of another network.
    """
    file = opened(source)
    state = {
        name.removeprefix("features."): tensor
        for name, tensor in read_state(file).items()
        if not name.startswith(("fc.", "classifier."))
    }
    if not state:
        raise ActaError(f"{file.path} holds no weights of a backbone")
    load_state(backbone.network, state, str(file.path))
