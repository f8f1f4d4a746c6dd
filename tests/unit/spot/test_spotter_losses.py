"""Eqs. 4.1 to 4.3 by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from pipeline.spot.train_spotter import losses_of


class Says(nn.Module):
    """In the network's place: takes logits and offsets, side by side, as its clips."""

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        return clips[:, :-1], clips[:, -1]


def batch(rows: list[tuple[list[float], float, int, float, bool]]) -> dict[str, Tensor]:
    """Of each clip logits and offset that are said; label, offset and whether there is an event."""
    logits, said, labels, offsets, events = zip(*rows, strict=True)
    clips = [[*row, offset] for row, offset in zip(logits, said, strict=True)]
    return {
        "clip": torch.tensor(clips, dtype=torch.float64, requires_grad=True),
        "label": torch.tensor(labels),
        "offset": torch.tensor(offsets, dtype=torch.float32),
        "event": torch.tensor(events),
    }


MIXED = [
    ([0.0, math.log(3)], 0.75, 0, 0.25, True),
    ([math.log(3), 0.0], 0.5, 0, 0.625, True),
    ([0.0, math.log(3)], 0.9, 1, 0.0, False),
    ([0.0, 0.0], 0.1, 1, 0.0, False),
]


def test_values() -> None:
    with torch.no_grad():
        loss, figures = losses_of(10.0)(Says(), batch(MIXED))
    cross_entropy = -(math.log(1 / 4) + math.log(3 / 4) + math.log(3 / 4) + math.log(1 / 2)) / 4
    regression = (0.5**2 + 0.125**2) / 2  # background does not count, nor on average
    assert float(figures["cross_entropy"]) == pytest.approx(cross_entropy)
    assert float(figures["regression"]) == pytest.approx(regression)
    assert float(figures["accuracy"]) == 0.5  # of equal logits the first class counts
    assert float(loss) == pytest.approx(cross_entropy + 10 * regression)


def test_background_alone_has_no_regression() -> None:
    shown = batch(MIXED[2:])
    loss, figures = losses_of(10.0)(Says(), shown)
    loss.backward()
    assert figures["regression"].item() == 0
    assert loss.item() == pytest.approx(figures["cross_entropy"].item())
    assert shown["clip"].grad.isfinite().all()
    assert shown["clip"].grad[:, -1].tolist() == [0, 0]


def test_without_a_weight_the_offset_is_not_taught() -> None:
    shown = batch(MIXED)
    losses_of(0.0)(Says(), shown)[0].backward()
    assert shown["clip"].grad[:, -1].tolist() == [0, 0, 0, 0]
    assert shown["clip"].grad[:, 0].any()


def test_gradient_of_the_offset() -> None:
    shown = batch(MIXED)
    losses_of(10.0)(Says(), shown)[0].backward()
    assert shown["clip"].grad[:, -1].tolist() == pytest.approx([10 * 0.5, 10 * -0.125, 0, 0])
