"""Frames by the annotations' time."""

import pickle

import pytest

from pipeline.detect.features.timed import TimedFrames
from tests.clips import read_number
from tests.shards import numbered, stored, write_shard


def test_videos_that_were_cut_begin_later_in_the_annotations_time(tmp_path):
    """AVA's second 902 is the cut video's second 2."""
    shard = write_shard(tmp_path / "frames.h5", [stored(tmp_path / "jpegs", "v", numbered(30))])
    cut = TimedFrames(shard, 900.0)
    assert cut.times("v")[[0, -1]].tolist() == [900.0, pytest.approx(902.9)]
    assert read_number(cut.clip_at("v", [902.0])[0].permute(1, 2, 0).numpy()) == 20
    again = pickle.loads(pickle.dumps(cut))
    assert again.times("v")[0] == 900.0
