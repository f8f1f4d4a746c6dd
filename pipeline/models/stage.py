"""STAGE: graph attention over the actors and objects of consecutive clips (Secs. 3.1.1 to 3.1.3).

One graph is a run of clips of one video; its nodes are their actors and objects. Graphs are padded to a batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.modules import linear
from pipeline.models.stage_architecture import StageArchitecture

_NEAREST = 1e-6  # of two nodes' features, for Eq. 3.11


@dataclass(frozen=True)
class Graphs:
    """A batch of b graphs of up to n nodes, padded; actors come before objects in none or any order.

    Args:
        actors: (b, a, …) features of actors; a is the most that a graph has.
        objects: (b, o, …) features of objects, or None.
        boxes: (b, a + o, 4) height, width, x and y of the centre, in [0, 1] of the picture; actors first.
        times: (b, a + o) the clip's place in seconds: neighbours are one apart.
        present: (b, a + o) False where there is only padding.
    """

    actors: Tensor
    objects: Tensor | None
    boxes: Tensor
    times: Tensor
    present: Tensor

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> "Graphs":
        """The same batch elsewhere; numbers in this precision."""
        objects = None if self.objects is None else self.objects.to(device, dtype)
        boxes, times = self.boxes.to(device, dtype), self.times.to(device, dtype)
        return Graphs(self.actors.to(device, dtype), objects, boxes, times, self.present.to(device))


class Stage(nn.Module):
    """Scores of every action for every actor.

    Source: Fig. 3.2; sizes and order of a layer as Table 3.1 and Sec. 3.2.2 give them.
    """

    def __init__(self, architecture: StageArchitecture):
        super().__init__()
        self.architecture = architecture
        # The wider feature is made as wide as the other one.
        actors, objects = architecture.actor_projection, architecture.object_projection
        self.actor_projection = None if actors is None else linear(actors)
        self.object_projection = None if objects is None else linear(objects)
        layer = NonLocalLayer if architecture.attention == "non_local" else GraphAttentionLayer
        self.layers = nn.ModuleList(layer(architecture) for _ in range(architecture.layers))
        if architecture.attention == "non_local":
            self.query, self.context = linear(architecture.reduction), linear(architecture.reduction)
        self.classifier = linear(architecture.classifier)

    def forward(self, graphs: Graphs) -> Tensor:
        """Logits (b, a, classes); those of padding mean nothing."""
        if self.architecture.attention == "non_local":
            return self._of_context(graphs)
        actors = graphs.actors if self.actor_projection is None else F.relu(self.actor_projection(graphs.actors))
        count = actors.shape[1]
        nodes = actors
        if graphs.objects is not None:
            objects = graphs.objects
            if self.object_projection is not None:
                objects = F.relu(self.object_projection(objects))
            nodes = torch.cat([actors, objects], 1)
        nodes = torch.cat([nodes, graphs.boxes], 2)
        linked = links(graphs, count, self.architecture)
        weights = proximity(graphs.boxes) if self.architecture.proximity == "boxes" else None
        for layer in self.layers:
            nodes = layer(nodes, linked, weights)
        return self.classifier(nodes[:, :count])

    def _of_context(self, graphs: Graphs) -> Tensor:
        """Logits of actors and what they attend to in their context, concatenated."""
        linked = links(graphs, graphs.actors.shape[1], self.architecture)
        attended, context = self.query(graphs.actors), self.context(graphs.actors)
        for layer in self.layers:
            attended = layer(attended, context, linked)
        return self.classifier(torch.cat([graphs.actors, attended], 2))


def links(graphs: Graphs, actors: int, architecture: StageArchitecture) -> Tensor:
    """(b, n, n) which nodes see which: of clips no further apart than the receptive field, and not left out."""
    apart = (graphs.times[:, :, None] - graphs.times[:, None, :]).abs()
    # Times may be rounded to a frame; half a second is far from either neighbour.
    linked = apart < architecture.receptive_field // 2 + 0.5
    linked = linked & graphs.present[:, None, :]
    if not architecture.actor_actor:
        linked[:, :actors, :actors] = False
    if not architecture.object_object:
        linked[:, actors:, actors:] = False
    return linked


def proximity(boxes: Tensor) -> Tensor:
    """(b, n, n) e to the power of minus the distance of two centres (Eq. 3.1)."""
    centres = boxes[..., 2:]
    # Not torch.cdist: through matrix products it would lose digits of small distances.
    return (-(centres[:, :, None] - centres[:, None]).square().sum(-1).sqrt()).exp()


class GraphAttentionLayer(nn.Module):
    """Heads side by side, concatenated; a linear layer, the residual connection and layer normalisation."""

    def __init__(self, architecture: StageArchitecture):
        super().__init__()
        self._architecture = architecture
        self._size = architecture.head_size
        self.project = linear(architecture.head_projection)
        if architecture.attention == "additive":
            self.attend = nn.Parameter(torch.empty(2, architecture.heads, self._size))
        else:
            self.query = linear(architecture.head_projection)
            self.key = linear(architecture.head_projection)
        self.join = linear(architecture.join)
        self.norm = nn.LayerNorm(architecture.width)
        gain, heads = 1.414, architecture.heads
        weights = [self.project] if architecture.attention == "additive" else [self.project, self.query, self.key]
        for weight in weights:  # each head is a matrix of its own
            for head in weight.weight.data.chunk(heads):
                nn.init.xavier_uniform_(head, gain)
        if architecture.attention == "additive":
            for number in range(heads):
                together = torch.empty(1, 2 * self._size)
                nn.init.xavier_uniform_(together, gain)
                self.attend.data[:, number] = together.view(2, self._size)

    def forward(self, nodes: Tensor, linked: Tensor, weights: Tensor | None) -> Tensor:
        """Nodes (b, n, d) from nodes (b, n, d), links (b, n, n) and the weights of edges (b, n, n), None: all 1."""
        settings = self._architecture
        dropped = F.dropout(nodes, settings.dropout, self.training)
        values = self._heads(self.project(dropped))  # (b, heads, n, k)
        if settings.attention == "additive":
            scores = self.additive(values)
        else:
            queries, keys = self._heads(self.query(dropped)), self._heads(self.key(dropped))
            scores = queries @ keys.transpose(-1, -2) / self._size**0.5
        if settings.proximity == "features":
            scores = scores * _nearness(values)
        elif weights is not None:
            scores = scores * weights[:, None]
        scores = _softmax(scores, linked[:, None])
        heads = F.elu(F.dropout(scores @ values, settings.dropout, self.training))
        joined = self.join(heads.transpose(1, 2).flatten(2))
        return self.norm(nodes + joined)

    def additive(self, values: Tensor) -> Tensor:
        """(b, heads, n, n) scores of values (b, heads, n, k), Eq. 3.3: a · (h_i ‖ h_j) is a₁ · h_i + a₂ · h_j."""
        one, other = torch.einsum("bhnk,phk->pbhn", values, self.attend)
        return F.leaky_relu(one[..., :, None] + other[..., None, :], 0.2)

    def _heads(self, values: Tensor) -> Tensor:
        batch, nodes, _ = values.shape
        return values.view(batch, nodes, self._architecture.heads, self._size).transpose(1, 2)


class NonLocalLayer(nn.Module):
    """The non-local operator of the long-term feature banks: normalisation and ReLU before the output, a residual.

    Source: Wu et al., "Long-term feature banks for detailed video understanding", CVPR 2019 (Table 3.7's STO).
    """

    def __init__(self, architecture: StageArchitecture):
        super().__init__()
        self._dropout = architecture.dropout
        self.query, self.key, self.value, self.join = (linear(architecture.inside) for _ in range(4))
        self.norm = nn.LayerNorm(architecture.inside.after)

    def forward(self, attended: Tensor, context: Tensor, linked: Tensor) -> Tensor:
        """(b, a, k) from what is attended to so far (b, a, k), the context (b, a, k) and the links (b, a, a)."""
        scores = self.query(attended) @ self.key(context).transpose(-1, -2) / attended.shape[-1] ** 0.5
        values = F.relu(self.norm(_softmax(scores, linked) @ self.value(context)))
        return attended + F.dropout(self.join(values), self._dropout, self.training)


def _softmax(scores: Tensor, linked: Tensor) -> Tensor:
    """Over what is linked. A node without edges takes nothing over: the softmax of nothing is 0 here."""
    return scores.masked_fill(~linked, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~linked, 0)


def _nearness(values: Tensor) -> Tensor:
    """(b, heads, n, n) one over the distance of two nodes' features, 1 of a node to itself (Eq. 3.11)."""
    distance = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist").clamp_min(_NEAREST)
    itself = torch.eye(values.shape[2], dtype=torch.bool, device=values.device)
    return (1 / distance).masked_fill(itself, 1)
