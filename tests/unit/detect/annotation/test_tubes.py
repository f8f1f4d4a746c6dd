"""Pickles of annotated tubes, as both data sets have them: how they count, and what is refused."""

import pickle
import re

import numpy as np
import pytest

from pipeline.detect.annotation.single_label import convert_annotations
from pipeline.detect.annotation.tubes import read_tubes
from pipeline.runtime.errors import ActaError
from tests.unit.detect.annotation.made import CLIPS, all_with, as_tubes, doubled, endless


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gttubes": {}}, "'wave/a' of train1 has no gttubes"),
        ({"labels": None}, "is not a file of annotated tubes"),
        ({"test_videos": [[], ["wave/a"]]}, "test1 has no videos"),
        (
            {"nframes": dict.fromkeys(CLIPS, 1)},
            "'wave/a': frames 1 to 2 of a tube, counted from 1, are not numbers of the video's 1 that",
        ),
        ({"resolution": dict.fromkeys(CLIPS, (2, 2))}, "is empty, inside out or outside 2 × 2 pixels"),
        ({"gttubes": {name: {} for name in CLIPS}}, "'wave/a' has boxes of no class"),
        ({"gttubes": {name: {9: [np.ones((1, 5))]} for name in CLIPS}}, "'wave/a' cannot be read: IndexError"),
        ({"gttubes": all_with([[1, 3, 3, 1, 5]])}, "is empty, inside out or outside"),
        ({"gttubes": all_with([[1, 0, 0, 1, np.nan]])}, "is empty, inside out or outside"),
        ({"gttubes": all_with([[1.5, 0, 0, 1, 1]])}, "frames 1.5 to 1.5 of a tube, counted from 1"),
        ({"gttubes": all_with([[-1, 0, 0, 1, 1]])}, "frames -1 to -1 of a tube, counted from 1"),
        ({"gttubes": {name: {-1: [np.ones((1, 5))]} for name in CLIPS}}, "'wave/a' has boxes of no class"),
        ({"nframes": dict.fromkeys(CLIPS, 1_000_001)}, "'wave/a' has 1000001 frames; a video has 1 to 1,000,000"),
        ({"nframes": dict.fromkeys(CLIPS, 0)}, "'wave/a' has 0 frames"),
        ({"nframes": dict.fromkeys(CLIPS, float("inf"))}, "'wave/a' cannot be read: OverflowError"),
        ({"resolution": dict.fromkeys(CLIPS, (0, 8))}, "'wave/a': the picture has 8 × 0 pixels"),
        ({"labels": ["catch", ["wave"]]}, "is not a file of annotated tubes: TypeError: list is not a name"),
        ({"labels": ["catch", "wa\nve"]}, "TypeError: 'wa\\nve' is not a name"),
        (
            {"labels": doubled(40)},
            "it unfolds to far more values than it holds",
        ),
        ({"gttubes": {"wave/a": {0: [doubled(40)]}}}, "it unfolds to far more values than it holds"),
        ({"nframes": endless()}, "it is nested in itself"),
    ],
)
def test_tubes_that_are_refused(tmp_path, changes, message):
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(as_tubes(CLIPS, **changes), protocol=4))
    with pytest.raises(ActaError, match=re.escape(message)):
        convert_annotations("jhmdb21", tmp_path, tmp_path / "out")


def test_tubes_that_count_from_0_are_read_so(tmp_path, capsys):
    for name, shift in (("one", 0), ("zero", -1)):
        tubes = as_tubes(CLIPS)
        for its in tubes["gttubes"].values():
            for boxes in its.values():
                boxes[0][:, 0] += shift
        (tmp_path / name).mkdir()
        (tmp_path / name / "JHMDB-GT.pkl").write_bytes(pickle.dumps(tubes, protocol=4))
        convert_annotations("jhmdb21", tmp_path / name, tmp_path / f"{name}_out")
    for path in (tmp_path / "one_out").iterdir():
        assert path.read_text() == (tmp_path / "zero_out" / path.name).read_text()
    pickled = tmp_path / "zero" / "JHMDB-GT.pkl"
    assert capsys.readouterr().err == (
        f"{pickled}: its tubes count frames from 0, where others count from 1; read so\n"
    )


def test_tubes_that_count_from_0_and_beyond_the_end(tmp_path):
    tubes = as_tubes(CLIPS)
    tubes["gttubes"]["wave/a"] = {1: [np.array([[0, 0, 0, 1, 1]])]}
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(tubes, protocol=4))
    said = "whose tubes count frames from 0: 'catch/e': frames 2 to 2 of a tube, counted from 1, are not numbers of the"
    with pytest.raises(ActaError, match=said):
        convert_annotations("jhmdb21", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("content", [[], 1, "text", np.zeros((2, 2)), {"labels": np.array(5)}, {"labels": 7}])
def test_pickles_of_something_else(tmp_path, content):
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(ActaError, match=r"JHMDB-GT.pkl is not a file of annotated tubes: (Type|Index|Key)Error"):
        convert_annotations("jhmdb21", tmp_path, tmp_path / "out")


def test_a_video_of_the_most_frames(tmp_path):
    tubes = as_tubes(
        CLIPS, nframes=dict.fromkeys(CLIPS, 1_000_000), train_videos=[["wave/a"]], test_videos=[["wave/b, c"]]
    )
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(tubes, protocol=4))
    assert [video.frames for video in read_tubes(tmp_path / "JHMDB-GT.pkl").videos.values()] == [1_000_000] * 2
