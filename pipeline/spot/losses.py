"""RMS-Net's loss, Eqs. 4.1 to 4.3."""

from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.training.loop import Losses


def losses_of(weight: float) -> Losses:
    """L = L_cls + λ · L_regr for the loop, on batches of `pipeline.spot.game_clips.TrainingClips`.

    The cross entropy is the mean over a micro-batch's clips. The squared error of the offsets is the mean over those
    of them that hold an event, and 0 where none does.

    Args:
        weight: λ.
    """

    def losses(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        logits, offsets = model(batch["clip"])
        label, event = batch["label"], batch["event"].to(offsets.dtype)
        cross_entropy = F.cross_entropy(logits, label)
        error = (offsets - batch["offset"].to(offsets.dtype)) ** 2
        regression = (error * event).sum() / event.sum().clamp(min=1)
        accuracy = (logits.argmax(1) == label).to(logits.dtype).mean()
        figures = {"cross_entropy": cross_entropy, "regression": regression, "accuracy": accuracy}
        return cross_entropy + weight * regression, figures

    return losses
