"""Bytes of activations that are alive at once."""

import pytest
import torch

from pipeline.models.activations import peak_activations


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_is_alive_at_once_counts(device: str) -> None:
    def run() -> None:
        x = torch.zeros(100, device=device)
        for _ in range(3):
            x = x + 1  # two at a time
        del x
        torch.zeros(150, device=device)

    assert peak_activations(run) == 4 * 200


def test_views_and_what_works_in_place_count_once() -> None:
    def run() -> None:
        x = torch.zeros(10, 10)
        y = x.t()[:5]
        x.relu_()
        y.add_(1)

    assert peak_activations(run) == 4 * 100


def test_weights_do_not_count() -> None:
    """A linear layer multiplies by a view of its weight."""
    layer = torch.nn.Linear(1000, 10)
    with torch.no_grad():
        assert peak_activations(lambda: layer(torch.zeros(1, 1000))) == 4 * 1010
