"""Object shards."""

import numpy as np
import pytest

from pipeline.detect.features.objects import Detected, ObjectShard, SearchedVideo, write_objects
from pipeline.runtime.provenance import Provenance
from tests.detectors import CLASSES


def test_an_object_shard_comes_back(tmp_path):
    def some(count: int) -> Detected:
        random = np.random.default_rng(count)
        return Detected(
            random.random((count, 3)).astype(np.float16),
            random.random((count, 4)).astype(np.float32),
            random.random(count).astype(np.float32),
            random.integers(0, 2, count).astype(np.int32),
        )

    videos = [
        SearchedVideo("v", "", "train", np.array([1.0, 2.0, 3.0]), [some(2), some(0), some(3)]),
        SearchedVideo("none", "", "train", np.zeros(0), []),
        SearchedVideo("w", "", "val", np.array([7.0]), [some(1)]),
    ]
    write_objects(tmp_path / "o.h5", videos, CLASSES, [], Provenance("test", "{}", ""))
    shard = ObjectShard(tmp_path / "o.h5")
    assert (shard.classes, shard.array("objects/feature").shape[1]) == (list(CLASSES), 3)
    for video in videos:
        assert shard.times(video.id).tolist() == video.times.tolist()
        for place, each in enumerate(video.found):
            for name, column in vars(shard.at(video.id, place)).items():
                assert np.array_equal(column, getattr(each, name))
    with pytest.raises(IndexError, match="keyframe 3 of 'v', which has 3"):
        shard.at("v", 3)
    write_objects(tmp_path / "none.h5", [], CLASSES, [], Provenance("test", "{}", ""))
    assert ObjectShard(tmp_path / "none.h5").ids == []
