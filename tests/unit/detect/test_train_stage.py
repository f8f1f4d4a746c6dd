"""Training STAGE on features and evaluating it: what it learns, keeps, resumes, writes and refuses."""

import csv
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.config.detect import NetworkSettings, StageTrainingSettings
from pipeline.config.tasks.detect import EvaluateStage, TrainStage
from pipeline.detect.blocks import Chosen, make_graph, pad
from pipeline.detect.evaluate_stage import evaluate_stage
from pipeline.detect.features.entities import Actors, FeaturedVideo, FeatureShard, Objects, write_features
from pipeline.detect.stage_file import load_stage
from pipeline.detect.train_stage import Blocks, collate, losses_of, train_stage
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance
from pipeline.runtime.seals import sealed
from tests.networks import start

ACTIONS = ("stand", "sit", "talk")
NUMBERS = (1, 3, 20)
SIZE, THINGS = 8, 6
# Of every keyframe: two annotated people, each detected again, and a detected box of nobody's.
BOXES = [[0.1, 0.1, 0.4, 0.9], [0.6, 0.2, 0.9, 0.8], [0.1, 0.1, 0.4, 0.875], [0.6, 0.2, 0.9, 0.775], [0.4, 0, 0.6, 0.1]]
SCORES = [1, 1, 0.9, 0.8, 0.75]


def doing(number: int, second: int, single: bool) -> list[list[int]]:
    """What the two people do: 0 stands or sits; whoever stands may talk as well."""
    random = np.random.default_rng([number, second])
    found = []
    for _ in range(2):
        first = int(random.integers(3 if single else 2))
        found.append([first] if single or first or random.random() < 0.5 else [0, 2])
    return found


def keyframe(number: int, second: int, single: bool = False, objects: int = THINGS) -> tuple[Actors, Objects]:
    random = np.random.default_rng([number, second, 1])
    actions = np.zeros((5, 3), bool)
    for person, does in enumerate(doing(number, second, single)):
        actions[[[person], [person + 2]], does] = True
    feature = random.normal(0, 0.3, (5, SIZE))
    feature[:, :3] += 2 * actions
    feature[4, 3] += 2
    baseline = np.clip(0.6 * actions + random.uniform(0.05, 0.35, (5, 3)), 0, 1)
    annotated = np.arange(5) < 2
    box, score = np.array(BOXES, np.float32), np.array(SCORES, np.float32)
    actors = Actors(feature.astype(np.float32), box, score, annotated, actions, baseline.astype(np.float32))
    count = second % 3 if objects else 0
    thing = random.normal(size=(count, objects)).astype(np.float16)
    return actors, Objects(thing, np.tile(box[:1], (count, 1)), np.full(count, 0.5, np.float32))


def a_video(name: str, number: int, split: str, seconds: int = 12, **options: Any) -> FeaturedVideo:
    both = [keyframe(number, second, **options) for second in range(seconds)]
    times = 902.0 + np.arange(seconds)
    return FeaturedVideo(name, "", split, times, [a for a, _ in both], [o for _, o in both])


def nobody(video: FeaturedVideo) -> FeaturedVideo:
    none = np.zeros(5, bool)
    return replace(video, actors=[Actors(*(column[none] for column in vars(a).values())) for a in video.actors])


def written(path: Path, videos: Sequence[FeaturedVideo], actions: Sequence[str] = ACTIONS) -> Path:
    write_features(path, videos, actions, [], Provenance("test", "{}", path.stem))
    return path


class Data:
    """Two feature shards with train, val and test videos, and AVA's files of them."""

    def __init__(self, folder: Path, *, single: bool = False, objects: int = THINGS):
        self.folder = folder
        options: dict[str, Any] = {"single": single, "objects": objects}
        train = [a_video(f"t{n}", n, "train", **options) for n in range(3)]
        empty = nobody(a_video("nobody", 9, "train", 6, **options))
        val = [a_video(f"v{n}", 100 + n, "val", 8, **options) for n in range(2)]
        val[1] = replace(val[1], split="val test")
        self.shards = [written(folder / "0.h5", [*train, val[0]]), written(folder / "1.h5", [empty, val[1]])]
        self.labels = self.map("labels.pbtxt", dict(zip(ACTIONS, NUMBERS, strict=True)))
        self.truth = folder / "val.csv"
        self.truth.write_text("".join(self._rows(video) for video in val))

    def map(self, name: str, actions: dict[str, int]) -> Path:
        entries = (f'item {{ name: "{action}" id: {number} }}\n' for action, number in actions.items())
        (self.folder / name).write_text("".join(entries))
        return self.folder / name

    @staticmethod
    def _rows(video: FeaturedVideo) -> str:
        return "".join(
            f"{video.id},{second:04.0f},{','.join(f'{value:.3f}' for value in actors.box[person])},{NUMBERS[action]}\n"
            for second, actors in zip(video.times, video.actors, strict=True)
            for person in (0, 1)
            for action in np.flatnonzero(actors.actions[person])
        )

    def train(self, output: Path, settings: TrainStage, **options: Any) -> dict[str, Any]:
        files = {"label_map": self.labels, "truth": self.truth} | options
        train_stage(files.pop("shards", self.shards), output, settings, **files)
        return json.loads(output.with_name("metrics.json").read_text())

    def evaluate(self, model: Path | None, folder: Path, **options: Any) -> tuple[dict[str, Any], list[list[str]]]:
        """The JSON, and the rows of detections."""
        changes = {key: options.pop(key) for key in list(options) if key in EvaluateStage.model_fields}
        files = {"label_map": self.labels, "truth": self.truth} | options
        folder.mkdir(exist_ok=True)
        output, found = folder / "evaluation.json", folder / "detections.csv"
        settings = EVALUATE.model_copy(update=changes)
        evaluate_stage(model, files.pop("shards", self.shards), output, found, settings, **files)
        with found.open(newline="") as file:
            return json.loads(output.read_text()), list(csv.reader(file))


EVALUATE = EvaluateStage(
    test="val", boxes="detected", step=1.0, clips=6, score=0.7, iou=0.5, capacity=0, device="cpu", threads=1
)


def settings(**changes: Any) -> TrainStage:
    """Small; changes of the stage, its network (``network__…``) and its training (``training__…``)."""
    network: dict[str, Any] = {
        "layers": 1,
        "heads": None,
        "receptive_field": 3,
        "attention": "additive",
        "proximity": "boxes",
        "objects": True,
        "actor_actor": True,
        "object_object": True,
        "dropout": 0.2,
    }
    training: dict[str, Any] = {
        "clips": 6,
        "batch": 2,
        "epochs": 12,
        "drop_patience": 50,
        "stop_patience": 5,
        "loss": "sigmoid",
        "boxes": "all",
        "precision": "float32",
        "device": "cpu",
        "threads": 1,
    }
    stage: dict[str, Any] = {
        "train": ("train",),
        "validation": "val",
        "step": 1.0,
        "train_score": 0.0,
        "test_score": 0.7,
        "heads": 2,
        "learning_rate": 0.01,
        "capacity": 0,
        "seed": 1,
    }
    for name, value in changes.items():
        part, _, key = name.rpartition("__")
        {"network": network, "training": training, "": stage}[part][key] = value
    return TrainStage(**stage, network=NetworkSettings(**network), training=StageTrainingSettings(**training))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    data.train(path, settings())
    return path


def metrics_of(model: Path) -> dict[str, Any]:
    return json.loads(model.with_name("metrics.json").read_text())


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
    arguments = [sys.executable, "-m", "pipeline", "train_stage", *map(str, data.shards), "-o", str(shot)]
    arguments += ["--settings", changed.model_dump_json(), "--label-map", str(data.labels), "--workers", "0"]
    arguments += ["--groundtruth", str(data.truth), "--save-every", "0"]
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
        ({"validation": "nowhere"}, "no video of the features is in the split 'nowhere', which is to validate"),
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


# ---- evaluation


def test_detections_in_ava_s_form_with_the_network_s_scores(trained, data, tmp_path):
    found, rows = data.evaluate(trained, tmp_path / "e")
    assert len(rows) == 2 * 8 * 3 * 3, "two videos, eight keyframes, three detected people, three actions"
    assert {len(row) for row in rows} == {8}
    assert [row[0] for row in rows] == ["v0"] * 72 + ["v1"] * 72
    assert [row[1] for row in rows[:72:9]] == ["0902", "0903", "0904", "0905", "0906", "0907", "0908", "0909"]
    assert [row[6] for row in rows[:6]] == ["1", "3", "20"] * 2
    for person, box in enumerate(BOXES[2:]):
        assert [float(value) for value in rows[3 * person][2:6]] == pytest.approx(box)
    model, about = load_stage(trained)
    shard, expected = FeatureShard(data.shards[0]), []
    for first, last in ((0, 6), (6, 8)):
        graph = make_graph(shard.keyframes("v0", first, last), Chosen(annotated=False, score=0.7))
        with torch.inference_mode():
            expected.append(model.eval()(pad([graph])[0].to("cpu"))[0].sigmoid())
    assert [float(row[7]) for row in rows[:72]] == pytest.approx(torch.cat(expected).ravel().tolist(), abs=1e-5)
    assert found["coverage"] == {"videos": 2, "keyframes": 16, "actors": 48, "quarantined_videos": 0}
    assert about.clips == 6


def test_the_score_during_training_is_that_of_the_evaluation(trained, data, tmp_path):
    found, _ = data.evaluate(trained, tmp_path / "e")
    assert found["mAP"] == pytest.approx(metrics_of(trained)["validation_mAP"], abs=1e-6)
    assert found["classes"].keys() == set(ACTIONS)


def test_only_actions_and_frames_that_count(trained, data, tmp_path):
    few, excluded = data.map("two.pbtxt", {"stand": 1, "talk": 20}), tmp_path / "excluded.csv"
    excluded.write_text("".join(f"v0,{second}\n" for second in range(902, 910)))
    found, rows = data.evaluate(trained, tmp_path / "e", evaluated=few, excluded=excluded)
    assert {row[6] for row in rows} == {"1", "20"}
    assert found["classes"].keys() == {"stand", "talk"}
    assert (found["counts"]["detected"], found["counts"]["detected_left_out"]) == (48, 48)
    assert found["mAP"] == pytest.approx(np.mean(list(found["classes"].values())))
    output = tmp_path / "trained" / "model.safetensors"
    metrics = data.train(output, settings(training__epochs=2), evaluated=few, excluded=excluded)
    again, _ = data.evaluate(output, tmp_path / "again", evaluated=few, excluded=excluded)
    assert again["mAP"] == pytest.approx(metrics["validation_mAP"], abs=1e-6)


def test_annotated_boxes(trained, data, tmp_path):
    found, rows = data.evaluate(trained, tmp_path / "e", boxes="annotated")
    assert found["coverage"]["actors"] == 32
    assert {tuple(map(float, row[2:6])) for row in rows} == {tuple(box) for box in BOXES[:2]}
    assert found["mAP"] > 0.9


def test_a_network_s_own_threshold_and_blocks_count(trained, data, tmp_path):
    _, rows = data.evaluate(trained, tmp_path / "one")
    _, others = data.evaluate(trained, tmp_path / "two", score=0.99, clips=3)
    assert rows == others


def test_the_backbone_alone(data, tmp_path):
    found, rows = data.evaluate(None, tmp_path / "e", score=0.8)
    shard = FeatureShard(data.shards[0])
    actors = shard.keyframes("v0").actors
    kept = ~actors.annotated & (actors.score >= np.float32(0.8))
    assert [float(row[7]) for row in rows[:48]] == pytest.approx(actors.baseline[kept].ravel().tolist(), abs=1e-5)
    assert len(rows) == 2 * 8 * 2 * 3
    assert found["mAP"] == pytest.approx(1), "what is done scores at least 0.65, what is not at most 0.35"
    assert found["model"] is None


def test_features_without_their_backbone_s_scores(data, tmp_path):
    mute = a_video("v0", 100, "val")
    mute = replace(mute, actors=[replace(a, baseline=a.baseline[:, :0]) for a in mute.actors])
    with pytest.raises(ActaError, match="there is no baseline of its own"):
        data.evaluate(None, tmp_path / "e", shards=[written(tmp_path / "mute.h5", [mute])])
    assert not (tmp_path / "e" / "detections.csv").exists()


def test_without_annotation_there_are_detections_and_coverage(trained, data, tmp_path):
    found, rows = data.evaluate(trained, tmp_path / "e", truth=None, test="test")
    assert found.keys() == {"coverage", "settings", "model", "code", "acta_sha256"}
    assert found["coverage"] == {"videos": 1, "keyframes": 8, "actors": 24, "quarantined_videos": 0}
    assert {row[0] for row in rows} == {"v1"}


def test_nobody_is_sure_enough(data, tmp_path):
    """All figures are there, as of any evaluation."""
    found, rows = data.evaluate(None, tmp_path / "e", score=0.95)
    assert rows == []
    assert found["coverage"]["actors"] == 0
    assert found["classes"] == dict.fromkeys(ACTIONS, 0.0)
    assert found["groups"] == {"pose": 0.0, "person-person": None, "person-object": 0.0}
    assert found["mAP"] == 0


def test_seconds_with_a_fraction(data, tmp_path):
    video = replace(a_video("v0", 100, "val", 2), times=np.array([0.5, 1.5]))
    _, rows = data.evaluate(None, tmp_path / "e", shards=[written(tmp_path / "f.h5", [video])], truth=None)
    assert sorted({row[1] for row in rows}) == ["0.500000", "1.500000"]


def test_evaluating_other_features(trained, data, tmp_path):
    video = a_video("v0", 100, "val")

    def refused(message: str, changed: FeaturedVideo = video, actions: Sequence[str] = ACTIONS, **options: Any) -> None:
        path = written(tmp_path / "other.h5", [changed], actions)
        with pytest.raises(ActaError, match=message):
            data.evaluate(trained, tmp_path / "e", shards=[path], **options)
        assert not (tmp_path / "e" / "evaluation.json").exists()

    narrow = replace(video, actors=[replace(a, feature=a.feature[:, :5]) for a in video.actors])
    refused(r"takes features of 8 and 6 numbers \(actors, objects\), but .*other.h5 has 5 and 6", narrow)
    without = replace(video, objects=[replace(o, feature=o.feature[:, :0]) for o in video.objects])
    refused(r"takes features of 8 and 6 numbers .* has 8 and 0", without)
    refused("was trained for other actions than those of", actions=("stand", "talk", "sit"))
    refused("no video of the features is in the split 'nowhere'", test="nowhere")
    less = data.map("less.pbtxt", {"stand": 1, "sit": 3})
    refused("less.pbtxt does not have the action 'talk' of the features", label_map=less)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "acta-model-1"}, "model.json holds 'acta-model-1', but 'acta-stage-1' is needed"),
        ({"clip": 6}, "model.json does not describe a model: 'clip' is 6: unexpected keyword argument"),
        (
            {"architecture": {"actors": 8}},
            "does not describe a model: 'architecture.objects': field required",
        ),
        (
            {"architecture": {"actors": 8, "objects": 6, "classes": 4, "heads": 2}},
            "3 actions, but the network has 4 outputs",
        ),
        ({"architecture": {"actors": 8, "objects": 6, "classes": 3, "heads": 5}}, "weights of another architecture"),
        ({"architecture": {"actors": 8, "objects": 6, "classes": 3, "receptive_field": 2}}, "receptive_field 2 is not"),
    ],
)
def test_model_files_that_do_not_fit(trained, tmp_path, change, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(trained.read_bytes())
    content = json.loads(trained.with_suffix(".json").read_text()) | change
    path.with_suffix(".json").write_text(json.dumps(sealed(content)))
    with pytest.raises(ActaError, match=message):
        load_stage(path)


def test_model_files_that_are_not_there(trained, tmp_path):
    with pytest.raises(ActaError, match=r"cannot read the model's description .*model.json"):
        load_stage(tmp_path / "model.safetensors")
    (tmp_path / "model.json").write_bytes(trained.with_suffix(".json").read_bytes())
    with pytest.raises(ActaError, match=r"there is no model file"):
        load_stage(tmp_path / "model.safetensors")
    (tmp_path / "model.json").write_text("[1]")
    with pytest.raises(ActaError, match="does not describe a model: it holds a list"):
        load_stage(tmp_path / "model.safetensors")
