"""Published objects by the names of their keyframes, and boxes: what does not fit is refused by name."""

import re

import numpy as np
import pytest

from pipeline.detect.features.import_actor_features import Published
from pipeline.detect.features.published import inside, spellings
from pipeline.runtime.errors import VideoError
from tests.unit.detect.features.published_files import BOXES, Content, objects_of, one_keyframe, reasons


@pytest.mark.parametrize("key", ["v_2", "v_0002"])
def test_objects_with_and_without_leading_zeros(made, key):
    shard = made.read(Published(made.i3d({"v/0002": one_keyframe()}), made.objects(objects_of(key))))
    assert len(shard.keyframes("v").objects.box) == 2


@pytest.mark.parametrize("keys", [("-a_902", "a_902"), ("-a_902", "-a_0902"), ("0_902", "-a_902")])
def test_objects_under_two_names_are_refused(made, keys):
    frames = made.text("frames.csv", "-a 0 902 -a/1.jpg\n")
    actors, objects = made.i3d({"-a/902": one_keyframe()}), made.objects(*(objects_of(key) for key in keys))
    shard = made.read(Published(actors, objects, frame_list=frames), videos={"-a": "train"})
    assert re.search(r"-a at 902 s: .*objects.h5 has both '.*' and '.*'; remove the one", reasons(shard)["-a"])


def test_names_that_a_video_may_have():
    assert spellings("-5KQ66BBWC4", {"-5KQ66BBWC4", "1j20qq1JyX4"}) == ["-5KQ66BBWC4", "5KQ66BBWC4"]
    assert spellings("-a", {"-a", "a"}) == ["-a"]
    assert spellings("a-b", {"a-b"}) == ["a-b"]
    assert spellings("-", {"-"}) == ["-"]


def object_change(name: str, value: np.ndarray | None) -> Content:
    content = objects_of("v_902") | ({} if value is None else {f"v_902_{name}": value})
    if value is None:
        del content[f"v_902_{name}"]
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (object_change("boxes", None), "there is no 'v_902_boxes' in "),
        (object_change("features", None), "there is no 'v_902_features' in "),
        (object_change("cls_prob", None), "there is no 'v_902_cls_prob' in "),
        (object_change("boxes", np.zeros((3, 4))), "v at 902 s: 2 features, 3 boxes and 2 scores of objects"),
        (object_change("cls_prob", np.zeros((1, 3))), "v at 902 s: 2 features, 2 boxes and 1 scores of objects"),
        (object_change("cls_prob", np.zeros((2, 3, 1))), r"cls_prob of shape \(2, 3, 1\)"),
        (object_change("boxes", np.full((2, 4), 20.0)), "v at 902 s: a box has the coordinate 20"),
        (object_change("features", np.full((2, 4), np.inf)), "'v_902_features' holds a value that is not finite"),
        (object_change("features", np.zeros((2, 4, 7, 7))), r"features of objects of shape \(2, 4, 7, 7\)"),
        ({}, "no objects of it are in .*objects.h5"),
    ],
)
def test_bad_objects_condemn_their_video_alone(made, content, reason):
    actors = made.i3d({"v/902": one_keyframe(), "w/902": one_keyframe()})
    objects = made.objects(content, objects_of("w_902"))
    shard = made.read(Published(actors, objects), videos={"v": "train", "w": "train"})
    assert shard.ids == ["w"]
    assert re.search(reason, reasons(shard)["v"])


@pytest.mark.parametrize(
    "box",
    [[0.5, 0.0, 0.4, 1.0], [0.0, 0.75, 1.0, 0.5], [0.0, 0.5, 1.0, 0.25]],
)
def test_boxes_that_are_inside_out_are_refused(box):
    good = [*BOXES, [0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]]
    with pytest.raises(VideoError) as error:
        inside(np.array([*good, box]), "v at 902 s")
    assert str(error.value) == f"v at 902 s: the box {box} is inside out; boxes are x1, y1, x2, y2"
    assert inside(np.array(good), "v").tolist() == good
