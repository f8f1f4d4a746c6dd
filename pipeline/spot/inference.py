"""From a half to its spots: predictions of windows over time, then suppression (Secs. 4.2.2, 4.2.6, 4.3)."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.models.rms_net import RmsNet
from pipeline.runtime.errors import VideoError
from pipeline.spot.events import Spot
from pipeline.spot.halves import Source

# Vectors (b, T, d) to logits (b, C + 1), background last, and offsets (b,) in [0, 1].
Head = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Windows:
    """A network's predictions for the windows of a half.

    Args:
        starts: First frames, int64 (n,).
        probabilities: Float64 (n, C + 1), background last.
        offsets: Of the event from the window's beginning, as a fraction of its length, float64 (n,) in [0, 1].
    """

    starts: np.ndarray
    probabilities: np.ndarray
    offsets: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """The most likely class of each window, (n,); C is background."""
        return self.probabilities.argmax(1)

    @property
    def foreground(self) -> np.ndarray:
        """Whether that is an event, (n,)."""
        return self.labels != self.probabilities.shape[1] - 1

    def places(self, clip: int) -> np.ndarray:
        """The frame of the event of each window, float64 (n,)."""
        return self.starts + self.offsets * clip


def window_starts(frames: int, clip: int, stride: int) -> range:
    """First frames of windows, up to the first that reaches a half's last frame, which is repeated beyond it."""
    return range(0, max(1, frames - max(clip - stride, 0)), stride)


def predict_windows(
    network: RmsNet | Head, source: Source, half: int, clip: int, stride: int, *, batch: int, device: torch.device
) -> Windows:
    """Show a network all windows of a half.

    Each frame is read, and goes through a backbone, once; no more than a batch's frames are held.

    Args:
        network: On the device, in evaluation mode. A function gets the frames as they are.
        source: The halves' frames or features.
        half: The position of one in it.
        clip: T: frames of a window.
        stride: Frames from one window to the next.
        batch: Windows computed at once.
        device: Where to compute.

    Raises:
        VideoError: the half has no frames.
    """
    frames = source.halves[half].frames
    if not frames:
        about = source.halves[half]
        raise VideoError(f"half {about.number} of {about.game} has no frames")
    starts = np.array(window_starts(frames, clip, stride))
    held, first, stop = torch.empty(0), 0, 0  # vectors of frames first:stop
    logits, offsets = [], []
    with torch.inference_mode():
        for begin in range(0, len(starts), batch):
            some = starts[begin : begin + batch]
            begun, until = max(stop, int(some[0])), min(int(some[-1]) + clip, frames)
            kept = held[int(some[0]) - first :]
            if begun < until:
                block = source.read(half, begun, until).to(device)
                new = network.embed(block) if isinstance(network, RmsNet) else block
                kept = torch.cat([kept, new]) if len(kept) else new
            held, first, stop = kept, int(some[0]), until
            places = np.minimum(some[:, None] + np.arange(clip), frames - 1) - first
            head = network.head if isinstance(network, RmsNet) else network
            outputs = head(held[torch.from_numpy(places).to(device)])
            logits.append(outputs[0].double().cpu())
            offsets.append(outputs[1].double().cpu())
    return Windows(starts, torch.cat(logits).softmax(1).numpy(), torch.cat(offsets).numpy())


def spots_of(windows: Windows, clip: int, rate: float, classes: Sequence[str], half: int, frames: int) -> list[Spot]:
    """The spots of a half (1 or 2) of this many frames: of each window its most likely class, unless background.

    ``clip`` (T) is in frames, ``rate`` in frames per second, ``classes`` are labels by number.
    """
    times = np.clip(windows.places(clip) / rate, 0, frames / rate)
    labels, sure = windows.labels, windows.probabilities.max(1)
    return [
        Spot(half, float(times[row]), classes[labels[row]], float(sure[row]))
        for row in np.flatnonzero(windows.foreground)
    ]


def suppress(spots: Sequence[Spot], seconds: float) -> list[Spot]:
    """Non-maximum suppression for each class and half: the best spot removes those near it, then the next best, etc.

    Near is within half of ``seconds`` to each side, inclusive; among equal confidences the earlier spot is better. The
    spots that are left come in the order of half, time and class.
    """
    left: dict[tuple[int, str], list[Spot]] = defaultdict(list)
    for spot in sorted(spots, key=lambda spot: (-spot.confidence, spot.time)):
        others = left[spot.half, spot.label]
        if all(abs(spot.time - other.time) > seconds / 2 for other in others):
            others.append(spot)
    return sorted((spot for group in left.values() for spot in group), key=lambda s: (s.half, s.time, s.label))


def votes(windows: Windows, frames: int, clip: int) -> np.ndarray:
    """How often each frame of a half is the one nearest to a predicted spot, int64 (frames,) (Fig. 4.7)."""
    places = np.rint(windows.places(clip)[windows.foreground]).astype(int)
    return np.bincount(places.clip(0, frames - 1), minlength=frames)
