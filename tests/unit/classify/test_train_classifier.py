"""Stages `train` and `evaluate`, and `acta classify`: what they write, and what they refuse before the first step."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.classify.evaluate_classifier import evaluate_classifier
from pipeline.classify.fitting import _losses
from pipeline.classify.teaching import as_teacher
from pipeline.classify.train_classifier import train_classifier
from pipeline.cli import main
from pipeline.config.classify import StrategySettings
from pipeline.config.distillation import weight_for
from pipeline.config.tasks.classify import EvaluateClassifier
from pipeline.models.architecture import Architecture, frames_needed
from pipeline.models.backbones import build, pathways
from pipeline.models.classifier_file import load_model
from pipeline.runtime.errors import ActaError
from pipeline.runtime.seals import sealed
from pipeline.training.losses import cross_entropy, distillation, relational
from tests.clips import write_clip
from tests.networks import LABELS, train_settings, write_dataset, write_lists_of
from tests.shards import numbered, stored, write_shard

EVALUATE = EvaluateClassifier.model_validate(
    {
        "split": {"train": "train", "test": "test"},
        "short_videos": "repeat",
        "test_clips": 3,
        "micro_batch": 4,
        "device": "cpu",
        "threads": 1,
    }
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[Path]:
    return write_dataset(tmp_path_factory.mktemp("none"), train=6)


@pytest.fixture(scope="module")
def hidden(tmp_path_factory) -> list[Path]:
    return write_dataset(tmp_path_factory.mktemp("faces"), train=6, hidden=True)


@pytest.fixture(scope="module")
def teacher(config, shards, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    settings = train_settings(config, training__epochs=30, recipe__micro_batch=8, recipe__learning_rate=0.1)
    train_classifier(shards, path, settings)
    return path


def test_a_teacher_learns_and_says_what_it_is(teacher, shards, tmp_path):
    metrics = json.loads(teacher.with_name("metrics.json").read_text())
    assert metrics["history"][-1]["top1"] > 0.8
    assert metrics["history"][-1]["loss"] < metrics["history"][0]["loss"]
    assert (metrics["videos"], metrics["processes"], metrics["device"]) == (18, 1, "cpu")
    assert 0 <= metrics["data_share"] < 1
    _, description = load_model(teacher)
    assert description.classes == list(LABELS)
    assert (description.variant, description.rate) == ("none", 5.0)
    assert description.provenance["task"] == "train_classifier"
    assert list(teacher.parent.glob("tensorboard/events*"))


def test_evaluation(teacher, shards, tmp_path):
    lists = write_lists_of(tmp_path / "lists", shards, missing=["lost"])
    output, predictions = tmp_path / "evaluation.json", tmp_path / "predictions.tsv"
    evaluate_classifier(teacher, shards, sorted(lists.glob("*.json")), output, predictions, EVALUATE)
    found = json.loads(output.read_text())
    assert found["top1"] == 100
    assert found["top5"] == 100
    assert found["coverage"] == {
        "expected": 7,
        "evaluated": 6,
        "not_in_frame_store": 1,
        "shorter_than_a_clip": 0,
        "short_videos": "repeat",
    }
    assert np.trace(found["confusion"]) == 6
    rows = list(csv.DictReader(predictions.open(), delimiter="\t"))
    assert len(rows) == 6
    assert all(row["label"] == row["class1"] for row in rows)
    assert all(float(row["score1"]) >= float(row["score2"]) for row in rows)


def test_the_same_command_gives_the_same_bytes(config, shards, tmp_path):
    settings = train_settings(config)
    paths = [tmp_path / name / "model.safetensors" for name in ("a", "b")]
    train_classifier(shards, paths[0], settings)
    train_classifier(shards, paths[1], settings, workers=1)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].with_suffix(".json").read_bytes() == paths[1].with_suffix(".json").read_bytes()


def test_a_student_is_taught_on_other_frames(config, teacher, shards, hidden, tmp_path):
    settings = train_settings(config, "kd_rkd", "faces", recipe__micro_batch=8)
    before = teacher.read_bytes()
    train_classifier(hidden, tmp_path / "model.safetensors", settings, teacher=teacher, teacher_shards=shards)
    history = json.loads((tmp_path / "metrics.json").read_text())["history"]
    last = history[-1]
    weights = settings.strategy
    assert last["loss"] == pytest.approx(
        last["cross_entropy"] + weight_for(weights.kd, len(LABELS)) * last["kd"] + weights.rkd * last["rkd"], rel=1e-5
    )
    assert last["kd"] > 0
    assert last["rkd"] > 0
    assert teacher.read_bytes() == before
    assert load_model(tmp_path / "model.safetensors")[1].variant == "faces"


# ---- the objective


@pytest.mark.parametrize(("kd", "weight"), [(12_500.0, 12_500), ("31.25 per class", 93.75)])
def test_total_loss_is_eq_5_11(kd: float | str, weight: float) -> None:
    architecture = Architecture("r3d_18", 3, 0.05, (1, 1, 1, 1), 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student, network = build(architecture), build(architecture)
        batch = {
            "student": torch.randint(0, 256, (4, 2, 3, 16, 16), dtype=torch.uint8),
            "teacher": torch.randint(0, 256, (4, 2, 3, 16, 16), dtype=torch.uint8),
            "label": torch.tensor([0, 1, 2, 1]),
        }
    positions = frames_needed([architecture])
    strategy = StrategySettings(teacher="none", kd=kd, rkd=10.0, temperature=5.0)
    teacher = as_teacher((network, architecture), "train", torch.device("cpu"), torch.float32)
    total, figures = _losses(strategy, architecture, positions, torch.float32, teacher, None)(student, batch)
    logits = student(pathways(batch["student"], positions, architecture))
    soft = network(pathways(batch["teacher"], positions, architecture))
    expected = (
        cross_entropy(logits, batch["label"]) + weight * distillation(logits, soft, 5) + 10 * relational(logits, soft)
    )
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert set(figures) == {"cross_entropy", "kd", "rkd", "top1"}


def test_the_teacher_normalises_by_the_batch_and_keeps_its_statistics() -> None:
    architecture = Architecture("slowfast_4x16_r50", 3, 0.1, (1, 1, 1, 1), 16)
    model = build(architecture, dropout=0.5)
    network, _ = as_teacher((model, architecture), "train", torch.device("cpu"), torch.float32)
    before = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clips = torch.randint(0, 256, (4, 8, 3, 32, 32), dtype=torch.uint8)
    seen = pathways(clips, frames_needed([architecture]), architecture)
    first, second = network(seen), network(seen)
    assert torch.equal(first, second), "dropout is off"
    assert not torch.allclose(network([part[:2] for part in seen]), first[:2]), "the batch's own statistics"
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
    assert not any(p.requires_grad for p in network.parameters())


# ---- refused before the first step


def test_a_strategy_without_its_teacher(config, shards, tmp_path):
    with pytest.raises(ActaError, match="the strategy's teacher is 'none', but the model given is None"):
        train_classifier(shards, tmp_path / "model.safetensors", train_settings(config, "kd"))


def test_a_teacher_with_other_classes(config, teacher, tmp_path):
    videos = [
        stored(tmp_path / "s", name, numbered(6), label=label)
        for name, label in (("a", "dark"), ("b", "left"), ("c", "up"))
    ]
    others = [write_shard(tmp_path / "other.h5", videos)]
    message = "the teacher .*model.safetensors has 3 classes, the student 3; they differ, such as 'right'"
    with pytest.raises(ActaError, match=message):
        train_classifier(
            others, tmp_path / "model.safetensors", train_settings(config, "kd"), teacher=teacher, teacher_shards=others
        )


def test_a_teacher_with_its_classes_in_another_order(config, teacher, shards, tmp_path):
    (tmp_path / "classes.txt").write_text("right\nleft\ndark\n")
    settings = train_settings(config, "kd", classes=str(tmp_path / "classes.txt"))
    with pytest.raises(ActaError, match="they differ, in another order"):
        train_classifier(shards, tmp_path / "model.safetensors", settings, teacher=teacher, teacher_shards=shards)


def test_a_teacher_of_other_clips(config, teacher, shards, tmp_path):
    settings = train_settings(config, "kd", recipe__clip__frames=5)
    with pytest.raises(ActaError, match="sees clips of 4 frames, the student of 5"):
        train_classifier(shards, tmp_path / "model.safetensors", settings, teacher=teacher, teacher_shards=shards)


def test_fine_tuning_keeps_what_fits_and_makes_a_new_classifier(config, teacher, tmp_path):
    videos = [
        stored(tmp_path / "s", f"{label}{k}", numbered(6), label=label) for label in ("up", "down") for k in range(4)
    ]
    others = [write_shard(tmp_path / "other.h5", videos)]
    settings = train_settings(
        config, recipe__initial=str(teacher), recipe__learning_rate=1e-12, training__weight_decay=0.0
    )
    train_classifier(others, tmp_path / "model.safetensors", settings)
    tuned, description = load_model(tmp_path / "model.safetensors")
    first, _ = load_model(teacher)
    assert description.classes == ["down", "up"]
    assert torch.allclose(tuned.state_dict()["stem.0.weight"], first.state_dict()["stem.0.weight"], atol=1e-6)
    assert tuned.state_dict()["fc.weight"].shape[0] == 2
    assert description.provenance["weights"].keys() == {"initial"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"recipe__backbone__name": "r2plus1d_18"},
            "`initial` .*model.safetensors is a r3d_18, the recipe a r2plus1d_18",
        ),
        (
            {"recipe__backbone__width": 0.1},
            "model.safetensors holds the weights of another architecture: 'fc.weight'|has the shape",
        ),
    ],
)
def test_initial_weights_of_another_architecture(config, teacher, shards, tmp_path, changes, message):
    settings = train_settings(config, recipe__initial=str(teacher), **changes)
    with pytest.raises(ActaError, match=message):
        train_classifier(shards, tmp_path / "model.safetensors", settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"train": "train", "test": "nowhere"}}, None),
        ({"split": {"train": "nowhere", "test": "test"}}, r"split 'nowhere' has the classes \[\]"),
        ({"training__precision": "bfloat16"}, "precision 'bfloat16' needs device 'cuda'"),
        ({"training__device": "cuda"}, "device 'cuda' was asked for, but torch sees no GPU"),
        ({"recipe__batch": 40, "recipe__micro_batch": 40}, "an epoch has 36 clips, fewer than one batch of 40"),
    ],
)
def test_settings_that_cannot_be(config, shards, tmp_path, changes, message):
    if "training__device" in changes and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    settings = train_settings(config, **changes)
    if message is None:
        train_classifier(shards, tmp_path / "model.safetensors", settings)
        return
    with pytest.raises(ActaError, match=message):
        train_classifier(shards, tmp_path / "model.safetensors", settings)
    assert not (tmp_path / "model.safetensors").exists()


def test_evaluating_a_label_that_the_network_does_not_know(teacher, tmp_path):
    path = write_shard(tmp_path / "a.h5", [stored(tmp_path / "s", "a", numbered(6), label="up", split="test")])
    lists = write_lists_of(tmp_path / "lists", [path])
    with pytest.raises(
        ActaError, match="video 'a' of split 'test' has the label 'up', which is not among the 3 classes"
    ):
        evaluate_classifier(teacher, [path], sorted(lists.glob("*")), tmp_path / "e.json", tmp_path / "p.tsv", EVALUATE)


def test_nothing_to_evaluate_and_short_videos(teacher, tmp_path):
    path = write_shard(tmp_path / "a.h5", [stored(tmp_path / "s", "a", numbered(3), label="dark", split="test")])
    lists = sorted(write_lists_of(tmp_path / "lists", [path], missing=["b"]).glob("*"))
    evaluate_classifier(teacher, [path], lists, tmp_path / "e.json", tmp_path / "p.tsv", EVALUATE)
    assert json.loads((tmp_path / "e.json").read_text())["coverage"]["shorter_than_a_clip"] == 1
    dropped = EVALUATE.model_copy(update={"short_videos": "drop"})
    with pytest.raises(ActaError, match=r"split 'test' has no video to evaluate \(2 are listed\)"):
        evaluate_classifier(teacher, [path], lists, tmp_path / "e.json", tmp_path / "p.tsv", dropped)


# ---- acta classify


def test_classify_names_the_action(teacher, tmp_path, capsys):
    video = write_clip(tmp_path / "a.mp4", frames=20)
    assert main(["classify", str(video), "--model", str(teacher), "--json", "--clips", "2"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["video"] == str(video)
    assert [entry["label"] for entry in found["classes"]] != []
    scores = [entry["score"] for entry in found["classes"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)


def test_classify_prints_the_best_and_goes_on_after_a_bad_file(teacher, tmp_path, capsys):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    video = write_clip(tmp_path / "one.mp4", frames=1)
    assert main(["classify", str(tmp_path / "broken.mp4"), str(video), "--model", str(teacher), "--top", "1"]) == 1
    printed = capsys.readouterr()
    assert "broken.mp4: cannot be opened" in printed.err
    assert printed.out.splitlines()[0] == str(video)
    assert len(printed.out.splitlines()) == 2


def test_classify_says_what_the_network_was_trained_on(teacher, tmp_path, capsys):
    copy = tmp_path / "model.safetensors"
    copy.write_bytes(teacher.read_bytes())
    content = json.loads(teacher.with_suffix(".json").read_text()) | {"variant": "faces"}
    copy.with_suffix(".json").write_text(json.dumps(sealed(content)))
    video = write_clip(tmp_path / "a.mp4", frames=8)
    assert main(["classify", str(video), "--model", str(copy)]) == 0
    assert "trained on videos with faces hidden" in capsys.readouterr().err


def test_classify_without_a_model(tmp_path, capsys):
    assert main(["classify", "a.mp4", "--model", str(tmp_path / "none.safetensors")]) == 1
    assert "cannot read the model's description" in capsys.readouterr().err
