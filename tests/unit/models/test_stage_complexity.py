"""What STAGE costs is what the thesis says, and what torch counts as it computes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models.stage import Graphs, Stage
from pipeline.models.stage_architecture import FEATURES, StageArchitecture
from pipeline.models.stage_complexity import stage_complexity


@pytest.mark.parametrize(
    ("features", "millions", "all_of_them", "linear"),
    [("i3d", 6.4, 0.175, 0.11), ("r101_i3d_nl", 17.0, 0.49, 0.24), ("slowfast_nl", 21.8, 0.51, 0.26)],
)
def test_table_3_10(features, millions, all_of_them, linear):
    """4 actors and 25 objects; the thesis counts the multiply-adds of linear layers but for the heads' projections."""
    cost = stage_complexity(StageArchitecture.published(features))
    assert cost.parameters / 1e6 == pytest.approx(millions, rel=0.01)
    assert cost.gflops == pytest.approx(all_of_them, rel=0.02)
    assert cost.linear_gflops == pytest.approx(linear, rel=0.05)


def assert_torch_counts_the_same(architecture: StageArchitecture, actors: int, objects: int) -> None:
    cost = stage_complexity(architecture, actors, objects)
    assert (cost.actors, cost.objects) == (actors, objects)
    nodes = actors + objects
    with torch.device("meta"), torch.no_grad():
        model = Stage(architecture).eval()
        graphs = Graphs(
            torch.empty(1, actors, architecture.actors),
            None if architecture.objects is None else torch.empty(1, objects, architecture.objects),
            torch.empty(1, nodes, 4),
            torch.zeros(1, nodes),
            torch.ones(1, nodes, dtype=torch.bool),
        )
        with FlopCounterMode(display=False) as counter:
            model(graphs)
    assert cost.gflops == counter.get_total_flops() / 2 / 1e9  # two operations are one multiply-add
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    if architecture.attention == "non_local":
        return
    rows = [(model.classifier, actors), *((layer.join, nodes) for layer in model.layers)]
    rows += [(model.actor_projection, actors), (model.object_projection, objects)]
    linear = sum(count * layer.weight.numel() for layer, count in rows if layer is not None)
    assert cost.linear_gflops == linear / 1e9


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize(("actors", "objects"), [(4, 25), (1, 1), (3, 0), (10, 100)])
def test_published_networks_cost_what_torch_counts(features, actors, objects):
    assert_torch_counts_the_same(StageArchitecture.published(features), actors, objects)


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": None},
        {"objects": None, "attention": "dot"},
        {"layers": 0},
        {"layers": 5},
        {"heads": 1},
        {"heads": 3},  # they leave numbers over
        {"attention": "dot"},
        {"attention": "non_local", "objects": None, "heads": 1, "proximity": "none", "layers": 1},
        {"attention": "non_local", "objects": None, "heads": 1, "proximity": "none", "layers": 2},
        {"attention": "dot", "heads": 3, "layers": 1},
        {"proximity": "features"},
        {"proximity": "none"},
        {"actors": 40},
        {"actors": 24, "objects": 24},
        {"actor_actor": False, "object_object": False, "receptive_field": 1},
    ],
)
def test_ablations_cost_what_torch_counts(changes):
    architecture = StageArchitecture(**({"actors": 16, "objects": 24, "classes": 7} | changes))
    assert_torch_counts_the_same(architecture, 5, 0 if architecture.objects is None else 8)
