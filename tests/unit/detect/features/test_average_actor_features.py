"""The mean of two backbones' features: by value, and only of the same actors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.detect.features.average_actor_features import average_actor_features
from pipeline.detect.features.entities import FeaturedVideo, FeatureShard, write_features
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance, Quarantined
from tests.unit.detect.features.test_entities import ACTIONS, video

VIDEOS = [video("a", [(2, 3), (0, 1), (1, 0)]), video("b", []), video("c", [(1, 1)])]


def mapped(videos: list[FeaturedVideo], **changes) -> list[FeaturedVideo]:
    """The videos with other columns of actors: functions of the column that is there."""
    return [
        replace(
            each,
            actors=[
                replace(a, **{name: change(getattr(a, name)) for name, change in changes.items()}) for a in each.actors
            ],
        )
        for each in videos
    ]


def written(path: Path, videos: list[FeaturedVideo], actions=ACTIONS, bad: tuple[Quarantined, ...] = ()) -> Path:
    write_features(path, videos, actions, bad, Provenance("test", "{}", path.stem))
    return path


def test_the_mean_of_features_and_of_the_classifiers_scores(tmp_path):
    other = mapped(VIDEOS, feature=lambda f: 3 * f, baseline=lambda b: b / 2)
    other = [replace(each, objects=[replace(o, feature=o.feature[:, :2]) for o in each.objects]) for each in other]
    one = written(tmp_path / "one.h5", VIDEOS, bad=(Quarantined("x", "one", "why"), Quarantined("y", "both", "why")))
    two = written(tmp_path / "two.h5", other, bad=(Quarantined("y", "both", "why"), Quarantined("w", "two", "why")))
    average_actor_features(one, two, tmp_path / "mean.h5")
    found, first = FeatureShard(tmp_path / "mean.h5"), FeatureShard(one)
    assert (found.ids, found.splits, found.actions) == (first.ids, first.splits, first.actions)
    assert [entry.id for entry in found.quarantine] == ["w", "x", "y"]
    assert found.provenance["inputs"] == {"one": first.digest, "other": FeatureShard(two).digest}
    for each in VIDEOS:
        mean, mine = found.keyframes(each.id), first.keyframes(each.id)
        assert mean.actors.feature == pytest.approx(2 * mine.actors.feature)
        assert mean.actors.baseline == pytest.approx(0.75 * mine.actors.baseline)
        for name in ("box", "score", "annotated", "actions"):
            assert np.array_equal(getattr(mean.actors, name), getattr(mine.actors, name))
        assert np.array_equal(mean.actor_keyframe, mine.actor_keyframe)
        assert np.array_equal(mean.object_keyframe, mine.object_keyframe)
        assert np.array_equal(mean.objects.feature, mine.objects.feature), "objects are those of the first"


def test_half_precision_is_averaged_without_overflow(tmp_path):
    half = mapped(VIDEOS, feature=lambda f: np.full_like(f, 60_000, np.float16))
    average_actor_features(written(tmp_path / "1.h5", half), written(tmp_path / "2.h5", half), tmp_path / "mean.h5")
    feature = FeatureShard(tmp_path / "mean.h5").keyframes("a").actors.feature
    assert feature.dtype == np.float16
    assert (feature == np.float16(60_000)).all()


def test_a_backbone_without_scores_leaves_none(tmp_path):
    mute = mapped(VIDEOS, baseline=lambda b: b[:, :0])
    average_actor_features(written(tmp_path / "1.h5", VIDEOS), written(tmp_path / "2.h5", mute), tmp_path / "mean.h5")
    assert FeatureShard(tmp_path / "mean.h5").keyframes("a").actors.baseline.shape == (3, 0)


@pytest.mark.parametrize(
    ("other", "actions", "message"),
    [
        (VIDEOS[:2], ACTIONS, "have different ids; only features of the same actors can be averaged"),
        ([replace(VIDEOS[0], split="val"), *VIDEOS[1:]], ACTIONS, "have different splits"),
        (VIDEOS, ("stand", "sit", "run"), "have different actions; only"),
        (mapped(VIDEOS, feature=lambda f: f[:, :5]), ACTIONS, "have different actor_size"),
        (mapped(VIDEOS, box=lambda b: b / 2), ACTIONS, "have different actors in a; make both with the same boxes"),
        (mapped(VIDEOS, score=lambda s: s / 2), ACTIONS, "have different actors in a"),
        (mapped(VIDEOS, annotated=lambda a: ~a), ACTIONS, "have different actors in a"),
        (mapped(VIDEOS, actions=lambda a: ~a), ACTIONS, "have different actors in a"),
        ([*VIDEOS[:2], video("c", [(1, 1)], start=5.0)], ACTIONS, "have different actors in c"),
        ([*VIDEOS[:2], video("c", [(2, 1)])], ACTIONS, "have different actors in c"),
        # The same people in the same order, one of them on the keyframe before.
        ([replace(VIDEOS[0], actors=[VIDEOS[0].actors[k] for k in (0, 2, 1)]), *VIDEOS[1:]], ACTIONS, "actors in a"),
    ],
)
def test_features_of_other_actors(tmp_path, other, actions, message):
    one, two = written(tmp_path / "one.h5", VIDEOS), written(tmp_path / "two.h5", other, actions)
    with pytest.raises(ActaError, match=message):
        average_actor_features(one, two, tmp_path / "mean.h5")
    assert not (tmp_path / "mean.h5").exists()
