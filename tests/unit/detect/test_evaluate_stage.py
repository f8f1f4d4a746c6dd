"""Evaluating STAGE: its detections as AVA's files have them, which of them count, and what is refused."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.detect.blocks import Chosen, make_graph, pad
from pipeline.detect.features.entities import FeaturedVideo, FeatureShard
from pipeline.detect.stage_file import load_stage
from pipeline.runtime.errors import ActaError
from tests.unit.detect.small_features import ACTIONS, BOXES, a_video, metrics_of, settings, written


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
