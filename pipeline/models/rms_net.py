"""RMS-Net (Sec. 4.1.1, Table 4.1): from the frames of a clip to the class of its event and its place in the clip."""

from dataclasses import dataclass

from torch import Tensor, nn

from pipeline.config.names import FrameBackboneName
from pipeline.models.bounds import STRICT, Count, Frames, Share
from pipeline.models.frame_backbones import FrameBackbone, Trainable, build_frame_backbone


@dataclass(frozen=True)
class RmsNetArchitecture:
    """Which network.

    Args:
        classes: C, without background.
        features: Channels of the input features; a backbone has its own number.
        clip: T: frames of a clip. The network itself takes any number; windows are cut to this one.
        projection: Outputs of FC1. None: the convolutions work straight on the features (the challenge, Sec. 4.3).
        convolutions: Output channels of the two convolutions over time.
        kernel: Their width in frames; odd.
        dropout: Between the convolutions and the maximum.
        hidden: Outputs of FC2.
        regression: Whether the offset is predicted.
        backbone: The network that sees the frames. None: the input is features.
        trainable: Which part of the backbone trains (`pipeline.models.frame_backbones`).
    """

    __pydantic_config__ = STRICT

    classes: Count
    features: Count
    clip: Frames
    projection: Count | None
    convolutions: tuple[Count, Count]
    kernel: Frames
    dropout: Share
    hidden: Count
    regression: bool
    backbone: FrameBackboneName | None = None
    trainable: Trainable = "none"


class RmsNet(nn.Module):
    """The network; the frozen part of its backbone computes ``frames_at_once``, None: all."""

    def __init__(self, architecture: RmsNetArchitecture, frames_at_once: int | None = None):
        super().__init__()
        self.architecture, self._frames_at_once = architecture, frames_at_once
        self.backbone: FrameBackbone | None = None
        size = architecture.features
        if architecture.backbone is not None:
            self.backbone = build_frame_backbone(architecture.backbone, architecture.trainable)
            size = self.backbone.size
        self.project: nn.Linear | None = None
        if architecture.projection is not None:
            self.project, size = nn.Linear(size, architecture.projection), architecture.projection
        first, second = architecture.convolutions
        self.convolutions = nn.Sequential(
            nn.Conv1d(size, first, architecture.kernel, padding="same"),
            nn.ReLU(),
            nn.Conv1d(first, second, architecture.kernel, padding="same"),
            nn.ReLU(),
            nn.Dropout(architecture.dropout),
        )
        self.hidden = nn.Sequential(nn.Linear(second, architecture.hidden), nn.ReLU())
        self.classify = nn.Linear(architecture.hidden, architecture.classes + 1)
        self.regress = nn.Linear(architecture.hidden, 1) if architecture.regression else None

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """What happens in clips, and when.

        Args:
            clips: Features (b, T, channels), or with a backbone pictures, uint8 RGB (b, T, 3, height, width).

        Returns:
            Logits (b, C + 1), background last, and offsets (b,) from the clip's beginning as parts of its length, in
            [0, 1]; without regression they are 0.5.
        """
        return self.head(self.embed(clips.flatten(0, 1)).unflatten(0, clips.shape[:2]))

    def embed(self, frames: Tensor) -> Tensor:
        """A vector (n, d) of each frame: the backbone's, or (n, channels) the features themselves."""
        if self.backbone is not None:
            return self.backbone(frames, self._frames_at_once)
        return frames.to(self.classify.weight.dtype)

    def head(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, of the vectors (b, T, d) that `embed` gives of the frames."""
        if self.project is not None:
            vectors = self.project(vectors)
        hidden = self.hidden(self.convolutions(vectors.transpose(1, 2)).amax(2))
        dtype = self.classify.weight.dtype  # autocast gives less, in which an offset would be coarse
        logits = self.classify(hidden).to(dtype)
        if self.regress is None:
            return logits, logits.new_full((len(logits),), 0.5)
        return logits, self.regress(hidden).squeeze(1).to(dtype).sigmoid()
