"""The feature shard: what is written comes back, in one read; what does not fit together is refused by name."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.detect.features.entities import Actors, FeaturedVideo, FeatureShard, Objects, check_alike, write_features
from pipeline.runtime.errors import ActaError
from pipeline.runtime.provenance import Provenance, Quarantined

ACTIONS = ("stand", "sit", "talk")
PROVENANCE = Provenance(task="features", settings="{}", code="test")


def actors(count: int, seed: int = 0, size: int = 6, kind=np.float32) -> Actors:
    random = np.random.default_rng([seed, count])
    return Actors(
        random.random((count, size)).astype(kind),
        random.random((count, 4)).astype(np.float32),
        random.random(count).astype(np.float32),
        random.random(count) < 0.5,
        random.random((count, len(ACTIONS))) < 0.5,
        random.random((count, len(ACTIONS))).astype(np.float32),
    )


def objects(count: int, seed: int = 0, size: int = 8) -> Objects:
    random = np.random.default_rng([seed, count, 1])
    return Objects(
        random.random((count, size)).astype(np.float32),
        random.random((count, 4)).astype(np.float32),
        random.random(count).astype(np.float32),
    )


def video(name: str, counts: list[tuple[int, int]], start: float = 902.0, **changes) -> FeaturedVideo:
    return FeaturedVideo(
        name,
        "",
        "train",
        start + np.arange(len(counts)),
        [actors(a, n, **changes) for n, (a, _) in enumerate(counts)],
        [objects(o, n) for n, (_, o) in enumerate(counts)],
    )


VIDEOS = [video("a", [(2, 3), (0, 1), (1, 0), (3, 2)]), video("b", []), video("c", [(1, 1)])]


@pytest.fixture
def shard(tmp_path):
    quarantine = [Quarantined("bad", "features", "no keyframe can be decoded")]
    write_features(tmp_path / "0-of-1.h5", VIDEOS, ACTIONS, quarantine, PROVENANCE)
    return FeatureShard(tmp_path / "0-of-1.h5")


def test_all_comes_back(shard):
    assert shard.ids == ["a", "b", "c"]
    assert shard.actions == list(ACTIONS)
    assert (shard.actor_size, shard.object_size) == (6, 8)
    assert [entry.id for entry in shard.quarantine] == ["bad"]
    for written in VIDEOS:
        found = shard.keyframes(written.id)
        assert np.array_equal(found.times, written.times)
        for name, owners in (("actors", found.actor_keyframe), ("objects", found.object_keyframe)):
            entities = getattr(written, name)
            assert owners.tolist() == [n for n, each in enumerate(entities) for _ in each.box]
            for column, values in vars(getattr(found, name)).items():
                expected = [getattr(each, column) for each in entities]
                assert np.array_equal(values, np.concatenate(expected) if expected else values[:0]), column


def test_a_run_of_keyframes(shard):
    found = shard.keyframes("a", 1, 3)
    assert found.times.tolist() == [903.0, 904.0]
    assert found.actor_keyframe.tolist() == [1]
    assert np.array_equal(found.actors.feature, VIDEOS[0].actors[2].feature)
    assert found.object_keyframe.tolist() == [0]
    assert shard.keyframes("a", 2, 2).times.tolist() == []


@pytest.mark.parametrize("span", [(-1, 2), (0, 5), (3, 2)])
def test_keyframes_that_are_not_there(shard, span):
    with pytest.raises(IndexError, match=r"of 'a', which has 4"):
        shard.keyframes("a", *span)


def test_half_precision_stays_half(tmp_path):
    write_features(tmp_path / "half.h5", [video("a", [(2, 1)], kind=np.float16)], ACTIONS, [], PROVENANCE)
    assert FeatureShard(tmp_path / "half.h5").keyframes("a").actors.feature.dtype == np.float16


def test_an_empty_shard(tmp_path):
    write_features(tmp_path / "none.h5", [], ACTIONS, [], PROVENANCE)
    assert FeatureShard(tmp_path / "none.h5").ids == []


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in ("one.h5", "two.h5"):
        write_features(tmp_path / name, VIDEOS, ACTIONS, [], PROVENANCE)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def with_first(entities: str, **columns) -> FeaturedVideo:
    """Video a with other values in its first keyframe."""
    changed = [replace(getattr(VIDEOS[0], entities)[0], **columns), *getattr(VIDEOS[0], entities)[1:]]
    return replace(VIDEOS[0], **{entities: changed})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            with_first("actors", box=np.full((2, 4), 1.5)),
            r"a at 902 s: the box \[1.5, .* of an actor is not in \[0, 1\]",
        ),
        (with_first("objects", box=np.full((3, 4), -0.1)), r"of an object is not in \[0, 1\]"),
        (with_first("objects", score=np.full(3, np.nan)), "a at 902 s: an object has a value that is not finite"),
        (with_first("actors", score=np.zeros(5)), "a at 902 s: actors have 2, 2, 5, 2, 2, 2 rows"),
        (with_first("actors", actions=np.zeros((2, 4), bool)), r"a at 902 s: actions of \(4,\), but there are 3"),
        (replace(VIDEOS[0], times=np.arange(3.0)), "a: 3 keyframes, but actors of 4 and objects of 4"),
        (replace(VIDEOS[0], times=np.zeros(4)), "a: its keyframes are not in the order of time"),
    ],
)
def test_what_does_not_fit_together(tmp_path, wrong, message):
    with pytest.raises(ActaError, match=message):
        write_features(tmp_path / "shard.h5", [wrong], ACTIONS, [], PROVENANCE)
    assert list(tmp_path.iterdir()) == []


def test_shards_of_two_datasets(tmp_path, shard):
    write_features(tmp_path / "wide.h5", [video("d", [(1, 1)], size=7)], ACTIONS, [], PROVENANCE)
    write_features(tmp_path / "less.h5", [video("d", [(1, 1)])], ACTIONS, [], PROVENANCE)
    check_alike([shard, FeatureShard(tmp_path / "less.h5")])
    with pytest.raises(ActaError, match=r"wide.h5 has other actor_size than .*0-of-1.h5: 7 and 6"):
        check_alike([shard, FeatureShard(tmp_path / "wide.h5")])


def test_a_shard_without_a_keyframe_speaks_for_nobody(tmp_path):
    """All of its videos were left out: it has no sizes, and the others go on."""
    write_features(tmp_path / "none.h5", [], ACTIONS, [Quarantined("gone", "manifest", "missing")], PROVENANCE)
    write_features(tmp_path / "some.h5", VIDEOS, ACTIONS, [], PROVENANCE)
    shards = [FeatureShard(tmp_path / f"{name}.h5") for name in ("none", "some")]
    assert check_alike(shards) is shards[1]
    with pytest.raises(ActaError, match=r"no feature shard holds a keyframe: .*none.h5"):
        check_alike(shards[:1])
