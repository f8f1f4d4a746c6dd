"""Published features in both layouts: every number where it belongs, and what does not fit is refused by name."""

import re
import tracemalloc
from typing import Any

import numpy as np
import pytest

from pipeline.config.tasks.detect import ImportActorFeatures
from pipeline.detect.features.import_actor_features import Published, _video_numbers
from pipeline.runtime.errors import ActaError
from tests.unit.detect.features.published_files import (
    BOXES,
    I3D,
    SLOWFAST,
    WITH_BACKGROUND,
    Content,
    Made,
    objects_of,
    one_keyframe,
    reasons,
)

# ---- what comes out


@pytest.mark.parametrize("layout", ["i3d", "slowfast"])
@pytest.mark.parametrize("columns", [81, 80])
def test_every_number_where_it_belongs(made, layout, columns):
    first, second = one_keyframe(), one_keyframe(100)
    if columns == 80:  # action n in column n - 1: no background
        first["labels"] = second["labels"] = WITH_BACKGROUND[:, 1:]
    if layout == "i3d":
        actors = made.i3d({"v/0903": second, "v/0902": first})
    else:
        actors = made.slowfast({"v_0903": second, "v_0902": first})
    objects = made.objects(objects_of("v_902"), objects_of("v_903", 1), objects_of("w_902"))
    shard = made.read(Published(actors, objects), I3D if layout == "i3d" else SLOWFAST)
    found = shard.keyframes("v")
    assert found.times.tolist() == [902, 903]
    assert shard.actions == ["stand", "sit", "talk"]
    assert (shard.actor_size, shard.object_size) == (3, 4)
    assert found.actor_keyframe.tolist() == [0, 0, 1, 1]
    expected = [[0, 1, 2], [10, 11, 12], [100, 101, 102], [110, 111, 112]]
    assert found.actors.feature.tolist() == expected
    assert found.actors.box.tolist() == BOXES * 2
    assert found.actors.actions.astype(int).tolist() == [[0, 1, 1], [1, 0, 0]] * 2
    assert found.actors.score.tolist() == [1] * 4
    assert not found.actors.annotated.any()
    assert found.actors.baseline.shape == (4, 0)
    assert found.object_keyframe.tolist() == [0, 0, 1]
    assert found.objects.feature.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]
    assert found.objects.score == pytest.approx([0.6, 0.7, 0.6])
    assert found.objects.box[0] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert not shard.quarantine


def test_features_that_are_averaged_already(made):
    content = one_keyframe() | {"features": np.array([[1.0, 2], [3, 4]])}
    shard = made.read(Published(made.i3d({"v/902": content})))
    assert shard.keyframes("v").actors.feature.tolist() == [[1, 2], [3, 4]]
    assert (shard.object_size, len(shard.keyframes("v").objects.box)) == (0, 0)


def test_names_with_slashes_are_groups_in_groups(made):
    """J-HMDB-21's and UCF101-24's videos are called <class>/<name>."""
    actors = made.slowfast({"run/v_0": one_keyframe(), "run/v_0.04": one_keyframe(), "w_1": one_keyframe()})
    shard = made.read(
        Published(actors), ImportActorFeatures(layout="slowfast", half_precision=False), {"run/v": "train"}
    )
    assert shard.keyframes("run/v").times.tolist() == [0, 0.04]


def test_half_precision(made):
    shard = made.read(
        Published(made.i3d({"v/902": one_keyframe(0.1)})), ImportActorFeatures(layout="i3d", half_precision=True)
    )
    feature = shard.keyframes("v").actors.feature
    assert feature.dtype == np.float16
    assert feature[1].astype(float) == pytest.approx([10.1, 11.1, 12.1], rel=1e-3)


def test_annotated_boxes_are_those_of_the_csv(made):
    csv = made.text("boxes.csv", "v,902,0.5,0.2502,1.0,0.7498,1\nv,903,0,0,0.49,1,3\nw,902,0,0,0.5,1,1\n")
    actors = made.i3d({"v/902": one_keyframe(), "v/903": one_keyframe()})
    found = made.read(Published(actors, annotation=csv)).keyframes("v").actors
    assert found.annotated.tolist() == [False, True, False, False], "0.49 wide is another box than 0.5"


def test_scores_are_those_of_the_proposals(made):
    people = made.text("people.csv", "v,0902,0.0,0.0,0.5,1.0,,0.75\nv,902,0.6,0.25,1.0,0.75,,0.875\nv,903,0,0,1,1,,0.5")
    csv = made.text("boxes.csv", "v,904,0.0,0.0,0.5,1.0,1\n")
    actors = made.i3d({f"v/{time}": one_keyframe() for time in (902, 903, 904)})
    found = made.read(Published(actors, annotation=csv, proposals=people)).keyframes("v").actors
    assert found.score.tolist() == [0.75, 0, 0, 0, 1, 0], "no proposal: 0; an annotated box: 1"
    assert found.annotated.tolist() == [False] * 4 + [True, False]


def test_boxes_a_little_outside_end_at_the_edge(made):
    content = one_keyframe() | {"boxes": np.array([[-0.015, 0, 0.5, 1.01], BOXES[1]])}
    assert made.read(Published(made.i3d({"v/902": content}))).keyframes("v").actors.box.tolist() == BOXES


def test_numbers_of_videos_through_a_frame_list(made):
    frames = made.text(
        "frames.csv",
        "original_vido_id video_id frame_id path labels\n"
        '-a_b 0 0 -a_b/1.jpg ""\n-a_b 0 1 -a_b/2.jpg ""\nw 11 0 w/1.jpg ""\n',
    )
    actors = made.slowfast({"0_902": one_keyframe(), "11_902": one_keyframe(50), "-a_b_903": one_keyframe(100)})
    objects = made.objects(objects_of("0_902", 1), objects_of("-a_b_903"), objects_of("w_902"))
    published = Published(actors, objects, frame_list=frames)
    shard = made.read(published, SLOWFAST, {"-a_b": "train", "w": "train"})
    assert shard.keyframes("-a_b").times.tolist() == [902, 903]
    assert shard.keyframes("-a_b").actors.feature[:, 0].tolist() == [0, 10, 100, 110]
    assert shard.keyframes("-a_b").object_keyframe.tolist() == [0, 1, 1]
    assert shard.keyframes("w").actors.feature[:, 0].tolist() == [50, 60]
    assert not shard.quarantine


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_frame_lists_of_editors(tmp_path, encoding):
    path = tmp_path / "frames.csv"
    path.write_bytes("original_vido_id video_id frame_id\r\nä 0 0\r\n\r\nä 0 1\r\nw 11 0".encode(encoding))
    assert _video_numbers(path) == {"0": "ä", "11": "w"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"v 0 0\nv\n", ":2: 'v' is not <video> <number> \u2026"),
        (b"v 0 0\nv x 0\n", ":2: 'v x 0' is not <video> <number> \u2026"),
        (b"v 0 0\nw 1 0\nw 0 1\n", ":3: 0 is the number of 'v' already"),
        (b"v 0 0\n\xe9 1 0\n", ", line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    ],
)
def test_frame_lists_that_are_none(tmp_path, content, problem):
    path = tmp_path / "frames.csv"
    path.write_bytes(content)
    with pytest.raises(ActaError) as error:
        _video_numbers(path)
    assert str(error.value) == f"{path}{problem}"


def test_parts_of_a_second(made):
    actors = made.i3d({"v/0902.5": one_keyframe(), "v/12345.125": one_keyframe()})
    shard = made.read(Published(actors, made.objects(objects_of("v_902.5", 1), objects_of("v_12345.125"))))
    assert shard.keyframes("v").times.tolist() == [902.5, 12345.125]
    assert shard.keyframes("v").object_keyframe.tolist() == [0, 1, 1]


def test_a_keyframe_without_people_or_objects(made):
    empty = {name: value[:0] for name, value in one_keyframe().items()}
    actors = made.i3d({"v/902": empty, "v/903": one_keyframe(), "v/904": one_keyframe()})
    none = {name: value[:0] for name, value in objects_of("v_903").items()}
    shard = made.read(Published(actors, made.objects(objects_of("v_902"), none)))
    assert shard.keyframes("v").actor_keyframe.tolist() == [1, 1, 2, 2]
    assert shard.keyframes("v").object_keyframe.tolist() == [0, 0]


@pytest.mark.parametrize("layout", ["i3d", "slowfast"])
@pytest.mark.parametrize("name", ["-a", "a"])
def test_a_name_may_have_lost_its_first_hyphen(made, layout, name):
    """In the authors' files, the objects of -5KQ66BBWC4 are called 5KQ66BBWC4."""
    keyframes = {f"{name}/902": one_keyframe()} if layout == "i3d" else {f"{name}_902": one_keyframe()}
    actors = made.i3d(keyframes) if layout == "i3d" else made.slowfast(keyframes)
    objects = made.objects(objects_of("a_902"), objects_of("b_902"))
    shard = made.read(Published(actors, objects), I3D if layout == "i3d" else SLOWFAST, {"-a": "train"})
    assert shard.ids == ["-a"]
    assert shard.keyframes("-a").actor_keyframe.tolist() == [0, 0]
    assert shard.keyframes("-a").object_keyframe.tolist() == [0, 0]


@pytest.mark.parametrize("known", ["list", "annotation", "proposals"])
def test_a_name_without_its_hyphen_is_another_video_s_if_there_is_one(made, known):
    actors = made.slowfast({"a_902": one_keyframe()})
    named = made.text("known.csv", "a,902,0,0,.5,1,1\n" if known == "annotation" else "a,902,0,0,.5,1,,.5\n")
    published = Published(actors, **({} if known == "list" else {known: named}))
    videos = {"-a": "train"} | ({"a": "train"} if known == "list" else {})
    shard = made.read(published, SLOWFAST, videos)
    assert shard.ids == list(videos)[1:]
    assert "no features of it are in" in reasons(shard)["-a"]


@pytest.mark.parametrize("layout", ["i3d", "slowfast"])
def test_both_names_in_one_file_are_refused(made, layout):
    keys = ("-a/902", "a/902") if layout == "i3d" else ("-a_902", "a_902")
    write = made.i3d if layout == "i3d" else made.slowfast
    shard = made.read(
        Published(write({key: one_keyframe() for key in keys})),
        I3D if layout == "i3d" else SLOWFAST,
        {"-a": "train"},
    )
    assert "has both '-a' and 'a': remove the one that is not of this video" in reasons(shard)["-a"]


# ---- several shards and splits


def test_shards_hold_their_own_videos_and_read_nothing_of_others(made):
    actors = made.i3d({"v/902": one_keyframe(), "w/902": one_keyframe(50)})
    objects = made.objects(*(objects_of(f"{name}_902") for name in ("v", "w", "broken")))
    (actors / "broken").mkdir()
    (actors / "broken" / "902.h5").write_bytes(b"no HDF5")
    (actors / "odd").mkdir()
    (actors / "odd" / "soon.h5").write_bytes(b"")
    for name, offset in (("v", 0), ("w", 50)):
        shard = made.read(Published(actors, objects), videos={name: "train"})
        assert shard.ids == [name]
        assert shard.keyframes(name).actors.feature[0, 0] == offset
        assert not shard.quarantine
    shard = made.read(Published(actors, objects), videos={"broken": "train", "v": "train", "odd": "train"})
    assert shard.ids == ["v"]
    assert "cannot read" in reasons(shard)["broken"]
    assert "902.h5" in reasons(shard)["broken"]
    assert "soon.h5 is not <timestamp>.h5" in reasons(shard)["odd"]


def test_each_split_has_its_own_files(made, tmp_path):
    made.slowfast({"v_902": one_keyframe(), "both_1": one_keyframe()})
    (tmp_path / "val").mkdir()
    other = Made(tmp_path / "val")
    other.slowfast({"w_902": one_keyframe(50), "both_1": one_keyframe(99)})
    published = {
        "train": Published(tmp_path / "actors.h5", made.objects(objects_of("v_902"), objects_of("both_1"))),
        "val": Published(tmp_path / "val" / "actors.h5"),
    }
    videos = {"v": "train", "w": "val", "both": "train val", "x": "test", "w2": "val"}
    shard = made.read(published, SLOWFAST, videos)
    assert shard.ids == ["v", "w", "both"]
    assert shard.splits == ["train", "val", "train val"]
    assert shard.keyframes("both").actors.feature[0, 0] == 0
    assert shard.keyframes("w").objects.feature.shape == (0, 4), "no objects in val: none, of the size that others have"
    assert reasons(shard)["x"] == "no published features are given for its split 'test'"
    assert "no features of it are in" in reasons(shard)["w2"]
    alone = made.read(published, SLOWFAST, {"w": "val"})
    assert alone.object_size == 4, "of a shard that is of val alone, too"


def test_the_same_files_give_the_same_bytes_and_other_annotation_another_digest(made, tmp_path):
    csv = made.text("boxes.csv", "v,902,0,0,.5,1,1\n")
    published = Published(made.i3d({"v/902": one_keyframe()}), annotation=csv)
    shard = made.read(published)
    digest, content = shard.digest, (tmp_path / "out.h5").read_bytes()
    shard.close()
    made.read(published).close()
    assert (tmp_path / "out.h5").read_bytes() == content
    csv.write_text("v,902,0,0,.5,1,3\n")
    assert made.read(published).digest != digest


# ---- what cannot be


def changed(**columns: Any) -> Content:
    return {name: value for name, value in (one_keyframe() | columns).items() if value is not None}


NAN = one_keyframe()["features"].copy()
NAN[1, 0, 0, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (changed(features=NAN), "v at 902 s: 'features' holds a value that is not finite"),
        (changed(features=None), "v at 902 s: there is no 'features' in "),
        (changed(boxes=None), "v at 902 s: there is no 'boxes' in "),
        (changed(labels=None), "v at 902 s: there is no 'labels' in "),
        (changed(features=np.zeros((3, 3))), "v at 902 s: 3 features, 2 boxes and 2 labels"),
        (changed(features=np.zeros(2)), r"v at 902 s: features of shape \(2,\), not"),
        (changed(features=np.float32(1)), "v at 902 s: 'features' is not an array of numbers"),
        (changed(features=np.array([b"a", b"b"])), "v at 902 s: 'features' is not an array of numbers"),
        (changed(labels=np.zeros((2, 60))), r"labels of shape \(2, 60\) have no column for action 80"),
        (changed(labels=np.zeros(81)), r"labels of shape \(81,\) have no column"),
        (changed(boxes=np.array(BOXES) * 320), "a box has the coordinate 160; boxes must be in"),
        (changed(boxes=np.array(BOXES) - 0.1), "a box has the coordinate -0.1; boxes must be in"),
        (changed(boxes=np.zeros((2, 5))), r"v at 902 s: boxes of shape \(2, 5\), not \(n, 4\)"),
        (changed(boxes=np.array(BOXES).ravel()), r"v at 902 s: boxes of shape \(8,\), not \(n, 4\)"),
    ],
)
@pytest.mark.parametrize("layout", ["i3d", "slowfast"])
def test_a_bad_keyframe_condemns_its_video_alone(made, layout, content, reason):
    if layout == "i3d":
        actors = made.i3d({"v/901": one_keyframe(), "v/902": content, "w/902": one_keyframe()})
    else:
        actors = made.slowfast({"v_901": one_keyframe(), "v_902": content, "w_902": one_keyframe()})
    settings = I3D if layout == "i3d" else SLOWFAST
    shard = made.read(Published(actors), settings, {"v": "train", "w": "train"})
    assert shard.ids == ["w"]
    assert re.search(reason, reasons(shard)["v"])


def test_one_keyframe_twice(made):
    shard = made.read(Published(made.i3d({"v/0902": one_keyframe(), "v/902": one_keyframe()})), videos={"v": "train"})
    assert "has v at 902 s twice" in reasons(shard)["v"]


def test_too_many_bad_videos(made):
    actors = made.i3d({"v/902": one_keyframe()})
    videos = {"v": "train", "lost1": "train", "lost2": "train"}
    with pytest.raises(ActaError, match="import_actor_features: 2 of the first 3 videos"):
        made.read(Published(actors), videos=videos, max_bad_fraction=0.1)
    assert not (made.folder / "out.h5").exists()


def test_features_of_two_sizes(made):
    wide = one_keyframe() | {"features": np.zeros((2, 5))}
    actors = made.i3d({"v/902": one_keyframe(), "w/902": wide})
    with pytest.raises(ActaError, match=r"features of actors have different sizes: 3 numbers \(v at 902 s\), 5 num"):
        made.read(Published(actors), videos={"v": "train", "w": "train"})


@pytest.mark.parametrize("what", ["actors", "objects", "annotation", "proposals", "frame_list"])
def test_files_that_are_not_there(made, what):
    files = {"actors": made.slowfast({"v_902": one_keyframe()}), what: made.folder / "none.h5"}
    with pytest.raises(ActaError, match=r"cannot read .*none.h5"):
        made.read(Published(**files), SLOWFAST)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("i3d", r"actors.h5 is not a folder; the layout i3d is <clip>/<timestamp>.h5"),
        ("slowfast", r"actors.h5: the group 'v_soon' is not <clip>_<timestamp>"),
    ],
)
def test_another_layout(made, layout, message):
    actors = made.slowfast({"v_902": one_keyframe(), "v_soon": one_keyframe()})
    with pytest.raises(ActaError, match=message):
        made.read(Published(actors), ImportActorFeatures(layout=layout, half_precision=False))


def test_a_dataset_where_a_group_should_be(made):
    shard = made.read(Published(made._write(made.folder / "a.h5", {"v_902": np.zeros(3)})), SLOWFAST)
    assert "v at 902 s: 'v_902' in" in reasons(shard)["v"]


@pytest.mark.parametrize("line", ["v", "v one 0", "v -1 0"])
def test_a_frame_list_that_is_none(made, line):
    frames = made.text("frames.csv", f"original_vido_id video_id frame_id path labels\nv 0 0\n{line}\n")
    with pytest.raises(ActaError, match=rf"frames.csv:3: '{line}' is not <video> <number>"):
        made.read(Published(made.slowfast({"v_902": one_keyframe()}), frame_list=frames), SLOWFAST)


def test_memory_does_not_grow_with_the_shard(made):
    """While one video is read, those before it are on disk alone."""
    count = 2500  # 2 MB of features in each video
    people = {
        "features": np.ones((count, 10)),
        "boxes": np.full((count, 4), 0.5),
        "labels": np.zeros((count, 81), bool),
    }
    source = made.slowfast({f"v{number}_{time}": people for number in range(12) for time in range(20)})
    peaks = {}
    for videos in (3, 12):
        tracemalloc.start()
        shard = made.read(Published(source), SLOWFAST, {f"v{number}": "train" for number in range(videos)})
        peaks[videos] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(shard.array("actors/feature")) == videos * 20 * count
    assert peaks[12] < 1.25 * peaks[3]
