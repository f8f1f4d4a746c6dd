"""The losses of Sec. 5.2, each on the logits of one micro-batch (what one process computes at once)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(student: Tensor, labels: Tensor) -> Tensor:
    """Eq. 5.4, mean over the batch. ``student``: logits (n, c); ``labels``: (n,)."""
    return F.cross_entropy(student, labels)


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Eq. 5.7: KL divergence of the student's soft predictions from the teacher's, at the temperature of Eq. 5.6.

    The mean over batch *and* classes, which λ = 12,500 presupposes (Sec. 5.3.1); with 400 classes that weighs as much
    as 31.25 times the mean over the batch. Logits (n, c).
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    # Spelt out, as torch is going to change what reduction="mean" means.
    return F.kl_div(log_student, log_teacher, reduction="none", log_target=True).mean()


def relational(student: Tensor, teacher: Tensor) -> Tensor:
    """Eq. 5.9: Huber loss (Eq. 5.10) between the normalised pairwise distances (Eq. 5.8), mean over all n² pairs.

    Logits (n, c). A batch of one has no pairs and costs nothing.
    """
    return F.smooth_l1_loss(_normalised_distances(student), _normalised_distances(teacher))


def _normalised_distances(logits: Tensor) -> Tensor:
    """Eq. 5.8: Euclidean distances (n, n) over their mean; pairs at distance zero don't count for the mean."""
    distances = torch.cdist(logits, logits, compute_mode="donot_use_mm_for_euclid_dist")
    apart = distances[distances > 0]
    return distances / apart.mean() if apart.numel() else distances
