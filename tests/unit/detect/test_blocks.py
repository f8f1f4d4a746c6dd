"""Blocks of consecutive clips: never across a gap or a video, all clips once an epoch, other cuts in each."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.detect.blocks import CLIPS, Chosen, Ring, cut_blocks, find_runs, join, make_graph, pad
from pipeline.detect.features.entities import FeatureShard, write_features
from pipeline.models.stage import Stage
from pipeline.models.stage_architecture import StageArchitecture
from tests.unit.detect.features.test_entities import ACTIONS, PROVENANCE, video

ALL = Chosen(annotated=True, score=0.0)


@pytest.fixture
def shards(tmp_path):
    """Twenty keyframes in a row; five, a gap, four; a video of another split; one without keyframes."""
    gap = video("gap", [(1, 2)] * 9)
    gap = replace(gap, times=np.array([902, 903, 904, 905.02, 906, 908, 909, 910, 911.0]))
    other = replace(video("other", [(1, 1)] * 3), split="val")
    for number, videos in enumerate([[video("long", [(2, 3)] * 20), other], [gap, video("none", [])]]):
        write_features(tmp_path / f"{number}.h5", videos, ACTIONS, [], PROVENANCE)
    return [FeatureShard(tmp_path / f"{number}.h5") for number in (0, 1)]


def test_a_gap_or_a_video_ends_a_run(shards):
    runs = [(run.shard, run.video, run.start, run.stop) for run in find_runs(shards, ["train"])]
    assert runs == [(0, "long", 0, 20), (1, "gap", 0, 5), (1, "gap", 5, 9)]
    assert [run.video for run in find_runs(shards, ["val"])] == ["other"]


def test_tests_run_in_blocks_of_six_from_the_start(shards):
    blocks = cut_blocks(find_runs(shards, ["train"]))
    assert [(b.video, b.start, b.stop) for b in blocks[:4]] == [
        ("long", 0, 6),
        ("long", 6, 12),
        ("long", 12, 18),
        ("long", 18, 20),
    ]
    assert [(b.start, b.stop) for b in blocks[4:]] == [(0, 5), (5, 9)]


def test_each_epoch_has_every_clip_once_with_other_cuts(shards):
    runs = find_runs(shards, ["train"])
    ring = Ring(runs, CLIPS, seed=1)
    assert len(ring) == 5
    cuts = []
    for epoch in range(40):
        blocks = [ring.block(epoch, number) for number in range(len(ring))]
        clips = sorted(
            (part.video, clip) for block in blocks for part in block for clip in range(part.start, part.stop)
        )
        assert clips == sorted([("long", n) for n in range(20)] + [("gap", n) for n in range(9)])
        assert [sum(part.stop - part.start for part in block) for block in blocks] == [6, 6, 6, 6, 5]
        assert not [p for block in blocks for p in block if p.video == "gap" and p.start < 5 < p.stop]
        cuts.append(frozenset(part.start for block in blocks for part in block if part.video == "long"))
        assert blocks == [Ring(runs, CLIPS, seed=1).block(epoch, number) for number in range(len(ring))]
    together = [sum(n not in cut for cut in cuts) / len(cuts) for n in range(1, 20)]
    assert min(together) > 0.5, "neighbours are in one block in most epochs"
    assert len(set(cuts)) > 10


def test_clips_of_two_runs_in_one_graph_do_not_influence_each_other(shards):
    torch.manual_seed(0)
    model = Stage(StageArchitecture(6, 8, len(ACTIONS), heads=2)).eval()
    spans = [
        (shards[0].keyframes("long", 18, 20)),
        (shards[1].keyframes("gap", 0, 3)),
        (shards[1].keyframes("gap", 5, 7)),
    ]
    graphs = [make_graph(keyframes, ALL) for keyframes in spans]
    joined = join(graphs)
    assert torch.equal(joined.actions, torch.cat([graph.actions for graph in graphs]))
    together = model(pad([joined])[0])[0]
    alone = torch.cat([model(pad([graph])[0])[0] for graph in graphs])
    assert torch.allclose(together, alone, atol=1e-5)


def test_which_actors_are_nodes(shards):
    keyframes = shards[0].keyframes("long", 0, 6)
    annotated, score = keyframes.actors.annotated, keyframes.actors.score
    assert ALL.of(keyframes).all()
    assert np.array_equal(Chosen(annotated=True, score=None).of(keyframes), annotated)
    assert np.array_equal(Chosen(annotated=False, score=0.5).of(keyframes), ~annotated & (score >= 0.5))


def test_a_graph(shards):
    keyframes = shards[0].keyframes("long", 2, 5)
    graph = make_graph(keyframes, ALL)
    assert graph.actors.shape == (6, 6)
    assert graph.objects is not None
    assert graph.objects.shape == (9, 8)
    assert graph.times.tolist() == [0, 0, 1, 1, 2, 2, *[0] * 3, *[1] * 3, *[2] * 3]
    x1, y1, x2, y2 = keyframes.actors.box[3]
    assert graph.boxes[3].tolist() == pytest.approx([y2 - y1, x2 - x1, (x1 + x2) / 2, (y1 + y2) / 2])
    assert graph.places.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]
    alone = make_graph(keyframes, ALL, with_objects=False)
    assert alone.objects is None
    assert len(alone.boxes) == 6


def test_places_count_the_actors_that_are_not_nodes(shards):
    keyframes = shards[0].keyframes("long", 0, 6)
    chosen = Chosen(annotated=False, score=0.0)
    graph = make_graph(keyframes, chosen)
    rows = np.flatnonzero(chosen.of(keyframes))
    assert graph.places.tolist() == [[row // 2, row % 2] for row in rows]


def test_a_batch_says_what_each_graph_says_alone(shards):
    torch.manual_seed(0)
    model = Stage(StageArchitecture(6, 8, len(ACTIONS), heads=2)).eval()
    graphs = [
        make_graph(shards[0].keyframes("long", 0, 6), ALL),
        make_graph(shards[0].keyframes("long", 18, 20), Chosen(annotated=True, score=0.8)),
        make_graph(shards[1].keyframes("gap", 0, 5), ALL),
    ]
    batch, actions, there = pad(graphs)
    together = model(batch)
    assert there.sum(1).tolist() == [len(graph.actors) for graph in graphs]
    for row, graph in enumerate(graphs):
        alone = model(pad([graph])[0])[0]
        assert torch.allclose(together[row][there[row]], alone, atol=1e-5)
        assert torch.equal(actions[row][there[row]], graph.actions)
