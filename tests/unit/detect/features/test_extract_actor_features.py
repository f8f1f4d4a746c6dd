"""Features of people by a backbone: who is an actor with which labels, and what the backbone sees."""

import numpy as np
import pytest
import torch

from pipeline.detect.features.entities import FeatureShard
from pipeline.detect.features.keyframes import TimedFrames
from pipeline.models.actor_backbones import load_actor_backbone
from pipeline.runtime.errors import ActaError
from tests.clips import read_number
from tests.unit.detect.features.filmed import ACTIONS, BACKBONE, LEFT, RIGHT, ROWS, WHOLE, Filmed


@pytest.fixture(scope="module")
def shard(filmed) -> FeatureShard:
    return filmed.read(filmed.objects(), name="module.h5")


def test_annotated_people_first_then_sure_ones_with_labels_by_overlap(shard):
    """The whole picture overlaps each half by one half; the upper right by 0.4375 of its half, which is too little."""
    found = shard.keyframes("v")
    assert found.times.tolist() == [0, 1, 2, 2.9]
    assert found.actor_keyframe.tolist() == [0, 0, 1, 1, 1, 1, 3]
    expected = [LEFT, [0, 0, 0.5, 0.875], LEFT, RIGHT, WHOLE, [0.5, 0, 1, 0.4375], WHOLE]
    assert found.actors.box.tolist() == expected
    assert found.actors.annotated.tolist() == [True, False, True, True, False, False, True]
    assert found.actors.score.tolist() == [1, 0.75, 1, 1, 0.625, 0.5, 1]
    labels = [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0], [0, 1, 0]]
    assert found.actors.actions.astype(int).tolist() == labels


def test_objects_are_all_that_are_no_people(shard):
    found = shard.keyframes("v")
    assert found.object_keyframe.tolist() == [0, 1, 2]
    assert found.objects.box.tolist() == [[0.25, 0.25, 0.5, 0.5], [0.5, 0.5, 0.75, 0.75], WHOLE]
    assert found.objects.score.tolist() == [0.375, 0.5, 0.875]
    assert found.objects.feature.tolist() == [[0.375, 0.75], [0.5, 1], [0.875, 1.75]]


def test_what_the_backbone_says_of_the_clip_around_each_keyframe(filmed, shard):
    """At both ends of the video, too, where its first and last frame are repeated."""
    network, _, _ = load_actor_backbone(filmed.model)
    found, frames = shard.keyframes("v"), TimedFrames(filmed.frames, 0.0)
    for number, middle in enumerate([0, 10, 20, 29]):
        clip = frames.clip_around("v", found.times[number], 5, 10.0)
        seen = [read_number(frame.permute(1, 2, 0).numpy()) for frame in clip]
        assert seen == [min(max(middle + k, 0), 29) for k in range(-2, 3)]
        mine = found.actor_keyframe == number
        box = torch.from_numpy(found.actors.box[mine])
        with torch.inference_mode():
            feature, logits = network.eval()(clip[None], [box])
        assert found.actors.feature[mine] == pytest.approx(feature.numpy(), rel=1e-4, abs=1e-5)
        assert found.actors.baseline[mine] == pytest.approx(logits.sigmoid().numpy(), rel=1e-4, abs=1e-5)
    assert shard.actor_size == BACKBONE.feature_size


def test_videos_without_keyframes_are_there_without_any(shard):
    assert (shard.ids, shard.splits) == (["v", "w", "u"], ["train", "val", "train"])
    assert shard.keyframes("w").times.tolist() == shard.keyframes("u").times.tolist() == []
    assert not shard.quarantine


def test_each_video_has_its_own_clips(filmed, shard):
    both = dict.fromkeys(("train", "val"), filmed.folder / "train.csv")
    found = filmed.read(None, "v,1,.5,0,1,1,,.4\n", boxes=both)
    assert found.keyframes("v").actors.feature[[0, 1, 2, 3]] == pytest.approx(
        shard.keyframes("v").actors.feature[[0, 2, 3, 6]], rel=1e-4, abs=1e-5
    )
    network, _, _ = load_actor_backbone(filmed.model)
    clip = TimedFrames(filmed.frames, 0.0).clip_around("w", 1.0, 5, 10.0)
    with torch.inference_mode():
        feature, _ = network.eval()(clip[None], [torch.tensor([WHOLE])])
    assert found.keyframes("w").times.tolist() == [1]
    assert found.keyframes("w").actors.feature == pytest.approx(feature.numpy(), rel=1e-4, abs=1e-5)


def test_people_of_proposals_and_objects_of_the_detector(filmed):
    people = "v,1,.5,0,1,1,,.9\nv,1,0,0,.25,1,,.4\nv,0,0,0,1,1,,.5\n"
    found = filmed.read(filmed.objects(), people).keyframes("v")
    assert found.actor_keyframe.tolist() == [0, 0, 1, 1, 1, 3]
    assert found.actors.box[[1, 4]].tolist() == [WHOLE, RIGHT]
    assert found.actors.score == pytest.approx([1, 0.5, 1, 1, 0.9, 1])
    assert found.object_keyframe.tolist() == [0, 1, 2]


def test_without_objects_there_are_only_people(filmed):
    found = filmed.read(None, "v,2,.5,0,1,1,,.9\n")
    assert found.object_size == 0
    assert found.keyframes("v").actor_keyframe.tolist() == [0, 1, 1, 2, 3]
    assert found.keyframes("v").object_keyframe.tolist() == []


def test_a_classifier_of_other_classes_is_no_baseline(filmed, shard):
    other = filmed.read(filmed.objects(), model=filmed.backbone("kinetics", ["run", "ride"]))
    assert other.actions == ACTIONS
    assert other.keyframes("v").actors.baseline.shape == (7, 0)
    turned = filmed.read(filmed.objects(), model=filmed.backbone("turned", ACTIONS[::-1]))
    assert turned.keyframes("v").actors.baseline.shape == (7, 0)
    assert shard.keyframes("v").actors.baseline.shape == (7, 3)


def test_workers_do_not_change_a_byte(filmed):
    filmed.read(filmed.objects(), name="alone.h5").close()
    filmed.read(filmed.objects(), name="helped.h5", workers=1).close()
    assert (filmed.folder / "helped.h5").read_bytes() == (filmed.folder / "alone.h5").read_bytes()


def test_half_precision_and_the_published_rate(filmed, shard):
    found = filmed.read(filmed.objects(), settings={"half_precision": True}).keyframes("v").actors.feature
    assert found.dtype == np.float16
    assert found.astype(float) == pytest.approx(shard.keyframes("v").actors.feature, rel=1e-3, abs=1e-3)
    faster = filmed.read(filmed.objects(), settings={"rate": None}).keyframes("v").actors.feature
    assert not np.allclose(faster, shard.keyframes("v").actors.feature), "25 frames a second, not 10"


def test_a_shard_of_objects_that_does_not_fit(filmed):
    with pytest.raises(ActaError, match=r"frames.h5 holds 'acta-frames-2', but 'acta-objects-2' is needed"):
        filmed.read(filmed.frames)
    (bad,) = filmed.read(filmed.objects(times=(0, 1, 2))).quarantine
    assert (bad.id, bad.task) == ("v", "extract_actor_features")
    assert "its keyframes are not those of" in bad.reason
    (bad,) = filmed.read(filmed.objects(videos=("v", "u"))).quarantine
    assert bad.id == "w"
    assert "'w' is not in" in bad.reason
    with pytest.raises(ActaError, match="extract_actor_features: 2 of the first 2 videos"):
        filmed.read(filmed.objects(videos=("u",)), max_bad_fraction=0.1)


def test_people_from_nowhere(filmed):
    with pytest.raises(ActaError, match="an object shard that knows them; neither is given"):
        filmed.read()


def test_an_annotated_keyframe_beyond_the_end(tmp_path):
    filmed = Filmed(tmp_path)
    (tmp_path / "train.csv").write_text(ROWS + "u,5,0,0,1,1,1\n")
    found = filmed.read(filmed.objects())
    assert found.ids == ["v", "w"]
    assert f"{tmp_path}/train.csv:8 annotates it at 5 s" in found.quarantine[0].reason
