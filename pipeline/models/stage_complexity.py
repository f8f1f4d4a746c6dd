"""What STAGE costs per clip, without data, weights or torch: multiply-adds and parameters."""

from dataclasses import dataclass

from pipeline.models.stage_architecture import StageArchitecture


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
    """Cost of a clip with this many entities; 4 and 25 are the means of AVA's training clips."""
    if architecture.objects is None:
        objects = 0
    if architecture.attention == "non_local":
        return _of_context(architecture, actors)
    nodes = actors + objects
    # Linear layers, and how many vectors each of them sees.
    projections = ((architecture.actor_projection, actors), (architecture.object_projection, objects))
    rows = [(architecture.classifier, actors), *[(architecture.join, nodes)] * architecture.layers]
    rows += [(layer, count) for layer, count in projections if layer is not None]
    linear = sum(count * layer.before * layer.after for layer, count in rows)
    of_layers = architecture.layers * _multiply_adds_of_heads(architecture, nodes)
    return StageComplexity(
        gflops=(linear + of_layers) / 1e9,
        linear_gflops=linear / 1e9,
        parameters=sum(layer.parameters for layer, _ in rows)
        + architecture.layers * _parameters_of_heads(architecture),
        actors=actors,
        objects=objects,
    )


def _of_context(architecture: StageArchitecture, actors: int) -> StageComplexity:
    """With the operator of the long-term feature banks: linear layers, and the products of all pairs of actors."""
    inside = architecture.inside
    layers = [architecture.reduction] * 2 + [inside] * 4 * architecture.layers + [architecture.classifier]
    linear = actors * sum(layer.before * layer.after for layer in layers)
    pairs = architecture.layers * 2 * actors * actors * inside.after
    norms = architecture.layers * 2 * inside.after
    parameters = sum(layer.parameters for layer in layers) + norms
    return StageComplexity((linear + pairs) / 1e9, linear / 1e9, parameters, actors, 0)


def _multiply_adds_of_heads(architecture: StageArchitecture, nodes: int) -> int:
    """Multiply-adds of one layer's projections, scores and sums of neighbours."""
    projection = architecture.head_projection
    together = nodes * nodes * projection.after  # a product of two vectors of a head for each pair of nodes
    if architecture.attention == "additive":  # Eq. 3.3: a node's product with each half of a, then the weighted sums
        return nodes * projection.before * projection.after + 2 * nodes * projection.after + together
    return 3 * nodes * projection.before * projection.after + 2 * together


def _parameters_of_heads(architecture: StageArchitecture) -> int:
    """Parameters of one layer's projections, the vector a of Eq. 3.3, and the normalisation."""
    projection = architecture.head_projection
    weights = 3 * projection.parameters
    if architecture.attention == "additive":
        weights = projection.parameters + 2 * projection.after
    return weights + 2 * architecture.width
