"""STAGE: graph attention over the actors and objects of consecutive clips (Secs. 3.1.1 to 3.1.3).

One graph is a run of clips of one video; its nodes are their actors and objects. Graphs are padded to a batch.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from pipeline.config.names import FeatureName
from pipeline.models.bounds import STRICT, Count, Frames, Layers, Share
from pipeline.runtime.errors import ActaError

# Feature sizes of actors (Sec. 3.2.2) and of objects, and the heads of Sec. 3.3 with two layers.
FEATURES: dict[FeatureName, tuple[int, int, int]] = {
    "i3d": (1024, 2048, 4),
    "r101_i3d_nl": (2048, 2048, 2),
    "slowfast_nl": (2304, 2048, 2),
}
_BOX = 4  # height, width and centre are part of every node
_NEAREST = 1e-6  # of two nodes' features, for Eq. 3.11


@dataclass(frozen=True)
class StageArchitecture:
    """Which network: the published one, or one of its ablations (Tables 3.6 to 3.8).

    Args:
        actors: Size of an actor's feature.
        objects: Size of an object's feature; None: a graph of actors only (Table 3.5).
        classes: Outputs.
        layers: Graph-attention layers; 0: a linear classifier of actors (Table 3.5).
        heads: Attention heads of a layer, ⌊d / heads⌋ wide each.
        receptive_field: Clips that a layer links a clip with, itself among them; odd. 1: no temporal links.
        attention: ``additive`` (Eq. 3.3), or ``dot`` (Eq. 3.10).
        proximity: What an edge is weighted by: ``boxes`` (Eq. 3.1), ``features`` (Eq. 3.11), or ``none``.
        actor_actor: Whether actors are linked with actors, themselves among them.
        object_object: Whether objects are linked with objects, themselves among them.
        dropout: On the nodes of a layer and on the output of a head.
    """

    __pydantic_config__ = STRICT

    actors: Count
    objects: Count | None
    classes: Count
    layers: Layers = 2
    heads: Count = 4
    receptive_field: Frames = 3
    attention: Literal["additive", "dot"] = "additive"
    proximity: Literal["boxes", "features", "none"] = "boxes"
    actor_actor: bool = True
    object_object: bool = True
    dropout: Share = 0.5

    def __post_init__(self) -> None:
        if self.receptive_field < 1 or self.receptive_field % 2 == 0:
            raise ActaError(f"receptive_field {self.receptive_field} is not an odd number of clips")
        if self.heads > self.width:
            raise ActaError(f"{self.heads} heads cannot share {self.width} features")

    @classmethod
    def published(cls, features: FeatureName, classes: int = 80, dropout: float = 0.5) -> "StageArchitecture":
        """The network of Sec. 3.3 on the features of a backbone: a key of `FEATURES`."""
        actors, objects, heads = FEATURES[features]
        return cls(actors, objects, classes, heads=heads, dropout=dropout)

    @property
    def width(self) -> int:
        """d: the narrower of the two features, and the box."""
        return min(self.actors, self.objects or self.actors) + _BOX


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
        narrow = architecture.width - _BOX
        objects = architecture.objects
        # The wider feature is made as wide as the other one.
        self.actor_projection = nn.Linear(architecture.actors, narrow) if architecture.actors > narrow else None
        self.object_projection = nn.Linear(objects, narrow) if objects is not None and objects > narrow else None
        self.layers = nn.ModuleList(GraphAttentionLayer(architecture) for _ in range(architecture.layers))
        self.classifier = nn.Linear(architecture.width, architecture.classes)

    def forward(self, graphs: Graphs) -> Tensor:
        """Logits (b, a, classes); those of padding mean nothing."""
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
        logits: Tensor = self.classifier(nodes[:, :count])
        return logits


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
        width, heads = architecture.width, architecture.heads
        self._size = width // heads
        inner = heads * self._size
        self.project = nn.Linear(width, inner, bias=False)
        if architecture.attention == "additive":
            self.attend = nn.Parameter(torch.empty(2, heads, self._size))
        else:
            self.query = nn.Linear(width, inner, bias=False)
            self.key = nn.Linear(width, inner, bias=False)
        self.join = nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width)
        self._initialise()

    def _initialise(self) -> None:
        gain = 1.414
        heads = self._architecture.heads
        weights = [self.project] if self._architecture.attention == "additive" else [self.project, self.query, self.key]
        for weight in weights:  # each head is a matrix of its own
            for head in weight.weight.data.chunk(heads):
                nn.init.xavier_uniform_(head, gain)
        if self._architecture.attention == "additive":
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
        mask = linked[:, None]
        # A node without edges takes nothing over: the softmax of nothing is 0 here.
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0)
        heads = F.elu(F.dropout(scores @ values, settings.dropout, self.training))
        joined = self.join(heads.transpose(1, 2).flatten(2))
        out: Tensor = self.norm(nodes + joined)
        return out

    def additive(self, values: Tensor) -> Tensor:
        """(b, heads, n, n) scores of values (b, heads, n, k), Eq. 3.3: a · (h_i ‖ h_j) is a₁ · h_i + a₂ · h_j."""
        one, other = torch.einsum("bhnk,phk->pbhn", values, self.attend)
        return F.leaky_relu(one[..., :, None] + other[..., None, :], 0.2)

    def _heads(self, values: Tensor) -> Tensor:
        batch, nodes, _ = values.shape
        return values.view(batch, nodes, self._architecture.heads, self._size).transpose(1, 2)


def _nearness(values: Tensor) -> Tensor:
    """(b, heads, n, n) one over the distance of two nodes' features, 1 of a node to itself (Eq. 3.11)."""
    distance = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist").clamp_min(_NEAREST)
    itself = torch.eye(values.shape[2], dtype=torch.bool, device=values.device)
    return (1 / distance).masked_fill(itself, 1)


@dataclass(frozen=True)
class StageComplexity:
    """Cost of one clip (Table 3.10).

    Args:
        gflops: All multiply-adds, in units of 10⁹.
        linear_gflops: As Table 3.10 counts: linear layers only, and not the heads' projections among them.
        parameters: Trainable numbers.
        actors, objects: Of the clip.
    """

    gflops: float
    linear_gflops: float
    parameters: int
    actors: int
    objects: int


def stage_complexity(architecture: StageArchitecture, actors: int = 4, objects: int = 25) -> StageComplexity:
    """Cost of a clip with so many entities, without weights; 4 and 25 are the means of AVA's training clips."""
    if architecture.objects is None:
        objects = 0
    nodes = actors + objects
    with torch.device("meta"), torch.no_grad():
        model = Stage(architecture).eval()
        graphs = Graphs(
            torch.empty(1, actors, architecture.actors),
            None if architecture.objects is None else torch.empty(1, objects, architecture.objects),
            torch.empty(1, nodes, _BOX),
            torch.zeros(1, nodes),
            torch.ones(1, nodes, dtype=torch.bool),
        )
        with FlopCounterMode(display=False) as counter:
            model(graphs)
    rows = [(model.actor_projection, actors), (model.object_projection, objects), (model.classifier, actors)]
    rows += [(layer.join, nodes) for layer in model.layers if isinstance(layer, GraphAttentionLayer)]
    linear = sum(count * layer.in_features * layer.out_features for layer, count in rows if layer is not None)
    return StageComplexity(
        gflops=counter.get_total_flops() / 2 / 1e9,
        linear_gflops=linear / 1e9,
        parameters=sum(p.numel() for p in model.parameters()),
        actors=actors,
        objects=objects,
    )
