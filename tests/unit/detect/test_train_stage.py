"""Training STAGE on features: what it learns, keeps, resumes, writes and refuses."""

import os
import signal
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.detect.blocks import Chosen, make_graph, pad
from pipeline.detect.features.entities import FeatureShard
from pipeline.detect.stage_file import load_stage
from pipeline.detect.train_stage import Blocks, collate, losses_of
from pipeline.runtime.errors import ActaError
from tests.networks import start
from tests.unit.detect.small_features import ACTIONS, SIZE, THINGS, Data, a_video, metrics_of, settings, written

# ---- training


def test_it_learns_and_says_what_it_is(trained, data):
    metrics = metrics_of(trained)
    scores = [epoch["validation"] for epoch in metrics["history"]]
    assert len(scores) == 12
    assert scores[0] < 0.8
    assert max(scores) > 0.95
    assert metrics["validation_mAP"] == max(scores)
    assert metrics["best_epoch"] == 1 + scores.index(max(scores))
    assert metrics["history"][-1]["loss"] < 0.7 * metrics["history"][0]["loss"]
    assert (metrics["device"], metrics["clips"]) == ("cpu", 42), "3 videos of 12, one of 6 in which nobody is"
    _, about = load_stage(trained)
    assert (about.actions, about.loss, about.clips, about.step, about.score) == (list(ACTIONS), "sigmoid", 6, 1.0, 0.7)
    assert (about.architecture.actors, about.architecture.objects, about.architecture.heads) == (SIZE, THINGS, 2)
    assert about.provenance["inputs"].keys() == {"features", "label_map", "truth"}
    assert not trained.with_name("last.ckpt").exists()


def test_the_best_epoch_s_weights_are_kept(trained, data, tmp_path):
    """A training that ends in that epoch has the same ones; the last epoch's are others."""
    best = metrics_of(trained)["best_epoch"]
    assert best < 12
    data.train(tmp_path / "model.safetensors", settings(training__epochs=best))
    ended, kept = load_file(tmp_path / "model.safetensors"), load_file(trained)
    assert all(torch.equal(kept[name], ended[name]) for name in kept)
    data.train(tmp_path / "before" / "model.safetensors", settings(training__epochs=best - 1))
    before = load_file(tmp_path / "before" / "model.safetensors")
    assert not torch.equal(before["classifier.weight"], kept["classifier.weight"])


def test_the_same_command_gives_the_same_bytes(data, tmp_path):
    few = settings(training__epochs=2)
    outputs = [tmp_path / name / "model.safetensors" for name in ("one", "two", "other")]
    data.train(outputs[0], few)
    data.train(outputs[1], few, workers=1)
    data.train(outputs[2], settings(training__epochs=2, seed=2))
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert outputs[0].with_suffix(".json").read_bytes() == outputs[1].with_suffix(".json").read_bytes()
    assert outputs[0].read_bytes() != outputs[2].read_bytes()


def test_a_killed_training_ends_with_the_same_bytes(data, tmp_path):
    """Asked to stop in the middle, then the same again."""
    changed = settings(training__epochs=40, network__dropout=0.5)
    calm, shot = tmp_path / "calm" / "model.safetensors", tmp_path / "shot" / "model.safetensors"
    data.train(calm, changed)
    arguments = [sys.executable, "-m", "pipeline", "task", "train_stage", "--shards", *map(str, data.shards)]
    arguments += ["--settings", changed.model_dump_json(), "--label-map", str(data.labels), "-o", str(shot)]
    arguments += ["--truth", str(data.truth), "--save-every", "0"]
    checkpoint = shot.with_name("last.ckpt")
    (process,) = start(arguments)
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM, printed
    assert not shot.exists()
    assert 0 < torch.load(checkpoint, weights_only=True)["step"] < 3 * 40
    metrics = data.train(shot, changed)
    assert shot.read_bytes() == calm.read_bytes()
    assert shot.with_suffix(".json").read_bytes() == calm.with_suffix(".json").read_bytes()
    for key in ("best_epoch", "validation_mAP"):
        assert metrics[key] == metrics_of(calm)[key]
    assert [e["validation"] for e in metrics["history"]] == [e["validation"] for e in metrics_of(calm)["history"]]
    assert not checkpoint.exists()


def test_without_progress_the_rate_drops_and_then_it_ends(data, tmp_path):
    """Patience 2 and 1: epochs 2 and 3 are no better than 1, the fourth has a tenth of the rate and is the last."""
    stuck = settings(learning_rate=1e-9, training__drop_patience=2, training__stop_patience=1)
    metrics = data.train(tmp_path / "model.safetensors", stuck)
    assert [epoch["learning_rate"] for epoch in metrics["history"]] == pytest.approx([1e-9, 1e-9, 1e-9, 1e-10])
    assert metrics["best_epoch"] == 1


@pytest.mark.parametrize(("boxes", "people"), [("all", 5), ("annotated", 2), ("detected", 3)])
def test_whose_boxes_train(data, tmp_path, boxes, people):
    """Of 42 clips 36 have people; seven blocks of six clips, two of which are a step: the seventh is left out."""
    shards = [FeatureShard(path) for path in data.shards]
    blocks = Blocks(shards, settings(training__boxes=boxes))
    assert len(blocks) == 7
    graphs = [blocks[4, number] for number in range(7)]
    assert sum(len(graph.actors) for graph in graphs) == 36 * people
    negatives = sum(int((graph.actions.sum(1) == 0).sum()) for graph in graphs)
    assert negatives == (0 if boxes == "annotated" else 36)
    metrics = data.train(tmp_path / "model.safetensors", settings(training__boxes=boxes, training__epochs=1))
    assert 24 * people <= 3 * metrics["history"][0]["actors"] <= 36 * people


@pytest.mark.parametrize(("score", "people"), [(0.8, 4), (0.85, 3), (0.95, 2)])
def test_detected_boxes_train_from_a_score_on(data, score, people):
    """The shard holds boxes of lower scores for tests: of two annotated people and detections of 0.9, 0.8 and 0.75."""
    blocks = Blocks([FeatureShard(path) for path in data.shards], settings(train_score=score))
    assert sum(len(blocks[4, number].actors) for number in range(7)) == 36 * people


@pytest.mark.parametrize(
    "network",
    [
        {"network__layers": 0, "network__objects": False},
        {"network__objects": False},
        {"network__heads": 3, "network__layers": 2, "network__attention": "dot", "network__proximity": "features"},
    ],
)
def test_ablations_train_too_where_nobody_is_in_a_block(data, tmp_path, network):
    """With a batch of one, blocks of the video without people have no node at all in a graph of actors."""
    changed = settings(training__epochs=2, training__batch=1, training__boxes="annotated", **network)
    metrics = data.train(tmp_path / "model.safetensors", changed)
    assert all(np.isfinite(epoch["loss"]) for epoch in metrics["history"])
    about = load_stage(tmp_path / "model.safetensors")[1].architecture
    assert about.heads == network.get("network__heads", 2)
    assert about.objects == (THINGS if network.get("network__objects", True) else None)


# ---- the losses


@pytest.mark.parametrize("loss", ["sigmoid", "softmax"])
def test_the_loss_by_hand(data, trained, loss):
    """softmax: a detected box with no label has no place among the classes, and does not count."""
    model, _ = load_stage(trained)
    model.eval()
    shard = FeatureShard(data.shards[0])
    graphs = [
        make_graph(shard.keyframes("t0", 0, 3), Chosen(annotated=True, score=0.0)),
        make_graph(shard.keyframes("t1", 2, 4), Chosen(annotated=True, score=0.0)),
    ]
    each = []
    for graph in graphs:
        logits = model(pad([graph])[0].to("cpu"))[0]
        for row, wanted in zip(logits, graph.actions, strict=True):
            if loss == "sigmoid":
                chances = torch.where(wanted > 0, row.sigmoid(), 1 - row.sigmoid())
                each.append(-chances.log().mean())
            elif wanted.any():
                each.append(-row.softmax(0).log()[int(wanted.argmax())])
    total, figures = losses_of(loss)(model, collate(graphs))
    assert total.item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)
    assert figures["actors"].item() == len(each) == (25 if loss == "sigmoid" else 20)


def test_a_batch_in_which_nobody_counts_costs_nothing(data, trained):
    model, _ = load_stage(trained)
    shard = FeatureShard(data.shards[1])
    for loss in ("sigmoid", "softmax"):
        total, figures = losses_of(loss)(model, collate([make_graph(shard.keyframes("nobody", 0, 6), Chosen(True, 0))]))
        total.backward()
        assert (total.item(), figures["actors"].item()) == (0, 0)
        assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_one_label_an_actor(tmp_path):
    data = Data(tmp_path, single=True)
    model = tmp_path / "out" / "model.safetensors"
    metrics = data.train(model, settings(training__loss="softmax"))
    assert metrics["validation_mAP"] > 0.75, "a third of the people detected are nobody, and have some label, too"
    found, rows = data.evaluate(model, tmp_path / "e")
    assert found["mAP"] == pytest.approx(metrics["validation_mAP"], abs=1e-6)
    scores = np.array([float(row[7]) for row in rows]).reshape(-1, 3)
    assert scores.sum(1) == pytest.approx(np.ones(len(scores)), abs=1e-4)


# ---- what cannot be trained


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": ("nowhere",)}, "no video of the features is in the training splits nowhere"),
        ({"validation": "nowhere"}, "no video of the features is in the split 'nowhere', which is for validation"),
        ({"training__batch": 8}, "an epoch has 7 clips, fewer than one batch of 8"),
        ({"network__heads": 40}, "40 heads cannot share 10 features"),
        ({"training__precision": "bfloat16"}, "precision 'bfloat16' needs device 'cuda'"),
    ],
)
def test_settings_that_cannot_be(data, tmp_path, changes, message):
    with pytest.raises(ActaError, match=message):
        data.train(tmp_path / "model.safetensors", settings(**changes))
    assert not (tmp_path / "model.safetensors").exists()


def test_a_network_that_wants_objects_where_there_are_none(tmp_path):
    data = Data(tmp_path, objects=0)
    with pytest.raises(ActaError, match=r"0.h5 has no objects; set `objects: false` in the network's settings"):
        data.train(tmp_path / "model.safetensors", settings())
    data.train(tmp_path / "model.safetensors", settings(network__objects=False, training__epochs=1))


def test_files_that_do_not_fit(data, tmp_path):
    few = settings(training__epochs=1)
    output = tmp_path / "model.safetensors"
    with pytest.raises(ActaError, match=r"less.pbtxt does not have the action 'talk' of the features"):
        data.train(output, few, label_map=data.map("less.pbtxt", {"stand": 1, "sit": 3}))
    with pytest.raises(ActaError, match=r"more.pbtxt has the action 'run', which the features do not know"):
        data.train(output, few, evaluated=data.map("more.pbtxt", {"stand": 1, "run": 2}))
    with pytest.raises(ActaError, match=r"anew.pbtxt gives 'talk' another number than .*labels.pbtxt does"):
        data.train(output, few, evaluated=data.map("anew.pbtxt", {"talk": 1}))
    other = written(tmp_path / "other.h5", [a_video("x", 1, "train")], ("stand", "sit", "run"))
    with pytest.raises(ActaError, match=r"other.h5 has other actions than .*0.h5"):
        data.train(output, few, shards=[*data.shards, other])
    (tmp_path / "empty.csv").write_text("v0,902\n")
    with pytest.raises(ActaError, match=r"empty.csv annotates no box of an action that counts in a frame that counts"):
        data.train(output, few, truth=tmp_path / "empty.csv")
    with pytest.raises(ActaError, match=r"cannot read .*none.csv"):
        data.train(output, few, truth=tmp_path / "none.csv")


def test_a_validation_in_which_nobody_is_sure_enough_scores_nothing(data, tmp_path):
    metrics = data.train(tmp_path / "model.safetensors", settings(training__epochs=2, test_score=0.95))
    assert [epoch["validation"] for epoch in metrics["history"]] == [0, 0]
    assert metrics["best_epoch"] == 1
