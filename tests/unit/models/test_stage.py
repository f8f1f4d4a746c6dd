"""STAGE against Eqs. 3.1 to 3.11 written out node by node."""

import math

import pytest
import torch
from torch import Tensor

from pipeline.models.stage import Graphs, Stage
from pipeline.models.stage_architecture import StageArchitecture
from pipeline.runtime.errors import ActaError

SMALL = {"actors": 12, "objects": 16, "classes": 5, "layers": 2, "heads": 2}


def network(**changes) -> Stage:
    torch.manual_seed(1)
    return Stage(StageArchitecture(**(SMALL | changes))).double().eval()


def graph(clips: list[tuple[int, int]], times: list[float] | None = None, *, actors=12, objects=16, seed=0) -> Graphs:
    """One graph; of each clip how many actors and objects."""
    draw = torch.Generator().manual_seed(seed)
    a, o = (sum(each[kind] for each in clips) for kind in (0, 1))
    seconds = times or [float(second) for second in range(900, 900 + len(clips))]
    when = [[second] * clip[kind] for kind in (0, 1) for second, clip in zip(seconds, clips, strict=True)]
    return Graphs(
        actors=torch.randn(1, a, actors, generator=draw, dtype=torch.float64),
        objects=None if objects is None else torch.randn(1, o, objects, generator=draw, dtype=torch.float64),
        boxes=torch.rand(1, a + o, 4, generator=draw, dtype=torch.float64),
        times=torch.tensor([[t for clip in when for t in clip]], dtype=torch.float64),
        present=torch.ones(1, a + o, dtype=torch.bool),
    )


# ---- the equations, slowly


@torch.no_grad()
def slowly(model: Stage, of: Graphs) -> list[list[float]]:
    """Logits of one graph in evaluation mode, with loops over nodes and heads."""
    settings = model.architecture
    actors = [project(model.actor_projection, f) for f in of.actors[0]]
    objects = [] if of.objects is None else [project(model.object_projection, f) for f in of.objects[0]]
    nodes = [torch.cat([f, box]) for f, box in zip(actors + objects, of.boxes[0], strict=True)]
    is_actor = [True] * len(actors) + [False] * len(objects)
    boxes, times = of.boxes[0].tolist(), of.times[0].tolist()
    for layer in model.layers:
        size = settings.width // settings.heads
        new = []
        for i in range(len(nodes)):
            outputs = []
            for head in range(settings.heads):
                rows = slice(head * size, (head + 1) * size)
                h = [layer.project.weight[rows] @ node for node in nodes]
                scores = {}
                for j in range(len(nodes)):
                    if abs(times[i] - times[j]) > settings.receptive_field // 2:
                        continue
                    if is_actor[i] and is_actor[j] and not settings.actor_actor:
                        continue
                    if not is_actor[i] and not is_actor[j] and not settings.object_object:
                        continue
                    if settings.attention == "additive":  # Eq. 3.3
                        a = torch.cat([layer.attend[0, head], layer.attend[1, head]])
                        e = float(a @ torch.cat([h[i], h[j]]))
                        e = e if e > 0 else 0.2 * e
                    else:  # Eq. 3.10
                        q, k = layer.query.weight[rows] @ nodes[i], layer.key.weight[rows] @ nodes[j]
                        e = float(q @ k) / math.sqrt(size)
                    if settings.proximity == "boxes":  # Eqs. 3.1 and 3.5
                        e *= math.exp(-math.dist(boxes[i][2:], boxes[j][2:]))
                    elif settings.proximity == "features":  # Eq. 3.11
                        e *= 1 if i == j else 1 / float((h[i] - h[j]).norm())
                    scores[j] = e
                total = sum(math.exp(e) for e in scores.values())  # Eq. 3.6
                mixed = torch.zeros(size, dtype=torch.float64)
                for j, e in scores.items():  # Eq. 3.7
                    mixed = mixed + math.exp(e) / total * h[j]
                outputs.append(torch.where(mixed > 0, mixed, mixed.exp() - 1))
            joined = layer.join.weight @ torch.cat(outputs) + layer.join.bias + nodes[i]
            centred = joined - joined.mean()
            scaled = centred / (centred.square().mean() + layer.norm.eps).sqrt()
            new.append(scaled * layer.norm.weight + layer.norm.bias)
        nodes = new
    return [(model.classifier.weight @ node + model.classifier.bias).tolist() for node in nodes[: len(actors)]]


def project(layer: torch.nn.Linear | None, feature: Tensor) -> Tensor:
    return feature if layer is None else (layer.weight @ feature + layer.bias).clamp_min(0)


GRAPHS = {
    "three clips": [(2, 3), (1, 2), (2, 1)],
    "a clip without objects": [(2, 0), (1, 2)],
    "a clip without actors": [(2, 1), (0, 2), (1, 1)],
    "one actor": [(1, 0)],
    "a single clip": [(2, 4)],
    "six clips": [(1, 2)] * 6,
}


@torch.no_grad()
def non_locally(model: Stage, of: Graphs) -> list[list[float]]:
    """Logits of the long-term feature banks' operator, with loops over pairs of actors."""
    features, times = list(of.actors[0]), of.times[0].tolist()
    attended = [apply(model.query, feature) for feature in features]
    context = [apply(model.context, feature) for feature in features]
    for layer in model.layers:
        new = []
        for i, own in enumerate(attended):
            near = [
                j for j in range(len(features)) if abs(times[i] - times[j]) <= model.architecture.receptive_field // 2
            ]
            scores = [float(apply(layer.query, own) @ apply(layer.key, context[j])) / math.sqrt(512) for j in near]
            weights = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
            mixed = sum(w * apply(layer.value, context[j]) for w, j in zip(weights, near, strict=True))
            centred = mixed - mixed.mean()
            scaled = centred / (centred.square().mean() + layer.norm.eps).sqrt()
            new.append(own + apply(layer.join, (scaled * layer.norm.weight + layer.norm.bias).clamp_min(0)))
        attended = new
    rows = zip(features, attended, strict=True)
    return [apply(model.classifier, torch.cat([feature, own])).tolist() for feature, own in rows]


def apply(layer: torch.nn.Linear, feature: Tensor) -> Tensor:
    return layer.weight @ feature + layer.bias


OPERATOR = {"attention": "non_local", "objects": None, "heads": 1, "proximity": "none"}


@pytest.mark.parametrize("receptive_field", [1, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("clips", [[(2, 0), (3, 0), (1, 0)], [(1, 0)], [(1, 0), (0, 0), (4, 0)]])
def test_the_operator_of_the_feature_banks_equals_a_slow_transcription(clips, layers, receptive_field):
    model, of = network(layers=layers, receptive_field=receptive_field, **OPERATOR), graph(clips)
    assert torch.allclose(model(of)[0], torch.tensor(non_locally(model, of), dtype=torch.float64), rtol=0, atol=1e-9)


def test_the_operator_has_the_parameters_of_the_feature_banks():
    """On R101 about 3.4 million, two reductions to 512 and four projections."""
    of_r101 = StageArchitecture(2048, None, 80, 1, 1, 1, "non_local", "none")
    assert sum(p.numel() for p in Stage(of_r101).parameters()) == pytest.approx(3.4e6, rel=0.02)


@pytest.mark.parametrize("changes", [{"heads": 2}, {"objects": 24}, {"proximity": "boxes"}])
def test_the_operator_needs_one_head_and_actors_alone(changes):
    with pytest.raises(ActaError, match="attention 'non_local' needs one head, no objects and proximity 'none'"):
        network(**(OPERATOR | changes))


@pytest.mark.parametrize("heads", [1, 2, 3, 4])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("clips", GRAPHS.values(), ids=GRAPHS)
def test_equal_to_the_equations(clips, layers, heads):
    model, of = network(layers=layers, heads=heads), graph(clips)
    assert torch.allclose(model(of)[0], torch.tensor(slowly(model, of), dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"proximity": "none"},
        {"proximity": "features"},
        {"receptive_field": 1},
        {"receptive_field": 5},
        {"actor_actor": False},
        {"object_object": False},
        {"actor_actor": False, "object_object": False},
        {"attention": "dot"},
        {"attention": "dot", "receptive_field": 1},
        {"actors": 16},
        {"actors": 20},
        {"objects": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("clips", GRAPHS.values(), ids=GRAPHS)
def test_ablations_equal_the_equations(clips, changes):
    sizes = {"actors": changes.get("actors", 12), "objects": changes.get("objects", 16)}
    if sizes["objects"] is None:
        clips = [(actors, 0) for actors, _ in clips]
    model, of = network(**changes), graph(clips, **sizes)
    assert torch.allclose(model(of)[0], torch.tensor(slowly(model, of), dtype=torch.float64), rtol=0, atol=1e-9)


def changed_clip(of: Graphs, second: float) -> Graphs:
    """The same graph with other features and boxes in one clip."""
    there = of.times == second
    count = of.actors.shape[1]
    assert of.objects is not None
    return Graphs(
        actors=torch.where(there[:, :count, None], of.actors + 1, of.actors),
        objects=torch.where(there[:, count:, None], of.objects - 1, of.objects),
        boxes=torch.where(there[..., None], 1 - of.boxes, of.boxes),
        times=of.times,
        present=of.present,
    )


@pytest.mark.parametrize(
    ("layers", "receptive_field", "reached"),
    [(1, 3, {902, 903, 904}), (2, 3, {901, 902, 903, 904, 905}), (2, 1, {903}), (1, 5, {901, 902, 903, 904, 905})],
)
def test_clips_that_are_not_linked_do_not_influence_each_other(layers, receptive_field, reached):
    """Clip 903 of 900 to 906 is changed: with each layer one clip further, to the bit."""
    model, of = network(layers=layers, receptive_field=receptive_field), graph([(2, 3)] * 7)
    before, after = model(of), model(changed_clip(of, 903.0))
    differs = (before != after).any(2)[0]
    assert set(of.times[0, : differs.numel()][differs].tolist()) == reached


def test_a_gap_in_time_is_no_link():
    """Clips that follow each other in the list, but not in time."""
    model = network(layers=1)
    of = graph([(1, 1), (1, 1)], times=[900.0, 902.0])
    before, after = model(of), model(changed_clip(of, 902.0))
    assert torch.equal(before[0, 0], after[0, 0])
    assert not torch.equal(before[0, 1], after[0, 1])


def test_padding_changes_nothing():
    """Two graphs in a batch, the smaller one padded with rubbish."""
    model = network()
    large, small = graph([(3, 4), (2, 2)]), graph([(1, 2), (1, 1)], seed=5)
    assert large.objects is not None
    assert small.objects is not None
    actors, objects = torch.full((2, 5, 12), 7.0).double(), torch.full((2, 6, 16), 7.0).double()
    boxes, times = torch.full((2, 11, 4), 0.5).double(), torch.full((2, 11), 900.0).double()
    present = torch.zeros(2, 11, dtype=torch.bool)
    for row, of in enumerate((large, small)):
        a, o = of.actors.shape[1], of.objects.shape[1]  # type: ignore[union-attr]
        places = [*range(a), *range(5, 5 + o)]
        actors[row, :a], objects[row, :o] = of.actors[0], of.objects[0]  # type: ignore[index]
        boxes[row, places], times[row, places] = of.boxes[0], of.times[0]
        present[row, places] = True
    together = model(Graphs(actors, objects, boxes, times, present))
    for row, of in enumerate((large, small)):
        assert torch.allclose(together[row, : of.actors.shape[1]], model(of)[0], rtol=0, atol=1e-12)


def test_training_reaches_every_weight():
    model = network().train()
    model(graph([(2, 3), (1, 2)])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("proximity", ["boxes", "features", "none"])
def test_two_nodes_in_the_same_place_give_finite_gradients(proximity):
    model, of = network(proximity=proximity).train(), graph([(2, 2)])
    of.actors[0, 1] = of.actors[0, 0]
    of.boxes[0, 1] = of.boxes[0, 0]
    model(of).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"receptive_field": 2}, "receptive_field 2 is not an odd number of clips"),
        ({"receptive_field": -1}, "receptive_field -1 is not"),
        ({"heads": 17}, "17 heads cannot share 16 features"),
    ],
)
def test_networks_that_cannot_be(changes, message):
    with pytest.raises(ActaError, match=message):
        network(**changes)
