"""One training step of STAGE, compared with the same network that computes Eq. 3.3 literally, on all pairs of nodes.

Six clips of 4 actors and 25 objects: 174 nodes, d = 1028, on a CPU. Memory is the peak of what the step's operations
allocate, without the weights.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.models.activations import peak_activations
from pipeline.models.stage import GraphAttentionLayer, Graphs, Stage
from pipeline.models.stage_architecture import StageArchitecture

CLIPS, ACTORS, OBJECTS = 6, 4, 25


class _Pairwise(GraphAttentionLayer):
    """The (n, n, 2k) tensor of every pair h_i ‖ h_j, then the feedforward layer."""

    def additive(self, values: Tensor) -> Tensor:
        nodes = values.shape[2]
        one = values[:, :, :, None].expand(-1, -1, -1, nodes, -1)
        other = values[:, :, None].expand(-1, -1, nodes, -1, -1)
        weights = torch.cat([self.attend[0], self.attend[1]], 1)
        return F.leaky_relu(torch.einsum("bhijk,hk->bhij", torch.cat([one, other], -1), weights), 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # Without dropout, so that both take exactly the same step.
    architecture = StageArchitecture.published("i3d", dropout=0.0)
    networks = {"Acta": Stage(architecture), "all pairs": Stage(architecture)}
    networks["all pairs"].load_state_dict(networks["Acta"].state_dict())
    for layer in networks["all pairs"].layers:
        layer.__class__ = _Pairwise
    graphs, labels = _batch(architecture)
    steps = {name: _step(network, graphs, labels) for name, network in networks.items()}
    losses = {name: step() for name, step in steps.items()}
    assert abs(losses["Acta"] - losses["all pairs"]) < 1e-5, losses
    peaks = {name: peak_activations(step) for name, step in steps.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.runs):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{CLIPS * (ACTORS + OBJECTS)} nodes, d = {architecture.width}, {options.threads} thread(s)\n")
    print("| formulation | ms a step | times as fast | MB at once | of all pairs |\n|---|---|---|---|---|")
    for name, median in medians.items():
        print(
            f"| {name} | {1000 * median:.0f} | {medians['all pairs'] / median:.1f} | {peaks[name] / 1e6:.0f} "
            f"| {peaks[name] / peaks['all pairs']:.3f} |"
        )


def _batch(architecture: StageArchitecture) -> tuple[Graphs, Tensor]:
    draw = torch.Generator().manual_seed(0)
    actors, objects = CLIPS * ACTORS, CLIPS * OBJECTS
    when = torch.cat([torch.arange(CLIPS).repeat_interleave(count) for count in (ACTORS, OBJECTS)])
    graphs = Graphs(
        torch.randn(1, actors, architecture.actors, generator=draw),
        torch.randn(1, objects, architecture.objects or 0, generator=draw),
        torch.rand(1, actors + objects, 4, generator=draw),
        when[None].float(),
        torch.ones(1, actors + objects, dtype=torch.bool),
    )
    return graphs, (torch.rand(1, actors, architecture.classes, generator=draw) < 0.05).float()


def _step(network: Stage, graphs: Graphs, labels: Tensor) -> Callable[[], float]:
    optimizer = torch.optim.Adam(network.parameters(), lr=6.25e-5, fused=True)

    def step() -> float:
        loss = F.binary_cross_entropy_with_logits(network(graphs), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


if __name__ == "__main__":
    main()
