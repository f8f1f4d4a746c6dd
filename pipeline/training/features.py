"""Distillation of intermediate activations (Sec. 6.2.5, Table 6.7): one loss for each residual stage."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.runtime.errors import ActaError

STAGES = ("layer1", "layer2", "layer3", "layer4")


def mean_squares(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the activations after the ReLU. Arguments: before it, (n, c, t, h, w)."""
    return F.mse_loss(student.relu(), teacher.relu())


def margin_relu(student: Tensor, teacher: Tensor) -> Tensor:
    """Partial L2 distance under a margin ReLU (Heo et al., ICCV 2019, Eqs. 1 to 3), mean over all activations.

    The teacher's negative activations count as their channel's mean, which is taken from the micro-batch; where both
    are negative and the student's is lower, the loss is 0. Arguments: before the ReLU, (n, c, t, h, w).
    """
    negative = teacher < 0
    margin = (teacher * negative).sum((0, 2, 3, 4), keepdim=True) / negative.sum((0, 2, 3, 4), keepdim=True).clamp(1)
    target = torch.maximum(teacher, margin)
    counts = (student > target) | (target > 0)
    return ((student - target) ** 2 * counts).mean()


LOSSES = {"mse": mean_squares, "margin_relu": margin_relu}


def _note(seen: dict[str, Tensor], stage: str, module: nn.Module, inputs: tuple[Tensor]) -> None:
    seen[stage] = inputs[0].clone()  # the ReLU works in place


class FeatureLoss:
    """Listens to a student and its teacher; called after both have run, it gives the sum over the stages.

    Args:
        name: One of `LOSSES`.
        student: R(2+1)D or R3D.
        teacher: One with activations of the same shapes, which only operator l keeps.
        weight: Factor on the loss, for the caller to apply.

    Raises:
        ActaError: the networks have no such stages.
    """

    def __init__(self, name: str, student: nn.Module, teacher: nn.Module, weight: float):
        self._loss, self.weight = LOSSES[name], weight
        self._seen: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        for network, seen in zip((student, teacher), self._seen, strict=True):
            for stage in STAGES:
                try:
                    last = network.get_submodule(stage)[-1]  # type: ignore[index]
                except AttributeError:
                    kind = type(network).__name__
                    raise ActaError(f"features: {name} needs an R(2+1)D or R3D, not a {kind}") from None
                last.relu.register_forward_pre_hook(partial(_note, seen, stage))

    def __call__(self) -> Tensor:
        """Raises ActaError where the shapes differ."""
        student, teacher = self._seen
        for stage in STAGES:
            if student[stage].shape != teacher[stage].shape:
                raise ActaError(
                    f"the activations of {stage} are {list(student[stage].shape)}, the teacher's "
                    f"{list(teacher[stage].shape)}: only operator l keeps them alike (Table 6.7)"
                )
        return torch.stack([self._loss(student[stage], teacher[stage]) for stage in STAGES]).sum()
