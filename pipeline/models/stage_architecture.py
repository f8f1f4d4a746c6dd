"""The description of STAGE, without the network: its features, layers and edges."""

from dataclasses import dataclass
from typing import Literal

from pipeline.config.names import FeatureName
from pipeline.models.bounds import STRICT, Count, Frames, Layers, Share
from pipeline.models.layers import Linear
from pipeline.runtime.errors import ActaError

# Feature sizes of actors (Sec. 3.2.2) and of objects, and the heads of Sec. 3.3 with two layers.
FEATURES: dict[FeatureName, tuple[int, int, int]] = {
    "i3d": (1024, 2048, 4),
    "r101_i3d_nl": (2048, 2048, 2),
    "slowfast_nl": (2304, 2048, 2),
}
_BOX = 4  # height, width and centre are part of every node
_CONTEXT = 512  # of an actor and of its context in the operator of the long-term feature banks


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
        attention: ``additive`` (Eq. 3.3), ``dot`` (Eq. 3.10), or ``non_local``: no graph, but the operator of the
            long-term feature banks (Wu et al., CVPR 2019) on the actors of the clips in the receptive field (Table
            3.7). It has one head, and neither boxes nor objects.
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
    attention: Literal["additive", "dot", "non_local"] = "additive"
    proximity: Literal["boxes", "features", "none"] = "boxes"
    actor_actor: bool = True
    object_object: bool = True
    dropout: Share = 0.5

    def __post_init__(self) -> None:
        if self.receptive_field < 1 or self.receptive_field % 2 == 0:
            raise ActaError(f"receptive_field {self.receptive_field} is not an odd number of clips")
        if self.attention == "non_local" and (self.heads, self.objects, self.proximity) != (1, None, "none"):
            raise ActaError(
                "attention 'non_local' needs one head, no objects and proximity 'none', not "
                f"{self.heads}, {'no objects' if self.objects is None else 'objects'} and {self.proximity!r}"
            )
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

    @property
    def head_size(self) -> int:
        """k: numbers that a head gives of a node."""
        return self.width // self.heads

    @property
    def actor_projection(self) -> Linear | None:
        """Makes the actors' feature as narrow as the objects'; None: it is not wider."""
        return self._projection(self.actors)

    @property
    def object_projection(self) -> Linear | None:
        """Makes the objects' feature as narrow as the actors'; None: it is not wider, or there are no objects."""
        return None if self.objects is None else self._projection(self.objects)

    def _projection(self, feature: int) -> Linear | None:
        narrow = self.width - _BOX
        return Linear(feature, narrow) if feature > narrow else None

    @property
    def head_projection(self) -> Linear:
        """A layer's projection of all heads together: to their values and, for Eq. 3.10, to queries and to keys."""
        return Linear(self.width, self.heads * self.head_size, bias=False)

    @property
    def join(self) -> Linear:
        """A layer's projection after its heads."""
        return Linear(self.heads * self.head_size, self.width)

    @property
    def reduction(self) -> Linear:
        """Of ``non_local``: makes an actor's feature a query, another one its context."""
        return Linear(self.actors, _CONTEXT)

    @property
    def inside(self) -> Linear:
        """Of a layer of ``non_local``: each of its projections."""
        return Linear(_CONTEXT, _CONTEXT)

    @property
    def classifier(self) -> Linear:
        return Linear(self.actors + _CONTEXT if self.attention == "non_local" else self.width, self.classes)
